//! Safe thin wrappers over the kernel: directories by descriptor, inotify, wake-ups, processes, locks.
//! No decision is made here.

pub mod attempt;
pub mod clear;
pub mod dir;
pub mod lock;
pub mod outlet;
pub mod panics;
pub mod payload;
pub mod plain;
pub mod process;
pub mod remade;
pub mod slots;
pub mod taken;
pub mod wake;
pub mod watch;

use std::time::Duration;

/// A monotonic reading as the time since some fixed point: what the desk calls `now`.
pub fn monotonic() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Wall-clock nanoseconds since 1970, to compare with file times.
pub fn wall_ns() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// The kernel's identifier of this boot; process numbers of another boot mean nothing.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// How many descriptors this process may have; none: as many as it likes.
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Calls without which nothing works here, and which the kernel or a sandbox does not permit.
pub fn kernel_lacks() -> Vec<&'static str> {
    use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat2, renameat_with};
    use rustix::io::Errno;
    use rustix::process::{PidfdFlags, getpid, pidfd_open};
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let probes = [
        ("openat2", openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).err()),
        // There is no such file: whoever knows the call says that, and nothing else.
        (
            "renameat2",
            renameat_with(CWD, "/.no-such-file", CWD, "/.no-such-file", RenameFlags::NOREPLACE).err(),
        ),
        ("pidfd_open", pidfd_open(getpid(), PidfdFlags::empty()).err()),
    ];
    let refused = |error: &Option<Errno>| matches!(error, Some(Errno::NOSYS | Errno::PERM));
    probes.into_iter().filter(|(_, error)| refused(error)).map(|(name, _)| name).collect()
}

/// Whether an I/O error says that the system lacks something at the moment: the same call may succeed later.
pub fn is_passing(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::NOMEM, Errno::NFILE, Errno::MFILE, Errno::INTR, Errno::AGAIN, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// Whether an I/O error says that there is no room: on the file system, in a quota, or under the process's own limit of a
/// file's size, whose signal we do not let end us.
pub fn is_no_space(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
