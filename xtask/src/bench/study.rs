//! A study, and what all of its scenarios need: rounds, contenders, lines of the table.

use super::contender::{Builds, Contender};
use super::mount::Mount;
use super::plot;
use super::size::Size;
use crate::progress::say;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

/// A study: what is measured, and the table and rates that it has so far.
pub(super) struct Bench {
    pub(super) builds: Builds,
    pub(super) porches: PathBuf,
    pub(super) size: Size,
    pub(super) only: Option<String>,
    pub(super) table: String,
    pub(super) rates: Vec<plot::Bar>,
}

impl Bench {
    /// Adds a line to the table.
    pub(super) fn row(&mut self, [scenario, system, ours, beside, ratio, goal]: [&str; 6]) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.table, "| {scenario} | {system} | {ours} | {beside} | {ratio} | {goal} |");
    }

    /// Whether a scenario is to be measured.
    pub(super) fn wants(&self, scenario: &str) -> bool {
        self.only.as_ref().is_none_or(|only| scenario.split([' ', ':']).any(|word| word == only))
    }

    /// The results of a scenario, by contender and round.
    pub(super) fn rounds<C: Copy, T>(
        &self,
        mount: &Mount,
        what: &str,
        all: &[C],
        one: impl Fn(C) -> io::Result<T>,
    ) -> io::Result<Vec<Vec<T>>> {
        let mut results: Vec<Vec<T>> = all.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.size.rounds {
            say(&format!("{}: {what}: round {round} of {}", mount.label, self.size.rounds));
            // Each second round in the opposite order: what one leaves to the file system is not always the same other's.
            let mut order: Vec<_> = all.iter().zip(&mut results).collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for (who, results) in order {
                results.push(one(*who)?);
            }
        }
        Ok(results)
    }

    pub(super) fn available(&self, all: &[Contender]) -> Vec<Contender> {
        all.iter().copied().filter(|who| who.is_available(&self.builds)).collect()
    }
}
