//! What a duplicate is compared with: the last run of each target, if it succeeded. A run that failed may have changed the
//! world before it did, so it ends the claim of the success before it.

use conductor_core::record::{LastSuccess, Outcome, Status};
use serde::{Deserialize, Serialize};

/// The last run that changed a target, or may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LastRun {
    #[serde(flatten)]
    pub(super) run: LastSuccess,
    /// Absent in stores of before, which knew only successes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

/// Of what a run is the last one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// A target: `NAMESPACE/TARGET`.
    Target(String),
    /// A file's name, for imported outcomes, which know no target.
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
    /// None where no porch ran, or where nothing is known of what it was given.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        let failed = match outcome.status {
            // A duplicate changes nothing: what it repeats stays the last run.
            Status::Success if outcome.duplicate_of.is_some() => return None,
            Status::Success => false,
            // Nothing is known of how imported failures came about, so they count as runs.
            Status::Failed if outcome.attempts > 0 || outcome.imported => true,
            Status::Failed => return None,
        };
        let run = LastSuccess { seq: outcome.seq, name: outcome.name.clone(), sha256: outcome.sha256? };
        Some(Self { run, failed })
    }

    /// Whether this takes the place of what is known. Of two that come in any order the later number counts.
    pub(super) fn replaces(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| known.run.seq <= self.run.seq)
    }

    /// What a repetition is compared with.
    pub(super) fn success(self) -> Option<LastSuccess> {
        (!self.failed).then_some(self.run)
    }
}
