//! Finds the one intent that a word means: among the unfinished ones, and the newest outcome of a number, a file or a target.

use super::refusals::store_refused;
use super::rows::{finished_row, is_parked};
use super::selector::Selector;
use super::sources::Queries;
use super::unfinished::Found;
use crate::store::{Search, Term};
use conductor_core::Seq;
use conductor_core::query::{Refused, Row};
use conductor_core::record::Outcome;

/// Other intents of the same name that are shown.
const SAME_NAME_MAX: usize = 20;

impl Queries<'_> {
    /// The first unfinished intent that matches. Names that the loop does not know are in the store.
    pub(super) fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused> {
        let mut found = self.unfinished.find(subject)?;
        if let (None, Selector::File(name)) = (&found, subject) {
            let seq = self.store.claim_named(name);
            if let Some(seq) = seq.map_err(|error| store_refused(&error))? {
                found = self.unfinished.find(&Selector::Number(seq))?;
            }
        }
        let Some(found) = found else { return Ok(None) };
        let row = self.completed(found.row.clone())?;
        Ok(row.map(|row| Found { row, ..found }))
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

    /// The newest outcome that matches.
    pub(super) fn outcome(&self, subject: &Selector) -> Result<Option<Outcome>, Refused> {
        let term = match subject {
            Selector::Number(seq) => return self.store.outcome(*seq).map_err(|error| store_refused(&error)),
            Selector::File(name) => Term::File(name),
            Selector::Target(target) => Term::Target(target),
        };
        let mut found = None;
        self.look_back(Search { term: Some(term), ..Search::default() }, |outcome| {
            found = Some(outcome);
            false
        })?;
        Ok(found)
    }

    /// Other intents of this name that are finished, newest first.
    pub(super) fn same_name(&self, name: &str, except: Option<Seq>) -> Result<Vec<Row>, Refused> {
        let mut rows = Vec::new();
        self.look_back(Search { term: Some(Term::File(name)), ..Search::default() }, |outcome| {
            // An archived file may have the name of another intent.
            if outcome.name == name && Some(outcome.seq) != except {
                rows.push(finished_row(&outcome));
            }
            rows.len() < SAME_NAME_MAX
        })?;
        Ok(rows)
    }
}
