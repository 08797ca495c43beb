//! The basis of the duplicate rule: the last run of each target, if it succeeded. A failed run may have changed the world
//! before it failed, so it invalidates the success before it.

use super::{Batch, IMPORTED, META, Store, StoreError, TARGETS, decode, encode};
use conductor_core::intent::TargetKey;
use conductor_core::record::{LastSuccess, Outcome, Status};
use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};

/// Key in `META` of the place and form of packages.
const DESTINATION: &str = "destination";

/// The last run that changed a target, or may have.
#[derive(Debug, Serialize, Deserialize)]
struct LastRun {
    #[serde(flatten)]
    run: LastSuccess,
    /// Absent in older stores, which recorded only successes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

impl LastRun {
    /// `None` if porch did not run, or if its input is unknown.
    fn of(outcome: &Outcome) -> Option<Self> {
        let failed = match outcome.status {
            // A duplicate changes nothing: the success it repeats stays the last run.
            Status::Success if outcome.duplicate_of.is_some() => return None,
            Status::Success => false,
            // The causes of imported failures are unknown, so they count as runs.
            Status::Failed if outcome.attempts > 0 || outcome.imported => true,
            Status::Failed => return None,
        };
        let run = LastSuccess { seq: outcome.seq, name: outcome.name.clone(), sha256: outcome.sha256? };
        Some(Self { run, failed })
    }
}

impl Store {
    /// Binds the duplicate rule to the place and form of packages. Earlier successes at another place or in another form
    /// prove nothing, so they are forgotten. Returns true if any was forgotten.
    pub fn work_for(&self, destination: &str) -> Result<bool, StoreError> {
        let known = self.reading(|txn| {
            let value = txn.open_table(META)?.get(DESTINATION)?.map(|value| decode::<String>(value.value()));
            value.transpose()
        })?;
        if known.as_deref() == Some(destination) {
            return Ok(false);
        }
        self.write(|batch| {
            batch.txn.open_table(META)?.insert(DESTINATION, encode(&destination).as_slice())?;
            if known.is_none() {
                return Ok(false);
            }
            let (mut targets, mut imported) =
                (batch.txn.open_table(TARGETS)?, batch.txn.open_table(IMPORTED)?);
            let forgets = targets.len()? + imported.len()? > 0;
            targets.retain(|_, _| false)?;
            imported.retain(|_, _| false)?;
            Ok(forgets)
        })
    }
}

impl Batch {
    /// Records an outcome for the duplicate rule. The later number counts, in whatever order two outcomes come.
    pub(super) fn remember_last(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let Some(last) = LastRun::of(outcome) else { return Ok(()) };
        let key = outcome.key.as_ref().map(ToString::to_string);
        let (table, key) = match &key {
            Some(key) => (TARGETS, key.as_str()),
            None => (IMPORTED, outcome.name.as_str()),
        };
        let mut table = self.txn.open_table(table)?;
        let newer = match table.get(key)? {
            Some(known) => decode::<LastRun>(known.value())?.run.seq > last.run.seq,
            None => false,
        };
        if !newer {
            table.insert(key, encode(&last).as_slice())?;
        }
        Ok(())
    }

    /// Forgets the record that [`Batch::remember_last`] made of this outcome.
    pub(super) fn forget_last(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let key = outcome.key.as_ref().map(ToString::to_string);
        let places =
            [(TARGETS, key.as_deref()), (IMPORTED, outcome.key.is_none().then_some(outcome.name.as_str()))];
        for (table, key) in places {
            let Some(key) = key else { continue };
            let mut table = self.txn.open_table(table)?;
            let own = match table.get(key)? {
                Some(known) => decode::<LastRun>(known.value())?.run.seq == outcome.seq,
                None => false,
            };
            if own {
                table.remove(key)?;
            }
        }
        Ok(())
    }
}

/// The last run of a target if it succeeded; if none is known, an imported one of this name.
pub(super) fn last_success(
    targets: &impl ReadableTable<&'static str, &'static [u8]>,
    imported: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &TargetKey,
    name: &str,
) -> Result<Option<LastSuccess>, StoreError> {
    let known = targets.get(key.to_string().as_str())?.map(|value| decode::<LastRun>(value.value()));
    let known = match known {
        Some(known) => Some(known?),
        None => imported.get(name)?.map(|value| decode::<LastRun>(value.value())).transpose()?,
    };
    Ok(known.filter(|last| !last.failed).map(|last| last.run))
}
