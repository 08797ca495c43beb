//! Inspects a taken file: type, links, size, one open, one bounded read, hash, judgement. It never blocks and follows no
//! link, whatever the file is.

use super::judged::{Judged, Verdict};
use super::settings::Settings;
use super::sighting::fingerprint;
use crate::handoff::TakenFiles;
use crate::payload::Payload;
use conductor_core::intent::{self, Intent, Refusal};
use conductor_core::limits::REASON_MAX;
use conductor_core::name::{IntentName, TakenName, derived_name, escaped};
use conductor_core::record::{self, Claim};
use conductor_core::scheduler::Fingerprint;
use conductor_core::{Code, Digest, Seq, scrub};
use conductor_crypto::sha256;
use conductor_os::dir::{Kind, Meta};
use conductor_os::is_exhausted;
use conductor_os::raw::{OpenForWriting, open_for_writing};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Readings of a file that changes meanwhile before it is refused (threat A11).
const READINGS: usize = 3;

/// Whether to wait for a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Wait: the file is looked at for the first time.
    First,
    /// Wait: the file had this fingerprint at the last look; text that ended too early then need not be read again.
    Again(Fingerprint),
    /// Do not wait: the file is judged as it is.
    None,
}

pub(super) enum Looked {
    /// A writer still has it open.
    Held(Meta),
    /// Memory has no room for its bytes at the moment.
    NoRoom,
    /// The system has no descriptor or memory to look at it at the moment.
    NotNow(io::Error),
    /// The file is gone.
    Gone,
    Judged(Box<Judged>),
}

/// Why a file was not read.
enum Unread {
    Refused(Refusal),
    /// The system has no descriptor or memory at the moment.
    NotNow(io::Error),
}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        if is_exhausted(&error) {
            return Self::NotNow(error);
        }
        Self::Refused(Refusal::new(Code::Unreadable, "", &error.to_string(), "a readable file"))
    }
}

/// The result of one reading.
enum Reading {
    Whole(Payload),
    /// The file changed meanwhile; its metadata now.
    Changed(Meta),
}

pub(super) fn look(settings: &Settings, taken: &TakenName, patience: Patience) -> Looked {
    let meta = match settings.taken.stat_taken(taken) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Looked::Gone,
        Err(error) if is_exhausted(&error) => return Looked::NotNow(error),
        Err(error) => {
            // Without lstat only the name is known.
            let unknown = Meta {
                kind: Kind::Device,
                id: (0, 0),
                links: 0,
                size: 0,
                uid: 0,
                mode: 0,
                mtime_ns: 0,
                ctime_ns: 0,
            };
            return refused(
                taken,
                unknown,
                Refusal::new(Code::Unreadable, "", &error.to_string(), "a readable file"),
                None,
            );
        }
    };
    if let Err(refusal) = check_kind(settings, taken, &meta) {
        return refused(taken, meta, refusal, None);
    }
    if !settings.budget.has_room(meta.size) {
        return Looked::NoRoom;
    }
    let (bytes, open_for_writing) = match read(settings, taken, &meta, patience) {
        Ok((Some(bytes), open)) => (bytes, open),
        Ok((None, _)) => return Looked::Held(meta),
        Err(Unread::NotNow(error)) => return Looked::NotNow(error),
        Err(Unread::Refused(refusal)) => return refused(taken, meta, refusal, None),
    };
    let digest = sha256(&bytes);
    let Some(name) = IntentName::of(&taken.raw) else {
        let expected = "intent-[A-Za-z0-9._-]{1,200}.json without '..'";
        let refusal =
            Refusal::new(Code::BadFileName, "", &format!("the name '{}'", escaped(&taken.raw)), expected);
        return refused(taken, meta, refusal, Some((bytes, digest)));
    };
    match intent::judge(&bytes, settings.judging.policy) {
        // If the kernel does not report writers, text that ends too early counts as a sign of one.
        Err(refusal)
            if patience != Patience::None
                && open_for_writing == OpenForWriting::Unknown
                && is_cut(refusal.code) =>
        {
            Looked::Held(meta)
        }
        Err(refusal) => refused(taken, meta, refusal, Some((bytes, digest))),
        Ok(intent) => {
            let mut claim =
                claim(Read { seq: taken.seq, name: name.as_str(), meta: &meta, sha256: digest }, intent);
            claim.size = bytes.len() as u64;
            let claim = Box::new(claim);
            let verdict = Verdict::Accepted { claim, bytes };
            let name = name.as_str().to_owned();
            Looked::Judged(Box::new(Judged { taken: taken.clone(), name, meta, verdict }))
        }
    }
}

/// Whether such a file is read, or refused unread.
pub(super) fn is_read(settings: &Settings, meta: &Meta) -> bool {
    meta.kind == Kind::File && meta.size <= settings.judging.max_file_size
}

fn is_cut(code: Code) -> bool {
    matches!(code, Code::Incomplete | Code::Empty)
}

fn check_kind(settings: &Settings, taken: &TakenName, meta: &Meta) -> Result<(), Refusal> {
    let refuse = |code, found: &str, expected: &str| Err(Refusal::new(code, "", found, expected));
    let found = match meta.kind {
        Kind::File => "",
        Kind::Symlink => "a symbolic link",
        Kind::Fifo => "a FIFO",
        Kind::Socket => "a socket",
        Kind::Device => "a device",
        Kind::Directory => "a directory",
    };
    if meta.kind != Kind::File {
        return refuse(Code::NotRegular, found, "a regular file");
    }
    if meta.links > 1 {
        return refuse(
            Code::HardLinked,
            &format!("a file with {} names", meta.links),
            "a file with one name",
        );
    }
    if meta.size > settings.judging.max_file_size {
        let found = format!("{} bytes", meta.size);
        return refuse(Code::TooLarge, &found, &format!("at most {} bytes", settings.judging.max_file_size));
    }
    // A name of more than 255 bytes cannot exist; a long legal one was judged by its form.
    debug_assert!(taken.raw.len() <= 255, "NAME_MAX");
    Ok(())
}

/// The bytes; `None` while a writer holds the file and `patience` is left.
fn read(
    settings: &Settings,
    taken: &TakenName,
    before: &Meta,
    patience: Patience,
) -> Result<(Option<Payload>, OpenForWriting), Unread> {
    let file = settings.taken.open_taken(taken)?;
    let opened = Meta::of(&file)?;
    if opened.id != before.id || opened.kind != Kind::File {
        let found = "another file than a moment before";
        return Err(Refusal::new(Code::Unstable, "", found, "a file that stays").into());
    }
    let open_for_writing = open_for_writing(&file);
    let unchanged = patience == Patience::Again(fingerprint(&opened));
    let held = match open_for_writing {
        OpenForWriting::Some => patience != Patience::None,
        // It had this fingerprint at the last reading: another one would cost much and give the same result.
        OpenForWriting::Unknown => unchanged,
        OpenForWriting::None => false,
    };
    if held {
        return Ok((None, open_for_writing));
    }
    let mut seen = opened;
    for _ in 0..READINGS {
        match read_once(&file, settings, &seen)? {
            Reading::Whole(bytes) => return Ok((Some(bytes), open_for_writing)),
            Reading::Changed(now) => seen = now,
        }
    }
    let found = format!("other content at each of {READINGS} readings");
    Err(Refusal::new(Code::Unstable, "", &found, "a file that is complete when it appears").into())
}

/// One bounded reading of a file with the metadata `before`: a single call if the file does not change.
fn read_once(file: &File, settings: &Settings, before: &Meta) -> Result<Reading, Unread> {
    let max = settings.judging.max_file_size;
    let too_large = || {
        let found = format!("more than {max} bytes");
        Refusal::new(Code::TooLarge, "", &found, &format!("at most {max} bytes"))
    };
    let size = usize::try_from(before.size).map_err(|_| too_large())?;
    if before.size > max {
        return Err(too_large().into());
    }
    // One byte more, to notice a file that is longer than its size says.
    let mut bytes = vec![0; size + 1];
    let mut filled = 0;
    while filled < size.max(1) {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    let after = Meta::of(file)?;
    let same = fingerprint(before) == fingerprint(&after) && bytes.len() as u64 == after.size;
    Ok(if same { Reading::Whole(Payload::new(bytes, &settings.budget)) } else { Reading::Changed(after) })
}

/// A taken file that was read.
#[derive(Clone, Copy)]
struct Read<'r> {
    seq: Seq,
    name: &'r str,
    meta: &'r Meta,
    sha256: Digest,
}

fn claim(file: Read<'_>, intent: Intent) -> Claim {
    let Read { seq, name, meta, sha256 } = file;
    Claim {
        v: record::VERSION,
        seq,
        name: name.to_owned(),
        sha256,
        size: meta.size,
        uid: meta.uid,
        taken_at: jiff::Timestamp::now(),
        correlation_id: intent.correlation_id.unwrap_or_else(|| record::made_correlation_id(seq)),
        key: intent.key,
        kind: intent.kind,
        replicas: intent.replicas,
        priority: intent.priority,
        timeout_secs: intent.timeout_secs,
        // For display only: porch has the bytes themselves.
        reason: intent.reason.map(|reason| scrub::shown(&reason, REASON_MAX)),
        source: intent.source,
        inode: meta.id.1,
        mtime_ns: meta.mtime_ns,
    }
}

fn refused(taken: &TakenName, meta: Meta, refusal: Refusal, bytes: Option<(Payload, Digest)>) -> Looked {
    let name = IntentName::of(&taken.raw)
        .map_or_else(|| derived_name(&sha256(&taken.raw)), |name| name.as_str().to_owned());
    let correlation_id = bytes.as_ref().and_then(|(bytes, _)| intent::correlation_id(bytes));
    let verdict = Verdict::Refused { refusal, bytes, correlation_id };
    Looked::Judged(Box::new(Judged { taken: taken.clone(), name, meta, verdict }))
}
