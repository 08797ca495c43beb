//! The files of an outcome, checked against its record: a file is shown only if it is the one that was filed; otherwise a
//! warning is given.

use crate::handoff::layout::status_path;
use conductor_core::Seq;
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::error_log_name;
use conductor_core::record::{Outcome, Status};
use conductor_core::scrub;
use conductor_crypto::sha256_of;
use conductor_os::dir::{Dir, Kind, Meta};
use conductor_os::plain::read_start;
use std::io::{self, Read};

/// Bytes shown of an error log or an intent.
const TEXT_MAX: u64 = 64 << 10;

/// The progress of an outcome's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filing {
    /// They may not exist yet.
    UnderWay,
    /// All of them have existed.
    Complete,
}

/// The files of an outcome.
#[derive(Debug, Default)]
pub(super) struct Filed {
    /// The beginning of the archived intent, scrubbed.
    pub(super) content: Option<String>,
    /// The error log, scrubbed.
    pub(super) error_log: Option<String>,
    /// A warning for each file that is not as it was filed.
    pub(super) warnings: Vec<String>,
}

impl Filed {
    /// Reads the files; `newest`: no later intent of the same name has overwritten the status.
    pub(super) fn look(handoff: &Dir, outcome: &Outcome, filing: Filing, newest: bool) -> Self {
        let mut filed = Self::default();
        if !outcome.archived_as.is_empty() {
            let found = archived(handoff, outcome);
            filed.content = filed.take(&outcome.archived_as, found, filing);
            if outcome.status == Status::Failed {
                let path = error_log_name(&outcome.archived_as);
                let found = error_log(handoff, &path, outcome.seq);
                filed.error_log = filed.take(&path, found, filing);
            }
        }
        if newest && !outcome.imported {
            let path = status_path(&outcome.name);
            let found = status(handoff, &path, outcome);
            filed.take(&path, found, filing);
        }
        filed
    }

    /// Returns the text if it may be shown; otherwise adds a warning.
    fn take(&mut self, path: &str, found: io::Result<Found>, filing: Filing) -> Option<String> {
        let why = match found {
            Ok(Found::AsFiled(text)) => return Some(text),
            Ok(Found::Other(why)) => format!("{path} is not what was filed there: {why}"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if filing == Filing::UnderWay {
                    return None;
                }
                format!("{path} is gone: it was removed or moved")
            }
            Err(error) => format!("{path} cannot be read: {error}"),
        };
        self.warnings.push(why);
        None
    }
}

/// The file at a path.
enum Found {
    /// The filed content, as text.
    AsFiled(String),
    /// Another content, and its difference.
    Other(String),
}

impl Found {
    fn other(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

/// Opens the file at a path of ours; an entry of another type is described instead.
fn open(handoff: &Dir, path: &str) -> io::Result<Result<std::fs::File, &'static str>> {
    let (dir, name) = path.rsplit_once('/').ok_or(io::ErrorKind::InvalidInput)?;
    let dir = handoff.sub(dir)?;
    let what = match dir.stat(name)?.kind {
        Kind::File => return Ok(Ok(dir.open_read(name)?)),
        Kind::Directory => "a directory",
        Kind::Symlink => "a symbolic link",
        Kind::Fifo => "a FIFO",
        Kind::Socket => "a socket",
        Kind::Device => "a device",
    };
    Ok(Err(what))
}

fn archived(handoff: &Dir, outcome: &Outcome) -> io::Result<Found> {
    let mut file = match open(handoff, &outcome.archived_as)? {
        Ok(file) => file,
        // An entry refused unread was moved unchanged, whatever its type.
        Err(what) if outcome.sha256.is_none() => return Ok(Found::AsFiled(format!("({what})"))),
        Err(what) => return Ok(Found::Other(format!("it is {what}"))),
    };
    if Meta::of(&file)?.size != outcome.size {
        return Ok(Found::other("its size differs from the record"));
    }
    let head = read_start(&mut file, TEXT_MAX)?;
    let same = outcome.sha256.map(|recorded| {
        sha256_of(&mut head.as_slice().chain(&mut file), outcome.size).map(|found| found == recorded)
    });
    match same.transpose() {
        Ok(Some(false)) => Ok(Found::other("its SHA-256 differs from the record")),
        // It became shorter while it was read.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Found::other("its size differs from the record"))
        }
        Err(error) => Err(error),
        Ok(Some(true) | None) => Ok(Found::AsFiled(scrub::block(&head))),
    }
}

/// An error log has no digest; the sequence number in its head identifies its outcome.
fn error_log(handoff: &Dir, path: &str, seq: Seq) -> io::Result<Found> {
    let file = match open(handoff, path)? {
        Ok(file) => file,
        Err(what) => return Ok(Found::Other(format!("it is {what}"))),
    };
    let text = read_start(file, TEXT_MAX)?;
    let mut head = text.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"--- "));
    let number = head.find_map(|line| line.strip_prefix(b"Sequence:"));
    if number.is_some_and(|number| number.trim_ascii() == seq.to_string().as_bytes()) {
        return Ok(Found::AsFiled(scrub::block(&text)));
    }
    Ok(Found::Other(format!("it is not the error log of number {seq}")))
}

fn status(handoff: &Dir, path: &str, outcome: &Outcome) -> io::Result<Found> {
    let file = match open(handoff, path)? {
        Ok(file) => file,
        Err(what) => return Ok(Found::Other(format!("it is {what}"))),
    };
    let same = outcome.is_told_by(&read_start(file, STATUS_MAX)?);
    Ok(if same {
        Found::AsFiled(String::new())
    } else {
        Found::other("it differs from the record; this answer shows the record")
    })
}
