//! Statuses that could not be written for a while: which ones, and when they are tried again.

use conductor_core::Seq;
use std::time::{Duration, Instant};

/// The pause before statuses are retried.
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// The number of statuses retried by the clock; further ones wait for the next start.
const LATE_MAX: usize = 100_000;

/// Statuses that could not be written.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) seqs: Vec<Seq>,
    pub(super) retry_at: Option<Instant>,
}

impl Late {
    /// Adds an outcome. Returns whether it will be retried by the clock.
    pub(super) fn add(&mut self, seq: Seq, now: Instant) -> bool {
        let has_room = self.seqs.len() < LATE_MAX;
        if has_room {
            self.seqs.push(seq);
            self.retry_at.get_or_insert(now + RETRY);
        }
        has_room
    }

    /// The time until the next retry, if there is one.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(now))
    }
}
