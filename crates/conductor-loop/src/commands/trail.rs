//! An audit trail as commands judge it: the keys and checkpoints that it is held against, and the report in words. For
//! `audit verify`, and for `verify`, which holds it against what was published besides.

use super::error::CommandError;
use crate::config::Config;
use crate::handoff::{HeadFile, layout};
use crate::keys::{PUBLIC_MAX, known_public, read_public};
use conductor_core::scrub;
use conductor_crypto::VerifyingKey;
use conductor_evidence::checkpoint::Note;
use conductor_evidence::entry::Entry;
use conductor_evidence::segment::{self, Lines};
use conductor_evidence::signed;
use conductor_evidence::tree::Point;
use conductor_evidence::verify::{Against, Report, verify};
use conductor_os::dir::Dir;
use conductor_os::plain::read_plain;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The most bytes of a checkpoint that is given.
const NOTE_MAX: u64 = 64 << 10;
/// How often a trail that a daemon appends to is read again, because a batch was half written.
pub(super) const TRIES: usize = 5;
const NAME_DIR: &str =
    "Name the handoff directory, or a copy of it; a trail is kept unless --audit-enabled=false.";
const NAME_KEY: &str =
    "Name the public keys: --public FILE, as `keys export-public` printed them where the daemon runs.";

/// What is checked, against what.
#[derive(Debug)]
pub struct VerifyArgs {
    /// The handoff directory, or a copy of it; the configured one if absent.
    pub dir: Option<PathBuf>,
    /// The file of the public keys; those beside the state if absent.
    pub public: Option<PathBuf>,
    /// A checkpoint of the audit trail from before, which it must continue.
    pub since: Option<PathBuf>,
}

/// The trail below a handoff directory.
pub(super) fn open(handoff: &Path) -> Result<Dir, CommandError> {
    opened(handoff)?.ok_or_else(|| {
        let place = handoff.join(layout::private(layout::AUDIT));
        CommandError::unchecked(format!("there is no {}", place.display()), NAME_DIR)
    })
}

/// The trail below a handoff directory; `None`: there is none.
fn opened(handoff: &Path) -> Result<Option<Dir>, CommandError> {
    match Dir::open(handoff).and_then(|dir| dir.sub(layout::PRIVATE)?.sub(layout::AUDIT)) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let place = handoff.join(layout::private(layout::AUDIT));
            Err(CommandError::unchecked_by(format!("cannot open {}", place.display()), error, NAME_DIR))
        }
    }
}

pub(super) fn unreadable(error: io::Error) -> CommandError {
    CommandError::unchecked_by(
        "cannot read the audit trail",
        error,
        "Run it as the daemon's user or as root.",
    )
}

/// The public keys that are believed: those of a file, else those beside the state.
pub(super) fn trusted(
    config: &Config,
    public: Option<&Path>,
    handoff: &Path,
) -> Result<Vec<VerifyingKey>, CommandError> {
    let from = if let Some(file) = public {
        public_of(file).map_err(|error| (file.to_owned(), error))
    } else {
        let own = handoff.join(layout::PRIVATE).join(layout::STATE);
        let dir = config.fixed.state_dir.clone().unwrap_or(own);
        Dir::open(&dir).and_then(|state| known_public(&state)).map_err(|error| (dir, error))
    };
    let (path, keys) = match from {
        Ok(keys) => (public.map(Path::to_owned).unwrap_or_default(), keys),
        Err((path, error)) => {
            let attempt = format!("cannot read the public keys in {}", path.display());
            return Err(CommandError::unchecked_by(attempt, error, NAME_KEY));
        }
    };
    if keys.is_empty() {
        let place = if path.as_os_str().is_empty() {
            "beside the state".to_owned()
        } else {
            path.display().to_string()
        };
        return Err(CommandError::unchecked(format!("there is no public key {place}"), NAME_KEY));
    }
    Ok(keys)
}

/// The public keys of a file.
pub(super) fn public_of(file: &Path) -> io::Result<Vec<VerifyingKey>> {
    read_plain(file, PUBLIC_MAX).and_then(|text| read_public(&String::from_utf8_lossy(&text)))
}

/// What a trail is held against.
pub(super) struct Judge<'p> {
    path: &'p Path,
    identities: Vec<VerifyingKey>,
    since: Option<Point>,
}

impl<'p> Judge<'p> {
    pub(super) fn new(config: &Config, args: &VerifyArgs, path: &'p Path) -> Result<Self, CommandError> {
        let identities = trusted(config, args.public.as_deref(), path)?;
        let since = args.since.as_deref().map(read_checkpoint).transpose()?;
        Ok(Self { path, identities, since })
    }

    /// The keys that may vouch.
    pub(super) fn identities(&self) -> &[VerifyingKey] {
        &self.identities
    }

    /// Judges the trail of the directory as it is now, if there is one.
    pub(super) fn trail(&self) -> Result<Option<(Dir, Report)>, CommandError> {
        let Some(dir) = opened(self.path)? else { return Ok(None) };
        let report = self.judged_once(&dir)?;
        Ok(Some((dir, report)))
    }

    pub(super) fn judged(&self, dir: &Dir) -> Result<Report, CommandError> {
        let mut report = self.judged_once(dir)?;
        for _ in 1..TRIES {
            if report.findings.is_empty() && report.torn.is_none() {
                break;
            }
            report = self.judged_once(dir)?;
        }
        Ok(report)
    }

    fn judged_once(&self, dir: &Dir) -> Result<Report, CommandError> {
        // Read before the trail, which is appended to before the head is written.
        let told = Dir::open(self.path).ok().and_then(|handoff| HeadFile::read(&handoff).audit());
        let known = self.since.into_iter().chain(told).collect();
        let against = Against { identities: self.identities.clone(), known };
        verify(dir, against).map_err(unreadable)
    }
}

/// Passes every entry that a checkpoint covers to `work`.
pub(super) fn each_signed(dir: &Dir, mut work: impl FnMut(&Entry)) -> Result<(), CommandError> {
    let mut read = || -> io::Result<()> {
        for first in segment::list(dir)? {
            signed(Lines::open(dir, first)?, &mut |entry| work(&entry))?;
        }
        Ok(())
    };
    read().map_err(unreadable)
}

fn read_checkpoint(path: &Path) -> Result<Point, CommandError> {
    const NAME_NOTE: &str =
        "Name a file with a checkpoint, as `audit proof` and `audit verify --json` print it.";
    let shown = path.display().to_string();
    let text = read_plain(path, NOTE_MAX)
        .map_err(|error| CommandError::unchecked_by(shown.as_str(), error, NAME_NOTE))?;
    let note = std::str::from_utf8(&text).ok().and_then(Note::parse);
    let checkpoint = note
        .ok_or_else(|| CommandError::unchecked(format!("{shown}: it holds no checkpoint"), NAME_NOTE))?
        .checkpoint;
    Ok(Point { size: checkpoint.size, root: checkpoint.root })
}

pub(super) fn summed_up(report: &Report) -> String {
    let mut text = String::new();
    for found in &report.findings {
        let place = if found.first == found.last {
            format!("entry {}", found.first)
        } else {
            format!("entries {} to {}", found.first, found.last)
        };
        let _ = writeln!(text, "{place}: {}", scrub::line(&found.what, 400));
    }
    for remark in &report.remarks {
        let _ = writeln!(
            text,
            "note: entry {} at {}: {}",
            remark.entry,
            remark.time,
            scrub::line(&remark.event, 100)
        );
    }
    if let Some(torn) = report.torn {
        let _ = writeln!(
            text,
            "note: what begins at entry {torn} was not written to its end; the next start removes it and says so"
        );
    }
    if report.recovered > 0 {
        let _ = writeln!(text, "note: {} entries were made again after a crash", report.recovered);
    }
    let last = report.entries.saturating_sub(1);
    let identity = report.identity.as_deref().unwrap_or("no key");
    let end = if report.end_known { "which is the end that was known" } else { "end unknown" };
    let summary = match report.findings.len() {
        0 => format!(
            "{} entries in {} {}, vouched for by {identity}: consistent up to entry {last}, {end}\n",
            report.entries,
            report.epochs,
            if report.epochs == 1 { "epoch" } else { "epochs" }
        ),
        1 => "1 finding\n".to_owned(),
        more => format!("{more} findings\n"),
    };
    text.push_str(&summary);
    text
}
