//! The extent of a ledger: numbers that only grow, so that a ledger that has lost something is recognised.

use super::StoreError;
use conductor_core::Seq;
use conductor_core::record::{Outcome, Status};
use serde::{Deserialize, Serialize};

/// Totals that survive retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Outcomes with status success, duplicates included.
    pub processed: u64,
    /// Outcomes with status failed.
    pub failed: u64,
    /// Successes that repeated an earlier one.
    pub duplicates: u64,
}

impl Counts {
    /// Counts an outcome.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Success => self.processed += 1,
            Status::Failed => self.failed += 1,
        }
        self.duplicates += u64::from(outcome.duplicate_of.is_some());
    }
}

/// The extent of a store. Each number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Commits since the store was created; 0 in stores of earlier versions.
    #[serde(default)]
    pub commits: u64,
    /// The last sequence number.
    pub last_seq: Seq,
    /// Totals.
    pub counts: Counts,
}

impl Extent {
    /// The numbers that are lower than in `shown`, in words; `None` if none is.
    pub fn lacks(&self, shown: &Self) -> Option<String> {
        let numbers = |of: &Self| {
            [
                ("commits", of.commits),
                ("last number", of.last_seq.get()),
                ("processed", of.counts.processed),
                ("failed", of.counts.failed),
                ("duplicates", of.counts.duplicates),
            ]
        };
        let pairs = numbers(self).into_iter().zip(numbers(shown));
        let lacks: Vec<String> = pairs
            .filter(|((_, has), (_, shown))| has < shown)
            .map(|((name, has), (_, shown))| format!("{name} {has} instead of {shown}"))
            .collect();
        (!lacks.is_empty()).then(|| lacks.join(", "))
    }

    /// Fails if the store lacks any part of `shown`, which `witness` proves.
    pub(super) fn check(&self, shown: &Self, witness: &str) -> Result<(), StoreError> {
        match self.lacks(shown) {
            None => Ok(()),
            Some(lacks) => Err(StoreError::Behind { witness: witness.to_owned(), lacks }),
        }
    }

    /// The maximum of each number.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        Self {
            commits: self.commits.max(other.commits),
            last_seq: self.last_seq.max(other.last_seq),
            counts: Counts {
                processed: self.counts.processed.max(other.counts.processed),
                failed: self.counts.failed.max(other.counts.failed),
                duplicates: self.counts.duplicates.max(other.counts.duplicates),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_less_is_named() {
        let less = Extent { commits: 3, last_seq: Seq(7), counts: Counts::default() };
        let more = Extent { commits: 3, last_seq: Seq(9), counts: Counts { failed: 1, ..Counts::default() } };
        assert_eq!(more.lacks(&less), None);
        assert_eq!(less.lacks(&more).unwrap(), "last number 7 instead of 9, failed 0 instead of 1");
        assert_eq!(less.or_more(more), more);
    }

    #[test]
    fn every_outcome_counts_once_and_a_duplicate_among_them() {
        let mut counts = Counts::default();
        for (status, duplicate_of) in
            [(Status::Success, None), (Status::Success, Some(Seq(1))), (Status::Failed, None)]
        {
            let blank = Outcome::blank(Seq(2), "intent-a.json", jiff::Timestamp::UNIX_EPOCH);
            counts.add(&Outcome { status, duplicate_of, ..blank });
        }
        assert_eq!(counts, Counts { processed: 2, failed: 1, duplicates: 1 });
    }
}
