//! The basis of the duplicate rule: the last run of each target, if it succeeded. A failed run may have changed the world
//! before it failed, so it invalidates the success before it.

use conductor_core::record::{LastSuccess, Outcome, Status};
use serde::{Deserialize, Serialize};

/// The last run that changed a target, or may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LastRun {
    #[serde(flatten)]
    pub(super) run: LastSuccess,
    /// Absent in older stores, which recorded only successes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

/// The subject of a last run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// A target: `NAMESPACE/TARGET`.
    Target(String),
    /// A file's name, for imported outcomes, whose targets are unknown.
    Name(String),
}

impl Of {
    pub(super) fn outcome(outcome: &Outcome) -> Self {
        match &outcome.key {
            Some(key) => Self::Target(key.to_string()),
            None => Self::Name(outcome.name.clone()),
        }
    }
}

impl LastRun {
    /// `None` if porch did not run, or if its input is unknown.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        let failed = match outcome.status {
            // A duplicate changes nothing: the success it repeats stays the last run.
            Status::Success if outcome.duplicate_of.is_some() => return None,
            Status::Success => false,
            // The causes of imported failures are unknown, so they count as runs.
            Status::Failed if outcome.attempts > 0 || outcome.imported => true,
            Status::Failed => return None,
        };
        let run = LastSuccess { seq: outcome.seq, name: outcome.name.clone(), sha256: outcome.sha256? };
        Some(Self { run, failed })
    }

    /// Whether this replaces the known one. The later number counts, in any order of arrival.
    pub(super) fn replaces(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| known.run.seq <= self.run.seq)
    }

    /// The success that a duplicate repeats.
    pub(super) fn success(self) -> Option<LastSuccess> {
        (!self.failed).then_some(self.run)
    }
}
