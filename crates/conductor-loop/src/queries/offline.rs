//! Unfinished intents while no daemon runs: claims in the store, and files in the handoff directory.

use super::lined::Lined;
use super::lying::{Loop, Lying, entry_row, lying};
use super::refusals::store_refused;
use super::rows::sighted_row;
use super::selector::Selector;
use super::unfinished::{Found, Unfinished, hold_on};
use crate::store::{Ledger, Pending, Start};
use conductor_core::name::{NameVerdict, Names};
use conductor_core::query::{Held, Reason, Refused, Row, Selection, State};
use conductor_core::record::Claim;
use conductor_os::dir::Dir;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;

/// The unfinished intents of a handoff directory without a daemon.
pub struct OfflineView {
    rows: Vec<Row>,
    /// Entries that are ignored for their names.
    ignored: Vec<Row>,
    held: Vec<Held>,
}

fn not_running(text: &str) -> Reason {
    Reason { word: "not-running".to_owned(), text: text.to_owned(), advice: "Start the daemon.".to_owned() }
}

impl OfflineView {
    /// Reads store and directory once.
    pub fn read(store: &dyn Ledger, handoff: &Dir, rule: &Names) -> Result<Self, Refused> {
        let mut rows = Vec::new();
        let read = store.pending(&mut |pending| {
            if let Pending::Claimed { claim, start } = pending {
                rows.push(claimed_row(claim, start));
            }
        });
        read.map_err(|error| store_refused(&error))?;
        let held = store.held().map_err(|error| store_refused(&error))?;
        let mut names = handoff.names().unwrap_or_default();
        names.sort_unstable();
        let mut ignored = Vec::new();
        let is_told = |name: &[u8]| rule.judge(name) != NameVerdict::Ignore || rule.looks_meant(name);
        for name in names.iter().filter(|name| is_told(name)) {
            let meta = handoff.stat(std::ffi::OsStr::from_bytes(name));
            let Some(lying) = lying(handoff, rule, name, Loop::Rests) else { continue };
            let row = entry_row(name, meta.map_or(0, |meta| meta.mtime_ns), &lying);
            if lying == Lying::OtherName { ignored.push(row) } else { rows.push(row) }
        }
        Ok(Self { rows, ignored, held })
    }

    /// The number of names in the handoff directory, and of intents taken and not finished.
    pub fn load(&self) -> (u64, u64) {
        let taken = self.rows.iter().filter(|row| row.seq.is_some()).count();
        ((self.rows.len() - taken) as u64, taken as u64)
    }

    /// Targets that an operator holds.
    pub fn held(&self) -> &[Held] {
        &self.held
    }
}

/// An intent that was taken and has no outcome.
fn claimed_row(claim: Claim, start: Option<Start>) -> Row {
    let attempts = start.map_or(0, |start| start.attempt.get());
    Row {
        seq: Some(claim.seq),
        target: Some(claim.key.to_string()),
        correlation_id: Some(claim.correlation_id),
        sha256: Some(claim.sha256),
        at: Some(claim.taken_at),
        attempts,
        state: State::Waiting,
        ..sighted_row(claim.name.as_bytes(), 0, not_running("it is taken and unfinished, and no daemon runs"))
    }
}

/// Of the rows of a target only the first, with the number of the others; rows without a target as they are.
fn first_of_each_target<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Row> {
    let (mut firsts, mut places): (Vec<Row>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
    for row in rows {
        let known = row.target.as_deref().and_then(|target| places.get(target));
        if let Some(first) = known.and_then(|place| firsts.get_mut(*place)) {
            first.others = first.others.map(|others| others + 1);
            continue;
        }
        places.extend(row.target.as_deref().map(|target| (target, firsts.len())));
        firsts.push(Row { others: row.target.as_ref().map(|_| 0), ..row.clone() });
    }
    firsts
}

impl Unfinished for OfflineView {
    fn rows(&self, selection: &Selection) -> Result<Lined, Refused> {
        let wanted = self.rows.iter().chain(&self.ignored).filter(|row| selection.takes(row));
        if selection.by_target {
            let mut firsts = first_of_each_target(wanted);
            firsts.truncate(selection.most.saturating_add(1));
            return Ok(Lined { first: firsts, ..Lined::default() });
        }
        let first = wanted.take(selection.most.saturating_add(1)).cloned().collect();
        Ok(Lined { first, ..Lined::default() })
    }

    fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused> {
        let Some(row) = self.rows.iter().find(|row| subject.is(row)) else { return Ok(None) };
        let later = |other: &&Row| row.target.is_some() && other.target == row.target && other.seq > row.seq;
        let behind = self.rows.iter().filter(later).count();
        Ok(Some(Found::of(row.clone(), behind)))
    }

    fn hold_on(&self, target: &str) -> Result<Option<Held>, Refused> {
        Ok(hold_on(self.held.iter(), target).cloned())
    }
}
