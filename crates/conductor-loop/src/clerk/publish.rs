//! Makes the files of a durable outcome: archived file, error log, status, in this order. Each step can be repeated;
//! none is synced by itself. Files are projections of the store, so a lost one is made again.

use super::{Places, Settlement, Source};
use crate::store::{Store, StoreError};
use crate::sys::dir::Dir;
use crate::sys::is_no_space;
use crate::sys::taken::TakenFiles;
use conductor_core::name::{error_log_name, numbered, status_name};
use conductor_core::record::{Outcome, Status};
use std::collections::HashSet;
use std::io::{self, Read};

const ARCHIVE_MODE: u32 = 0o640;
const STATUS_MODE: u32 = 0o644;

pub(super) enum PublishError {
    NoSpace,
    Io {
        what: String,
        source: io::Error,
    },
    /// The content could not be read from the store.
    Unread(StoreError),
}

fn failed(what: String) -> impl FnOnce(io::Error) -> PublishError {
    move |source| if is_no_space(&source) { PublishError::NoSpace } else { PublishError::Io { what, source } }
}

fn archive<'p>(places: &'p Places, outcome: &Outcome) -> (&'static str, &'p Dir) {
    match outcome.status {
        Status::Success => ("processed", &places.processed),
        Status::Failed => ("failed", &places.failed),
    }
}

/// Chooses the archived name: the file's own, or with its sequence number where that is taken. Never an overwrite.
pub(super) fn choose_name(
    places: &Places,
    outcome: &mut Outcome,
    reserved: &mut HashSet<String>,
) -> io::Result<()> {
    let (label, dir) = archive(places, outcome);
    let own = format!("{label}/{}", outcome.name);
    outcome.archived_as = if dir.has(&outcome.name)? || reserved.contains(&own) {
        format!("{label}/{}", numbered(&outcome.name, outcome.seq))
    } else {
        own
    };
    reserved.insert(outcome.archived_as.clone());
    Ok(())
}

/// Publishes what is not published yet.
pub(super) fn publish(
    places: &Places,
    store: &Store,
    settlement: &mut Settlement,
) -> Result<(), PublishError> {
    if !settlement.archived {
        place_archive(places, store, settlement)?;
        settlement.archived = true;
    }
    let Settlement { outcome, report, taken, .. } = settlement;
    let (_, dir) = archive(places, outcome);
    let archived = outcome.archived_as.rsplit('/').next().unwrap_or(&outcome.name);
    if let Some(report) = report {
        let log = error_log_name(archived);
        replace(places, dir, &log, ARCHIVE_MODE, report).map_err(failed(format!("writing failed/{log}")))?;
    }
    let name = status_name(&outcome.name);
    let body = outcome.status_body();
    replace(places, &places.status, &name, STATUS_MODE, &body)
        .map_err(failed(format!("writing status/{name}")))?;
    if let Some(taken) = taken {
        // A leftover is recognised by its sequence number and removed at the next start.
        let _ = places.taken.remove_taken(taken);
    }
    Ok(())
}

/// At the recorded name, or at the numbered one if a stranger took that meanwhile.
fn place_archive(places: &Places, store: &Store, settlement: &mut Settlement) -> Result<(), PublishError> {
    let (label, dir) = archive(places, &settlement.outcome);
    loop {
        let Settlement { outcome, source, republish, renamed, .. } = settlement;
        let name = outcome.archived_as.rsplit('/').next().unwrap_or_default().to_owned();
        let stored = || from_store(store, outcome, |bytes| from_bytes(places, dir, &name, bytes, *republish));
        let result = match source {
            // The checked private copy becomes the archived file: no new inode.
            Source::Staged { slot } => match places.slots.move_out(*slot, &outcome.name, dir, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
                // Whatever porch did to its directory meanwhile: the store has the bytes.
                Err(_) => stored()?,
                Ok(()) => Ok(()),
            },
            Source::Bytes(bytes) => from_bytes(places, dir, &name, bytes, *republish),
            Source::Stored => stored()?,
            Source::Taken(taken) => match places.taken.move_taken(taken, dir, &name) {
                // Moved before a crash; the record stayed open.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !*renamed => {
                outcome.archived_as = format!("{label}/{}", numbered(&outcome.name, outcome.seq));
                *renamed = true;
            }
            other => return other.map_err(failed(format!("archiving as {label}/{name}"))),
        }
    }
}

/// The content as the store has it; without it there is nothing to archive, never an empty file.
fn from_store<T>(store: &Store, outcome: &Outcome, work: impl FnOnce(&[u8]) -> T) -> Result<T, PublishError> {
    let unknown = || StoreError::Damaged(format!("intent {}: its digest is missing", outcome.seq));
    let digest = outcome.sha256.ok_or_else(unknown).map_err(PublishError::Unread)?;
    store.with_bytes(outcome.seq, &digest, work).map_err(PublishError::Unread)
}

fn from_bytes(places: &Places, dir: &Dir, to: &str, bytes: &[u8], republish: bool) -> io::Result<()> {
    if republish {
        if same_content(dir, to, bytes) {
            return Ok(());
        }
        // The name was recorded as ours: what a power cut left of it is replaced.
        return replace(places, dir, to, ARCHIVE_MODE, bytes);
    }
    let draft = draft(places, to, ARCHIVE_MODE, bytes)?;
    places.drafts.rename_new(&draft, dir, to).inspect_err(|_| drop(places.drafts.unlink(&draft)))
}

fn same_content(dir: &Dir, name: &str, wanted: &[u8]) -> bool {
    let mut found = Vec::new();
    let read =
        dir.open_read(name).and_then(|file| file.take(wanted.len() as u64 + 1).read_to_end(&mut found));
    read.is_ok() && found == wanted
}

/// Writes beside and renames over: readers see the old file or the new one.
pub(super) fn replace(places: &Places, dir: &Dir, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let draft = draft(places, name, mode, content)?;
    places.drafts.rename_over(&draft, dir, name).inspect_err(|_| drop(places.drafts.unlink(&draft)))
}

/// A temporary file in the private directory. The clerk is the only one who writes there, so a file of that name is
/// its own leftover.
fn draft(places: &Places, name: &str, mode: u32, content: &[u8]) -> io::Result<String> {
    let draft = format!("{name}.draft");
    let draft = if draft.len() > 255 { "long.draft".to_owned() } else { draft };
    match places.drafts.create(&draft, mode, content) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            places.drafts.unlink(&draft)?;
            places.drafts.create(&draft, mode, content)?;
        }
        other => other?,
    }
    if mode == STATUS_MODE {
        // umask 027 would take away what outsiders need to read.
        places.drafts.set_mode(&draft, mode)?;
    }
    Ok(draft)
}
