//! Safe thin wrappers over the kernel: directories by descriptor, inotify, wake-ups, processes, locks.
//! No decision is made here.

pub mod dir;
pub mod lock;
pub mod process;
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

/// Whether an I/O error says that there is no room.
pub fn is_no_space(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
