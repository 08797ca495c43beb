//! What was tried, and what was broken.

use crate::progress::say;

/// The result of one harness.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Points, runs, states or inputs tried.
    pub(super) points: u64,
    /// The broken promises; each says how to repeat it.
    pub(super) violations: Vec<String>,
    /// The reason nothing could be tried, if any.
    pub(super) impossible: Option<&'static str>,
}

impl Tally {
    /// Notes a broken promise and prints it at once.
    pub(super) fn violation(&mut self, reason: String) {
        say(&format!("VIOLATION: {reason}"));
        self.violations.push(reason);
    }

    /// Counts another one in.
    pub(super) fn add(&mut self, other: Self) {
        self.points += other.points;
        self.violations.extend(other.violations);
        self.impossible = self.impossible.or(other.impossible);
    }
}

/// The result of one point.
pub(super) enum Job {
    /// This many points were tried and held.
    Done(u64),
    /// The promise was broken in this way.
    Violation(String),
    /// There are no more points.
    End,
    /// Tracing is not permitted on this machine.
    Impossible,
}

impl Job {
    /// The result of one point that was tried; `place` names it.
    pub(super) fn of(result: Result<(), String>, place: impl FnOnce() -> String) -> Self {
        match result {
            Ok(()) => Self::Done(1),
            Err(reason) => Self::Violation(format!("{}: {reason}", place())),
        }
    }
}
