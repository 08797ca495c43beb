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

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::Seq;
    use jiff::Timestamp;

    fn outcome(seq: u64, status: Status, attempts: u32) -> Outcome {
        let sha256 = Some(conductor_crypto::sha256(b"ours"));
        Outcome {
            status,
            attempts,
            sha256,
            ..Outcome::blank(Seq(seq), "intent-a.json", Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn only_what_ran_or_may_have_run_is_a_last_run() {
        let success = outcome(3, Status::Success, 1);
        let repeated = LastRun::of(&success).unwrap().success().unwrap();
        assert_eq!((repeated.seq, repeated.name.as_str()), (Seq(3), "intent-a.json"));
        let failed = |outcome: &Outcome| LastRun::of(outcome).map(|last| last.success().is_none());
        assert_eq!(failed(&outcome(3, Status::Failed, 1)), Some(true), "it may have changed something");
        assert_eq!(failed(&outcome(3, Status::Failed, 0)), None, "porch was not started");
        let imported = Outcome { imported: true, ..outcome(3, Status::Failed, 0) };
        assert_eq!(failed(&imported), Some(true), "nobody knows whether it ran");
        let duplicate = Outcome { duplicate_of: Some(Seq(2)), ..success.clone() };
        assert_eq!(failed(&duplicate), None, "the one it repeats stays the last");
        assert_eq!(failed(&Outcome { sha256: None, ..success }), None, "nothing can equal it");
    }

    #[test]
    fn the_later_number_is_the_last_run_in_any_order_of_arrival() {
        let run = |seq| LastRun::of(&outcome(seq, Status::Success, 1)).unwrap();
        assert!(run(3).replaces(None) && run(3).replaces(Some(&run(2))) && run(3).replaces(Some(&run(3))));
        assert!(!run(3).replaces(Some(&run(4))));
    }
}
