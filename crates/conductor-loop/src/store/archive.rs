//! The owners of archived files, and the search for old outcomes. A path has one owner as long as that outcome is
//! remembered: a file that was moved away, or put there by another process, does not change the owner.

use super::{Batch, META, OPEN, OUTCOMES, Store, StoreError, decode, encode};
use conductor_core::age::{Bound, ClockBook, Dated};
use conductor_core::record::Outcome;
use redb::{ReadOnlyTable, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

/// Sequence number by path relative to the handoff directory: `processed/NAME`, `failed/NAME`.
const ARCHIVED: TableDefinition<'static, &'static str, u64> = TableDefinition::new("archived");
/// Key of [`Upkeep`] in `META`.
const UPKEEP: &str = "upkeep";
/// Outcomes read in one page: some milliseconds.
const LOOKED_MAX: usize = 1_000;

/// The owners of archived files at one moment.
pub struct Owners(ReadOnlyTable<&'static str, u64>);

impl Owners {
    /// The number of the outcome that owns this path.
    pub fn of(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.0.get(path)?.map(|seq| seq.value()))
    }
}

/// The state of the removal by age that outlives a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// The history of the clock.
    pub clock: ClockBook,
    /// The number at which an incomplete removal continues.
    #[serde(default)]
    pub swept_to: u64,
}

/// The result of searching a part of the outcomes for old ones.
#[derive(Debug, Default)]
pub struct Page {
    /// The outcomes to remove, in order of number.
    pub old: Vec<Outcome>,
    /// The first number of the next part; `None`: this was the last.
    pub next: Option<u64>,
}

/// The part of the outcomes to search, and the rule.
#[derive(Debug, Clone, Copy)]
pub struct Part<'c> {
    /// The first number.
    pub from: u64,
    /// At most this many old ones.
    pub most: usize,
    /// The bound of age.
    pub bound: Bound,
    /// The history of the clock.
    pub clock: &'c ClockBook,
}

impl Store {
    /// Passes the owners of archived files to `work`.
    pub fn owners<T>(&self, work: impl FnOnce(&Owners) -> T) -> Result<T, StoreError> {
        self.reading(|txn| Ok(work(&Owners(txn.open_table(ARCHIVED)?))))
    }

    /// The recorded state of the removal by age.
    pub fn upkeep(&self) -> Result<Upkeep, StoreError> {
        self.reading(|txn| {
            let kept = txn.open_table(META)?.get(UPKEEP)?.map(|value| decode(value.value())).transpose()?;
            Ok(kept.unwrap_or_default())
        })
    }

    /// The only rule for removal by age. An outcome not yet known to be published durably is still needed.
    pub fn old(&self, part: Part<'_>) -> Result<Page, StoreError> {
        self.reading(|txn| {
            let (open, outcomes) = (txn.open_table(OPEN)?, txn.open_table(OUTCOMES)?);
            let mut page = Page::default();
            for (looked, row) in outcomes.range(part.from..)?.enumerate() {
                let (key, value) = row?;
                let seq = key.value();
                if looked == LOOKED_MAX || page.old.len() == part.most {
                    page.next = Some(seq);
                    break;
                }
                let dated: Dated = decode(value.value())?;
                if part.clock.is_old(&dated, part.bound) && open.get(seq)?.is_none() {
                    page.old.push(decode(value.value())?);
                }
            }
            Ok(page)
        })
    }
}

#[cfg(test)]
impl Store {
    /// Turns it into a store of the version before.
    pub(crate) fn as_of_version_1(&self) -> Result<bool, StoreError> {
        self.write(|batch| {
            batch.txn.open_table(META)?.insert("version", encode(&1_u32).as_slice())?;
            Ok(batch.txn.delete_table(ARCHIVED)?)
        })
    }
}

impl Batch {
    /// Makes the outcome own its path, and no longer the path recorded before. If another outcome owns it, that one keeps
    /// it: then this outcome owns no file.
    pub(super) fn own(&self, outcome: &Outcome, before: Option<&str>) -> Result<(), StoreError> {
        let mut archived = self.txn.open_table(ARCHIVED)?;
        if let Some(before) = before.filter(|before| *before != outcome.archived_as) {
            give_up(&mut archived, before, outcome.seq)?;
        }
        claim(&mut archived, outcome)
    }

    /// Frees the outcome's path.
    pub(super) fn disown(&self, outcome: &Outcome) -> Result<(), StoreError> {
        give_up(&mut self.txn.open_table(ARCHIVED)?, &outcome.archived_as, outcome.seq)
    }

    /// Records the state of the removal by age.
    pub fn keep(&self, upkeep: &Upkeep) -> Result<(), StoreError> {
        self.txn.open_table(META)?.insert(UPKEEP, encode(upkeep).as_slice())?;
        Ok(())
    }
}

/// Makes the table, and fills it for a store of a version that had none. If two outcomes of such a store name one path,
/// the file belongs to the later one, which replaced the other.
pub(super) fn take_over(txn: &WriteTransaction) -> Result<(), StoreError> {
    let mut archived = txn.open_table(ARCHIVED)?;
    for row in txn.open_table(OUTCOMES)?.iter()?.rev() {
        claim(&mut archived, &decode(row?.1.value())?)?;
    }
    Ok(())
}

type Archived<'t> = redb::Table<'t, &'static str, u64>;

fn claim(archived: &mut Archived<'_>, outcome: &Outcome) -> Result<(), StoreError> {
    let path = outcome.archived_as.as_str();
    if path.is_empty() {
        return Ok(());
    }
    let owner = archived.insert(path, outcome.seq)?.map(|owner| owner.value());
    if let Some(owner) = owner.filter(|owner| *owner != outcome.seq) {
        archived.insert(path, owner)?;
    }
    Ok(())
}

fn give_up(archived: &mut Archived<'_>, path: &str, seq: u64) -> Result<(), StoreError> {
    if archived.get(path)?.is_some_and(|owner| owner.value() == seq) {
        archived.remove(path)?;
    }
    Ok(())
}
