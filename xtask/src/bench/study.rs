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

    /// The results of a scenario in each round.
    pub(super) fn rounds<T>(
        &self,
        mount: &Mount,
        what: &str,
        one: impl Fn(&Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        (1..=self.size.rounds)
            .map(|round| {
                say(&format!("{}: {what}: round {round} of {}", mount.label, self.size.rounds));
                one(self)
            })
            .collect()
    }

    pub(super) fn available(&self, all: &[Contender]) -> Vec<Contender> {
        all.iter().copied().filter(|who| who.is_available(&self.builds)).collect()
    }
}
