//! Recovery: the actions of a start on an earlier daemon's work, by the table in `conductor_core::stage`. An interruption
//! loses nothing: every step leaves a state that the same table covers. All unfinished intents in the store are read and
//! checked against their digests before any change; only names and numbers stay in memory. A file is removed as a copy of
//! the store's only if its content is the same.

use super::failure::Failure;
use super::not_started::{NotStarted, READING_UNFINISHED};
use super::{error_log, history};
use crate::handoff::{Handoff, TakenFiles};
use crate::runner::{LastRuns, Leftovers, kill_leftovers};
use crate::store::{Ledger, Pending, Start, StoreError, Work};
use crate::writer::{Again, Publication, PublicationKind, Source};
use conductor_core::intent::TargetKey;
use conductor_core::limits::{Limits, Memory};
use conductor_core::name::TakenName;
use conductor_core::record::{Claim, LastSuccess, Outcome, Status};
use conductor_core::scheduler::Parked;
use conductor_core::stage::{OnDisk, Resume, resume};
use conductor_core::{Attempt, Code, Digest, Seq};
use conductor_crypto::sha256_of;
use conductor_os::dir::Kind;
use std::collections::{HashMap, HashSet};
use std::io;

/// The work found by recovery.
#[derive(Default)]
pub(super) struct Recovered {
    /// Outcomes to publish again, in order of taking.
    pub(super) again: Vec<Again>,
    /// Interrupted intents to give up.
    pub(super) given_up: Vec<Publication>,
    /// Claims to run, in order of taking: the first ones of each target.
    pub(super) claims: Vec<Unrun>,
    /// The claims after them, of which only this much is kept in memory.
    pub(super) parked: HashMap<TargetKey, Vec<Parked>>,
    /// Taken files without a record.
    pub(super) relook: Vec<TakenName>,
    /// The first unused sequence number.
    pub(super) next_seq: Seq,
}

/// A durable claim that has no outcome. The store has its bytes.
pub(super) struct Unrun {
    pub(super) claim: Claim,
    /// Starts of porch so far.
    pub(super) started: u32,
    /// The last success of its target.
    pub(super) last: Option<LastSuccess>,
}

/// The rules for claims, and the mode and porch named in the status of one that is given up.
pub(super) struct Rules<'r> {
    pub(super) limits: &'r Limits,
    pub(super) mode: &'r str,
    pub(super) porch: &'r str,
}

pub(super) fn recover(
    places: &Handoff,
    store: &dyn Ledger,
    last: &LastRuns,
    rules: &Rules<'_>,
) -> Result<Recovered, Failure> {
    let staging = places.dirs.slots.path().display().to_string();
    let left = kill_leftovers(&last.lines, &store.begun().map_err(unreadable)?, &staging);
    let Leftovers { ended, alive } = left.map_err(NotStarted::left_running("/proc"))?;
    for left in ended {
        tracing::warn!(process = left, "ended a porch that the last daemon had left running");
    }
    if !alive.is_empty() {
        let message = format!(
            "a porch that the last daemon left running lives on and cannot be ended from here, and none starts beside it: {}. End it, or \
             start with the --porch-user that it had",
            alive.join(", ")
        );
        return Err(Failure::unfit(Code::LockHeld, message));
    }
    // Read twice: before any change, all of it is known to be intact.
    store.pending(&mut |_| ()).map_err(unreadable)?;
    let mut recovery = Recovery::begin(places, store)?;
    let mut resumed = Ok(());
    // One at a time: all together may exceed memory.
    let read = store.pending(&mut |pending| {
        if resumed.is_ok() {
            resumed = recovery.resume(pending.into(), last, rules);
        }
    });
    read.map_err(unreadable)?;
    resumed.map_err(broken)?;
    recovery.sort_out_the_rest()?;
    recovery.compare_with_last_runs()?;
    // Before the run lines are cleared, the starts that they prove are made durable.
    let starts = std::mem::take(&mut recovery.counted);
    store.commit(&Work { starts, ..Work::default() }).map_err(unreadable)?;
    let recovered = recovery.recovered;
    // Private copies and drafts are made again from the store.
    for left in places.dirs.slots.clear().map_err(broken)? {
        tracing::warn!(
            left = left.name,
            reason = left.reason,
            "a leftover in the staging directory cannot be removed; tried again at the next start"
        );
    }
    places.dirs.drafts.clear(None).map_err(broken)?;
    Ok(recovered)
}

fn unreadable(error: StoreError) -> Failure {
    NotStarted::records(READING_UNFINISHED)(error).into()
}

fn broken(error: io::Error) -> Failure {
    Failure::refused("reading .conductor", error)
}

/// An unfinished intent, without its bytes.
enum Found {
    Claimed { claim: Claim, start: Option<Start> },
    Decided { seq: Seq, content: Option<Content>, claim: Option<Claim> },
}

/// The properties that identify a file as the one in the store.
#[derive(Clone, Copy)]
struct Content {
    digest: Digest,
    size: u64,
}

impl From<Pending> for Found {
    fn from(pending: Pending) -> Self {
        match pending {
            Pending::Claimed { claim, start } => Self::Claimed { claim, start },
            Pending::Settled { outcome, claim, .. } => {
                let content = Content::of(&outcome);
                Self::Decided { seq: outcome.seq, content, claim }
            }
        }
    }
}

impl Found {
    fn seq(&self) -> Seq {
        match self {
            Self::Claimed { claim, .. } => claim.seq,
            Self::Decided { seq, .. } => *seq,
        }
    }

    fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claimed { claim, .. } => Some(claim),
            Self::Decided { claim, .. } => claim.as_ref(),
        }
    }

    /// `None`: the store does not have it; the taken file is the only copy.
    fn content(&self) -> Option<Content> {
        match self {
            Self::Claimed { claim, .. } => Some(Content { digest: claim.sha256, size: claim.size }),
            Self::Decided { content, .. } => *content,
        }
    }
}

impl Content {
    fn of(outcome: &Outcome) -> Option<Self> {
        outcome.sha256.map(|digest| Self { digest, size: outcome.size })
    }

    /// Whether a taken file has this content. An unreadable one does not.
    fn is_in(&self, places: &Handoff, file: &TakenName) -> bool {
        let same = || {
            let meta = places.dirs.taken.stat_taken(file)?;
            if meta.kind != Kind::File || meta.size != self.size {
                return Ok(false);
            }
            let mut file = places.dirs.taken.open_taken(file)?;
            Ok::<_, io::Error>(sha256_of(&mut file, self.size)? == self.digest)
        };
        same().unwrap_or_else(|error| {
            tracing::warn!(seq = file.seq.get(), %error, "a taken file cannot be compared; it is looked at again");
            false
        })
    }
}

struct Recovery<'r> {
    places: &'r Handoff,
    store: &'r dyn Ledger,
    /// By number; a number has several files only if another process put some there.
    taken: HashMap<Seq, Vec<TakenName>>,
    recovered: Recovered,
    /// Starts known to have happened, by number.
    counted: Vec<(Seq, Start)>,
    /// Claims of each target that are kept in memory.
    in_memory: HashMap<TargetKey, usize>,
}

impl<'r> Recovery<'r> {
    fn begin(places: &'r Handoff, store: &'r dyn Ledger) -> Result<Self, Failure> {
        let mut taken: HashMap<Seq, Vec<TakenName>> = HashMap::new();
        let mut highest = store.last_seq().map_err(unreadable)?;
        for file in places.dirs.taken.all_taken().map_err(broken)? {
            highest = highest.max(file.seq);
            taken.entry(file.seq).or_default().push(file);
        }
        let recovered = Recovered { next_seq: highest.next(), ..Recovered::default() };
        let (counted, in_memory) = (Vec::new(), HashMap::new());
        Ok(Self { places, store, taken, recovered, counted, in_memory })
    }

    fn next_seq(&mut self) -> Seq {
        let seq = self.recovered.next_seq;
        self.recovered.next_seq = seq.next();
        seq
    }

    /// The taken file of an unfinished intent, if it still exists. Another file with its number becomes an intent of its own.
    fn taken_file(&mut self, found: &Found) -> io::Result<Option<TakenName>> {
        let mut own = None;
        for file in self.taken.remove(&found.seq()).unwrap_or_default() {
            let is_own = found.content().is_none_or(|content| content.is_in(self.places, &file));
            if own.is_none() && is_own {
                own = Some(file);
            } else {
                self.renumber(&file)?;
            }
        }
        Ok(own)
    }

    /// A foreign file has the number of another intent: it gets a number of its own and is looked at.
    fn renumber(&mut self, file: &TakenName) -> io::Result<()> {
        let seq = self.next_seq();
        let renumbered = self.places.dirs.taken.renumber(file, seq)?;
        tracing::warn!(
            seq = seq.get(),
            file = conductor_core::name::escaped(&file.raw),
            "a taken file is not the one that was recorded as number {}; it is looked at as number {seq}",
            file.seq
        );
        self.recovered.relook.push(renumbered);
        Ok(())
    }

    /// A power cut can undo the taking: the same file is in the handoff directory again while its claim is durable. It is
    /// not a new intent. Inode, time and size only suggest that it is that file; like any other it is taken before its
    /// content is compared, and becomes an intent of its own if it differs.
    fn forget_returned(&mut self, found: &Found) -> io::Result<()> {
        let (Some(claim), Some(content)) = (found.claim(), found.content()) else { return Ok(()) };
        match self.places.dirs.handoff.stat(&claim.name) {
            Ok(meta)
                if meta.kind == Kind::File
                    && (meta.id.1, meta.mtime_ns, meta.size) == (claim.inode, claim.mtime_ns, claim.size) => {
            }
            _ => return Ok(()),
        }
        let file = TakenName { seq: self.next_seq(), raw: claim.name.as_bytes().into() };
        match self.places.dirs.taken.take(&self.places.dirs.handoff, &file) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(file = claim.name, %error, "a file that may have been taken before cannot be taken");
                return Ok(());
            }
        }
        if content.is_in(self.places, &file) {
            tracing::info!(
                seq = claim.seq.get(),
                file = claim.name,
                "a file that was taken before the power cut is back; removed"
            );
            return self.places.dirs.taken.remove_taken(&file);
        }
        self.recovered.relook.push(file);
        Ok(())
    }

    fn resume(&mut self, found: Found, last: &LastRuns, rules: &Rules<'_>) -> io::Result<()> {
        let file = self.taken_file(&found)?;
        if !last.this_boot {
            self.forget_returned(&found)?;
        }
        match found {
            Found::Decided { seq, .. } => self.recovered.again.push(Again { seq, taken: file }),
            Found::Claimed { claim, start } => {
                let resume = resume_of(claim.seq, start, last, rules.limits.live.max_attempts);
                self.counted.extend(counted(start, resume).map(|start| (claim.seq, start)));
                match resume {
                    Resume::Run { started } => self.run(claim, started, &rules.limits.memory),
                    // A claim has nothing to look at or to publish yet.
                    Resume::GiveUp | Resume::Look | Resume::Publish => {
                        self.recovered.given_up.push(give_up(claim, file, rules));
                        return Ok(());
                    }
                }
                // The store has its bytes: they were read and compared.
                if let Some(file) = file {
                    self.places.dirs.taken.remove_taken(&file)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a claim in memory, or only its number if enough of its target are in memory.
    fn run(&mut self, claim: Claim, started: u32, memory: &Memory) {
        let share = memory.share(self.recovered.claims.len());
        let own = self.in_memory.entry(claim.key.clone()).or_default();
        // A claim after parked ones is parked too, or it would overtake them.
        if *own >= share || self.recovered.parked.contains_key(&claim.key) {
            let parked = Parked { seq: claim.seq, priority: claim.priority };
            self.recovered.parked.entry(claim.key).or_default().push(parked);
        } else {
            *own += 1;
            self.recovered.claims.push(Unrun { claim, started, last: None });
        }
    }

    /// The last run of each first claim's target, if it succeeded: the claim may be a duplicate of it. An intent given up
    /// now counts as a failed run.
    fn compare_with_last_runs(&mut self) -> Result<(), Failure> {
        let failed = self.recovered.given_up.iter().filter_map(|given_up| given_up.outcome.key.clone());
        let mut known: HashSet<TargetKey> = failed.collect();
        for unrun in &mut self.recovered.claims {
            if known.insert(unrun.claim.key.clone()) {
                let last = self.store.last_success(&unrun.claim.key, &unrun.claim.name);
                unrun.last = last.map_err(unreadable)?;
            }
        }
        Ok(())
    }

    /// Handles taken files whose number is not that of an unfinished intent.
    fn sort_out_the_rest(&mut self) -> Result<(), Failure> {
        for file in std::mem::take(&mut self.taken).into_values().flatten() {
            let Some(outcome) = self.store.outcome(file.seq).map_err(unreadable)? else {
                self.recovered.relook.push(file);
                continue;
            };
            if Content::of(&outcome).is_some_and(|content| content.is_in(self.places, &file)) {
                self.places.dirs.taken.remove_taken(&file).map_err(broken)?;
            } else {
                self.renumber(&file).map_err(broken)?;
            }
        }
        self.recovered.relook.sort_by_key(|file| file.seq);
        Ok(())
    }
}

fn resume_of(seq: Seq, start: Option<Start>, last: &LastRuns, max_attempts: u32) -> Resume {
    let started = match start {
        None => 0,
        // In this boot the run lines are complete: without one, the recorded start did not happen.
        Some(Start { attempt, happened: false }) if last.this_boot => {
            let happened = last.lines.iter().any(|line| line.seq == seq && line.attempt == attempt);
            if happened { attempt.get() } else { attempt.before() }
        }
        // Known to have happened, or unknown after a power cut: it counts, so that there are never more starts than allowed.
        Some(Start { attempt, .. }) => attempt.get(),
    };
    resume(OnDisk::Claimed { started }, max_attempts)
}

fn give_up(claim: Claim, file: Option<TakenName>, rules: &Rules<'_>) -> Publication {
    let attempts = rules.limits.live.max_attempts;
    let history = Some(history::of_claim(&claim, Vec::new(), None));
    // Earlier starts may have ended by themselves and been retried.
    let message = format!(
        "interrupted: the daemon or the machine stopped while porch ran, at the last of {attempts} starts"
    );
    let outcome = Outcome {
        status: Status::Failed,
        message,
        mode: rules.mode.to_owned(),
        porch_path: rules.porch.to_owned(),
        sha256: Some(claim.sha256),
        size: claim.size,
        correlation_id: claim.correlation_id,
        attempts,
        error_code: Some(Code::Interrupted),
        key: Some(claim.key),
        history,
        ..Outcome::blank(claim.seq, &claim.name, jiff::Timestamp::now())
    };
    let report = Some(error_log::render(&outcome, None, None));
    let (source, taken) = (Source::Stored, file);
    Publication { outcome, source, report, taken, kind: PublicationKind::First }
}

/// The start that counts as happened from now on: it must be durable before the run table that proves it is cleared, also
/// for an intent that is given up, whose outcome is written later.
fn counted(recorded: Option<Start>, resume: Resume) -> Option<Start> {
    match resume {
        Resume::Run { started: 0 } => None,
        Resume::Run { started } => Some(Start { attempt: Attempt(started), happened: true }),
        Resume::GiveUp | Resume::Look | Resume::Publish => {
            recorded.map(|Start { attempt, .. }| Start { attempt, happened: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::RunLine;

    #[test]
    fn a_start_that_used_up_the_last_attempt_stays_counted_without_its_run_line() {
        let last = LastRuns {
            this_boot: true,
            lines: vec![RunLine { seq: Seq(7), attempt: Attempt(3), process: None }],
        };
        let recorded = Some(Start { attempt: Attempt(3), happened: false });
        let resume = resume_of(Seq(7), recorded, &last, 3);
        assert_eq!(resume, Resume::GiveUp);
        // The daemon is killed before the outcome is durable: the run table is clear at the next start.
        let cleared = LastRuns { this_boot: true, lines: Vec::new() };
        assert_eq!(resume_of(Seq(7), counted(recorded, resume), &cleared, 3), Resume::GiveUp);
    }

    #[test]
    fn starts_are_neither_lost_nor_invented() {
        let ran = |attempt| RunLine { seq: Seq(7), attempt, process: None };
        let same_boot = |lines: Vec<RunLine>| LastRuns { this_boot: true, lines };
        let rebooted = LastRuns { this_boot: false, lines: Vec::new() };
        let cases = [
            (None, same_boot(vec![]), Resume::Run { started: 0 }),
            // Recorded ahead; the run line proves whether it happened.
            (Some((1, false)), same_boot(vec![ran(Attempt(1))]), Resume::Run { started: 1 }),
            (Some((1, false)), same_boot(vec![]), Resume::Run { started: 0 }),
            (Some((3, false)), same_boot(vec![ran(Attempt(2))]), Resume::Run { started: 2 }),
            (Some((3, false)), same_boot(vec![ran(Attempt(3))]), Resume::GiveUp),
            // After a reboot it is unknown: it counts.
            (Some((1, false)), rebooted.clone(), Resume::Run { started: 1 }),
            (Some((3, false)), rebooted, Resume::GiveUp),
            // A start counted by an earlier recovery stays counted, although its run line is gone.
            (Some((2, true)), same_boot(vec![]), Resume::Run { started: 2 }),
            (Some((3, true)), same_boot(vec![]), Resume::GiveUp),
        ];
        for (start, last, want) in cases {
            let start = start.map(|(attempt, happened)| Start { attempt: Attempt(attempt), happened });
            assert_eq!(resume_of(Seq(7), start, &last, 3), want, "{start:?} {last:?}");
        }
    }
}
