//! Facts about the running system: its boot, its limits, and the calls that it permits.

/// Where the kernel tells its identifier of this boot.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's identifier of this boot; process numbers of another boot mean nothing.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

/// The limit on this process's descriptors; `None`: unlimited.
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Required calls that the kernel or a sandbox does not permit.
pub fn kernel_lacks() -> Vec<&'static str> {
    use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat2, renameat_with};
    use rustix::io::Errno;
    use rustix::process::{PidfdFlags, getpid, pidfd_open};
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let probes = [
        ("openat2", openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).err()),
        // The file does not exist: a kernel that knows the call reports exactly that.
        (
            "renameat2",
            renameat_with(CWD, "/.no-such-file", CWD, "/.no-such-file", RenameFlags::NOREPLACE).err(),
        ),
        ("pidfd_open", pidfd_open(getpid(), PidfdFlags::empty()).err()),
    ];
    let refused = |error: &Option<Errno>| matches!(error, Some(Errno::NOSYS | Errno::PERM));
    probes.into_iter().filter(|(_, error)| refused(error)).map(|(name, _)| name).collect()
}
