//! The indexes of outcomes. A row is made and removed in the transaction that makes, changes or removes its outcome. A
//! found outcome is checked against its term: a wrong row is damage.

use super::layout::{OPEN, OUTCOMES, TERMS, TIMES};
use super::table::{Reading, Writing};
use super::version::VERSION;
use crate::store::ledger::archived_name;
use crate::store::{Damage, DecidedAt, Flaw, Page, Part, Search, StoreError, Term};
use conductor_core::Seq;
use conductor_core::age::Dated;
use conductor_core::record::{Outcome, Status};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Outcomes read in one page: some milliseconds.
const LOOKED_MAX: usize = 1_000;

/// The key of a term: its kind, and its text. A target's name has no slash, so a target alone never equals one with its
/// namespace.
fn key_of(term: &Term<'_>) -> String {
    match term {
        Term::File(name) => format!("file {name}"),
        Term::Target(target) => format!("target {target}"),
        Term::Status(Status::Success) => "status success".to_owned(),
        Term::Status(Status::Failed) => "status failed".to_owned(),
    }
}

/// Every term that finds an outcome.
fn terms_of(outcome: &Outcome) -> BTreeSet<String> {
    let mut keys =
        BTreeSet::from([key_of(&Term::File(&outcome.name)), key_of(&Term::Status(outcome.status))]);
    keys.extend(archived_name(outcome).map(|name| key_of(&Term::File(name))));
    if let Some(key) = &outcome.key {
        keys.insert(key_of(&Term::Target(&key.to_string())));
        keys.insert(key_of(&Term::Target(&key.target)));
    }
    keys
}

fn time_of(outcome: &Outcome) -> (i128, Seq) {
    (outcome.finished_at.as_nanosecond(), outcome.seq)
}

/// Makes the rows of an outcome, and removes those of the outcome recorded under its number before.
pub(super) fn enter(txn: &Writing, outcome: &Outcome, before: Option<&Outcome>) -> Result<(), StoreError> {
    let (old, new) = (before.map(terms_of).unwrap_or_default(), terms_of(outcome));
    let mut terms = TERMS.of(txn)?;
    for key in old.difference(&new) {
        terms.remove((key.as_str(), outcome.seq))?;
    }
    for key in new.difference(&old) {
        terms.put((key.as_str(), outcome.seq), ())?;
    }
    let mut times = TIMES.of(txn)?;
    let known = before.map(time_of);
    if let Some(other) = known.filter(|known| *known != time_of(outcome)) {
        times.remove(other)?;
    }
    if known != Some(time_of(outcome)) {
        times.put(time_of(outcome), ())?;
    }
    Ok(())
}

/// Removes the rows of a removed outcome.
pub(super) fn leave(txn: &Writing, outcome: &Outcome) -> Result<(), StoreError> {
    let mut terms = TERMS.of(txn)?;
    for key in terms_of(outcome) {
        terms.remove((key.as_str(), outcome.seq))?;
    }
    TIMES.remove(txn, time_of(outcome)).map(drop)
}

/// Makes the tables, and their rows if the store's layout had none.
pub(super) fn make(txn: &Writing, found: Option<u32>) -> Result<(), StoreError> {
    TERMS.of(txn)?;
    TIMES.of(txn)?;
    if found.is_some_and(|found| found < VERSION) {
        for row in OUTCOMES.of(txn)?.all()? {
            enter(txn, &row?.value()?, None)?;
        }
    }
    Ok(())
}

/// Checks that each outcome has one time.
pub(super) fn check(txn: &Reading) -> Result<(), StoreError> {
    let rows = if TIMES.exists(txn)? { TIMES.of(txn)?.len()? } else { 0 };
    let outcomes = OUTCOMES.of(txn)?.len()?;
    if rows == outcomes { Ok(()) } else { Err(StoreError::Damaged(Damage::Index { rows, outcomes })) }
}

/// Finds outcomes, newest first.
pub(super) fn search(
    txn: &Reading,
    search: Search<'_>,
    each: &mut dyn FnMut(Outcome) -> bool,
) -> Result<(), StoreError> {
    let Search { term, from, below } = search;
    if from >= below {
        return Ok(());
    }
    let outcomes = OUTCOMES.of(txn)?;
    let Some(term) = term else {
        for row in outcomes.range(from..below)?.rev() {
            if !each(row?.value()?) {
                break;
            }
        }
        return Ok(());
    };
    let key = key_of(&term);
    for row in TERMS.of(txn)?.of_name(&key, from..below)?.rev() {
        let row = row?;
        row.value()?;
        let seq = row.key().1;
        let outcome = outcomes.get(seq)?.ok_or_else(|| Flaw::NoOutcome.of(seq))?;
        if !term.is_of(&outcome) {
            return Err(Flaw::OtherTerm.of(seq));
        }
        if !each(outcome) {
            break;
        }
    }
    Ok(())
}

/// A number below which no outcome was decided at this time or later; `None` where `goes_on` was false.
pub(super) fn first_since(
    txn: &Reading,
    since: Timestamp,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Seq>, StoreError> {
    let mut first = Seq::MAX;
    for (looked, row) in TIMES.of(txn)?.range((since.as_nanosecond(), Seq::ZERO)..)?.enumerate() {
        if looked % LOOKED_MAX == LOOKED_MAX - 1 && !goes_on() {
            return Ok(None);
        }
        first = first.min(row?.key().1);
    }
    Ok(Some(first))
}

/// The old outcomes of a part.
pub(super) fn old(txn: &Reading, part: Part<'_>) -> Result<Page, StoreError> {
    let (open, outcomes) = (OPEN.of(txn)?, OUTCOMES.of(txn)?);
    let mut page = Page::default();
    let until = (part.bound.before.as_nanosecond(), Seq::ZERO);
    let from = part.from.map_or((i128::MIN, Seq::ZERO), |from| (from.at.as_nanosecond(), from.seq));
    if from >= until {
        return Ok(page);
    }
    for (looked, row) in TIMES.of(txn)?.range(from..until)?.enumerate() {
        let row = row?;
        let (at, seq) = row.key();
        if looked == LOOKED_MAX || page.old.len() == part.most {
            let at = Timestamp::from_nanosecond(at).map_err(|_| Flaw::OtherTerm.of(seq))?;
            page.next = Some(DecidedAt { at, seq });
            break;
        }
        row.value()?;
        let outcome = outcomes.get(seq)?.ok_or_else(|| Flaw::NoOutcome.of(seq))?;
        if part.clock.is_old(&Dated::from(&outcome), part.bound) && !open.has(seq)? {
            page.old.push(outcome);
        }
    }
    Ok(page)
}
