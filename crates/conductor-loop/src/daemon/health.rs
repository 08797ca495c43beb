//! The loop's state as the endpoints see it: its heartbeat, the reasons for not being ready, its metrics.

use super::service_manager;
use crate::telemetry::Metrics;
use crate::writer::AuditDoor;
use conductor_core::ready::{NotReady, Reasons};
use conductor_evidence::Record;
use conductor_os::monotonic;
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

/// A loop that has not turned for this long counts as stuck: far above any wait of its own.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Shared between the loop, which writes, and the endpoints, which read.
pub(super) struct Health {
    pub(super) metrics: Metrics,
    /// Monotonic milliseconds of the last turn; 0 before the first.
    beat: AtomicU64,
    /// The service manager's watchdog interval, and the last notification, in monotonic milliseconds.
    watchdog: Option<Duration>,
    told: AtomicU64,
    standing: RwLock<Standing>,
    /// Leads to the audit trail of the session; `None`: there is none.
    audit: Mutex<Option<AuditDoor>>,
}

/// The reasons for not being ready, and since when.
struct Standing {
    reasons: Reasons,
    since: Timestamp,
}

impl Health {
    pub(super) fn new(metrics: Metrics) -> Self {
        let reasons = Reasons::from(NotReady::Starting);
        let standing = RwLock::new(Standing { reasons, since: Timestamp::now() });
        let watchdog = service_manager::watchdog_every();
        Self {
            metrics,
            beat: AtomicU64::new(0),
            watchdog,
            told: AtomicU64::new(0),
            standing,
            audit: Mutex::new(None),
        }
    }

    /// The longest sleep of the loop that the service manager allows; `None`: no limit.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Records a turn of the loop.
    pub(super) fn turn(&self, now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.beat.store(now_ms, Ordering::Release);
        let due = |every: Duration| {
            now >= Duration::from_millis(self.told.load(Ordering::Relaxed)) + every.mul_f64(0.9)
        };
        if self.watchdog.is_some_and(due) {
            self.told.store(now_ms, Ordering::Relaxed);
            service_manager::turned();
        }
    }

    pub(super) fn set_not_ready(&self, reasons: Reasons) {
        self.metrics.set_ready(reasons.is_ready());
        service_manager::not_ready(&reasons.words());
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        if reasons.is_ready() != standing.reasons.is_ready() {
            standing.since = Timestamp::now();
        }
        standing.reasons = reasons;
    }

    /// Sets where entries of the audit trail go, at the beginning and end of a session.
    pub(super) fn set_audit(&self, door: Option<AuditDoor>) {
        *self.audit.lock().unwrap_or_else(PoisonError::into_inner) = door;
    }

    /// Passes an entry to the audit trail.
    pub(super) fn audit(&self, entry: Record) {
        if let Some(door) = &*self.audit.lock().unwrap_or_else(PoisonError::into_inner) {
            door.send(entry);
        }
    }

    /// Whether the loop still runs.
    pub(super) fn is_alive(&self) -> bool {
        // A start that recovers a large store takes its time; it is not ready then, but not stuck either.
        let beat = self.beat.load(Ordering::Acquire);
        beat == 0 || monotonic().saturating_sub(Duration::from_millis(beat)) < STUCK_AFTER
    }

    /// The reasons for not being ready; empty: ready.
    pub(super) fn not_ready(&self) -> Vec<String> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).reasons.words()
    }

    /// Since when the daemon has not been ready, for any reason; `None`: it is ready.
    pub(super) fn not_ready_since(&self) -> Option<Timestamp> {
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        (!standing.reasons.is_ready()).then_some(standing.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_until_a_loop_that_turned_stands_still() {
        let health = Health::new(Metrics::new(None).unwrap());
        assert!(health.is_alive(), "a start takes its time");
        assert_eq!(health.not_ready(), ["starting"]);
        health.turn(monotonic());
        assert!(health.is_alive());
        health.turn(monotonic().saturating_sub(2 * STUCK_AFTER).max(Duration::from_millis(1)));
        assert!(!health.is_alive());
    }
}
