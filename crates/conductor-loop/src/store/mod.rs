//! The ledger of intents on redb: what is claimed, what was started, what came of it, and the last success of each
//! target. Keyed by sequence number, which only grows. Everything here may run twice with the same result.

mod error;
mod targets;
mod transfer;

pub use error::StoreError;
pub use transfer::{ImportCount, export, import, looks_like_go_state};

use crate::sys::dir::Dir;
use conductor_core::inquiry::Held;
use conductor_core::intent::TargetKey;
use conductor_core::record::{self, Claim, LastSuccess, Outcome, Status};
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock};

/// Name of the store file in the state directory.
pub const FILE: &str = "ledger.redb";
/// Version of the layout below; any other is refused.
pub const VERSION: u32 = 1;
/// redb's page cache. Its default is a gibibyte.
const CACHE_BYTES: usize = 8 << 20;

type Blobs = TableDefinition<'static, u64, &'static [u8]>;
type Names = TableDefinition<'static, &'static str, &'static [u8]>;
/// Unfinished: claim and bytes. An entry leaves only after its published files are durable.
const OPEN: Blobs = TableDefinition::new("open");
/// The start that is recorded as next or under way, by sequence number, and whether it is known to have happened.
const STARTS: TableDefinition<'static, u64, (u32, bool)> = TableDefinition::new("starts");
/// Outcomes; an entry here without DONE is published again at start.
const OUTCOMES: Blobs = TableDefinition::new("outcomes");
/// Error logs of outcomes that are not yet known to be published.
const REPORTS: Blobs = TableDefinition::new("reports");
/// Last success by `namespace/target`.
const TARGETS: Names = TableDefinition::new("targets");
/// Imported successes by file name: they know no target.
const IMPORTED: Names = TableDefinition::new("imported");
/// Targets that an operator holds.
const HELD: Names = TableDefinition::new("held");
const META: Names = TableDefinition::new("meta");

/// Totals that survive retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Outcomes with status success, duplicates included.
    pub processed: u64,
    /// Outcomes with status failed.
    pub failed: u64,
    /// Successes that repeated an earlier one.
    pub duplicates: u64,
}

/// An entry of `OPEN`: the claim, if there is one, and the bytes to archive or run.
#[derive(Debug, Clone)]
pub struct OpenEntry {
    /// The claim; absent for an outcome that never had one (refused, duplicate bytes only).
    pub claim: Option<Claim>,
    /// Exactly the bytes that were taken; absent where the file itself was moved.
    pub bytes: Option<Arc<[u8]>>,
    /// The recorded start, and whether it is known to have happened.
    pub start: Option<(u32, bool)>,
    /// The outcome, if it is decided.
    pub outcome: Option<Outcome>,
    /// Its error log.
    pub report: Option<Vec<u8>>,
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    dir: Arc<Dir>,
    /// None only while it is being opened again after a full disk.
    database: RwLock<Option<Opened>>,
}

/// The database as it was opened.
enum Opened {
    ToWrite(Database),
    ToLook(ReadOnlyDatabase),
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ToWrite(_) => "open to write",
            Self::ToLook(_) => "open to look",
        })
    }
}

impl Opened {
    fn begin_read(&self) -> Result<ReadTransaction, redb::TransactionError> {
        match self {
            Self::ToWrite(database) => database.begin_read(),
            Self::ToLook(database) => database.begin_read(),
        }
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        match self {
            Self::ToWrite(database) => Ok(database.begin_write()?),
            Self::ToLook(_) => Err(StoreError::Io("it was opened to be read".to_owned())),
        }
    }
}

impl Store {
    /// Opens the store in `dir`, creating it only when `may_create`. A damaged or foreign store is an error,
    /// never replaced by an empty one.
    pub fn open(dir: Arc<Dir>, may_create: bool) -> Result<Self, StoreError> {
        let existed = dir.has(FILE).map_err(StoreError::Open)?;
        let file =
            if may_create { dir.open_rw(FILE, 0o600).map_err(StoreError::Open)? } else { existing(&dir)? };
        let database = open_file(file)?;
        let store = Self { dir, database: RwLock::new(Some(Opened::ToWrite(database))) };
        store.check_version()?;
        if !existed {
            store.dir.sync().map_err(StoreError::Open)?;
        }
        Ok(store)
    }

    /// Opens the store in `dir` without changing a byte of it. One that a daemon left without closing it has to be repaired first,
    /// which changes it.
    pub fn look(dir: &Arc<Dir>) -> Result<Self, StoreError> {
        let file = existing(dir)?;
        let opened = FileBackend::new(file).and_then(|file| {
            Database::builder().set_cache_size(CACHE_BYTES).open_read_only_with_backend(file)
        });
        match opened {
            Ok(database) => {
                let database = RwLock::new(Some(Opened::ToLook(database)));
                let store = Self { dir: Arc::clone(dir), database };
                if store.is_whole()? {
                    return Ok(store);
                }
                drop(store); // It has the file locked.
            }
            Err(DatabaseError::RepairAborted) => {}
            Err(error) => return Err(error.into()),
        }
        Self::open(Arc::clone(dir), false)
    }

    /// Opens the file again after a write failed for lack of space: the last durable state is read back and
    /// checked, nothing is assumed of the failed write. One that is gone or empty meanwhile is an error.
    pub fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        let file = existing(&self.dir)?;
        *database = Some(Opened::ToWrite(open_file(file)?));
        Ok(())
    }

    fn reading<T>(
        &self,
        work: impl FnOnce(ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(StoreError::Busy)?.begin_read()?)
    }

    /// Whether it is of our version, with all that belongs to it. Another version is an error.
    fn is_whole(&self) -> Result<bool, StoreError> {
        self.reading(|txn| {
            let meta = match txn.open_table(META) {
                Ok(meta) => meta,
                Err(TableError::TableDoesNotExist(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            match meta.get("version")?.map(|value| decode::<u32>(value.value())).transpose()? {
                Some(VERSION) => Ok(txn.open_table(HELD).is_ok()),
                Some(found) => Err(StoreError::Version { found, known: VERSION }),
                None => Ok(false),
            }
        })
    }

    /// Refuses another version, and makes what is missing.
    fn check_version(&self) -> Result<(), StoreError> {
        if self.is_whole()? {
            return Ok(());
        }
        self.write(|Batch { txn }| {
            txn.open_table(META)?.insert("version", encode(&VERSION).as_slice())?;
            txn.open_table(OPEN)?;
            txn.open_table(STARTS)?;
            txn.open_table(OUTCOMES)?;
            txn.open_table(REPORTS)?;
            txn.open_table(TARGETS)?;
            txn.open_table(IMPORTED)?;
            txn.open_table(HELD)?;
            Ok(())
        })
    }

    /// Performs `work` in one durable transaction.
    pub fn write<T>(&self, work: impl FnOnce(&Batch) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let batch = Batch { txn: database.as_ref().ok_or(StoreError::Busy)?.begin_write()? };
        let value = work(&batch)?;
        batch.txn.commit()?;
        Ok(value)
    }

    /// The highest sequence number ever used.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        self.reading(|txn| {
            let high =
                txn.open_table(META)?.get("high_seq")?.map(|v| decode::<u64>(v.value())).transpose()?;
            let open = txn.open_table(OPEN)?.last()?.map(|(key, _)| key.value());
            let outcomes = txn.open_table(OUTCOMES)?.last()?.map(|(key, _)| key.value());
            Ok([high, open, outcomes].into_iter().flatten().max().unwrap_or(0))
        })
    }

    /// Totals.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.reading(|txn| {
            let value = txn.open_table(META)?.get("counts")?.map(|v| decode(v.value())).transpose()?;
            Ok(value.unwrap_or_default())
        })
    }

    /// How many intents are unfinished, and how many outcomes are remembered.
    pub fn sizes(&self) -> Result<(u64, u64), StoreError> {
        self.reading(|txn| Ok((txn.open_table(OPEN)?.len()?, txn.open_table(OUTCOMES)?.len()?)))
    }

    /// Every unfinished intent in order of taking.
    pub fn open_entries(&self) -> Result<Vec<OpenEntry>, StoreError> {
        self.reading(|txn| {
            let (open, starts) = (txn.open_table(OPEN)?, txn.open_table(STARTS)?);
            let (outcomes, reports) = (txn.open_table(OUTCOMES)?, txn.open_table(REPORTS)?);
            let mut entries = Vec::new();
            for row in open.iter()? {
                let (key, value) = row?;
                let seq = key.value();
                let (claim, bytes) = decode_open(value.value())?;
                entries.push(OpenEntry {
                    claim,
                    bytes,
                    start: starts.get(seq)?.map(|v| v.value()),
                    outcome: outcomes.get(seq)?.map(|v| decode(v.value())).transpose()?,
                    report: reports.get(seq)?.map(|v| v.value().to_vec()),
                });
            }
            Ok(entries)
        })
    }

    /// Whether an outcome is recorded under this number.
    pub fn is_settled(&self, seq: u64) -> Result<bool, StoreError> {
        self.reading(|txn| Ok(txn.open_table(OUTCOMES)?.get(seq)?.is_some()))
    }

    /// The bytes of an unfinished intent.
    pub fn bytes(&self, seq: u64) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.reading(|txn| {
            let value = txn.open_table(OPEN)?.get(seq)?;
            Ok(value.map(|v| decode_open(v.value())).transpose()?.and_then(|(_, bytes)| bytes))
        })
    }

    /// The last success of a target, or an imported one of this name.
    pub fn last_success(&self, key: &TargetKey, name: &str) -> Result<Option<LastSuccess>, StoreError> {
        self.reading(|txn| {
            targets::last_success(&txn.open_table(TARGETS)?, &txn.open_table(IMPORTED)?, key, name)
        })
    }

    /// The outcome of this number.
    pub fn outcome(&self, seq: u64) -> Result<Option<Outcome>, StoreError> {
        self.reading(|txn| txn.open_table(OUTCOMES)?.get(seq)?.map(|v| decode(v.value())).transpose())
    }

    /// The claim and the bytes of an unfinished intent.
    pub fn unfinished(&self, seq: u64) -> Result<Option<Open>, StoreError> {
        self.reading(|txn| txn.open_table(OPEN)?.get(seq)?.map(|v| decode_open(v.value())).transpose())
    }

    /// Targets that an operator holds.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        self.reading(|txn| txn.open_table(HELD)?.iter()?.map(|row| decode(row?.1.value())).collect())
    }

    /// Targets of this name, in whatever namespace, that had a success.
    pub fn targets_named(&self, name: &str) -> Result<Vec<String>, StoreError> {
        self.reading(|txn| {
            let mut found = Vec::new();
            for row in txn.open_table(TARGETS)?.iter()? {
                let (key, _) = row?;
                if key.value().split_once('/').is_some_and(|(_, target)| target == name) {
                    found.push(key.value().to_owned());
                }
            }
            Ok(found)
        })
    }

    /// Outcomes below a sequence number, newest first, to `each`, while it returns true.
    pub fn outcomes_back(&self, below: u64, mut each: impl FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        self.reading(|txn| {
            for row in txn.open_table(OUTCOMES)?.range(..below)?.rev() {
                if !each(decode(row?.1.value())?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Outcomes in order of sequence number, oldest first, to `each`, while it returns true.
    pub fn outcomes(&self, mut each: impl FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        self.reading(|txn| {
            for row in txn.open_table(OUTCOMES)?.iter()? {
                if !each(decode(row?.1.value())?) {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// The file of a store that must not be made: an empty one was none, or has lost everything.
fn existing(dir: &Dir) -> Result<File, StoreError> {
    if !dir.has(FILE).map_err(StoreError::Open)? {
        return Err(StoreError::Missing);
    }
    let file = dir.open_rw(FILE, 0o600).map_err(StoreError::Open)?;
    if file.metadata().map_err(StoreError::Open)?.len() == 0 {
        return Err(StoreError::Damaged("the file is empty".to_owned()));
    }
    Ok(file)
}

fn open_file(file: File) -> Result<Database, StoreError> {
    Ok(Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?)
}

/// Writes of one transaction.
pub struct Batch {
    txn: WriteTransaction,
}

impl Batch {
    /// A claim with its bytes; `arm`: its first start as well. Answers with the last success of its target.
    pub fn claim(&self, claim: &Claim, bytes: &[u8], arm: bool) -> Result<Option<LastSuccess>, StoreError> {
        let value = encode_open(Some(claim), Some(bytes));
        self.txn.open_table(OPEN)?.insert(claim.seq, value.as_slice())?;
        if arm {
            self.arm(claim.seq, 1)?;
        }
        targets::last_success(
            &self.txn.open_table(TARGETS)?,
            &self.txn.open_table(IMPORTED)?,
            &claim.key,
            &claim.name,
        )
    }

    /// The next start of an intent.
    pub fn arm(&self, seq: u64, attempt: u32) -> Result<(), StoreError> {
        self.txn.open_table(STARTS)?.insert(seq, (attempt, false))?;
        Ok(())
    }

    /// Starts that recovery has found to have happened: the next recovery need not find out again.
    pub fn count_starts(&self, counted: &[(u64, u32)]) -> Result<(), StoreError> {
        let mut starts = self.txn.open_table(STARTS)?;
        for (seq, started) in counted {
            starts.insert(*seq, (*started, true))?;
        }
        Ok(())
    }

    /// The final outcome, its error log, and (where no claim holds them) the bytes to archive.
    pub fn settle(
        &self,
        outcome: &Outcome,
        report: Option<&[u8]>,
        bytes: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let seq = outcome.seq;
        let mut open = self.txn.open_table(OPEN)?;
        if open.get(seq)?.is_none() {
            open.insert(seq, encode_open(None, bytes).as_slice())?;
        }
        let fresh = self.txn.open_table(OUTCOMES)?.insert(seq, encode(outcome).as_slice())?.is_none();
        if let Some(report) = report {
            self.txn.open_table(REPORTS)?.insert(seq, report)?;
        }
        if fresh {
            self.count(outcome)?;
        }
        self.remember_last(outcome)
    }

    fn count(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let mut meta = self.txn.open_table(META)?;
        let mut counts: Counts =
            meta.get("counts")?.map(|v| decode(v.value())).transpose()?.unwrap_or_default();
        match outcome.status {
            Status::Success => counts.processed += 1,
            Status::Failed => counts.failed += 1,
        }
        counts.duplicates += u64::from(outcome.duplicate_of.is_some());
        meta.insert("counts", encode(&counts).as_slice())?;
        Ok(())
    }

    /// The published files of these are durable: only the outcome stays.
    pub fn done(&self, seqs: &[u64]) -> Result<(), StoreError> {
        let (mut open, mut starts) = (self.txn.open_table(OPEN)?, self.txn.open_table(STARTS)?);
        let mut reports = self.txn.open_table(REPORTS)?;
        for seq in seqs {
            open.remove(seq)?;
            starts.remove(seq)?;
            reports.remove(seq)?;
        }
        Ok(())
    }

    /// Forgets an outcome that retention removed.
    pub fn forget(&self, outcome: &Outcome) -> Result<(), StoreError> {
        self.txn.open_table(OUTCOMES)?.remove(outcome.seq)?;
        self.forget_last(outcome)?;
        // The number is never used again, even when everything is forgotten.
        self.txn.open_table(META)?.insert("high_seq", encode(&self.high_seq(outcome.seq)?).as_slice())?;
        Ok(())
    }

    fn high_seq(&self, seq: u64) -> Result<u64, StoreError> {
        let last = self.txn.open_table(OUTCOMES)?.last()?.map_or(0, |(key, _)| key.value());
        Ok(last.max(seq))
    }

    /// A target is held from now on.
    pub fn hold(&self, held: &Held) -> Result<(), StoreError> {
        self.txn.open_table(HELD)?.insert(held.target.as_str(), encode(held).as_slice())?;
        Ok(())
    }

    /// And no longer.
    pub fn release(&self, target: &str) -> Result<(), StoreError> {
        self.txn.open_table(HELD)?.remove(target)?;
        Ok(())
    }

    /// An outcome from elsewhere, as it is; for imports.
    pub fn import_outcome(&self, outcome: &Outcome) -> Result<(), StoreError> {
        self.txn.open_table(OUTCOMES)?.insert(outcome.seq, encode(outcome).as_slice())?;
        self.count(outcome)?;
        self.remember_last(outcome)
    }
}

/// Every value passes these two functions: a version byte, then JSON. Sealing of records goes here.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![record::VERSION];
    bytes.extend(serde_json::to_vec(value).unwrap_or_default());
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&record::VERSION, body)) => serde_json::from_slice(body)
            .map_err(|error| StoreError::Damaged(format!("a record cannot be read: {error}"))),
        Some((version, _)) => Err(StoreError::Version { found: u32::from(*version), known: VERSION }),
        None => Err(StoreError::Damaged("an empty record".to_owned())),
    }
}

/// Claim and bytes in one value: the length of the claim, the claim, a mark, the bytes.
fn encode_open(claim: Option<&Claim>, bytes: Option<&[u8]>) -> Vec<u8> {
    let head = encode(&claim);
    let body = bytes.unwrap_or_default();
    let mut value = Vec::with_capacity(5 + head.len() + body.len());
    value.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    value.extend(&head);
    value.push(u8::from(bytes.is_some()));
    value.extend(body);
    value
}

/// The two parts of a value of `OPEN`.
type Open = (Option<Claim>, Option<Arc<[u8]>>);

fn decode_open(value: &[u8]) -> Result<Open, StoreError> {
    let cut = || StoreError::Damaged("a record is cut short".to_owned());
    let (length, rest) = value.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
    let (head, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let (mark, body) = rest.split_first().ok_or_else(cut)?;
    Ok((decode(head)?, (*mark == 1).then(|| body.into())))
}

#[cfg(test)]
mod tests;
