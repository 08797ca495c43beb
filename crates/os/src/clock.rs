//! The clocks: the monotonic one, that of file times, and that by which the system counts the starts of processes.

use std::time::Duration;

/// A monotonic reading as the time since a fixed point: the scheduler's `now`.
pub fn monotonic() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Wall-clock nanoseconds since 1970, to compare with file times.
pub fn wall_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Clock ticks since boot, as proc(5) has the start of a process (field 22).
pub(crate) fn ticks_since_boot() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let whole = |number| u64::try_from(number).unwrap_or(0);
    let a_second = rustix::param::clock_ticks_per_second();
    whole(time.tv_sec).saturating_mul(a_second) + whole(time.tv_nsec) * a_second / 1_000_000_000
}
