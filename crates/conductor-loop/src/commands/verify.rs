//! `verify`: checks what a daemon has published and its audit trail, each against the other, without daemon, store and private key; on a
//! copy as well.

use super::error::CommandError;
use super::output::Output;
use super::rebuild::UP_TO;
use super::trail::{Judge, TRIES, VerifyArgs, each_signed, summed_up};
use crate::config::Config;
use crate::handoff::layout;
use crate::handoff::layout::status_path;
use crate::keys::{Genuine, check_status};
use conductor_core::limits::STATUS_MAX;
use conductor_core::record::Status;
use conductor_core::{Digest, Exit, Seq};
use conductor_crypto::{VerifyingKey, sha256_of};
use conductor_evidence::entry::Entry;
use conductor_evidence::verify::Report as Trail;
use conductor_evidence::{EntryResult, Event};
use conductor_os::dir::{Dir, Kind};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long a status may be still to be written: a disk that is full is not full for longer without a word.
const UNSETTLED: SignedDuration = SignedDuration::from_mins(15);
/// The pause before another look.
const BETWEEN: Duration = Duration::from_millis(200);

/// Everything that was found.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Report {
    statuses: u64,
    archived_files: u64,
    /// Of the statuses and the archived files, held against each other and against the trail.
    findings: Vec<Finding>,
    /// Of the audit trail itself; absent: there is none.
    audit: Option<Trail>,
    /// What is no finding, and not to be expected either.
    notes: Vec<String>,
}

/// What a genuine status says.
#[derive(Debug)]
struct Published {
    seq: Seq,
    file: String,
    sha256: Option<Digest>,
    status: Status,
}

/// One thing that is not as it was signed.
#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    path: String,
    what: String,
}

/// What one status and its archived file came to.
enum Judged {
    /// The daemon has removed the status since it was listed.
    Gone,
    /// The status is not as it was signed.
    Status(Finding),
    /// The status is, and so is its archived file, unless there is a finding.
    Archived(Genuine, Option<Finding>),
}

impl Report {
    /// Adds what one status came to. Returns what a genuine one says.
    fn add(&mut self, judged: Judged) -> Option<Published> {
        self.statuses += u64::from(!matches!(judged, Judged::Gone));
        match judged {
            Judged::Gone => None,
            Judged::Status(finding) => {
                self.findings.push(finding);
                None
            }
            Judged::Archived(genuine, finding) => {
                // What was refused unread has no digest to be checked against.
                self.archived_files += u64::from(genuine.sha256.is_some());
                self.findings.extend(finding);
                let Genuine { seq, file, sha256, status, .. } = genuine;
                Some(Published { seq, file, sha256, status })
            }
        }
    }

    /// Holds each genuine status against its entry in the trail, and against later ones of its name.
    fn compare(&mut self, published: Vec<Published>, trail: &Dir) -> Result<(), CommandError> {
        let mut seen = Seen::default();
        for one in published {
            seen.last.insert(one.file.clone(), Filed { seq: one.seq, time: Timestamp::MIN, settled: true });
            seen.published.insert(one.seq, one);
        }
        each_signed(trail, |entry| seen.entry(entry))?;
        self.findings.append(&mut seen.differing);
        seen.judge(self);
        Ok(())
    }

    fn has_findings(&self) -> bool {
        !self.findings.is_empty() || self.audit.as_ref().is_some_and(|audit| !audit.findings.is_empty())
    }
}

/// The outcomes of a trail, beside what is published.
#[derive(Default)]
struct Seen {
    published: BTreeMap<Seq, Published>,
    /// Of each published name the last outcome.
    last: HashMap<String, Filed>,
    met: BTreeSet<Seq>,
    differing: Vec<Finding>,
    /// The highest number that the trail accounts for.
    up_to: Seq,
    /// Time of the last entry.
    end: Timestamp,
}

/// An outcome in a trail.
#[derive(Debug, Clone, Copy)]
struct Filed {
    seq: Seq,
    time: Timestamp,
    /// Whether a start behind it would have written a status that was still to be written.
    settled: bool,
}

impl Seen {
    fn entry(&mut self, entry: &Entry) {
        self.end = entry.time;
        if entry.is(Event::Startup) {
            self.last.values_mut().for_each(|filed| filed.settled = true);
        }
        // A restored or rebuilt state knows outcomes that the trail does not.
        let told =
            entry.detail.get(UP_TO).filter(|_| entry.is(Event::Admin)).and_then(Value::as_u64).map(Seq);
        let filed = entry.intent.filter(|_| entry.is(Event::Filed));
        self.up_to = self.up_to.max(told.or(filed).unwrap_or_default());
        let Some(seq) = filed else { return };
        if let Some(last) = entry.file.as_ref().and_then(|file| self.last.get_mut(file))
            && seq > last.seq
        {
            *last = Filed { seq, time: entry.time, settled: false };
        }
        let Some(published) = self.published.get(&seq) else { return };
        self.met.insert(seq);
        if let Some(what) = published.first_difference(entry) {
            let what = format!("its {what} is not that of entry {} of the audit trail", entry.seq);
            self.differing.push(published.finding(what));
        }
    }

    fn judge(&self, report: &mut Report) {
        let mut unaudited = 0_u64;
        for published in self.published.values() {
            let seq = published.seq;
            if !self.met.contains(&seq) {
                if seq <= self.up_to {
                    unaudited += 1;
                    continue;
                }
                let what = format!(
                    "the audit trail ends before number {seq} was filed: its end was removed, or no trail was kept since"
                );
                report.findings.push(published.finding(what));
                continue;
            }
            let Some(last) = self.last.get(&published.file).filter(|last| last.seq > seq) else { continue };
            let what =
                format!("it is that of number {seq}, and number {} of its name was filed after it", last.seq);
            if last.settled || self.end.duration_since(last.time) > UNSETTLED {
                report.findings.push(published.finding(what));
            } else {
                report.notes.push(format!(
                    "{}: {what}, whose status may still be to be written",
                    status_path(&published.file)
                ));
            }
        }
        if unaudited > 0 {
            report.notes.push(format!("statuses filed while no audit trail was kept: {unaudited}"));
        }
    }
}

impl Published {
    fn finding(&self, what: String) -> Finding {
        Finding { path: status_path(&self.file), what }
    }

    /// What it says otherwise than the entry of its outcome.
    fn first_difference(&self, entry: &Entry) -> Option<&'static str> {
        let sha256 = entry.detail.get("sha256").and_then(Value::as_str);
        let success = entry.outcome == EntryResult::Success;
        if entry.file.as_ref() != Some(&self.file) {
            Some("`intent_file`")
        } else if (self.status == Status::Success) != success {
            Some("`status`")
        } else {
            (sha256 != self.sha256.map(|digest| digest.to_string()).as_deref()).then_some("`sha256`")
        }
    }
}

/// Judges a status. A daemon at work replaces and removes what it published: what changed meanwhile is judged again.
fn judged(handoff: &Dir, status: &Dir, name: &[u8], trusted: &[VerifyingKey]) -> Judged {
    let shown = String::from_utf8_lossy(name);
    let path = format!("{}/{shown}", layout::STATUS);
    let read = || status.read_plain(OsStr::from_bytes(name), STATUS_MAX);
    let mut bytes = read();
    loop {
        let found = match &bytes {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Judged::Gone,
            Err(error) => Err(format!("it cannot be read: {error}")),
            Ok(bytes) => check_status(&shown, bytes, trusted),
        };
        let judged = match found {
            Err(what) => Judged::Status(Finding { path: path.clone(), what }),
            Ok(genuine) => {
                let finding = check_archived(handoff, &genuine).err();
                let finding = finding.map(|what| Finding { path: genuine.archived_as.clone(), what });
                Judged::Archived(genuine, finding)
            }
        };
        if matches!(judged, Judged::Archived(_, None)) {
            return judged;
        }
        let again = read();
        if again.as_ref().ok() == bytes.as_ref().ok() && again.is_ok() == bytes.is_ok() {
            return judged;
        }
        bytes = again;
    }
}

/// `verify`: exit 0, or 1 with findings.
pub fn verify(config: &Config, args: &VerifyArgs, output: Output) -> Result<Exit, CommandError> {
    let path = args.dir.as_deref().unwrap_or(&config.fixed.handoff);
    let unreadable = |what: &Path, error: io::Error| {
        CommandError::unchecked_by(
            format!("cannot read {}", what.display()),
            error,
            "Name the handoff directory, or a copy of it.",
        )
    };
    let handoff = Dir::open(path).map_err(|error| unreadable(path, error))?;
    let status_dir = path.join(layout::STATUS);
    let status = handoff.sub(layout::STATUS).map_err(|error| unreadable(&status_dir, error))?;
    let judge = Judge::new(config, args, path)?;
    let look = || {
        let names = status.names().map_err(|error| unreadable(&status_dir, error))?;
        looked(&judge, &handoff, &status, names)
    };
    let mut report = look()?;
    for _ in 1..TRIES {
        if !report.has_findings() {
            break;
        }
        std::thread::sleep(BETWEEN); // A daemon at work files between the two looks, and announces nothing to commands.
        let before = std::mem::replace(&mut report, look()?);
        if before == report {
            break;
        }
    }
    if report.audit.is_none() && args.since.is_some() {
        let text = format!("{} has no audit trail that could continue a checkpoint", path.display());
        return Err(CommandError::unchecked(text, "Name a directory with its trail, or leave --since out."));
    }
    let exit = if report.has_findings() { Exit::SetUp } else { Exit::Good };
    output.answer(&report, |report| text(report, judge.identities())).map(|_| exit)
}

/// Everything that one look finds.
fn looked(
    judge: &Judge<'_>,
    handoff: &Dir,
    status: &Dir,
    mut names: Vec<Box<[u8]>>,
) -> Result<Report, CommandError> {
    // What else lies there, such as a directory that was moved aside, tells of no intent.
    names.retain(|name| name.ends_with(b".status"));
    names.sort_unstable();
    let mut report = Report::default();
    let judged = names.iter().map(|name| judged(handoff, status, name, judge.identities()));
    let published = judged.filter_map(|judged| report.add(judged)).collect();
    // After the statuses, each of which is published behind its entry.
    if let Some((trail, judged)) = judge.trail()? {
        report.compare(published, &trail)?;
        report.audit = Some(judged);
    }
    Ok(report)
}

fn text(report: &Report, trusted: &[VerifyingKey]) -> String {
    let mut text = String::new();
    let shown = |text: &str| conductor_core::scrub::line(text, 400);
    for Finding { path, what } in &report.findings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}", shown(path), shown(what));
    }
    let keys: Vec<String> = trusted.iter().map(|key| key.id().to_string()).collect();
    let _ = writeln!(
        text,
        "{} statuses and {} archived files checked against {}: {}",
        report.statuses,
        report.archived_files,
        keys.join(", "),
        match report.findings.len() {
            0 => "all as they were signed".to_owned(),
            1 => "1 finding".to_owned(),
            more => format!("{more} findings"),
        }
    );
    for note in &report.notes {
        let _ = writeln!(text, "note: {}", shown(note));
    }
    match &report.audit {
        Some(audit) => {
            let _ = write!(text, "audit trail: {}", summed_up(audit));
        }
        None => text.push_str("audit trail: none is here, so nothing was held against it\n"),
    }
    text
}

/// Checks the archived file of a status against the digest that was signed.
fn check_archived(handoff: &Dir, genuine: &Genuine) -> Result<(), String> {
    // One that was refused unread has no digest, and need not be a plain file.
    let Some(wanted) = genuine.sha256 else { return Ok(()) };
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("it is gone; number {} was archived there", genuine.seq),
        _ => format!("it cannot be read: {error}"),
    };
    let (folder, name) = genuine.archived_as.split_once('/').ok_or("it is no path of an archived file")?;
    let dir = handoff.sub(folder).map_err(gone)?;
    let meta = dir.stat(name).map_err(gone)?;
    if meta.kind != Kind::File {
        return Err("it is no plain file".to_owned());
    }
    let mut file = dir.open_read(name).map_err(gone)?;
    match sha256_of(&mut file, meta.size) {
        Ok(found) if found == wanted => Ok(()),
        Ok(_) => Err(format!("its content is not what number {} was about", genuine.seq)),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}
