//! Where answers about unfinished intents come from: with a daemon its loop, without one the store (`offline`).

use super::lined::Lined;
use super::selector::Selector;
use conductor_core::intent::TargetKey;
use conductor_core::query::{EVERYTHING, Held, Refused, Row, Selection};
use conductor_core::record::RunRecord;

/// An intent that is not finished.
#[derive(Debug, Clone)]
pub struct Found {
    /// The intent's row in a list.
    pub row: Row,
    /// Its runs that have ended.
    pub runs: Vec<RunRecord>,
    /// The beginning of what the last of them wrote.
    pub output: String,
    /// Unfinished intents of its target that come after it.
    pub behind: usize,
}

impl Found {
    /// One without a run that has ended.
    pub fn of(row: Row, behind: usize) -> Self {
        Self { row, runs: Vec::new(), output: String::new(), behind }
    }
}

/// The source of unfinished intents.
pub trait Unfinished {
    /// What a selection may include; one more than wanted shows that there are more. Where only the store can tell whether it
    /// includes a parked one, all of those are there.
    fn rows(&self, selection: &Selection) -> Result<Lined, Refused>;
    /// The first intent that matches.
    fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused>;
    /// The hold that concerns this target: its own, or that of everything.
    fn hold_on(&self, target: &str) -> Result<Option<Held>, Refused>;
}

/// The hold that concerns a target, `NAMESPACE/TARGET` or the target alone: its own, or that of everything.
pub fn hold_on<'h>(mut holds: impl Iterator<Item = &'h Held> + Clone, target: &str) -> Option<&'h Held> {
    let own = holds.clone().find(|held| TargetKey::is_named_in(&held.target, target));
    own.or_else(|| holds.find(|held| held.target == EVERYTHING))
}
