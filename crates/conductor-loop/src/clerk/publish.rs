//! Makes the files of a durable outcome: archived file, error log, status, in this order. Each step can be repeated;
//! none is synced by itself. Files are projections of the store, so a lost one is made again.
//!
//! Nothing is put in the place of anything else but statuses, which are the latest of their name. What stands in the way
//! is ours only when it is exactly what is to be put there, or the beginning of it that a power cut left; else the outcome
//! takes another name, which is recorded before a file gets it.

use super::files::{Found, Piece, compare, draft, replace, set_aside};
use super::{Publication, PublicationKind, Source};
use crate::handoff::{Archive, ArchivedAs, Dirs, TakenFiles};
use crate::store::{Owners, Store, StoreError};
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
/// A status file is one line far below this.
const STATUS_READ_MAX: u64 = 64 << 10;
/// How often something that comes and goes in the place of a file is looked at again.
const TRIES: usize = 3;

/// How far the files of an outcome are made: publishing that found no space goes on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// None of them.
    Nothing,
    /// The archived file is in its place.
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
    /// Somebody else's file has its name.
    Occupied,
    /// Its archived file is in place, and something stands where its status belongs.
    Status {
        what: String,
        source: io::Error,
    },
    /// The clerk has ended, and said why.
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

/// The directory where an outcome's file is archived, and its name in paths.
pub(super) fn archive<'p>(places: &'p Dirs, outcome: &Outcome) -> (&'static str, &'p Dir) {
    let archive = Archive::of(outcome.status);
    (archive.folder(), places.archive(archive))
}

/// The archived name without its directory.
pub(super) fn archived_name(outcome: &Outcome) -> &str {
    ArchivedAs::parse(&outcome.archived_as).map_or("", |at| at.name)
}

/// Chooses the archived path: of the names that are possible the first that no remembered outcome owns, that is not
/// reserved, and of which there is neither file nor error log.
pub(super) fn choose_name(
    places: &Dirs,
    owners: &Owners,
    outcome: &Outcome,
    reserved: &HashSet<String>,
) -> Result<String, PublishError> {
    let (label, dir) = archive(places, outcome);
    for name in archive_names(&outcome.name, outcome.seq) {
        let path = format!("{label}/{name}");
        if reserved.contains(&path) || owners.of(&path)?.is_some_and(|owner| owner != outcome.seq) {
            continue;
        }
        let log = (outcome.status == Status::Failed).then(|| error_log_name(&name));
        let there = dir.has(&name).and_then(|file| Ok(file || log.map_or(Ok(false), |log| dir.has(&log))?));
        if !there.map_err(failed(format!("looking for a free name in {label}/")))? {
            return Ok(path);
        }
    }
    Err(PublishError::Occupied) // Names do not end.
}

/// Publishes what is not published yet.
pub(super) fn publish(places: &Dirs, store: &Store, filing: &mut Filing) -> Result<(), PublishError> {
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
    place_status(places, store, publication)?;
    if let Some(taken) = &publication.taken {
        // A leftover is recognised by its sequence number and removed at the next start.
        let _ = places.taken.remove_taken(taken);
    }
    Ok(())
}

/// At the recorded name, and at no other.
fn place_archive(places: &Dirs, store: &Store, publication: &Publication) -> Result<(), PublishError> {
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
            // Whatever porch did to its directory meanwhile: the store has the bytes.
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

/// The content as the store has it; without it there is nothing to archive, never an empty file.
fn from_store<T>(store: &Store, outcome: &Outcome, work: impl FnOnce(&[u8]) -> T) -> Result<T, PublishError> {
    let unknown = || StoreError::Damaged(format!("intent {}: its digest is missing", outcome.seq));
    let digest = outcome.sha256.ok_or_else(unknown)?;
    Ok(store.with_bytes(outcome.seq, &digest, work)?)
}

/// The taken file is not there: it was moved before a crash, and the record stayed open. Where it is not archived either,
/// somebody has removed it; nothing is left to archive, and that is said.
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
            seq = outcome.seq,
            file = outcome.name,
            "{label}/{name} is missing: another process removed the taken file before it was archived"
        );
    }
    Ok(Placed::There)
}

/// Beside the archived file, where there is one to be made.
fn place_error_log(places: &Dirs, publication: &Publication) -> Result<Placed, PublishError> {
    let Publication { outcome, report: Some(report), kind, .. } = publication else {
        return Ok(Placed::There);
    };
    let (label, dir) = archive(places, outcome);
    let log = error_log_name(archived_name(outcome));
    let piece = Piece { name: &log, mode: ARCHIVE_MODE, content: report };
    // It names number and time, so one that is equal is ours.
    let ours = match kind {
        PublicationKind::First => Ours::Whole,
        PublicationKind::Again => Ours::WholeOrBegun,
    };
    put(places, dir, &piece, ours).map_err(failed(format!("writing {label}/{log}")))
}

/// Takes the archived file back where another file has the name of its error log, so that both get another name. The bytes are
/// in the store until they are durable elsewhere.
fn withdraw(places: &Dirs, store: &Store, publication: &Publication) -> Result<(), PublishError> {
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

/// Whether a file is in its place now.
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

/// What of that which has the name already is taken for ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// Nothing: it was chosen because nothing was there.
    Nothing,
    /// A file with exactly our content.
    Whole,
    /// That, or the beginning of it that a power cut left: it is published again.
    WholeOrBegun,
}

/// Writes beside and moves to the name, if nothing has it that is not ours.
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

/// The latest status of the name, in the place of the one before. One that is published again does not take the place of a
/// later one. A directory that somebody has put there is moved aside.
fn place_status(places: &Dirs, store: &Store, publication: &Publication) -> Result<(), PublishError> {
    let outcome = &publication.outcome;
    if publication.kind == PublicationKind::Again && is_later_there(places, store, outcome)? {
        return Ok(());
    }
    let (name, body) = (status_name(&outcome.name), outcome.status_body());
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

/// Whether the status that is there is the one of a later intent of this name that we remember, decided later as well.
fn is_later_there(places: &Dirs, store: &Store, outcome: &Outcome) -> Result<bool, StoreError> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let mut found = Vec::new();
    let read = places.status.open_read(status_name(&outcome.name));
    let read = read.and_then(|file| file.take(STATUS_READ_MAX).read_to_end(&mut found));
    // What cannot be read is no status of ours: it is replaced.
    let Some(there) = read.ok().and_then(|_| serde_json::from_slice::<Numbered>(&found).ok()) else {
        return Ok(false);
    };
    if there.seq <= outcome.seq {
        return Ok(false);
    }
    let later = store.outcome(there.seq)?.filter(|later| later.name == outcome.name);
    Ok(later.is_some_and(|later| later.finished_at >= outcome.finished_at && later.status_body() == found))
}
