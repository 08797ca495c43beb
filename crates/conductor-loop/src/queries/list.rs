//! The list of a selection: unfinished intents first, then the finished ones that the store finds.

use super::lined::{Lined, ParkedOf, only_the_store_knows, parked_row};
use super::refusals::{given_up, store_refused};
use super::rows::finished_row;
use super::sources::Queries;
use crate::store::{Search, Term};
use conductor_core::Seq;
use conductor_core::query::{Listing, ROWS_MAX, Refused, Row, Selection, State};
use conductor_core::record::Status;
use jiff::Timestamp;
use std::collections::HashSet;

/// Outcomes read for one answer: a second or two.
const SCAN_MAX: usize = 500_000;

impl Queries<'_> {
    /// The list of a selection.
    pub fn list(&self, selection: &Selection) -> Result<Listing, Refused> {
        let most = selection.most.clamp(1, ROWS_MAX);
        let (mut unfinished, mut listing) = (Vec::new(), Listing::default());
        let wants_unfinished = selection.wants(State::Waiting) || selection.wants(State::Running);
        if selection.before.is_none() && wants_unfinished {
            (unfinished, listing.more) = self.unfinished_rows(selection, most)?;
        }
        let mut finished = Vec::new();
        let left = most - unfinished.len();
        if selection.wants(State::Done) || selection.wants(State::Failed) {
            let mut looked = 0;
            self.look_back(self.search_of(selection)?, |outcome| {
                looked += 1;
                let row = finished_row(&outcome);
                if !selection.takes(&row) && looked < SCAN_MAX {
                    return true;
                }
                let full = finished.len() == left || looked >= SCAN_MAX;
                if full {
                    (listing.more, listing.next_before) = (true, Some(outcome.seq.next()));
                } else {
                    finished.push(row);
                }
                !full
            })?;
        }
        // Intents filed between the two reads are shown as finished.
        let now_finished: HashSet<Seq> = finished.iter().filter_map(|row| row.seq).collect();
        unfinished.retain(|row| row.seq.is_none_or(|seq| !now_finished.contains(&seq)));
        listing.intents = unfinished;
        listing.intents.extend(finished);
        Ok(listing)
    }

    /// The number of failures decided at this time or later; no more than [`ROWS_MAX`] are counted.
    pub fn failed_since(&self, since: Timestamp) -> Result<u64, Refused> {
        let failed = vec![State::Failed];
        let selection =
            Selection { states: failed, since: Some(since), most: ROWS_MAX, ..Selection::default() };
        Ok(self.list(&selection)?.intents.len() as u64)
    }

    /// At most so many rows of unfinished intents, and whether there are or may be more.
    fn unfinished_rows(&self, selection: &Selection, most: usize) -> Result<(Vec<Row>, bool), Refused> {
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

    /// The search for finished intents of a selection: it finds every match, and others if the selection has further
    /// conditions.
    fn search_of<'s>(&self, selection: &'s Selection) -> Result<Search<'s>, Refused> {
        let term = match (&selection.target, selection.wants(State::Done), selection.wants(State::Failed)) {
            (Some(target), _, _) => Some(Term::Target(target)),
            (None, true, false) => Some(Term::Status(Status::Success)),
            (None, false, true) => Some(Term::Status(Status::Failed)),
            (None, _, _) => selection.code.map(|_| Term::Status(Status::Failed)),
        };
        let from = match selection.since.map(|since| self.store.first_since(since, self.is_wanted)) {
            Some(first) => first.map_err(|error| store_refused(&error))?.ok_or_else(given_up)?,
            None => Seq::default(),
        };
        Ok(Search { term, from, below: selection.before.unwrap_or(Seq::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::rows::sighted_row;
    use crate::queries::{Found, Selector, Unfinished};
    use crate::store::memory::Memory;
    use crate::store::{Ledger, Work};
    use conductor_core::name::Names;
    use conductor_core::query::{Held, Reason};
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
