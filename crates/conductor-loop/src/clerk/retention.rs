//! Removes what is older than --retention: archived file, error log, status and record. Age is our own record of when
//! the outcome was decided, never a file time that a producer can set.

use super::Places;
use crate::store::{Store, StoreError};
use conductor_core::name::{error_log_name, status_name};
use conductor_core::record::{Outcome, Status};
use std::io::Read;

/// Outcomes per round, so that nothing waits long for the clerk.
const ROUND: usize = 256;

pub(super) struct Swept {
    pub(super) removed: u64,
    pub(super) more: bool,
}

/// One round. Outcomes are in order of sequence number, so the first that is young enough ends it, except for
/// imported ones, which may be older than their number says.
pub(super) fn sweep(places: &Places, store: &Store, before: jiff::Timestamp) -> Result<Swept, StoreError> {
    let mut old = Vec::new();
    // What is not yet known to be published durably is still needed.
    store.done_outcomes(|outcome| {
        let expired = outcome.finished_at < before;
        if expired {
            old.push(outcome);
        }
        old.len() < ROUND && expired
    })?;
    for outcome in &old {
        remove_files(places, outcome);
    }
    if !old.is_empty() {
        store.write(|batch| old.iter().try_for_each(|outcome| batch.forget(outcome)))?;
    }
    Ok(Swept { removed: old.len() as u64, more: old.len() == ROUND })
}

/// Files that are gone already, or that belong to a later run of the same name, are left alone.
fn remove_files(places: &Places, outcome: &Outcome) {
    let dir = match outcome.status {
        Status::Success => &places.processed,
        Status::Failed => &places.failed,
    };
    if let Some(archived) = outcome.archived_as.rsplit('/').next().filter(|name| !name.is_empty()) {
        let _ = dir.unlink(archived);
        let _ = dir.unlink(error_log_name(archived));
    }
    let status = status_name(&outcome.name);
    let mut found = Vec::new();
    let body = outcome.status_body();
    let read =
        places.status.open_read(&status).map(|file| file.take(body.len() as u64 + 1).read_to_end(&mut found));
    if read.is_ok() && found == body {
        let _ = places.status.unlink(&status);
    }
}
