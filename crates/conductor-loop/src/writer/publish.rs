//! Makes the files of a durable outcome: archived file, error log, status, in this order. Each step can be repeated; none
//! is synced by itself. Files are projections of the store, so a lost one is made again.
//!
//! No file replaces another, except statuses, which are the latest of their name. An existing file is ours only if it is
//! exactly the one to be written, or a prefix of it left by a power cut; otherwise the outcome takes another name, which
//! is recorded before a file gets it.

use super::files::{Found, Piece, compare, draft, replace, set_aside};
use super::message::{Publication, PublicationKind, Source};
use crate::handoff::{Archive, ArchivedAs, Dirs, TakenFiles};
use crate::store::{Flaw, Ledger, StoreError};
use conductor_core::Seq;
use conductor_core::attestation::Attest;
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::{TakenAt, TakenName, archive_names, error_log_name, status_name};
use conductor_core::record::{Outcome, Status};
use conductor_os::dir::{Dir, Kind};
use conductor_os::is_no_space;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

const ARCHIVE_MODE: u32 = 0o640;
const STATUS_MODE: u32 = 0o644;
/// How often a place whose entry comes and goes is tried.
const TRIES: usize = 3;

/// The progress of an outcome's files: publishing that lacked space continues there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// None of them is made.
    Nothing,
    /// The archived file is made.
    Archived,
}

/// A recorded outcome whose files are being made.
#[derive(Debug)]
pub(super) struct Filing {
    pub(super) publication: Publication,
    pub(super) progress: Progress,
}

impl From<Publication> for Filing {
    fn from(publication: Publication) -> Self {
        Self { publication, progress: Progress::Nothing }
    }
}

/// Why an outcome is not published.
#[derive(Debug)]
pub(super) enum PublishError {
    /// There is no space.
    NoSpace,
    /// A foreign file has its name.
    Occupied,
    /// Its archived file is made, and a foreign entry has its status' name.
    Status {
        what: String,
        source: io::Error,
    },
    /// The writer has ended, and has reported the reason.
    Stopped,
    Store(StoreError),
    Io {
        what: String,
        source: io::Error,
    },
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::NoSpace(_)) { Self::NoSpace } else { Self::Store(error) }
    }
}

fn failed(what: String) -> impl FnOnce(io::Error) -> PublishError {
    move |source| if is_no_space(&source) { PublishError::NoSpace } else { PublishError::Io { what, source } }
}

/// The directory of an outcome's archived file, and that directory's name in paths.
pub(super) fn archive<'p>(places: &'p Dirs, outcome: &Outcome) -> (&'static str, &'p Dir) {
    let archive = Archive::of(outcome.status);
    (archive.folder(), places.archive(archive))
}

/// The archived name without its directory.
pub(super) fn archived_name(outcome: &Outcome) -> &str {
    ArchivedAs::parse(&outcome.archived_as).map_or("", |at| at.name)
}

/// Chooses the archived path: the first possible name that no remembered outcome owns, that is not reserved, and that has
/// neither file nor error log.
pub(super) fn choose_name(
    places: &Dirs,
    store: &dyn Ledger,
    outcome: &Outcome,
    reserved: &HashSet<String>,
) -> Result<String, PublishError> {
    let (label, dir) = archive(places, outcome);
    for name in archive_names(&outcome.name, outcome.seq) {
        let path = format!("{label}/{name}");
        if reserved.contains(&path) || store.owner(&path)?.is_some_and(|owner| owner != outcome.seq) {
            continue;
        }
        let log = (outcome.status == Status::Failed).then(|| error_log_name(&name));
        let there = dir.has(&name).and_then(|file| Ok(file || log.map_or(Ok(false), |log| dir.has(&log))?));
        if !there.map_err(failed(format!("looking for a free name in {label}/")))? {
            return Ok(path);
        }
    }
    Err(PublishError::Occupied) // The names are endless.
}

/// Makes the files that are not made yet.
pub(super) fn publish(
    places: &Dirs,
    store: &dyn Ledger,
    keys: &dyn Attest,
    filing: &mut Filing,
) -> Result<(), PublishError> {
    let Filing { publication, progress } = filing;
    if *progress == Progress::Nothing {
        place_archive(places, store, publication)?;
        *progress = Progress::Archived;
    }
    if place_error_log(places, publication)? == Placed::Occupied {
        withdraw(places, store, publication)?;
        *progress = Progress::Nothing;
        return Err(PublishError::Occupied);
    }
    place_status(places, store, keys, publication)?;
    if let Some(taken) = &publication.taken {
        // A leftover is recognised by its sequence number and removed at the next start.
        let _ = places.taken.remove_taken(taken);
    }
    Ok(())
}

/// Archives the file at the recorded name, and at no other.
fn place_archive(places: &Dirs, store: &dyn Ledger, publication: &Publication) -> Result<(), PublishError> {
    let Publication { outcome, source, kind, .. } = publication;
    let (label, dir) = archive(places, outcome);
    let name = archived_name(outcome);
    let ours = match kind {
        PublicationKind::First => Ours::Nothing,
        PublicationKind::Again => Ours::WholeOrBegun,
    };
    let put = |bytes: &[u8]| put(places, dir, &Piece { name, mode: ARCHIVE_MODE, content: bytes }, ours);
    let result = match source {
        // The checked private copy becomes the archived file: no new inode.
        Source::Staged { slot } => match Placed::of(places.slots.move_out(*slot, &outcome.name, dir, name)) {
            // Whatever porch did to its directory: the store has the bytes.
            Err(_) => from_store(store, outcome, put)?,
            moved => moved,
        },
        Source::Bytes(bytes) => put(bytes),
        Source::Stored => from_store(store, outcome, put)?,
        Source::Taken(taken) => match places.taken.move_taken(taken, dir, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => moved_before(places, taken, outcome),
            moved => Placed::of(moved),
        },
    };
    result.map_err(failed(format!("archiving as {label}/{name}")))?.there()
}

/// Passes the content from the store to `work`; without it there is nothing to archive, never an empty file.
fn from_store<T>(
    store: &dyn Ledger,
    outcome: &Outcome,
    work: impl FnOnce(&[u8]) -> T,
) -> Result<T, PublishError> {
    let digest = outcome.sha256.ok_or_else(|| Flaw::NoDigest.of(outcome.seq))?;
    Ok(store.with_bytes(outcome.seq, &digest, work)?)
}

/// The taken file is missing: it was moved before a crash, and the record stayed open. If it is not archived either,
/// another process removed it; there is nothing to archive, and a warning says so.
fn moved_before(places: &Dirs, taken: &TakenName, outcome: &Outcome) -> io::Result<Placed> {
    match places.taken.stat_taken(taken) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::NotFound, "the directory is gone")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let (label, dir) = archive(places, outcome);
    let name = archived_name(outcome);
    if !dir.has(name)? {
        tracing::error!(
            seq = outcome.seq.get(),
            file = outcome.name,
            "{label}/{name} is missing: another process removed the taken file before it was archived"
        );
    }
    Ok(Placed::There)
}

/// Writes the error log beside the archived file, if there is one.
fn place_error_log(places: &Dirs, publication: &Publication) -> Result<Placed, PublishError> {
    let Publication { outcome, report: Some(report), kind, .. } = publication else {
        return Ok(Placed::There);
    };
    let (label, dir) = archive(places, outcome);
    let log = error_log_name(archived_name(outcome));
    let piece = Piece { name: &log, mode: ARCHIVE_MODE, content: report };
    // It contains number and time, so an equal one is ours.
    let ours = match kind {
        PublicationKind::First => Ours::Whole,
        PublicationKind::Again => Ours::WholeOrBegun,
    };
    put(places, dir, &piece, ours).map_err(failed(format!("writing {label}/{log}")))
}

/// Removes the archived file again if another file has the name of its error log, so that both get another name. The
/// bytes are in the store until they are durable elsewhere.
fn withdraw(places: &Dirs, store: &dyn Ledger, publication: &Publication) -> Result<(), PublishError> {
    let Publication { outcome, source, .. } = publication;
    let (label, dir) = archive(places, outcome);
    let name = archived_name(outcome);
    let aside = |bytes: &[u8]| {
        set_aside(&places.drafts, dir, &Piece { name, mode: ARCHIVE_MODE, content: bytes }).map(drop)
    };
    let withdrawn = match source {
        Source::Staged { .. } | Source::Stored => from_store(store, outcome, aside)?,
        Source::Bytes(bytes) => aside(bytes),
        Source::Taken(taken) => give_back(places, taken, dir, name),
    };
    withdrawn.map_err(failed(format!("making way for {label}/{}", error_log_name(name))))
}

fn give_back(places: &Dirs, taken: &TakenName, dir: &Dir, name: &str) -> io::Result<()> {
    if !dir.has(name)? {
        return Ok(());
    }
    match taken.place() {
        TakenAt::Entry(entry) => dir.rename_new(name, &places.taken, entry),
        TakenAt::Nested(nest) => {
            let nest = places.taken.ensure(&nest, 0o700)?;
            dir.rename_new(name, &nest, OsStr::from_bytes(&taken.raw))
        }
    }
}

/// Whether a file is at its name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placed {
    There,
    Occupied,
}

impl Placed {
    fn of(moved: io::Result<()>) -> io::Result<Self> {
        match moved {
            Ok(()) => Ok(Self::There),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self::Occupied),
            Err(error) => Err(error),
        }
    }

    fn there(self) -> Result<(), PublishError> {
        if self == Self::There { Ok(()) } else { Err(PublishError::Occupied) }
    }
}

/// Which existing file counts as ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// None: the name was chosen because it was free.
    Nothing,
    /// A file with exactly our content.
    Whole,
    /// A file with our content, or a prefix of it left by a power cut: it is published again.
    WholeOrBegun,
}

/// Writes a draft and moves it to the name, unless a foreign entry has it.
fn put(places: &Dirs, dir: &Dir, piece: &Piece<'_>, ours: Ours) -> io::Result<Placed> {
    for _ in 0..TRIES {
        if ours != Ours::Nothing {
            match compare(dir, piece)? {
                Found::Same => return Ok(Placed::There),
                Found::Beginning if ours == Ours::WholeOrBegun => {
                    if !set_aside(&places.drafts, dir, piece)? {
                        return Ok(Placed::Occupied);
                    }
                }
                Found::Beginning | Found::Other => return Ok(Placed::Occupied),
                Found::Nothing => {}
            }
        }
        let draft = draft(&places.drafts, piece)?;
        match Placed::of(places.drafts.rename_new(&draft, dir, piece.name)) {
            Ok(Placed::There) => return Ok(Placed::There),
            other => {
                places.drafts.unlink(&draft)?;
                if ours == Ours::Nothing || other.is_err() {
                    return other;
                }
            }
        }
    }
    Ok(Placed::Occupied)
}

/// Writes the latest status of the name over the one before. A status that is published again does not replace a later
/// one. A foreign directory at its name is moved aside.
fn place_status(
    places: &Dirs,
    store: &dyn Ledger,
    keys: &dyn Attest,
    publication: &Publication,
) -> Result<(), PublishError> {
    let outcome = &publication.outcome;
    if publication.kind == PublicationKind::Again && is_later_there(places, store, outcome)? {
        return Ok(());
    }
    let (name, body) = (status_name(&outcome.name), outcome.status_body(keys));
    let piece = Piece { name: &name, mode: STATUS_MODE, content: &body };
    let mut written = replace(&places.drafts, &places.status, &piece);
    if written.is_err() && places.status.stat(&name).is_ok_and(|meta| meta.kind == Kind::Directory) {
        let aside = move_aside(&places.status, &name);
        written = aside.and_then(|()| replace(&places.drafts, &places.status, &piece));
    }
    written.map_err(|source| {
        let what = format!("writing status/{name}");
        if is_no_space(&source) { PublishError::NoSpace } else { PublishError::Status { what, source } }
    })
}

fn move_aside(dir: &Dir, name: &str) -> io::Result<()> {
    let aside = dir.move_aside(name, &format!("{name}.aside"))?;
    tracing::warn!(directory = name, moved_to = aside, "a directory stood where a status belongs");
    Ok(())
}

/// Whether the existing status belongs to a later intent of this name that we remember, also decided later.
fn is_later_there(places: &Dirs, store: &dyn Ledger, outcome: &Outcome) -> Result<bool, StoreError> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seq: Seq,
    }
    let mut found = Vec::new();
    let read = places.status.open_read(status_name(&outcome.name));
    let read = read.and_then(|file| file.take(STATUS_MAX).read_to_end(&mut found));
    // An unreadable file is no status of ours: it is replaced.
    let Some(there) = read.ok().and_then(|_| serde_json::from_slice::<Numbered>(&found).ok()) else {
        return Ok(false);
    };
    if there.seq <= outcome.seq {
        return Ok(false);
    }
    let later = store.outcome(there.seq)?.filter(|later| later.name == outcome.name);
    Ok(later.is_some_and(|later| later.finished_at >= outcome.finished_at && later.is_told_by(&found)))
}
