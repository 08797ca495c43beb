//! What the loop shows of itself to the endpoints: its heartbeat, why it is not ready, its metrics.

use crate::sys::monotonic;
use crate::telemetry::Metrics;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// The loop turns at least this often when somebody may ask.
pub(super) const BEAT: Duration = Duration::from_secs(5);
/// A loop that has not turned for this long is stuck: far above anything it waits for.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Shared between the loop, which writes, and the endpoints, which read.
pub(super) struct Board {
    pub(super) metrics: Metrics,
    /// Monotonic milliseconds of the last turn; 0 before the first.
    beat: AtomicU64,
    reasons: RwLock<Vec<String>>,
}

impl Board {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, beat: AtomicU64::new(0), reasons: RwLock::new(vec!["starting".to_owned()]) }
    }

    /// The loop turned.
    pub(super) fn turn(&self, now: Duration) {
        self.beat.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    pub(super) fn set_not_ready(&self, reasons: Vec<String>) {
        self.metrics.set_ready(reasons.is_empty());
        *self.reasons.write().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Whether the loop still turns.
    pub(super) fn is_alive(&self) -> bool {
        // A start that recovers a large store takes its time; it is not ready then, and not stuck.
        let beat = self.beat.load(Ordering::Acquire);
        beat == 0 || monotonic().saturating_sub(Duration::from_millis(beat)) < STUCK_AFTER
    }

    /// Why nothing new is taken; empty: it is.
    pub(super) fn not_ready(&self) -> Vec<String> {
        self.reasons.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_until_a_loop_that_turned_stands_still() {
        let board = Board::new(Metrics::new().unwrap());
        assert!(board.is_alive(), "a start takes its time");
        assert_eq!(board.not_ready(), ["starting"]);
        board.turn(monotonic());
        assert!(board.is_alive());
        board.turn(monotonic().saturating_sub(2 * STUCK_AFTER).max(Duration::from_millis(1)));
        assert!(!board.is_alive());
    }
}
