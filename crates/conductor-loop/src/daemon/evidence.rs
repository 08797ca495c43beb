//! Evidence beside the store of its extent: the public head, the statuses, the run table, the taken files. A store
//! behind this evidence has lost something, and a new one numbers from the highest of them on.

use super::failure::Failure;
use super::not_started::NotStarted;
use crate::handoff::{Handoff, HeadBody, HeadFile, StateFiles, TakenFiles, layout};
use crate::runner::{LastRuns, RunTable};
use crate::store::{Extent, Ledger, Outcomes, Store, StoreError};
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::status_name;
use conductor_core::record::{Outcome, Status};
use conductor_core::{Code, Digest, Seq};
use conductor_os::dir::Dir;
use conductor_os::{BOOT_ID, boot_id, is_passing};
use jiff::Timestamp;
use rustix::io::Errno;
use serde::Deserialize;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// The store's extent according to the head.
pub(super) fn extent_of(head: &HeadBody) -> Extent {
    Extent { commits: 0, last_seq: head.last_seq, counts: head.counts }
}

/// Checks a store against the evidence that is cheap to read.
pub(super) fn hold(
    store: &dyn Ledger,
    head: &HeadFile,
    handoff: &Dir,
    last: &LastRuns,
) -> Result<(), StoreError> {
    if let HeadFile::Ours(head) = head {
        store.check_extent(&extent_of(head), layout::HEAD)?;
    }
    // A start is recorded only after its claim.
    store.check_extent(&highest_run(last), &layout::private(layout::RUNNING))?;
    let status = match handoff.sub(layout::STATUS) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::Open(error)),
    };
    let mut compared = Ok(());
    store.unsettled(&mut |claim| {
        if compared.is_err() {
            return;
        }
        compared = match read_status(&status, &status_name(&claim.name)) {
            Err(error) => Err(StoreError::Open(error)),
            // A status is written only after its outcome.
            Ok(Some(told)) if told.seq == claim.seq => Err(StoreError::Behind {
                witness: layout::status_path(&claim.name),
                lacks: format!("the outcome of number {}", claim.seq),
            }),
            Ok(_) => Ok(()),
        };
    })?;
    compared
}

/// Opens the run table, and reads what the last daemon wrote into it.
pub(super) fn run_table(places: &Handoff) -> Result<(RunTable, LastRuns), Failure> {
    let boot = boot_id().map_err(NotStarted::left_running(BOOT_ID))?;
    let opened = RunTable::open(&places.dirs.private, boot);
    opened.map_err(|error| Failure::refused("opening the run table", error))
}

/// The last daemon's run table, for a command that takes the daemon's place.
pub fn last_runs(places: &Handoff) -> Result<LastRuns, Failure> {
    run_table(places).map(|(_, last)| last)
}

fn highest_run(last: &LastRuns) -> Extent {
    let last_seq = last.lines.iter().map(|line| line.seq).max().unwrap_or_default();
    Extent { last_seq, ..Extent::default() }
}

/// All evidence of the state's extent, for a new store: no number up to it is used again.
pub fn shown(places: &Handoff, state: &StateFiles, last: &LastRuns) -> Result<Extent, StoreError> {
    let mut shown = highest_run(last);
    if let HeadFile::Ours(head) = &state.head {
        shown = shown.or_more(extent_of(head));
    }
    if let Some(marked) = Store::marked_in(&state.dir)? {
        shown = shown.or_more(Extent { commits: 0, ..marked });
    }
    let taken = places.dirs.taken.all_taken().map_err(StoreError::Open)?;
    let taken = taken.iter().map(|taken| taken.seq).max().unwrap_or_default();
    let statuses = Statuses::of(&places.dirs.status).map_err(StoreError::Open)?;
    let filed = statuses.names.last().map(|(seq, _)| *seq).unwrap_or_default();
    Ok(shown.or_more(Extent { last_seq: taken.max(filed), ..Extent::default() }))
}

/// The outcomes in the statuses, of each name the latest, in the order of their numbers. They are read each time they are passed on.
pub struct Statuses<'d> {
    dir: &'d Dir,
    /// Number and name of each.
    names: Vec<(Seq, String)>,
}

impl<'d> Statuses<'d> {
    /// Those of this directory.
    pub fn of(dir: &'d Dir) -> io::Result<Self> {
        let (mut names, mut read) = (Vec::new(), Ok(()));
        dir.lister()?.slice(usize::MAX, |name| {
            let name = std::str::from_utf8(name).ok().filter(|name| name.ends_with(".status"));
            let Some(name) = name.filter(|_| read.is_ok()) else { return };
            match read_status(dir, name) {
                Ok(outcome) => names.extend(outcome.map(|outcome| (outcome.seq, name.to_owned()))),
                Err(error) => read = Err(error),
            }
        })?;
        read?;
        names.sort_unstable();
        Ok(Self { dir, names })
    }
}

impl Outcomes for Statuses<'_> {
    fn each(&self, pass: &mut dyn FnMut(Outcome) -> Result<(), StoreError>) -> Result<(), StoreError> {
        for (_, name) in &self.names {
            if let Some(outcome) = read_status(self.dir, name).map_err(StoreError::Open)? {
                pass(outcome)?;
            }
        }
        Ok(())
    }
}

/// The outcome in a status; `None` if it is incomplete, or was not written by this user. An error: it cannot be read now, and may
/// have one.
fn read_status(status: &Dir, name: &str) -> io::Result<Option<Outcome>> {
    let read = status.meta().and_then(|directory| {
        let meta = status.stat(OsStr::from_bytes(name.as_bytes()))?;
        let is_ours = meta.uid == directory.uid;
        is_ours.then(|| status.read_plain(name, STATUS_MAX)).transpose()
    });
    let bytes = match read {
        Err(error) if is_passing(&error) || Errno::from_io_error(&error) == Some(Errno::IO) => {
            return Err(error);
        }
        // Gone, too large, or no file: none of ours.
        read => read.ok().flatten(),
    };
    let body = bytes.and_then(|bytes| serde_json::from_slice::<StatusBody>(&bytes).ok());
    Ok(body.filter(|body| status_name(&body.intent_file) == name).map(StatusBody::outcome))
}

/// The fields of a status file that become an outcome.
#[derive(Deserialize)]
struct StatusBody {
    intent_file: String,
    status: Status,
    message: String,
    timestamp: Timestamp,
    mode: String,
    porch_path: String,
    seq: Seq,
    sha256: Option<Digest>,
    size: u64,
    correlation_id: String,
    attempts: u32,
    exit_code: Option<i32>,
    signal: Option<String>,
    error_code: Option<Code>,
    duration_ms: Option<u64>,
    note: Option<String>,
    archived_as: String,
    duplicate_of: Option<Seq>,
}

impl StatusBody {
    fn outcome(self) -> Outcome {
        Outcome {
            status: self.status,
            message: self.message,
            mode: self.mode,
            porch_path: self.porch_path,
            sha256: self.sha256,
            size: self.size,
            correlation_id: self.correlation_id,
            attempts: self.attempts,
            exit_code: self.exit_code,
            signal: self.signal,
            error_code: self.error_code,
            duration_ms: self.duration_ms,
            note: self.note,
            archived_as: self.archived_as,
            duplicate_of: self.duplicate_of,
            ..Outcome::blank(self.seq, &self.intent_file, self.timestamp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_cannot_be_read_now_is_not_taken_for_none() {
        if !conductor_testkit::is_alone(
            "daemon::evidence::tests::a_status_that_cannot_be_read_now_is_not_taken_for_none",
        ) {
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("intent-a.json.status"), "{}").unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert!(read_status(&dir, "intent-a.json.status").unwrap().is_none(), "it is incomplete");
        let mut used = conductor_testkit::all_descriptors();
        assert!(read_status(&dir, "intent-a.json.status").is_err());
        assert!(read_status(&dir, "intent-b.json.status").unwrap().is_none(), "there is none");
        // One to list them, and none to read one.
        drop(used.pop());
        assert!(Statuses::of(&dir).is_err());
        drop(used.pop());
        assert!(Statuses::of(&dir).is_ok());
    }
}
