//! The porches of the measurements, selected by the name of the link: `noop` does nothing, `burn` uses 20 ms of CPU,
//! `stamp` appends the time of its first instruction to `stamps` in the -out directory.

use rustix::time::{ClockId, clock_gettime};
use std::io::Write;

fn main() {
    let now = nanoseconds(ClockId::Monotonic);
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    if name.ends_with("burn") {
        // Not that of the process: under a limit on CPU time, which the daemon sets, it goes on in steps of some milliseconds.
        while nanoseconds(ClockId::ThreadCPUTime) < 20_000_000 {
            std::hint::spin_loop();
        }
    } else if name.ends_with("stamp") {
        let intent = words.nth(1).unwrap_or_default();
        let out = words.nth(1).unwrap_or_default();
        let file = std::fs::OpenOptions::new().append(true).create(true).open(format!("{out}/stamps"));
        let base = intent.rsplit('/').next().unwrap_or_default();
        let written = file.and_then(|mut file| file.write_all(format!("{base} {now}\n").as_bytes()));
        written.expect("a stamp is written");
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
