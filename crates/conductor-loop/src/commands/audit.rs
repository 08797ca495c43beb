//! `audit show | verify | proof | export` and `trace`: the audit trail, read from its files, of a running daemon, a stopped one or a copy.

use super::error::CommandError;
use super::output::Output;
use super::stdout::print;
use super::trail::{Judge, VerifyArgs, open, summed_up, unreadable};
use crate::config::Config;
use crate::queries::proof_entry;
use conductor_core::query::ProofEntry;
use conductor_core::record::rfc3339;
use conductor_core::{Exit, scrub};
use conductor_evidence::checkpoint::Note;
use conductor_evidence::entry::{Entry, Parsed, parse};
use conductor_evidence::segment::{self, Lines};
use conductor_evidence::tree;
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Which entries are shown.
#[derive(Debug, Default)]
pub struct AuditFilter {
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Of this event.
    pub event: Option<String>,
    /// Of this correlation id.
    pub correlation_id: Option<String>,
}

/// Passes every line to `work`, until it returns false.
fn each_line(dir: &Dir, mut work: impl FnMut(&[u8]) -> io::Result<bool>) -> Result<(), CommandError> {
    let mut read = || -> io::Result<()> {
        for first in segment::list(dir)? {
            for line in Lines::open(dir, first)? {
                let line = line?;
                if line.whole && !work(&line.bytes)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    read().map_err(unreadable)
}

impl AuditFilter {
    fn takes(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.time >= since)
            && self.event.as_ref().is_none_or(|event| entry.event == *event)
            && self.correlation_id.as_ref().is_none_or(|id| entry.correlation_id.as_ref() == Some(id))
    }
}

/// `audit show` and `trace`: exit 0; entries in JSON are the lines of the trail themselves.
pub fn audit_show(config: &Config, filter: &AuditFilter, output: Output) -> Result<Exit, CommandError> {
    let dir = open(&config.fixed.handoff)?;
    let mut stdout = io::stdout().lock();
    let mut show = |line: &[u8]| {
        let Some(Parsed::Entry(entry)) = parse(line) else { return Ok(true) };
        if !filter.takes(&entry) {
            return Ok(true);
        }
        let text = if output.is_data() { String::from_utf8_lossy(line).into_owned() } else { told(entry) };
        match writeln!(stdout, "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    };
    each_line(&dir, &mut show)?;
    Ok(Exit::Good)
}

/// An entry on one line, with what it is about.
fn told(entry: Box<Entry>) -> String {
    let of = [
        ("intent", entry.intent.map(|seq| seq.to_string())),
        ("file", entry.file.clone()),
        ("correlation_id", entry.correlation_id.clone()),
    ];
    let mut about = String::new();
    for (name, value) in of.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        // Writing to a String cannot fail.
        let _ = write!(about, " {name}={value}");
    }
    entry_text(&proof_entry(*entry), &about)
}

/// An entry on one line.
pub(super) fn entry_text(entry: &ProofEntry, about: &str) -> String {
    let ProofEntry { number, at, event, actor, .. } = entry;
    let mut text = format!("{number:>6} {} {event:<22} {actor:<8}{about}", rfc3339(*at));
    for (name, value) in &entry.detail {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(text, " {name}={value}");
    }
    if entry.recovered {
        text.push_str(" (made again)");
    }
    scrub::line(&text, 4_000)
}

/// `audit export`: every line of the trail as it is, checkpoints included.
pub fn audit_export(config: &Config) -> Result<Exit, CommandError> {
    let dir = open(&config.fixed.handoff)?;
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    each_line(&dir, |line| {
        let written = stdout.write_all(line).and_then(|()| stdout.write_all(b"\n"));
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    })?;
    match stdout.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        _ => Ok(Exit::Good),
    }
}

/// `audit proof N`: that entry N is in the tree of the last checkpoint, as a C2SP tlog-proof.
pub fn audit_proof(config: &Config, number: u64) -> Result<Exit, CommandError> {
    let dir = open(&config.fixed.handoff)?;
    let (mut leaves, mut last) = (Vec::new(), None);
    each_line(&dir, |line| {
        if let Some(Parsed::Checkpoint { note, .. }) = parse(line) {
            last = Note::parse(&note).map(|parsed| (parsed.checkpoint, note));
        }
        leaves.push(tree::leaf(line));
        Ok(true)
    })?;
    let uncovered = || {
        let text = format!("no checkpoint covers an entry {number}");
        CommandError::hindered(text, "Take a number that `audit show` prints.")
    };
    let (checkpoint, note) = last.ok_or_else(uncovered)?;
    leaves.truncate(usize::try_from(checkpoint.size).unwrap_or(usize::MAX));
    let index = usize::try_from(number).map_err(|_| uncovered())?;
    let leaf = *leaves.get(index).ok_or_else(uncovered)?;
    let proof = tree::inclusion(&leaves, index).ok_or_else(uncovered)?;
    if !tree::includes(leaf, number, checkpoint.size, &proof, &checkpoint.root) {
        let text = "the last checkpoint is of other entries than are here: some were changed, or a file of the trail is missing";
        return Err(CommandError::hindered(text.to_owned(), "`audit verify` says which."));
    }
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {number}\n");
    for hash in proof {
        let _ = writeln!(text, "{}", conductor_crypto::base64(&hash.0));
    }
    let _ = write!(text, "\n{note}");
    print(text.as_bytes())
}

/// `audit verify`: exit 0, 1 with findings, 2 if it could not check.
pub fn audit_verify(config: &Config, args: &VerifyArgs, output: Output) -> Result<Exit, CommandError> {
    let path = args.dir.as_deref().unwrap_or(&config.fixed.handoff);
    let dir = open(path)?;
    let report = Judge::new(config, args, path)?.judged(&dir)?;
    let exit = if report.findings.is_empty() { Exit::Good } else { Exit::SetUp };
    output.answer(&report, summed_up).map(|_| exit)
}
