//! Recovers the readable records of a damaged store: each one whose checksum is right. The file does not change.

use super::form::{Form, Json, has_summed_claim, is_summed, parse};
use super::keyed::Keyed;
use super::layout::{HELD, OPEN, OUTCOMES, start_of_any};
use super::open::{Pages, open};
use super::opened::{FILE, Store};
use super::screen::Sharing;
use super::sealed::Sealing;
use super::seq_key::SeqKey;
use super::table::{Row, Table};
use crate::store::pending::Start;
use crate::store::{Ledger, Outcomes, StoreError};
use conductor_core::query::Held;
use conductor_core::record::{Claim, Outcome};
use conductor_os::dir::Dir;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, RwLock};

/// An unfinished intent that is still readable.
pub struct Rescued {
    /// The claim.
    pub claim: Claim,
    /// Bytes that match its digest.
    pub bytes: Vec<u8>,
    /// The last recorded start.
    pub start: Option<Start>,
}

/// A store of which some records may be unreadable. The others are passed on one at a time, as often as asked.
#[derive(Default)]
pub struct Salvaged {
    /// `None`: there is none, or not even its tables can be found.
    store: Option<Store>,
}

impl Store {
    /// Opens the store in `dir` for its readable records. Unreadable ones are left out: there is no other record of them.
    pub fn salvage(dir: &Arc<Dir>, sealing: &Sealing) -> Result<Salvaged, StoreError> {
        let file = dir.open_read(FILE).map_err(StoreError::Open)?;
        let opened = match open(file, Sharing::Lookers, Pages::AsRead, sealing) {
            Ok(opened) => opened,
            Err(refused @ (StoreError::Busy | StoreError::Sealed { .. })) => return Err(refused),
            Err(_) => return Ok(Salvaged::default()),
        };
        let (dir, sealing) = (Arc::clone(dir), sealing.clone());
        Ok(Salvaged { store: Some(Self { dir, sealing, database: RwLock::new(Some(opened)) }) })
    }
}

impl Outcomes for Salvaged {
    fn each(&self, pass: &mut dyn FnMut(Outcome) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let readable = |row: &Row<'_, SeqKey, Json<Outcome>>| {
            let outcome = row.read(|bytes| Ok(is_summed(bytes).then(|| Json::<Outcome>::read(bytes))));
            let outcome = outcome.ok().flatten()?.ok()?;
            (outcome.seq == row.key()).then_some((outcome.seq, outcome))
        };
        self.readable(OUTCOMES, readable, pass)
    }
}

impl Salvaged {
    /// Passes the intents that no readable outcome ends.
    pub fn unfinished(
        &self,
        pass: &mut dyn FnMut(Rescued) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut claimed = BTreeSet::new();
        let readable = |row: &Row<'_, SeqKey, _>| {
            let claim =
                row.read(|bytes| Ok(if has_summed_claim(bytes) { parse(bytes)?.claim } else { None }));
            let claim = claim.ok().flatten()?;
            (claim.seq == row.key()).then_some((claim.seq, claim.seq))
        };
        self.readable(OPEN, readable, &mut |seq| {
            claimed.insert(seq);
            Ok(())
        })?;
        self.each(&mut |outcome| {
            claimed.remove(&outcome.seq);
            Ok(())
        })?;
        for seq in claimed {
            // An intent whose bytes are not the judged ones is lost.
            let read = (store as &dyn Ledger).with_claim(seq, |claim, bytes| (claim, bytes.to_vec()));
            let Some((claim, bytes)) = read.ok().flatten() else { continue };
            // An unreadable start is not known to have happened.
            let start = store.reading(|txn| start_of_any(txn, seq)).ok().flatten();
            pass(Rescued { claim, bytes, start })?;
        }
        Ok(())
    }

    /// Held targets.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        let mut held = Vec::new();
        let readable = |row: &Row<'_, &'static str, Json<Held>>| {
            let held = row.value().ok()?;
            (held.target == row.name().ok()?).then(|| (held.target.clone(), held))
        };
        self.readable(HELD, readable, &mut |one| {
            held.push(one);
            Ok(())
        })?;
        Ok(held)
    }

    /// Passes what `readable` makes of the rows of a table, each name once, from both ends and as far as the pages can be read.
    fn readable<K: Keyed, V: Form, N: Ord, T>(
        &self,
        table: Table<K, V>,
        readable: impl Fn(&Row<'_, K, V>) -> Option<(N, T)>,
        pass: &mut dyn FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut passed = BTreeSet::new();
        for backwards in [false, true] {
            // An unreadable page ends one direction; the rows found before it are good.
            let read = store.reading(|txn| {
                let view = table.of(txn)?;
                let mut rows = view.all()?;
                while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                    if let Some((name, found)) = readable(&row?)
                        && passed.insert(name)
                        && let Err(refused) = pass(found)
                    {
                        return Ok(ControlFlow::Break(refused));
                    }
                }
                Ok(ControlFlow::Continue(()))
            });
            match read {
                Ok(ControlFlow::Break(refused)) => return Err(refused),
                Ok(ControlFlow::Continue(())) => break,
                Err(_) => {}
            }
        }
        Ok(())
    }
}
