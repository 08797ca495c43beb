//! The conversion of a store: from an earlier layout, and from one way of sealing to another.

use super::layout::{
    FORMER_OWNERS, FORMER_STARTS, HELD, IMPORTED, LAYOUT, LINEAGE, META, OPEN, OUTCOMES, OWNERS, REPORTS,
    STARTED, TARGETS,
};
use super::table::{Reading, Writing};
use super::version::VERSION;
use super::{batch, index};
use crate::store::StoreError;
use crate::store::pending::Start;
use conductor_core::Attempt;
use conductor_core::digest::hex;
use conductor_crypto::random_bytes;
use std::io;

/// Makes a store of this layout, in one transaction: all tables of a new store, or those that an earlier version of this
/// program did not have, with their content from the others.
pub(super) fn take_over(txn: &Writing) -> Result<(), StoreError> {
    let found = LAYOUT.get(txn)?;
    OPEN.of(txn)?;
    OUTCOMES.of(txn)?;
    REPORTS.of(txn)?;
    TARGETS.of(txn)?;
    IMPORTED.of(txn)?;
    HELD.of(txn)?;
    let mut started = STARTED.of(txn)?;
    FORMER_STARTS.each(txn, |seq, (attempt, happened)| {
        started.put(seq, Start { attempt: Attempt(attempt), happened }).map(drop)
    })?;
    drop(started);
    let mut owners = OWNERS.of(txn)?;
    FORMER_OWNERS.each(txn, |path, seq| owners.put(path, seq).map(drop))?;
    if found == Some(1) {
        // If two outcomes name one path, the file belongs to the later one, which replaced the other.
        for row in OUTCOMES.of(txn)?.all()?.rev() {
            batch::claim_path(&mut owners, &row?.value()?)?;
        }
    }
    drop(owners);
    index::make(txn, found)?;
    FORMER_STARTS.drop_from(txn)?;
    FORMER_OWNERS.drop_from(txn)?;
    if LINEAGE.get(txn)?.is_none() {
        begin_lineage(txn)?;
    }
    LAYOUT.put(txn, &VERSION)
}

/// Makes it another store than those that it has come from.
pub(super) fn begin_lineage(txn: &Writing) -> Result<(), StoreError> {
    let no_randomness = || StoreError::Open(io::Error::other("no randomness"));
    LINEAGE.put(txn, &hex(&random_bytes::<16>().ok_or_else(no_randomness)?))
}

/// Copies everything into a new store, whatever the codecs of the two, as long as `goes_on` is true.
pub(super) fn copy_all(from: &Reading, to: &Writing, goes_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
    OPEN.copy(from, to, goes_on)?;
    STARTED.copy(from, to, goes_on)?;
    OUTCOMES.copy(from, to, goes_on)?;
    REPORTS.copy(from, to, goes_on)?;
    TARGETS.copy(from, to, goes_on)?;
    IMPORTED.copy(from, to, goes_on)?;
    HELD.copy(from, to, goes_on)?;
    OWNERS.copy(from, to, goes_on)?;
    META.copy(from, to, goes_on)?;
    // The indexes hide names, which stand in the outcomes.
    for row in OUTCOMES.of(from)?.all()? {
        if !goes_on() {
            return Err(StoreError::GivenUp);
        }
        index::enter(to, &row?.value()?, None)?;
    }
    Ok(())
}
