//! Recovers the readable records of a damaged store: each one whose checksum is right. The file does not change.

use super::open::{Pages, open};
use super::pending::{Start, claim_of};
use super::screen::Sharing;
use super::{FILE, HELD, OPEN, OUTCOMES, STARTS, SUMMED, Store, StoreError, decode};
use conductor_core::inquiry::Held;
use conductor_core::record::{Claim, Outcome};
use conductor_os::dir::Dir;
use redb::{Key, ReadableTable, TableDefinition, Value};
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
    pub fn salvage(dir: &Arc<Dir>) -> Result<Salvaged, StoreError> {
        let file = dir.open_read(FILE).map_err(StoreError::Open)?;
        let opened = match open(file, Sharing::Lookers, Pages::AsRead) {
            Ok(opened) => opened,
            Err(busy @ StoreError::Busy) => return Err(busy),
            // Even the tables cannot be found.
            Err(_) => return Ok(Salvaged::default()),
        };
        let store = Self { dir: Arc::clone(dir), database: RwLock::new(Some(opened)) };
        let summed = |value: &[u8]| value.first() == Some(&SUMMED);
        let outcomes = store.readable(OUTCOMES, |key, value| {
            let outcome: Outcome = summed(value).then(|| decode(value).ok()).flatten()?;
            (outcome.seq == key).then_some((key, outcome))
        });
        let starts =
            store.readable(STARTS, |key, (attempt, happened)| Some((key, Start { attempt, happened })));
        let claimed = store.readable(OPEN, |key, value| {
            let claim = summed(value.get(4..)?).then(|| claim_of(value).ok().flatten()).flatten()?;
            (claim.seq == key).then_some((key, ()))
        });
        let unfinished = claimed.into_keys().filter(|seq| !outcomes.contains_key(seq));
        let open = unfinished.filter_map(|seq| {
            // An intent whose bytes are not the judged ones is lost.
            let read = store.with_claim(seq, |claim, bytes| (claim, bytes.to_vec()));
            let (claim, bytes) = read.ok().flatten()?;
            Some(Rescued { claim, bytes, start: starts.get(&seq).copied() })
        });
        let open = open.collect();
        let held = store.readable(HELD, |key, value| {
            let held: Held = decode(value).ok()?;
            (held.target == key).then(|| (key.to_owned(), held))
        });
        Ok(Salvaged { open, outcomes: outcomes.into_values().collect(), held: held.into_values().collect() })
    }

    /// Rows from both ends of a table, as far as the pages can be read.
    fn readable<K: Key + 'static, V: Value + 'static, N: Ord, T>(
        &self,
        table: TableDefinition<'static, K, V>,
        mut take: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Option<(N, T)>,
    ) -> BTreeMap<N, T> {
        let mut found = BTreeMap::new();
        for backwards in [false, true] {
            // An unreadable page ends one direction; the rows found before it are good.
            let read = self.reading(|txn| {
                let table = txn.open_table(table)?;
                let mut rows = table.iter()?;
                while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                    let (key, value) = row?;
                    found.extend(take(key.value(), value.value()));
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
