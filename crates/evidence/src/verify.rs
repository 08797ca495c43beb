//! Verification: reads a trail from its first line to its last, without any secret and without changing anything, and says which entries are
//! not what was written. What nobody outside vouches for, the end, it does not call complete.

use crate::entry::{Entry, Event, Parsed};
use crate::segment::{self, Line, Lines};
use crate::tree::{Frontier, Point};
pub use crate::walk::Kind;
use crate::walk::{Depth, Flaw, State, follows, origin_of};
use conductor_core::Digest;
use conductor_crypto::{VerifyingKey, sha256};
use conductor_os::dir::Dir;
use serde::Serialize;
use std::io;

/// The findings that are kept. One is enough not to believe a trail.
const FINDINGS_MAX: usize = 100;

/// What is known of a trail from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// The identity keys that may vouch for it; without any, the trail's own word is taken.
    pub identities: Vec<VerifyingKey>,
    /// Sizes and roots that it had.
    pub known: Vec<Point>,
}

/// Entries that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The first entry that can be meant.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The rule that is broken.
    pub kind: Kind,
    /// In words.
    pub what: String,
}

/// What a trail says of itself that an auditor should read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The entry that says so.
    pub entry: u64,
    /// Its event.
    pub event: String,
    /// Its time.
    pub time: String,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong, at most 100.
    pub findings: Vec<Finding>,
    /// The number of entries up to the last checkpoint.
    pub entries: u64,
    /// The root of their tree.
    pub root: Digest,
    /// The number of epochs.
    pub epochs: u64,
    /// Entries that a start made again.
    pub recovered: u64,
    /// The identity key that vouches for the trail.
    pub identity: Option<String>,
    /// The last checkpoint.
    pub checkpoint: Option<String>,
    /// Whether something outside the trail knows of its last checkpoint.
    pub end_known: bool,
    /// The first entry of an end that was torn while it was written, which the next start removes.
    pub torn: Option<u64>,
    /// What the trail says of itself.
    pub remarks: Vec<Remark>,
}

/// Verifies the trail in a directory.
pub fn verify(dir: &Dir, against: Against) -> io::Result<Report> {
    let mut verifier = Verifier::new(against);
    for first in segment::list(dir)? {
        verifier.segment(first, Lines::open(dir, first)?)?;
    }
    Ok(verifier.finish())
}

/// A verification in progress.
#[derive(Debug, Clone)]
pub struct Verifier {
    against: Against,
    state: Option<State>,
    /// Whether the tree of the lines is no longer that of the entries.
    broken: bool,
    /// The number of entries before and with the last good checkpoint.
    signed: Point,
    torn: bool,
    report: Report,
}

impl Verifier {
    /// Begins.
    pub fn new(against: Against) -> Self {
        let nothing = Point { size: 0, root: Frontier::default().root() };
        let report = Report {
            findings: Vec::new(),
            entries: 0,
            root: nothing.root,
            epochs: 0,
            recovered: 0,
            identity: None,
            checkpoint: None,
            end_known: false,
            torn: None,
            remarks: Vec::new(),
        };
        Self { against, state: None, broken: false, signed: nothing, torn: false, report }
    }

    /// Reads the next segment, whose name says that it begins with this entry.
    pub fn segment(&mut self, first: u64, lines: impl Iterator<Item = io::Result<Line>>) -> io::Result<()> {
        let expected = self.state.as_ref().map_or(0, |state| state.next);
        if std::mem::take(&mut self.torn) {
            self.find(
                expected,
                expected,
                Kind::Unreadable,
                "it is torn, and the trail goes on in another segment",
            );
        }
        if first > expected {
            self.find(expected, first - 1, Kind::Number, "they are missing");
        } else if first < expected {
            self.find(first, first, Kind::Number, "a segment begins with it again");
        }
        let mut begins = true;
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            let line = line?;
            let next = lines.peek().and_then(|next| next.as_ref().ok()).filter(|next| next.whole);
            if !line.whole {
                self.torn = true;
                continue;
            }
            if begins && (self.state.is_none() || self.broken || first != expected) {
                self.begin(&line.bytes, first);
            }
            self.line(&line.bytes, next.map(|next| next.bytes.as_slice()), std::mem::take(&mut begins));
        }
        Ok(())
    }

    /// Takes what a segment says of the entries before it, where they are unknown.
    fn begin(&mut self, line: &[u8], first: u64) {
        let told = crate::entry::parse(line).and_then(|parsed| match parsed {
            Parsed::Entry(entry) => State::before(&entry),
            Parsed::Checkpoint { .. } => None,
        });
        let Some(told) = told.filter(|told| told.next == first) else {
            return self.find(first, first, Kind::Unreadable, "it is no beginning of a segment");
        };
        match &mut self.state {
            Some(state) if state.next == first => (state.tree, self.broken) = (told.tree, false),
            state => (*state, self.broken) = (Some(told), false),
        }
        if first == 0 {
            self.begin_trail();
        }
    }

    fn begin_trail(&mut self) {
        let Some(state) = &self.state else { return };
        let is_first =
            state.prev == Digest([0; 32]) && state.epoch == 0 && state.origin == origin_of(&state.key);
        let identity = state.identity;
        if !is_first {
            self.find(0, 0, Kind::Content, "it is no first entry of a trail");
        }
        self.meet(0, &identity);
    }

    /// An identity key that speaks for the trail.
    fn meet(&mut self, entry: u64, identity: &VerifyingKey) {
        self.report.identity = Some(identity.id().to_string());
        if !self.against.identities.is_empty() && !self.against.identities.contains(identity) {
            let what = format!("the identity key {} is not the one that was given", identity.id());
            self.find(entry, entry, Kind::Signature, &what);
        }
    }

    fn find(&mut self, first: u64, last: u64, kind: Kind, what: &str) {
        let is_same = self.report.findings.last().is_some_and(|before| before.first == first);
        if !is_same && self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { first, last, kind, what: what.to_owned() });
        }
        self.broken = true;
    }

    fn line(&mut self, line: &[u8], next: Option<&[u8]>, begins: bool) {
        let Some(mut state) = self.state.take() else { return };
        let depth = if self.broken { Depth::NoTree } else { Depth::All };
        match state.take(line, begins, depth) {
            Ok(Parsed::Entry(entry)) => self.entry(&entry),
            Ok(Parsed::Checkpoint { note, .. }) => {
                self.signed = Point { size: state.next, root: state.tree.root() };
                self.report.checkpoint = Some(note);
            }
            Err(flaw) => {
                let known = self.place(&state, &flaw, line, next);
                state.skip(line, known);
            }
        }
        if !self.broken {
            self.compare(Point { size: state.next, root: state.tree.root() });
        }
        self.state = Some(state);
    }

    fn entry(&mut self, entry: &Entry) {
        self.report.recovered += u64::from(entry.recovered);
        let told = [Event::Cut, Event::Lost, Event::ClockBack, Event::KeyLost, Event::Identity];
        if told.iter().any(|event| entry.is(*event)) {
            let time = conductor_core::record::rfc3339(entry.time);
            self.report.remarks.push(Remark { entry: entry.seq, event: entry.event.clone(), time });
        }
        if let Some(identity) = entry.key("identity").filter(|_| entry.is(Event::Identity)) {
            self.meet(entry.seq, &identity);
        }
    }

    /// Holds the tree against what is known of it.
    fn compare(&mut self, now: Point) {
        let known = self.against.known.iter().filter(|point| point.size == now.size);
        let (same, other): (Vec<Point>, Vec<Point>) = known.partition(|point| point.root == now.root);
        if !other.is_empty() {
            self.find(
                0,
                now.size.saturating_sub(1),
                Kind::Root,
                "they are not those of the checkpoint that was given",
            );
        }
        self.report.end_known = !same.is_empty() || (self.report.end_known && now.size <= self.signed.size);
    }

    /// Finds the entry that a flaw comes from, and says which number the line is taken to have.
    fn place(&mut self, state: &State, flaw: &Flaw, line: &[u8], next: Option<&[u8]>) -> u64 {
        let here = state.next;
        let what = flaw.what.as_str();
        let number = |line: &[u8]| match crate::entry::parse(line)? {
            Parsed::Entry(entry) => Some(entry.seq),
            Parsed::Checkpoint { seq, .. } => Some(seq),
        };
        match (flaw.kind, flaw.has) {
            (Kind::Number, Some(_)) if next.and_then(number) == here.checked_add(1) => {
                self.find(here, here, Kind::Number, what);
            }
            (Kind::Number, Some(has)) if has > here => {
                self.find(here, has - 1, Kind::Number, "they are missing, or stand elsewhere");
                return has;
            }
            (Kind::Number, Some(has)) => {
                self.find(has, has, Kind::Number, "there is another entry of this number");
                return here.saturating_sub(1);
            }
            (Kind::Chain, _) => {
                let itself =
                    next.map_or_else(|| self.is_end(state, line), |next| !follows(next, &sha256(line)));
                let at = if itself { here } else { here.saturating_sub(1) };
                self.find(at, at, Kind::Chain, "it is not what the entries around it say");
            }
            (Kind::Root, _) => {
                let first = self.signed.size;
                let known = self.report.findings.last().is_some_and(|found| found.first >= first);
                if !known {
                    self.find(first, here, Kind::Root, "one of them is not what was signed");
                }
            }
            (kind, _) => self.find(here, here, kind, what),
        }
        here
    }

    /// Whether a line that does not continue the one before is nevertheless a checkpoint of it.
    fn is_end(&self, state: &State, line: &[u8]) -> bool {
        let Some(Parsed::Checkpoint { note, .. }) = crate::entry::parse(line) else { return false };
        let note = crate::checkpoint::Note::parse(&note);
        !self.broken && note.is_some_and(|note| note.checkpoint.root == state.tree.root())
    }

    /// The result.
    pub fn finish(mut self) -> Report {
        let Some(state) = self.state.take() else {
            self.report.torn = self.torn.then_some(0);
            if self.report.findings.is_empty() && !self.torn {
                self.find(0, 0, Kind::End, "there is no trail");
            }
            return self.report;
        };
        if self.torn {
            self.report.torn = Some(self.signed.size);
        } else if !state.signed {
            let what = "no checkpoint follows: nobody signed them";
            self.find(self.signed.size, state.next.saturating_sub(1), Kind::Signature, what);
        }
        let size = self.signed.size;
        let most = self.against.known.iter().map(|point| point.size).max();
        if let Some(most) = most.filter(|most| *most > state.next) {
            self.find(state.next, most - 1, Kind::End, "they are missing: the trail was longer");
        }
        self.report.end_known &= self.report.findings.is_empty();
        (self.report.entries, self.report.root) = (size, self.signed.root);
        self.report.epochs = state.epoch.saturating_add(1);
        self.report
    }
}

#[cfg(test)]
mod tests;
