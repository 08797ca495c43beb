//! The tables of the store, and those of earlier layouts.
//!
//! 1: no owners of archived files. 2: with owners. 3: each value is bytes that pass the codec, which the numbers of
//! starts and owners did not before, and outcomes are found by name, target, ending and time.

use super::form::{Begun, Bytes, Intent, Json, Nothing, Number, Text, from_json, to_json};
use super::seq_key::SeqKey;
use super::table::{Former, Reading, Table, Transaction, Writing};
use crate::store::last_run::LastRun;
use crate::store::pending::Start;
use crate::store::{Counts, StoreError, Upkeep};
use conductor_core::query::Held;
use conductor_core::record::Outcome;
use conductor_core::{Attempt, Seq};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

/// Unfinished intents: claim and bytes. An entry leaves only after its published files are durable.
pub(super) const OPEN: Table<SeqKey, Intent> = Table::new("open");
/// The start recorded as next or in progress, by sequence number.
pub(super) const STARTED: Table<SeqKey, Begun> = Table::new("started");
/// Outcomes; an entry here that is in OPEN too is published again at start.
pub(super) const OUTCOMES: Table<SeqKey, Json<Outcome>> = Table::new("outcomes");
/// Error logs of outcomes that are not yet known to be published.
pub(super) const REPORTS: Table<SeqKey, Bytes> = Table::new("reports");
/// Last run by `namespace/target`.
pub(super) const TARGETS: Table<&'static str, Json<LastRun>> = Table::new("targets");
/// Imported last runs by file name: their targets are unknown.
pub(super) const IMPORTED: Table<&'static str, Json<LastRun>> = Table::new("imported");
/// Targets that an operator holds.
pub(super) const HELD: Table<&'static str, Json<Held>> = Table::new("held");
/// Sequence number by path relative to the handoff directory: `processed/NAME`, `failed/NAME`.
pub(super) const OWNERS: Table<&'static str, Number> = Table::new("owners");
/// Outcomes by term (see [`super::index`]) and number.
pub(super) const TERMS: Table<(&'static str, SeqKey), Nothing> = Table::new("terms");
/// Outcomes by the time of their decision, in nanoseconds since 1970, and number.
pub(super) const TIMES: Table<(i128, SeqKey), Nothing> = Table::new("times");
pub(super) const META: Table<&'static str, Text> = Table::new("meta");

/// How many tables there are.
pub(super) const TABLES: usize = 11;

/// A value of META.
pub(super) struct Note<T> {
    key: &'static str,
    kind: PhantomData<fn() -> T>,
}

/// The version of the layout.
pub(super) const LAYOUT: Note<u32> = Note::new("version");
/// Totals.
pub(super) const COUNTS: Note<Counts> = Note::new("counts");
/// The highest number whose outcome was removed, or that was used elsewhere.
pub(super) const HIGH_SEQ: Note<Seq> = Note::new("high_seq");
/// Commits since the store was created.
pub(super) const COMMITS: Note<u64> = Note::new("commits");
/// What removing the old remembers.
pub(super) const UPKEEP: Note<Upkeep> = Note::new("upkeep");
/// Which store it is: random, the same in copies and backups of it, another wherever a store may lack what others of it have.
pub(super) const LINEAGE: Note<String> = Note::new("lineage");
/// The place and form of packages.
pub(super) const DESTINATION: Note<String> = Note::new("destination");

impl<T: Serialize + DeserializeOwned> Note<T> {
    const fn new(key: &'static str) -> Self {
        Self { key, kind: PhantomData }
    }

    pub(super) fn get(&self, txn: &impl Transaction) -> Result<Option<T>, StoreError> {
        META.of(txn)?.read(self.key, from_json)
    }

    pub(super) fn put(&self, txn: &Writing, value: &T) -> Result<(), StoreError> {
        META.put(txn, self.key, to_json(value)?).map(drop)
    }
}

/// Starts of layouts before 3.
pub(super) const FORMER_STARTS: Former<SeqKey, (u32, bool)> = Former::new("starts");
/// Owners of layout 2.
pub(super) const FORMER_OWNERS: Former<&'static str, SeqKey> = Former::new("archived");

/// The version of a store's layout; `None` if it is no store of ours.
pub(super) fn version(txn: &Reading) -> Result<Option<u32>, StoreError> {
    if META.exists(txn)? { LAYOUT.get(txn) } else { Ok(None) }
}

/// The recorded start, in a store of any layout.
pub(super) fn start_of_any(txn: &Reading, seq: Seq) -> Result<Option<Start>, StoreError> {
    if STARTED.exists(txn)? {
        return STARTED.get(txn, seq);
    }
    FORMER_STARTS.get(txn, seq, |(attempt, happened)| Start { attempt: Attempt(attempt), happened })
}
