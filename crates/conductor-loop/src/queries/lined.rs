//! The unfinished intents of a selection, where only the store knows more than number and target of those that are parked.

use super::{Queries, SCAN_MAX, is_parked, sighted_row, store_refused};
use conductor_core::Seq;
use conductor_core::intent::TargetKey;
use conductor_core::query::{Reason, Refused, Row, Selection};

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

impl Queries<'_> {
    /// At most so many rows of unfinished intents, and whether there are or may be more.
    pub(super) fn unfinished_rows(
        &self,
        selection: &Selection,
        most: usize,
    ) -> Result<(Vec<Row>, bool), Refused> {
        let Lined { first, parked, last } = self.unfinished.rows(&Selection { most, ..selection.clone() })?;
        let (mut rows, mut looked) = (first, 0);
        let each = |of: &ParkedOf| {
            let (target, reason) = (of.target.clone(), of.reason.clone());
            of.seqs.clone().into_iter().map(move |seq| parked_row(seq, &target, reason.clone()))
        };
        for row in parked.iter().flat_map(each) {
            if rows.len() > most || looked == SCAN_MAX || !(self.is_wanted)() {
                rows.truncate(most);
                return Ok((rows, true));
            }
            looked += 1;
            rows.extend(self.completed(row)?.filter(|row| selection.takes(row)));
        }
        rows.extend(last);
        let more = rows.len() > most;
        rows.truncate(most);
        Ok((rows, more))
    }

    /// The row of a parked intent, completed from the store; `None` if it was finished meanwhile. Other rows are complete.
    pub(super) fn completed(&self, row: Row) -> Result<Option<Row>, Refused> {
        let Some(seq) = row.seq.filter(|_| is_parked(&row)) else { return Ok(Some(row)) };
        let claim = self.store.claim(seq).map_err(|error| store_refused(&error))?;
        Ok(claim.map(|(claim, _)| Row {
            file: claim.name,
            correlation_id: Some(claim.correlation_id),
            sha256: Some(claim.sha256),
            at: Some(claim.taken_at),
            ..row
        }))
    }
}
