//! Recovers the readable records of a damaged store: each one whose checksum is right. The file does not change.

use super::form::{Form, Json, has_summed_claim, is_summed, parse};
use super::keyed::Keyed;
use super::layout::{HELD, OPEN, OUTCOMES, start_of_any};
use super::open::{Pages, open};
use super::screen::Sharing;
use super::sealed::Sealing;
use super::table::{Row, Table};
use super::{FILE, Store};
use crate::store::pending::Start;
use crate::store::{Ledger, StoreError};
use conductor_core::query::Held;
use conductor_core::record::{Claim, Outcome};
use conductor_os::dir::Dir;
use std::collections::BTreeMap;
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

/// Records of a damaged store.
#[derive(Default)]
pub struct Salvaged {
    /// Outcomes, in order of their numbers.
    pub outcomes: Vec<Outcome>,
    /// Unfinished intents.
    pub open: Vec<Rescued>,
    /// Held targets.
    pub held: Vec<Held>,
}

impl Store {
    /// Reads the readable records of the store in `dir`. Unreadable ones are left out: there is no other record of them.
    pub fn salvage(dir: &Arc<Dir>, sealing: &Sealing) -> Result<Salvaged, StoreError> {
        let file = dir.open_read(FILE).map_err(StoreError::Open)?;
        let opened = match open(file, Sharing::Lookers, Pages::AsRead, sealing) {
            Ok(opened) => opened,
            Err(refused @ (StoreError::Busy | StoreError::Sealed { .. })) => return Err(refused),
            // Even the tables cannot be found.
            Err(_) => return Ok(Salvaged::default()),
        };
        let (dir, sealing) = (Arc::clone(dir), sealing.clone());
        let store = Self { dir, sealing, database: RwLock::new(Some(opened)) };
        let outcomes = store.readable(OUTCOMES, |row| {
            let outcome = row.read(|bytes| Ok(is_summed(bytes).then(|| Json::<Outcome>::read(bytes))));
            let outcome = outcome.ok().flatten()?.ok()?;
            (outcome.seq == row.key()).then_some((outcome.seq, outcome))
        });
        let claimed = store.readable(OPEN, |row| {
            let claim =
                row.read(|bytes| Ok(if has_summed_claim(bytes) { parse(bytes)?.claim } else { None }));
            let claim = claim.ok().flatten()?;
            (claim.seq == row.key()).then_some((claim.seq, ()))
        });
        let unfinished = claimed.into_keys().filter(|seq| !outcomes.contains_key(seq));
        let open = unfinished.filter_map(|seq| {
            // An intent whose bytes are not the judged ones is lost.
            let read = (&store as &dyn Ledger).with_claim(seq, |claim, bytes| (claim, bytes.to_vec()));
            let (claim, bytes) = read.ok().flatten()?;
            // An unreadable start is not known to have happened.
            let start = store.reading(|txn| start_of_any(txn, seq)).ok().flatten();
            Some(Rescued { claim, bytes, start })
        });
        let open = open.collect();
        let held = store.readable(HELD, |row| {
            let held = row.value().ok()?;
            (held.target == row.name().ok()?).then(|| (held.target.clone(), held))
        });
        Ok(Salvaged { open, outcomes: outcomes.into_values().collect(), held: held.into_values().collect() })
    }

    /// Rows from both ends of a table, as far as the pages can be read.
    fn readable<K: Keyed, V: Form, N: Ord, T>(
        &self,
        table: Table<K, V>,
        mut take: impl FnMut(Row<'_, K, V>) -> Option<(N, T)>,
    ) -> BTreeMap<N, T> {
        let mut found = BTreeMap::new();
        for backwards in [false, true] {
            // An unreadable page ends one direction; the rows found before it are good.
            let read = self.reading(|txn| {
                let view = table.of(txn)?;
                let mut rows = view.all()?;
                while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                    found.extend(take(row?));
                }
                Ok(())
            });
            if read.is_ok() {
                break;
            }
        }
        found
    }
}
