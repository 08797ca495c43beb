//! Waiting on conditions outside of the process of a test.

use std::time::{Duration, Instant};

/// The longest wait for a condition. Far above any normal duration, also on a machine with ten times the
/// work it has room for, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the condition holds; panics with `what` after the longest wait.
#[track_caller]
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(3);
    while !condition() {
        assert!(Instant::now() < until, "waited {PATIENCE:?} in vain for: {what}");
        // The condition is outside this process, where nothing can wake us; the pause grows with the wait, because a
        // check may cost as much as the work it waits for.
        std::thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(50));
    }
}
