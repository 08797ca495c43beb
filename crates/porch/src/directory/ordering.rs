//! Whether a file system itself writes a file's bytes before a rename that replaces another file with it. If that is not
//! known, the bytes are synced first: a power cut must not leave half a file in place of a whole one.

use conductor_os::mounts::{Mount, mounts};
use rustix::fs::{fstat, major, minor};
use std::os::fd::AsFd;

/// The durability of a replacement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Durability {
    /// Whether to return only when everything is on the disk; otherwise the caller syncs.
    pub(crate) at_once: bool,
    /// The device on which a replacing rename does not overtake the bytes.
    pub(crate) ordered: Option<u64>,
}

/// The device of a directory, if its file system keeps that order.
pub(crate) fn ordered_device(dir: impl AsFd) -> Option<u64> {
    let device = fstat(dir).ok()?.st_dev;
    let mounts = mounts().ok()?;
    keeps_order(&mounts, &format!("{}:{}", major(device), minor(device))).then_some(device)
}

/// With `data=ordered`, its default, ext4 writes the bytes of allocated blocks before the names that lead to them. A
/// rename that replaces a file allocates by itself (`auto_da_alloc`, also a default); before an exchange, which does not,
/// we start the writing. Nothing on a tmpfs survives a power cut.
fn keeps_order(mounts: &[Mount], device: &str) -> bool {
    let without = |option: &str| ["noauto_da_alloc", "auto_da_alloc=0", "data=writeback"].contains(&option);
    mounts.iter().filter(|mount| mount.device == device).any(|mount| match mount.kind.as_str() {
        "ext4" => !mount.options.split(',').any(without),
        other => other == "tmpfs",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_os::mounts::listed;

    #[test]
    fn only_known_file_systems_are_trusted_to_keep_the_order() {
        let keeps = |kind: &str, options: &str| {
            let line = format!("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - {kind} /dev/root {options}\n");
            let other = "37 35 98:1 / /other rw - ext4 /dev/other rw\n";
            keeps_order(&listed(format!("{other}{line}").as_bytes()), "98:0")
        };
        assert!(keeps("ext4", "rw") && keeps("ext4", "rw,errors=continue,data=ordered"));
        assert!(keeps("tmpfs", "rw,size=64k"));
        assert!(!keeps("ext4", "rw,noauto_da_alloc") && !keeps("ext4", "rw,data=writeback"));
        assert!(!keeps("xfs", "rw") && !keeps("ext2", "rw") && !keeps("overlay", "rw"));
        assert!(!keeps_order(&[], "98:0") && !keeps_order(&listed(b"36 35 98:0 / / rw"), "98:0"));
    }
}
