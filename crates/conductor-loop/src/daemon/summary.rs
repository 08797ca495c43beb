//! The summary of this run, counted from its own outcomes, never from the content of directories.

use conductor_core::Code;
use conductor_core::record::{Outcome, Status};
use std::collections::BTreeMap;

/// Totals of one run of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Outcomes with status success for which porch ran.
    pub processed: u64,
    /// Successes that repeated an earlier one.
    pub duplicates: u64,
    /// Outcomes with status failed.
    pub failed: u64,
    /// Runs left for the next start.
    pub interrupted: u64,
    /// Failures by code.
    pub by_code: BTreeMap<Code, u64>,
}

impl Summary {
    /// Counts one final outcome.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Success if outcome.duplicate_of.is_some() => self.duplicates += 1,
            Status::Success => self.processed += 1,
            Status::Failed => self.failed += 1,
        }
        if let Some(code) = outcome.error_code {
            *self.by_code.entry(code).or_default() += 1;
        }
    }

    /// All final outcomes.
    pub fn total(&self) -> u64 {
        self.processed + self.duplicates + self.failed
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = [
            ("processed", self.processed),
            ("duplicate", self.duplicates),
            ("failed", self.failed),
            ("interrupted", self.interrupted),
        ];
        writeln!(f, "{:<28} {:>8}", "outcome", "intents")?;
        for (label, count) in rows {
            writeln!(f, "{label:<28} {count:>8}")?;
        }
        for (code, count) in &self.by_code {
            writeln!(f, "  {:<26} {count:>8}", format!("{code} {}", code.title()))?;
        }
        Ok(())
    }
}
