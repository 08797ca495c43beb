//! Every bound of the daemon in one place. None is tuned at run time; each number carries its reason.

use crate::Attempt;
use std::time::Duration;

/// The bounds that decisions in this crate depend on.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent runs of porch. Fixed at start, because slots and workers are created for it.
    pub workers: usize,
    /// Bounds on the intents in memory.
    pub memory: Memory,
    /// Bounds that SIGHUP can change.
    pub live: SchedulerLimits,
}

/// Bounds of the scheduler that may change while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerLimits {
    /// Quiet time before a file is taken; with zero a file is taken at first sight.
    pub debounce: Duration,
    /// Total starts per intent: retryable endings and interrupted runs.
    pub max_attempts: u32,
    /// Intents per second, or none.
    pub rate: Option<f64>,
}

/// Time limits of a run; a change applies to runs that begin later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// From the start to TERM.
    pub timeout: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// Bounds on the unfinished intents that stay in memory whole. Of the others, the parked ones, only the number stays, so
/// that a slow or held target does not keep other intents from being taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Up to this many intents in memory, none is parked.
    pub park_above: usize,
    /// The number of intents that one target keeps in memory beyond that. With more than half of [`TAKEN_MAX`] in memory
    /// it is one.
    pub target_share: usize,
}

impl Memory {
    /// The number of intents that one target may have in memory, while `in_memory` are there in all.
    pub fn share(&self, in_memory: usize) -> usize {
        if in_memory <= self.park_above {
            usize::MAX
        } else if in_memory <= TAKEN_MAX / 2 {
            self.target_share
        } else {
            1
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { park_above: 4_096, target_share: 64 }
    }
}

/// A file that keeps changing is taken at the latest after this many debounce times.
pub const DEBOUNCE_MAX_FACTOR: u32 = 10;
/// Names sighted but not yet taken that stay in memory; more wait in the directory for the next scan.
pub const SIGHTED_MAX: usize = 8_192;
/// Intents taken but not finished that stay in memory whole.
pub const TAKEN_MAX: usize = 16_384;
/// Parked intents; 16 bytes each.
pub const PARKED_MAX: usize = 1 << 19;
/// Takes requested and not yet answered.
pub const TAKES_IN_FLIGHT_MAX: usize = 256;
/// Takes, claims and refusals that are not durable yet: four full commits, so that the disk always has work and no intent
/// waits for more than that.
pub const UNRECORDED_MAX: usize = 2_048;
/// Taken files that wait for their writers at once. Above it, the oldest of the owner with the most is judged as it is.
pub const STILL_OPEN_MAX: usize = 128;
/// Intents whose next start is already recorded, so that a worker never waits for the disk. With the embedded engine,
/// whose outcomes wait for two syncs, 256 give half as much throughput again as 64 (docs/BENCHMARKS.md).
pub const START_WINDOW: usize = 256;
/// Bytes of intents in memory: half for those on their way to the store, half for those that wait; beyond that, waiting
/// bytes are read back from the store when their turn comes.
pub const HELD_BYTES_MAX: usize = 16 << 20;
/// While runs take less than this on average, each worker holds its next intent: the way back to the scheduler would cost a
/// good part of a run. With longer runs no intent is handed out ahead, so that priority decides at the last moment.
pub const AHEAD_BELOW: Duration = Duration::from_millis(50);
/// The waiting time that one point of priority is worth: an intent of priority 0 overtakes one of 10 that came 100 s later.
pub const PRIORITY_POINT: Duration = Duration::from_secs(10);
/// The priority of an intent that names none.
pub const PRIORITY_DEFAULT: u8 = 5;
/// First pause before a retryable ending is tried again; it doubles with each attempt.
pub const RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest pause between attempts.
pub const RETRY_MAX: Duration = Duration::from_mins(1);
/// Nesting levels of objects and arrays in an intent.
pub const DEPTH_MAX: usize = 100;
/// Values (members and elements, at all levels) in an intent.
pub const VALUES_MAX: usize = 20_000;
/// Characters of an object key.
pub const KEY_MAX: usize = 256;
/// Bytes kept of the beginning of each of porch's streams; as many are kept of its end.
pub const STREAM_PART: usize = 32 << 10;
/// Largest status file that is read, in bytes: the longest message, paths and command line, twice, once of them in base64,
/// stay below it.
pub const STATUS_MAX: u64 = 256 << 10;
/// Size of an error log.
pub const ERROR_LOG_MAX: usize = 64 << 10;
/// Characters of a status message.
pub const MESSAGE_MAX: usize = 4_096;

/// Characters of an intent's reason in displays and records: the longest reason, with room for its escapes.
pub const REASON_MAX: usize = 1_024;

/// Bytes of porch's output kept in the outcome, for `show` and the page.
pub const OUTPUT_KEPT_MAX: usize = 4 << 10;
/// Bytes of a package's diff kept in the outcome.
pub const DIFF_KEPT_MAX: usize = 8 << 10;

impl SchedulerLimits {
    /// The longest time a file may keep changing before it is taken as it is.
    pub fn debounce_max(&self) -> Duration {
        self.debounce.saturating_mul(DEBOUNCE_MAX_FACTOR)
    }
}

/// The pause before attempt number `next` (2 for the first retry). `jitter` in 0..=1 spreads it over half to the whole,
/// so that intents that failed together do not retry together.
pub fn retry_pause(next: Attempt, jitter: f64) -> Duration {
    let doublings = next.before().saturating_sub(1).min(16);
    let full = RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_capped() {
        assert_eq!(retry_pause(Attempt(2), 1.0), Duration::from_millis(500));
        assert_eq!(retry_pause(Attempt(3), 1.0), Duration::from_secs(1));
        assert_eq!(retry_pause(Attempt(3), 0.0), Duration::from_millis(500));
        assert_eq!(retry_pause(Attempt(60), 1.0), RETRY_MAX);
    }
}
