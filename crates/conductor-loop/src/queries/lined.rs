//! Unfinished intents as the loop tells them, where only the store knows more than number and target of those that are parked.

use super::rows::sighted_row;
use conductor_core::Seq;
use conductor_core::intent::TargetKey;
use conductor_core::query::{Reason, Row, Selection};

/// The unfinished intents of a selection.
#[derive(Debug, Clone, Default)]
pub struct Lined {
    /// Those before the parked ones, in their expected order of start.
    pub first: Vec<Row>,
    /// The parked ones that the selection may include.
    pub parked: Vec<ParkedOf>,
    /// Those after them.
    pub last: Vec<Row>,
}

/// Parked intents of one target.
#[derive(Debug, Clone)]
pub struct ParkedOf {
    /// The target.
    pub target: TargetKey,
    /// Why they wait.
    pub reason: Reason,
    /// Their numbers, in their order.
    pub seqs: Vec<Seq>,
}

/// The row of a parked intent, as far as the loop knows it.
pub fn parked_row(seq: Seq, target: &TargetKey, reason: Reason) -> Row {
    Row { seq: Some(seq), target: Some(target.to_string()), ..sighted_row(b"", 0, reason) }
}

/// Whether only the store can tell which parked intents a selection includes: then the loop tells all that may be.
pub fn only_the_store_knows(selection: &Selection) -> bool {
    selection.text.is_some() || selection.since.is_some()
}
