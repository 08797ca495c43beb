//! The ledger of intents on redb: claims, starts, outcomes, and the last success of each target. Keyed by sequence
//! number, which only grows. Every operation may run twice with the same result.

mod archive;
mod error;
mod keep;
mod mark;
mod open;
mod pending;
mod salvage;
mod screen;
mod targets;
mod transfer;

pub use archive::{Owners, Page, Part, Upkeep};
pub use error::StoreError;
pub use keep::Place;
pub use mark::{Extent, MARK};
pub use open::{Behind, Candidate};
pub use pending::{Content, Kept, Pending, Settled, Start};
pub use salvage::{Rescued, Salvaged};
pub use transfer::{Import, ImportCount, add, export, import, looks_like_go_state};

use conductor_core::inquiry::Held;
use conductor_core::intent::TargetKey;
use conductor_core::record::{self, Claim, LastSuccess, Outcome, Status};
use conductor_os::dir::Dir;
use open::Opened;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::{Arc, RwLock};

/// Name of the store file in the state directory.
pub const FILE: &str = "ledger.redb";
/// Version of the layout below. An earlier version is converted, a later one is refused. 2: archived files have owners,
/// which a program of version 1 would not record.
pub const VERSION: u32 = 2;
/// redb's page cache. Its default is a gibibyte.
const CACHE_BYTES: usize = 8 << 20;

type Blobs = TableDefinition<'static, u64, &'static [u8]>;
type Names = TableDefinition<'static, &'static str, &'static [u8]>;
/// Unfinished intents: claim and bytes. An entry leaves only after its published files are durable.
const OPEN: Blobs = TableDefinition::new("open");
/// The start recorded as next or in progress, by sequence number, and whether it is known to have happened.
const STARTS: TableDefinition<'static, u64, (u32, bool)> = TableDefinition::new("starts");
/// Outcomes; one without DONE is published again at start.
const OUTCOMES: Blobs = TableDefinition::new("outcomes");
/// Error logs of outcomes that are not yet known to be published.
const REPORTS: Blobs = TableDefinition::new("reports");
/// Last success by `namespace/target`.
const TARGETS: Names = TableDefinition::new("targets");
/// Imported successes by file name: their targets are unknown.
const IMPORTED: Names = TableDefinition::new("imported");
/// Targets that an operator holds.
const HELD: Names = TableDefinition::new("held");
const META: Names = TableDefinition::new("meta");
/// The number of tables.
const TABLES: usize = 9;

/// Makes the missing tables: all of them in a new store, and those that an earlier version of this program did not have.
fn make_tables(txn: &WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(META)?;
    txn.open_table(OPEN)?;
    txn.open_table(STARTS)?;
    txn.open_table(OUTCOMES)?;
    txn.open_table(REPORTS)?;
    txn.open_table(TARGETS)?;
    txn.open_table(IMPORTED)?;
    txn.open_table(HELD)?;
    archive::take_over(txn)
}

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

/// The open store.
#[derive(Debug)]
pub struct Store {
    dir: Arc<Dir>,
    /// `None` only while it is being opened again after a full disk.
    database: RwLock<Option<Opened>>,
}

impl Store {
    /// The highest sequence number ever used.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        self.reading(|txn| {
            last_seq(&txn.open_table(META)?, &txn.open_table(OPEN)?, &txn.open_table(OUTCOMES)?)
        })
    }

    /// Totals.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.reading(|txn| {
            let value = txn.open_table(META)?.get("counts")?.map(|v| decode(v.value())).transpose()?;
            Ok(value.unwrap_or_default())
        })
    }

    /// The number of unfinished intents, and of remembered outcomes.
    pub fn sizes(&self) -> Result<(u64, u64), StoreError> {
        self.reading(|txn| Ok((txn.open_table(OPEN)?.len()?, txn.open_table(OUTCOMES)?.len()?)))
    }

    /// Whether an intent is unfinished, or its files are not yet known to be durable.
    pub fn is_open(&self, seq: u64) -> Result<bool, StoreError> {
        self.reading(|txn| Ok(txn.open_table(OPEN)?.get(seq)?.is_some()))
    }

    /// Whether an outcome is recorded under this number.
    pub fn is_settled(&self, seq: u64) -> Result<bool, StoreError> {
        self.reading(|txn| Ok(txn.open_table(OUTCOMES)?.get(seq)?.is_some()))
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

    /// Targets that an operator holds.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        self.reading(|txn| txn.open_table(HELD)?.iter()?.map(|row| decode(row?.1.value())).collect())
    }

    /// Targets of this name, in any namespace, that had a success.
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

    /// Passes outcomes below a sequence number, newest first, to `each`, while it returns true.
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

    /// Passes outcomes in order of sequence number, oldest first, to `each`, while it returns true.
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

/// The writes of one transaction.
pub struct Batch {
    txn: WriteTransaction,
}

impl Batch {
    /// Records a claim with its bytes; `arm`: its first start too. Returns the last success of its target.
    pub fn claim(&self, claim: &Claim, bytes: &[u8], arm: bool) -> Result<Option<LastSuccess>, StoreError> {
        let value = pending::encode_row(Some(claim), Some(bytes))?;
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

    /// Records the next start of an intent.
    pub fn arm(&self, seq: u64, attempt: u32) -> Result<(), StoreError> {
        self.txn.open_table(STARTS)?.insert(seq, (attempt, false))?;
        Ok(())
    }

    /// Records starts that recovery has found to have happened: the next recovery need not find out again.
    pub fn count_starts(&self, counted: &[(u64, u32)]) -> Result<(), StoreError> {
        let mut starts = self.txn.open_table(STARTS)?;
        for (seq, started) in counted {
            starts.insert(*seq, (*started, true))?;
        }
        Ok(())
    }

    /// Records the final outcome, its error log, and (if no claim holds them) the bytes to archive.
    pub fn settle(&self, outcome: &Outcome, report: Option<&[u8]>, kept: Kept<'_>) -> Result<(), StoreError> {
        let seq = outcome.seq;
        let mut open = self.txn.open_table(OPEN)?;
        if open.get(seq)?.is_none() {
            let bytes = match kept {
                Kept::Bytes(bytes) => Some(bytes),
                Kept::File => None,
                Kept::Already => {
                    return Err(StoreError::Damaged(format!("intent {seq}: its claim is missing")));
                }
            };
            open.insert(seq, pending::encode_row(None, bytes)?.as_slice())?;
        }
        let before = {
            let mut outcomes = self.txn.open_table(OUTCOMES)?;
            let before = outcomes.insert(seq, encode(outcome).as_slice())?;
            before.map(|value| decode::<Outcome>(value.value())).transpose()?
        };
        let fresh = before.is_none();
        self.own(outcome, before.as_ref().map(|before| before.archived_as.as_str()))?;
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

    /// Marks published files as durable: only the outcome stays.
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

    /// Forgets an outcome that the retention removed.
    pub fn forget(&self, outcome: &Outcome) -> Result<(), StoreError> {
        self.txn.open_table(OUTCOMES)?.remove(outcome.seq)?;
        self.forget_last(outcome)?;
        self.disown(outcome)?;
        // The number is never used again, even if every record is gone.
        self.raise(outcome.seq)
    }

    /// Reserves all numbers up to this one.
    fn raise(&self, seq: u64) -> Result<(), StoreError> {
        let high = self.last_seq()?.max(seq);
        self.txn.open_table(META)?.insert("high_seq", encode(&high).as_slice())?;
        Ok(())
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        let txn = &self.txn;
        last_seq(&txn.open_table(META)?, &txn.open_table(OPEN)?, &txn.open_table(OUTCOMES)?)
    }

    /// Records that a target is held.
    pub fn hold(&self, held: &Held) -> Result<(), StoreError> {
        self.txn.open_table(HELD)?.insert(held.target.as_str(), encode(held).as_slice())?;
        Ok(())
    }

    /// Removes the hold of a target.
    pub fn release(&self, target: &str) -> Result<(), StoreError> {
        self.txn.open_table(HELD)?.remove(target)?;
        Ok(())
    }

    /// Records an imported outcome unchanged.
    pub fn import_outcome(&self, outcome: &Outcome) -> Result<(), StoreError> {
        self.txn.open_table(OUTCOMES)?.insert(outcome.seq, encode(outcome).as_slice())?;
        self.own(outcome, None)?;
        self.count(outcome)?;
        self.remember_last(outcome)
    }
}

/// The highest number ever used.
fn last_seq(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    open: &impl ReadableTable<u64, &'static [u8]>,
    outcomes: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<u64, StoreError> {
    let high: Option<u64> = meta.get("high_seq")?.map(|value| decode(value.value())).transpose()?;
    let open = open.last()?.map(|(key, _)| key.value());
    let outcomes = outcomes.last()?.map(|(key, _)| key.value());
    Ok([high, open, outcomes].into_iter().flatten().max().unwrap_or(0))
}

/// The version byte of a value with a checksum. Values of version 1, of earlier versions of this program, have none.
const SUMMED: u8 = 2;

/// Serialises a record: a version byte, a checksum, then JSON. Every record passes `encode` and `decode`, so sealing belongs
/// here.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut bytes = vec![SUMMED];
    bytes.extend(checksum(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("a record cannot be read: {what}"));
    let body = match bytes.split_first() {
        Some((&record::VERSION, body)) => body,
        Some((&SUMMED, rest)) => match rest.split_first_chunk::<8>() {
            Some((sum, body)) if u64::from_be_bytes(*sum) == checksum(body) => body,
            _ => return Err(damaged("its checksum is another".to_owned())),
        },
        Some((version, _)) => {
            return Err(StoreError::Version { found: u32::from(*version), known: VERSION });
        }
        None => return Err(damaged("it is empty".to_owned())),
    };
    serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))
}

/// FNV-1a: against decay, not against attackers.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
