//! The unfinished intents of a selection, where only the store knows more than number and target of those that are parked.

use super::{Queries, SCAN_MAX, given_up, is_parked, sighted_row, store_refused};
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

/// Whether only the store can tell which parked intents a selection includes: then the loop tells all that may be.
pub fn only_the_store_knows(selection: &Selection) -> bool {
    selection.text.is_some() || selection.since.is_some()
}

impl Queries<'_> {
    /// At most so many rows of unfinished intents, and whether there are or may be more.
    pub(super) fn unfinished_rows(
        &self,
        selection: &Selection,
        most: usize,
    ) -> Result<(Vec<Row>, bool), Refused> {
        let Lined { first, parked, last } = self.unfinished.rows(&Selection { most, ..selection.clone() })?;
        let told: usize = parked.iter().map(|of| of.seqs.len()).sum();
        // Of those told beyond what is wanted, some may be filed meanwhile: there may be others behind them.
        let cut = told > SCAN_MAX || (told > most && !only_the_store_knows(selection));
        let mut rows = first;
        let each = |of: &ParkedOf| {
            let (target, reason) = (of.target.clone(), of.reason.clone());
            of.seqs.clone().into_iter().map(move |seq| parked_row(seq, &target, reason.clone()))
        };
        for row in parked.iter().flat_map(each).take(SCAN_MAX) {
            if rows.len() > most {
                break;
            }
            if !(self.is_wanted)() {
                return Err(given_up());
            }
            rows.extend(self.completed(row)?.filter(|row| selection.takes(row)));
        }
        rows.extend(last);
        let more = cut || rows.len() > most;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::{Found, Selector, Unfinished};
    use crate::store::memory::Memory;
    use crate::store::{Ledger, Work};
    use conductor_core::name::Names;
    use conductor_core::query::Held;
    use conductor_os::dir::Dir;

    struct Waiting(Lined);

    impl Unfinished for Waiting {
        fn rows(&self, selection: &Selection) -> Result<Lined, Refused> {
            let mut lined = self.0.clone();
            lined.last.retain(|row| selection.takes(row));
            Ok(lined)
        }

        fn find(&self, _: &Selector) -> Result<Option<Found>, Refused> {
            Ok(None)
        }

        fn hold_on(&self, _: &str) -> Result<Option<Held>, Refused> {
            Ok(None)
        }
    }

    /// The numbers of the rows where so many are parked and one is only seen, and whether there are more. Only numbers 2 to 4
    /// are not filed meanwhile.
    fn listed(parked: u64, selection: &Selection) -> (Vec<Option<u64>>, bool) {
        let store = Memory::default();
        for seq in 2..=4 {
            store.commit(&Work::claim(&conductor_testkit::claim(Seq(seq)), b"{}", false)).unwrap();
        }
        let reason = Reason::new("held", "", "");
        let (target, seqs) = (conductor_testkit::claim(1).key, (1..=parked).map(Seq).collect());
        let parked = vec![ParkedOf { target, reason: reason.clone(), seqs }];
        let unfinished =
            &Waiting(Lined { first: Vec::new(), parked, last: vec![sighted_row(b"last", 0, reason)] });
        let temp = tempfile::tempdir().unwrap();
        let (handoff, public, names) = (&Dir::open(temp.path()).unwrap(), &Ok(Vec::new()), &Names::default());
        let (store, porch_path, is_wanted) = (&store, "porch", &|| true);
        let queries = Queries { store, handoff, public, names, porch_path, unfinished, is_wanted };
        let (rows, more) = queries.unfinished_rows(selection, selection.most).unwrap();
        (rows.into_iter().map(|row| row.seq.map(|seq| seq.0)).collect(), more)
    }

    #[test]
    fn a_list_that_was_cut_says_so_and_has_what_comes_after_the_parked_ones() {
        let few = |most| Selection { most, ..Selection::default() };
        // The loop tells one more than is wanted, and one of them was filed meanwhile: there may be others.
        let of_target = |most| Selection { target: Some("t".to_owned()), ..few(most) };
        assert_eq!(listed(3, &of_target(2)), (vec![Some(2), Some(3)], true));
        assert_eq!(listed(3, &of_target(3)), (vec![Some(2), Some(3)], false));
        assert_eq!(listed(3, &few(9)), (vec![Some(2), Some(3), None], false));
        let by_text = |most| Selection { text: Some(String::new()), ..few(most) };
        assert_eq!(listed(4, &by_text(3)), (vec![Some(2), Some(3), Some(4)], true));
        assert_eq!(listed(3, &by_text(3)), (vec![Some(2), Some(3), None], false));
        let beyond = 1 + u64::try_from(SCAN_MAX).unwrap();
        assert_eq!(listed(beyond, &by_text(9)), (vec![Some(2), Some(3), Some(4), None], true));
    }
}
