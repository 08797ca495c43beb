//! Answers about intents: finished ones from the store, unfinished ones from [`Unfinished`]. The answers are the same
//! with a daemon (then its loop knows the unfinished ones) and without (then the store does, see [`OfflineView`]). Answers do
//! not change state.

mod cancellable;
mod filed;
mod lined;
mod lying;
mod offline;
mod proof;
mod rows;

use conductor_core::Seq;
pub use lined::{Lined, ParkedOf, only_the_store_knows, parked_row};
pub use lying::{Lying, entry_row};
pub use offline::OfflineView;
pub use proof::proof_entry;
use rows::is_parked;
pub use rows::sighted_row;

use crate::store::{Ledger, Part, Search, StoreError, Term};
use conductor_core::age::Bound;
use conductor_core::intent::TargetKey;
use conductor_core::limits::REASON_MAX;
use conductor_core::name::{Names, unescaped};
use conductor_core::query::{
    EVERYTHING, EXPORTED_MOST, Explained, Exported, Held, Listing, Proof, Purged, ROWS_MAX, Reason,
    RefusalKind, Refused, Row, Selection, Shown, State, TimelineEntry,
};
use conductor_core::record::{Asked, History, Outcome, RunRecord, Status};
use conductor_core::runs::Runs;
use conductor_core::scrub;
use conductor_crypto::VerifyingKey;
use conductor_os::dir::Dir;
use filed::{Filed, Filing};
use jiff::Timestamp;
use lying::Loop;
use proof::{Published, proof};
pub use rows::finished_row;
use std::collections::HashSet;
use std::io;

/// Outcomes read for one answer: a second or two.
const SCAN_MAX: usize = 500_000;
/// Other intents of the same name that are shown.
const SAME_NAME_MAX: usize = 20;
/// Bytes shown of an error log or an intent.
const TEXT_MAX: u64 = 64 << 10;

/// The intents that an operator names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A sequence number.
    Number(Seq),
    /// A file's name.
    File(String),
    /// A target: `NAMESPACE/TARGET`, or the target alone.
    Target(String),
}

impl Selector {
    /// Parses an operator's word: digits are a number; a name that ends with `.json` (or its status or error log) is a file.
    pub fn of(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self::Number(number);
        }
        let base = text.rsplit('/').next().unwrap_or(text);
        let base = [".status", ".error.log"].iter().find_map(|end| base.strip_suffix(end)).unwrap_or(base);
        let is_file =
            std::path::Path::new(base).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if is_file { Self::File(base.to_owned()) } else { Self::Target(text.to_owned()) }
    }

    /// Whether the row of an unfinished intent matches.
    pub fn is(&self, row: &Row) -> bool {
        match self {
            Self::Number(seq) => row.seq == Some(*seq),
            Self::File(name) => row.file == *name,
            Self::Target(target) => {
                Selection { target: Some(target.clone()), ..Selection::default() }.takes(row)
            }
        }
    }
}

/// An intent that is not finished.
#[derive(Debug, Clone)]
pub struct Found {
    /// The intent's row in a list.
    pub row: Row,
    /// Its runs that have ended.
    pub runs: Vec<RunRecord>,
    /// The beginning of what the last of them wrote.
    pub output: String,
    /// Unfinished intents of its target that come after it.
    pub behind: usize,
}

impl Found {
    /// One without a run that has ended.
    pub fn of(row: Row, behind: usize) -> Self {
        Self { row, runs: Vec::new(), output: String::new(), behind }
    }
}

/// The source of unfinished intents.
pub trait Unfinished {
    /// What a selection may include; one more than wanted shows that there are more. Where only the store can tell whether it
    /// includes a parked one, all of those are there.
    fn rows(&self, selection: &Selection) -> Result<Lined, Refused>;
    /// The first intent that matches.
    fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused>;
    /// The hold that concerns this target: its own, or that of everything.
    fn hold_on(&self, target: &str) -> Result<Option<Held>, Refused>;
}

/// The hold that concerns a target, `NAMESPACE/TARGET` or the target alone: its own, or that of everything.
pub fn hold_on<'h>(mut holds: impl Iterator<Item = &'h Held> + Clone, target: &str) -> Option<&'h Held> {
    let own = holds.clone().find(|held| TargetKey::is_named_in(&held.target, target));
    own.or_else(|| holds.find(|held| held.target == EVERYTHING))
}

/// The sources of answers.
pub struct Queries<'s> {
    /// Finished intents.
    pub store: &'s dyn Ledger,
    /// The handoff directory, with the archives below it.
    pub handoff: &'s Dir,
    /// The keys that have signed for this state, or why they are not known.
    pub public: &'s io::Result<Vec<VerifyingKey>>,
    /// The names of intents.
    pub names: &'s Names,
    /// What runs unfinished intents.
    pub porch_path: &'s str,
    /// Unfinished intents.
    pub unfinished: &'s dyn Unfinished,
    /// Whether the answer is still wanted: a search ends when it is not, and what it has found until then is no answer.
    pub is_wanted: &'s dyn Fn() -> bool,
}

/// The refusal for a failing store.
pub fn store_refused(error: &StoreError) -> Refused {
    Refused::new(RefusalKind::Store, format!("{} {error}", error.code()), error.code().remedy())
}

/// The refusal of what was not looked for to its end. Its reader is the client of a daemon that ends: another has gone.
fn given_up() -> Refused {
    let text = "the daemon stops, or waits for its directory";
    Refused::new(RefusalKind::Busy, text, "Ask again.")
}

impl Queries<'_> {
    /// Passes outcomes found by a search, newest first, while `each` returns true. It fails when the answer is not wanted any more.
    fn look_back(&self, search: Search<'_>, each: impl FnMut(Outcome) -> bool) -> Result<(), Refused> {
        self.while_wanted(each, |each| self.store.search(search, each))
    }

    /// Has the store pass outcomes while `each` returns true. It fails when the answer is not wanted any more.
    fn while_wanted(
        &self,
        mut each: impl FnMut(Outcome) -> bool,
        pass: impl FnOnce(&mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>,
    ) -> Result<(), Refused> {
        let mut is_wanted = true;
        let passed = pass(&mut |outcome| {
            let goes_on = each(outcome);
            is_wanted = !goes_on || (self.is_wanted)();
            goes_on && is_wanted
        });
        passed.map_err(|error| store_refused(&error))?;
        if is_wanted { Ok(()) } else { Err(given_up()) }
    }

    /// The search for finished intents of a selection: it finds every match, and others if the selection has further
    /// conditions.
    fn search_of<'s>(&self, selection: &'s Selection) -> Result<Search<'s>, Refused> {
        let term = match (&selection.target, selection.wants(State::Done), selection.wants(State::Failed)) {
            (Some(target), _, _) => Some(Term::Target(target)),
            (None, true, false) => Some(Term::Status(Status::Success)),
            (None, false, true) => Some(Term::Status(Status::Failed)),
            (None, _, _) => selection.code.map(|_| Term::Status(Status::Failed)),
        };
        let from = match selection.since.map(|since| self.store.first_since(since, self.is_wanted)) {
            Some(first) => first.map_err(|error| store_refused(&error))?.ok_or_else(given_up)?,
            None => Seq::default(),
        };
        Ok(Search { term, from, below: selection.before.unwrap_or(Seq::MAX) })
    }

    /// The list of a selection.
    pub fn list(&self, selection: &Selection) -> Result<Listing, Refused> {
        let most = selection.most.clamp(1, ROWS_MAX);
        let (mut unfinished, mut listing) = (Vec::new(), Listing::default());
        let wants_unfinished = selection.wants(State::Waiting) || selection.wants(State::Running);
        if selection.before.is_none() && wants_unfinished {
            (unfinished, listing.more) = self.unfinished_rows(selection, most)?;
        }
        let mut finished = Vec::new();
        let left = most - unfinished.len();
        if selection.wants(State::Done) || selection.wants(State::Failed) {
            let mut looked = 0;
            self.look_back(self.search_of(selection)?, |outcome| {
                looked += 1;
                let row = finished_row(&outcome);
                if !selection.takes(&row) && looked < SCAN_MAX {
                    return true;
                }
                let full = finished.len() == left || looked >= SCAN_MAX;
                if full {
                    (listing.more, listing.next_before) = (true, Some(outcome.seq.next()));
                } else {
                    finished.push(row);
                }
                !full
            })?;
        }
        // Intents filed between the two reads are shown as finished.
        let now_finished: HashSet<Seq> = finished.iter().filter_map(|row| row.seq).collect();
        unfinished.retain(|row| row.seq.is_none_or(|seq| !now_finished.contains(&seq)));
        listing.intents = unfinished;
        listing.intents.extend(finished);
        Ok(listing)
    }

    /// A part of an export.
    pub fn exported(&self, from: Seq) -> Result<Exported, Refused> {
        let failed = |error: StoreError| store_refused(&error);
        // First: every outcome up to it that is durable now is in the export.
        let last_seq = self.store.last_seq().map_err(failed)?;
        let mut part = Exported { last_seq, ..Exported::default() };
        let each = |outcome: Outcome| {
            if part.outcomes.len() == EXPORTED_MOST {
                part.next = Some(outcome.seq);
                return false;
            }
            part.outcomes.push(outcome);
            true
        };
        self.while_wanted(each, |each| self.store.outcomes(from, each))?;
        Ok(part)
    }

    /// The number of failures decided at this time or later; no more than [`ROWS_MAX`] are counted.
    pub fn failed_since(&self, since: Timestamp) -> Result<u64, Refused> {
        let failed = vec![State::Failed];
        let selection =
            Selection { states: failed, since: Some(since), most: ROWS_MAX, ..Selection::default() };
        Ok(self.list(&selection)?.intents.len() as u64)
    }

    /// The first unfinished intent that matches. Names that the loop does not know are in the store.
    fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused> {
        let mut found = self.unfinished.find(subject)?;
        if let (None, Selector::File(name)) = (&found, subject) {
            let seq = self.store.claim_named(name);
            if let Some(seq) = seq.map_err(|error| store_refused(&error))? {
                found = self.unfinished.find(&Selector::Number(seq))?;
            }
        }
        let Some(found) = found else { return Ok(None) };
        let row = self.completed(found.row.clone())?;
        Ok(row.map(|row| Found { row, ..found }))
    }

    /// Everything about one intent; of several with one name, the newest.
    pub fn show(&self, of: &str) -> Result<Shown, Refused> {
        let subject = Selector::of(of);
        if let Some(found) = self.find(&subject)? {
            return self.show_unfinished(found);
        }
        let outcome = self.outcome(&subject)?.ok_or_else(|| not_found(of))?;
        let same_name = self.same_name(&outcome.name, Some(outcome.seq))?;
        let is_open = self.store.is_open(outcome.seq).map_err(|error| store_refused(&error))?;
        let filing = if is_open { Filing::UnderWay } else { Filing::Complete };
        let newest = !same_name.iter().any(|other| other.seq > Some(outcome.seq));
        let Filed { content, error_log, warnings } = Filed::look(self.handoff, &outcome, filing, newest);
        let mut shown = Shown {
            size: outcome.size,
            mode: Some(outcome.mode.clone()),
            porch_path: Some(outcome.porch_path.clone()),
            timeline: timeline(&outcome),
            content,
            error_log,
            not_as_filed: warnings,
            same_name,
            ..blank(finished_row(&outcome))
        };
        if let Some(history) = outcome.history {
            let History { uid, asked, runs, output, diff, .. } = *history;
            (shown.uid, shown.asked, shown.runs) = (Some(uid), asked.map(harmless), runs);
            (shown.output, shown.diff) = (output, diff);
        }
        if !outcome.imported {
            let published = match (newest, filing) {
                (false, _) => Published::Replaced,
                (true, Filing::UnderWay) => Published::NotYet,
                (true, Filing::Complete) => Published::Here,
            };
            shown.proof = proof(self.handoff, self.public, &shown, published);
        }
        Ok(shown)
    }

    fn show_unfinished(&self, found: Found) -> Result<Shown, Refused> {
        let Found { row, runs, output, .. } = found;
        let same_name = self.same_name(&row.file, None)?;
        let with_content = |claim, bytes: &[u8]| (claim, scrub::block(bytes));
        let stored = row.seq.map(|seq| self.store.with_claim(seq, with_content)).transpose();
        let stored = stored.map_err(|error| store_refused(&error))?.flatten();
        let mut shown = Shown { runs, output, same_name, ..blank(row) };
        if let Some((claim, content)) = stored {
            shown.content = Some(content);
            let what = format!("taken: {} bytes, owner uid {}", claim.size, claim.uid);
            shown.timeline.push(TimelineEntry { at: claim.taken_at, what });
            (shown.size, shown.uid) = (claim.size, Some(claim.uid));
            shown.asked = Some(harmless(claim.asked()));
        }
        shown.timeline.extend(run_moments(&shown.runs, Runs::from(self.porch_path).name()));
        if let (State::Running, Some(at)) = (shown.intent.state, shown.intent.at) {
            let what = format!("start {} of {}", shown.intent.attempts, Runs::from(self.porch_path).name());
            shown.timeline.push(TimelineEntry { at, what });
        }
        Ok(shown)
    }

    /// The one reason why an intent waits or failed.
    pub fn explain(&self, of: &str) -> Result<Explained, Refused> {
        let subject = Selector::of(of);
        let explained =
            |reason, intent, waiting_behind| Explained { of: of.to_owned(), reason, intent, waiting_behind };
        if let Some(Found { row, behind, .. }) = self.find(&subject)? {
            return Ok(explained(row.reason.clone(), Some(row), behind));
        }
        let hold = match &subject {
            Selector::Target(target) => self.unfinished.hold_on(target)?,
            _ => None,
        };
        let is_own = hold.as_ref().is_some_and(|held| held.target != EVERYTHING);
        // A word without a slash may be a target, or the name of a file that is not an intent.
        if let Selector::File(name) | Selector::Target(name) = &subject
            && !name.contains('/')
            && let raw = unescaped(name)
            && let Some(lying) = lying::lying(self.handoff, self.names, &raw, Loop::Turns)
        {
            let file = matches!(subject, Selector::File(_)) || self.outcome(&subject)?.is_none();
            if file && !is_own {
                let row = (lying != Lying::OtherName).then(|| entry_row(&raw, 0, &lying));
                return Ok(explained(lying.reason(), row, 0));
            }
        }
        let last = self.outcome(&subject)?;
        // Where everything is held, a word that is no target is not.
        let is_target = is_own || last.is_some() || of.parse::<TargetKey>().is_ok();
        if let Some(held) = hold.filter(|_| is_target) {
            return Ok(explained(held_alone(&held), None, 0));
        }
        let row = last.map(|outcome| finished_row(&outcome)).ok_or_else(|| not_found(of))?;
        Ok(explained(row.reason.clone(), Some(row), 0))
    }

    /// The newest outcome that matches.
    fn outcome(&self, subject: &Selector) -> Result<Option<Outcome>, Refused> {
        let term = match subject {
            Selector::Number(seq) => return self.store.outcome(*seq).map_err(|error| store_refused(&error)),
            Selector::File(name) => Term::File(name),
            Selector::Target(target) => Term::Target(target),
        };
        let mut found = None;
        self.look_back(Search { term: Some(term), ..Search::default() }, |outcome| {
            found = Some(outcome);
            false
        })?;
        Ok(found)
    }

    fn same_name(&self, name: &str, except: Option<Seq>) -> Result<Vec<Row>, Refused> {
        let mut rows = Vec::new();
        self.look_back(Search { term: Some(Term::File(name)), ..Search::default() }, |outcome| {
            // An archived file may have the name of another intent.
            if outcome.name == name && Some(outcome.seq) != except {
                rows.push(finished_row(&outcome));
            }
            rows.len() < SAME_NAME_MAX
        })?;
        Ok(rows)
    }

    /// The outcomes that a purge would remove, by the rule of the purge itself.
    pub fn would_purge(&self, before: Timestamp) -> Result<Purged, Refused> {
        let refused = |error: StoreError| store_refused(&error);
        let (mut purged, mut from) = (Purged { outcomes: 0, failed: 0, really: false }, None);
        let (clock, bound) =
            (self.store.upkeep().map_err(refused)?.clock, Bound { before, now: Timestamp::now() });
        loop {
            let part = Part { from, most: usize::MAX, bound, clock: &clock };
            let page = self.store.old(part).map_err(refused)?;
            purged.outcomes += page.old.len() as u64;
            let failed = page.old.iter().filter(|outcome| outcome.status == Status::Failed);
            purged.failed += failed.count() as u64;
            from = page.next;
            if from.is_none() {
                return Ok(purged);
            }
            if !(self.is_wanted)() {
                return Err(given_up());
            }
        }
    }
}

/// Scrubs the reason: records of earlier versions have it as its producer wrote it.
fn harmless(asked: Asked) -> Asked {
    Asked { reason: asked.reason.map(|reason| scrub::shown(&reason, REASON_MAX)), ..asked }
}

/// Why a target without unfinished intents would wait.
fn held_alone(held: &Held) -> Reason {
    let (what, advice) = if held.target == EVERYTHING {
        ("everything", "`conductor-loop release --all` when it may go on.")
    } else {
        ("it", "`conductor-loop release TARGET` when it may go on.")
    };
    Reason::new("held", format!("an operator holds {what}; no intent of it is waiting"), advice)
}

fn not_found(of: &str) -> Refused {
    let text = format!(
        "nothing is known of '{}': no such entry lies in the handoff directory, and no intent of it is remembered",
        scrub::line(of, 200)
    );
    Refused::new(RefusalKind::NotFound, text, "`conductor-loop list` shows numbers, files and targets.")
}

fn blank(intent: Row) -> Shown {
    Shown {
        intent,
        asked: None,
        size: 0,
        uid: None,
        mode: None,
        porch_path: None,
        timeline: Vec::new(),
        runs: Vec::new(),
        output: String::new(),
        diff: String::new(),
        error_log: None,
        content: None,
        not_as_filed: Vec::new(),
        proof: Proof::default(),
        same_name: Vec::new(),
    }
}

fn timeline(outcome: &Outcome) -> Vec<TimelineEntry> {
    let mut moments = Vec::new();
    let runner = Runs::from(outcome.porch_path.as_str()).name();
    if let Some(history) = &outcome.history {
        let what = format!("taken: {} bytes, owner uid {}", outcome.size, history.uid);
        moments.push(TimelineEntry { at: history.taken_at, what });
        let unknown = outcome.attempts.saturating_sub(u32::try_from(history.runs.len()).unwrap_or(0));
        if unknown > 0 {
            let what = format!("starts of {runner} whose end this daemon has not seen: {unknown}");
            moments.push(TimelineEntry { at: history.taken_at, what });
        }
        moments.extend(run_moments(&history.runs, runner));
    }
    let what = match outcome.error_code {
        Some(code) => format!("{code} {}: filed as {}", code.title(), outcome.archived_as),
        None if outcome.imported => "imported from the state file of the Go version".to_owned(),
        None => format!("filed as {}", outcome.archived_as),
    };
    moments.push(TimelineEntry { at: outcome.finished_at, what });
    moments
}

fn run_moments<'r>(runs: &'r [RunRecord], runner: &'r str) -> impl Iterator<Item = TimelineEntry> + 'r {
    runs.iter().flat_map(move |run| {
        let took = jiff::SignedDuration::from_millis(i64::try_from(run.took_ms).unwrap_or(i64::MAX));
        let ended = run.began_at.checked_add(took).unwrap_or(run.began_at);
        [
            TimelineEntry {
                at: run.began_at,
                what: format!("start {} of {runner}, by worker {}", run.attempt, run.worker),
            },
            TimelineEntry { at: ended, what: format!("{} ({} ms)", run.ending, run.took_ms) },
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_writes_is_a_number_a_file_or_a_target() {
        for (text, want) in [
            ("17", Selector::Number(Seq(17))),
            ("intent-a.json", Selector::File("intent-a.json".into())),
            ("handoff/failed/intent-a.7.json", Selector::File("intent-a.7.json".into())),
            ("status/intent-a.json.status", Selector::File("intent-a.json".into())),
            ("failed/intent-a.json.error.log", Selector::File("intent-a.json".into())),
            ("oran-sim/web", Selector::Target("oran-sim/web".into())),
            ("web", Selector::Target("web".into())),
        ] {
            assert_eq!(Selector::of(text), want, "{text}");
        }
    }
}
