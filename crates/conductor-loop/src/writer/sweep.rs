//! One round of a removal by age: archived file, error log, status and record of each outcome that is older. The age comes from our own
//! record of the decision (`conductor_core::age`), never from a file time that a producer can set. A file is removed only
//! if it is that outcome's: its path by the ledger's owners of paths, its content by size and SHA-256. A file that
//! differs is left, and no outcome owns it from then on.

use super::clocks::Clocks;
use super::publish::{archive, archived_name};
use crate::handoff::Dirs;
use crate::store::{DecidedAt, Ledger, Part, StoreError, Work};
use conductor_core::Seq;
use conductor_core::age::Bound;
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::{error_log_name, status_name};
use conductor_core::record::{Outcome, Status};
use conductor_crypto::sha256;
use conductor_os::dir::{Dir, Kind};
use conductor_os::plain::is_not_plain;
use jiff::Timestamp;
use std::io::{self, BufRead, BufReader, Read};

/// Outcomes removed in one round, so that no command waits long for the writer.
const ROUND: usize = 256;
/// Bytes of archived files read in one round.
const ROUND_BYTES: u64 = 32 << 20;
/// The longest head of an error log.
const LOG_HEAD_MAX: u64 = 64 << 10;

/// A removal in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Outcomes decided before this are removed.
    pub(super) before: Timestamp,
    /// The start of the next round; `None`: the earliest outcome.
    pub(super) from: Option<DecidedAt>,
}

/// What a round did.
pub(super) struct Swept {
    pub(super) removed: u64,
    /// The first number of the next round; `None`: the removal is complete.
    pub(super) next: Option<DecidedAt>,
}

/// Checks a part of the outcomes: a young one does not end the search, because a wrong clock, or an import, puts young
/// ones before old ones.
pub(super) fn round(
    places: &Dirs,
    store: &dyn Ledger,
    clocks: &mut Clocks,
    sweep: Sweep,
) -> Result<Swept, StoreError> {
    let (now, upkeep) = clocks.look(store)?;
    let bound = Bound { before: sweep.before, now };
    let page = store.old(Part { from: sweep.from, most: ROUND, bound, clock: &upkeep.clock })?;
    let mut next = page.next;
    let mut bytes = 0;
    let mut gone = Vec::new();
    for outcome in &page.old {
        if bytes > ROUND_BYTES {
            next = Some(DecidedAt::of(outcome));
            break;
        }
        bytes += outcome.size;
        match remove_files(places, store, outcome)? {
            Ok(()) => gone.push(outcome.seq),
            Err(error) => tracing::warn!(
                seq = outcome.seq.get(), file = outcome.archived_as, %error,
                "an old intent's files cannot be removed; it stays, and is tried again"
            ),
        }
    }
    upkeep.swept = next;
    let removed = gone.len() as u64;
    if removed > 0 || next.is_none() {
        store.commit(&Work { forgotten: gone, upkeep: Some(upkeep), ..Work::default() })?;
    }
    Ok(Swept { removed, next })
}

/// Removes an outcome's files. The outer error is the store's.
fn remove_files(places: &Dirs, store: &dyn Ledger, outcome: &Outcome) -> Result<io::Result<()>, StoreError> {
    let owns = store.owner(&outcome.archived_as)? == Some(outcome.seq);
    Ok((|| {
        if owns {
            remove_archived(places, outcome)?;
        }
        let name = status_name(&outcome.name);
        // The status of a later run of the same name differs.
        if is_status_of(&places.status, &name, outcome)? { remove(&places.status, &name) } else { Ok(()) }
    })())
}

fn remove_archived(places: &Dirs, outcome: &Outcome) -> io::Result<()> {
    let (label, dir) = archive(places, outcome);
    let name = archived_name(outcome);
    match is_what_was_archived(dir, name, outcome)? {
        Some(true) => remove(dir, name)?,
        Some(false) => tracing::warn!(
            seq = outcome.seq.get(),
            "{label}/{name} is not what was archived there; it is left, and no outcome owns it from now on"
        ),
        None => {}
    }
    let log = error_log_name(name);
    if outcome.status == Status::Failed && is_error_log_of(dir, &log, outcome.seq)? {
        remove(dir, &log)?;
    }
    Ok(())
}

/// Whether a file has the size and, if known, the SHA-256 of the archived one; `None`: there is no file.
fn is_what_was_archived(dir: &Dir, name: &str, outcome: &Outcome) -> io::Result<Option<bool>> {
    let meta = match dir.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if meta.kind == Kind::Directory || meta.size != outcome.size {
        return Ok(Some(false));
    }
    // An entry refused unread was moved unchanged, whatever its type.
    let Some(wanted) = outcome.sha256 else { return Ok(Some(true)) };
    if meta.kind != Kind::File {
        return Ok(Some(false));
    }
    let mut found = Vec::new();
    dir.open_read(name)?.take(outcome.size + 1).read_to_end(&mut found)?;
    Ok(Some(sha256(&found) == wanted))
}

/// Whether a status file tells of this outcome.
fn is_status_of(dir: &Dir, name: &str, outcome: &Outcome) -> io::Result<bool> {
    match dir.read_plain(name, STATUS_MAX) {
        Ok(found) => Ok(outcome.is_told_by(&found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_not_plain(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error log names this number: in its head, which precedes the output of porch.
fn is_error_log_of(dir: &Dir, name: &str, seq: Seq) -> io::Result<bool> {
    match dir.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => {
            if other?.kind != Kind::File {
                return Ok(false);
            }
        }
    }
    for line in BufReader::new(dir.open_read(name)?.take(LOG_HEAD_MAX)).split(b'\n') {
        let line = line?;
        if let Some(number) = line.strip_prefix(b"Sequence:") {
            return Ok(number.trim_ascii() == seq.to_string().as_bytes());
        }
        if line.starts_with(b"--- ") {
            break;
        }
    }
    Ok(false)
}

fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    match dir.unlink(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
