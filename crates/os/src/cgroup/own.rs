//! The control group that the process was given for itself.

use crate::mounts::{Mount, mounts};
use crate::user::Identity;
use rustix::fs::{Access, AtFlags, CWD, Gid, Uid, accessat, chownat};
use std::fs;
use std::path::{Path, PathBuf};

/// Why there are no groups below ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGroup {
    /// Nobody gave the process a group of its own, or it has no use for one.
    #[error("{0}")]
    NotGiven(String),
    /// It has one, and the kernel does not have what is needed of it.
    #[error("the kernel does not have it: {0}")]
    Missing(String),
    /// It has one, and a step was not permitted.
    #[error("not permitted: {0}")]
    Refused(String),
}

/// The directory of the process's group, if that was given to it: its user may make groups below it, and no other process
/// is in it, as with `Delegate=yes` of systemd.
pub fn own() -> Result<PathBuf, NoGroup> {
    let not_given = |reason: &str| NoGroup::NotGiven(reason.to_owned());
    let path = place()?.ok_or_else(|| not_given("no control group of version 2 is mounted for it"))?;
    let has = |name: &str| path.join(name).exists();
    if !has("cgroup.type") {
        return Err(not_given("it is in the first control group, which is that of the machine"));
    }
    let may = |path: &Path| accessat(CWD, path, Access::WRITE_OK | Access::EXISTS, AtFlags::EACCESS).is_ok();
    if !may(&path) || !may(&path.join("cgroup.procs")) {
        return Err(not_given("its control group was not given to it (Delegate=yes)"));
    }
    let inside = read(&path.join("cgroup.procs"))?;
    if inside.trim() != std::process::id().to_string() {
        return Err(not_given("other processes are in its control group"));
    }
    if !has("cgroup.kill") {
        return Err(NoGroup::Missing("cgroup.kill, Linux 5.14".to_owned()));
    }
    Ok(path)
}

/// Gives the group to the user that the process is about to become, if it was given to the process.
pub fn hand_over(identity: &Identity) {
    let Ok(path) = own() else { return };
    let (uid, gid) = (Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)));
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        // Where that fails, the group was not given to the user, which is told later.
        let _ = chownat(CWD, path.join(name), uid, gid, AtFlags::empty());
    }
}

#[expect(clippy::disallowed_methods, reason = "the kernel makes these files, and bounds them")]
fn read(path: &Path) -> Result<String, NoGroup> {
    fs::read_to_string(path).map_err(|error| NoGroup::Refused(format!("read({}): {error}", path.display())))
}

/// The directory of the process's group, by its name and the mount that shows it.
fn place() -> Result<Option<PathBuf>, NoGroup> {
    let groups = match read(Path::new("/proc/self/cgroup")) {
        // A kernel without control groups.
        Err(_) if !Path::new("/proc/self/cgroup").exists() => return Ok(None),
        groups => groups?,
    };
    Ok(found(&groups, &mounts().map_err(|error| NoGroup::Refused(error.to_string()))?))
}

fn found(groups: &str, mounts: &[Mount]) -> Option<PathBuf> {
    let ours = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
    let shows = mounts.iter().filter(|mount| mount.kind == "cgroup2" && ours.starts_with(&mount.root));
    // The nearest, which may be one that was mounted to be written.
    let nearest = shows.max_by_key(|mount| mount.root.components().count())?;
    Some(nearest.at.join(ours.strip_prefix(&nearest.root).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::listed;

    #[test]
    fn the_group_is_found_by_its_name_and_the_nearest_mount() {
        let whole = "30 20 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let part = "31 20 0:27 /system.slice/loop /in/loop rw shared:3 - cgroup2 cgroup2 rw\n";
        let other = "29 20 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let at = |groups: &str, mounts: &[&str]| {
            found(groups, &listed(mounts.concat().as_bytes())).map(|path| path.display().to_string())
        };
        let ours = "4:pids:/x\n0::/system.slice/loop\n";
        assert_eq!(at(ours, &[other, whole]).as_deref(), Some("/sys/fs/cgroup/system.slice/loop"));
        assert_eq!(at(ours, &[part, whole]).as_deref(), Some("/in/loop/"));
        assert_eq!(at("0::/\n", &[whole, part]).as_deref(), Some("/sys/fs/cgroup/"));
        assert_eq!((at(ours, &[other]), at("4:pids:/x\n", &[whole])), (None, None));
    }

    #[test]
    fn the_group_of_a_test_is_not_its_own() {
        assert!(matches!(own(), Err(NoGroup::NotGiven(_))), "{:?}", own());
    }
}
