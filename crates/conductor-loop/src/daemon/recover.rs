//! What a start does with what an earlier daemon left, by the table in `conductor_core::stage`. Nothing here is lost
//! when it is interrupted: every step leaves a state that the same table covers. All that the store has of unfinished intents is
//! read and held against its digests before anything is changed; nothing of it stays in memory but names and numbers. A file is
//! removed as one that the store has only when its content says so.

use super::places::Places;
use super::{Failure, error_log, history};
use crate::clerk::{Again, Settlement, Source};
use crate::runner::{LastRuns, kill_leftovers};
use crate::seal::sha256_of;
use crate::store::{Pending, Start, Store, StoreError};
use crate::sys::dir::Kind;
use crate::sys::taken::TakenFiles;
use conductor_core::name::TakenName;
use conductor_core::record::{Claim, LastSuccess, Outcome, Status};
use conductor_core::stage::{OnDisk, Resume, resume};
use conductor_core::{Code, Digest};
use std::collections::HashMap;
use std::io;

/// What recovery found to do.
#[derive(Default)]
pub(super) struct Recovered {
    /// Outcomes to publish again, in order of taking.
    pub(super) again: Vec<Again>,
    /// Interrupted intents to give up.
    pub(super) given_up: Vec<Settlement>,
    /// Claims to run, in order of taking.
    pub(super) claims: Vec<Unrun>,
    /// Taken files without a record.
    pub(super) relook: Vec<TakenName>,
    /// The first unused sequence number.
    pub(super) next_seq: u64,
}

/// A durable claim that has no outcome. The store has its bytes.
pub(super) struct Unrun {
    pub(super) claim: Claim,
    /// Starts of porch so far.
    pub(super) started: u32,
    /// The last success of its target.
    pub(super) last: Option<LastSuccess>,
}

/// Mode and porch as the status of a given-up intent names them.
pub(super) struct Labels<'l> {
    pub(super) mode: &'l str,
    pub(super) porch: &'l str,
}

pub(super) fn recover(
    places: &Places,
    store: &Store,
    last: &LastRuns,
    max_attempts: u32,
    labels: &Labels<'_>,
) -> Result<Recovered, Failure> {
    let mut found = Vec::new();
    store.pending(|pending| found.push(Found::from(pending))).map_err(unreadable)?;
    let claimed = |found: &Found| match found {
        Found::Claimed { claim, .. } => Some((claim.seq, claim.sha256)),
        Found::Decided { .. } => None,
    };
    let unfinished: Vec<(u64, Digest)> = found.iter().filter_map(claimed).collect();
    let staging = places.slots.path().display().to_string();
    for left in kill_leftovers(&last.lines, &unfinished, &staging) {
        tracing::warn!(process = left, "ended a porch that the last daemon had left running");
    }
    let mut recovery = Recovery::begin(places, store)?;
    for found in found {
        let file = recovery.taken_file(&found).map_err(broken)?;
        if !last.this_boot {
            recovery.forget_returned(&found).map_err(broken)?;
        }
        match found {
            Found::Decided { seq, .. } => recovery.recovered.again.push(Again { seq, taken: file }),
            Found::Claimed { claim, start } => match resume_of(claim.seq, start, last, max_attempts) {
                Resume::Run { started } => recovery.run(claim, started, file)?,
                // A claim has nothing to look at or to publish yet.
                Resume::GiveUp | Resume::Look | Resume::Publish => {
                    recovery.recovered.given_up.push(give_up(claim, file, max_attempts, labels));
                }
            },
        }
    }
    recovery.sort_out_the_rest()?;
    let recovered = recovery.recovered;
    // Before the run lines are forgotten, what they proved is made durable.
    let counted: Vec<(u64, u32)> =
        recovered.claims.iter().map(|unrun| (unrun.claim.seq, unrun.started)).collect();
    store.write(|batch| batch.count_starts(&counted)).map_err(unreadable)?;
    // Private copies and drafts are made again from the store.
    for left in places.slots.clear().map_err(broken)? {
        tracing::warn!(
            left = left.name,
            reason = left.reason,
            "what a run left in the staging directory cannot be removed; tried again at the next start"
        );
    }
    places.drafts.clear(None).map_err(broken)?;
    Ok(recovered)
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what map_err gives")]
fn unreadable(error: StoreError) -> Failure {
    Failure::set_up(error.code(), format!("reading unfinished intents: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what map_err gives")]
fn broken(error: io::Error) -> Failure {
    Failure::set_up(Code::DirectorySetup, format!("reading .conductor: {error}"))
}

/// An unfinished intent, without its bytes.
enum Found {
    Claimed { claim: Claim, start: Option<Start> },
    Decided { seq: u64, content: Option<Content>, claim: Option<Claim> },
}

/// What a file has to be to be the one that the store has.
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
    fn seq(&self) -> u64 {
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

    /// None: the store does not have it, the taken file is all there is.
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

    /// Whether a taken file has this content. One that cannot be read has not.
    fn is_in(&self, places: &Places, file: &TakenName) -> bool {
        let same = || {
            let meta = places.taken.stat_taken(file)?;
            if meta.kind != Kind::File || meta.size != self.size {
                return Ok(false);
            }
            let mut file = places.taken.open_taken(file)?;
            Ok::<_, io::Error>(sha256_of(&mut file, self.size)? == self.digest)
        };
        same().unwrap_or_else(|error| {
            tracing::warn!(seq = file.seq, %error, "a taken file cannot be compared; it is looked at again");
            false
        })
    }
}

struct Recovery<'r> {
    places: &'r Places,
    store: &'r Store,
    /// By number; several have one only where something else than we put them there.
    taken: HashMap<u64, Vec<TakenName>>,
    recovered: Recovered,
}

impl<'r> Recovery<'r> {
    fn begin(places: &'r Places, store: &'r Store) -> Result<Self, Failure> {
        let mut taken: HashMap<u64, Vec<TakenName>> = HashMap::new();
        let mut highest = store.last_seq().map_err(unreadable)?;
        for file in places.taken.all_taken().map_err(broken)? {
            highest = highest.max(file.seq);
            taken.entry(file.seq).or_default().push(file);
        }
        let recovered = Recovered { next_seq: highest + 1, ..Recovered::default() };
        Ok(Self { places, store, taken, recovered })
    }

    fn next_seq(&mut self) -> u64 {
        let seq = self.recovered.next_seq;
        self.recovered.next_seq += 1;
        seq
    }

    /// The taken file of an unfinished intent, if it is still there. Another one under its number becomes an intent of its own.
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

    /// A file that is none of ours stands under the number of another intent: it gets one of its own and is looked at.
    fn renumber(&mut self, file: &TakenName) -> io::Result<()> {
        let seq = self.next_seq();
        let renumbered = self.places.taken.renumber(file, seq)?;
        tracing::warn!(
            seq,
            file = conductor_core::name::escaped(&file.raw),
            "a taken file is not the one that was recorded as number {}; it is looked at as number {seq}",
            file.seq
        );
        self.recovered.relook.push(renumbered);
        Ok(())
    }

    /// A power cut can undo the taking: the same file stands in the handoff directory again while its claim is durable. It is
    /// not a new intent. Inode, time and size only say that it may be that file; it is taken before its content is looked at, as
    /// any other, and is an intent of its own if it is another.
    fn forget_returned(&mut self, found: &Found) -> io::Result<()> {
        let (Some(claim), Some(content)) = (found.claim(), found.content()) else { return Ok(()) };
        match self.places.handoff.stat(&claim.name) {
            Ok(meta)
                if meta.kind == Kind::File
                    && (meta.id.1, meta.mtime_ns, meta.size) == (claim.inode, claim.mtime_ns, claim.size) => {
            }
            _ => return Ok(()),
        }
        let file = TakenName { seq: self.next_seq(), raw: claim.name.as_bytes().into() };
        match self.places.taken.take(&self.places.handoff, &file) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(file = claim.name, %error, "a file that may have been taken before cannot be taken");
                return Ok(());
            }
        }
        if content.is_in(self.places, &file) {
            tracing::info!(
                seq = claim.seq,
                file = claim.name,
                "a file that was taken before the power cut is back; removed"
            );
            return self.places.taken.remove_taken(&file);
        }
        self.recovered.relook.push(file);
        Ok(())
    }

    fn run(&mut self, claim: Claim, started: u32, file: Option<TakenName>) -> Result<(), Failure> {
        let last = self.store.last_success(&claim.key, &claim.name).map_err(unreadable)?;
        self.recovered.claims.push(Unrun { claim, started, last });
        // The store has its bytes: they were read and compared.
        file.map_or(Ok(()), |file| self.places.taken.remove_taken(&file)).map_err(broken)
    }

    /// Taken files whose number is not that of an unfinished intent.
    fn sort_out_the_rest(&mut self) -> Result<(), Failure> {
        for file in std::mem::take(&mut self.taken).into_values().flatten() {
            let Some(outcome) = self.store.outcome(file.seq).map_err(unreadable)? else {
                self.recovered.relook.push(file);
                continue;
            };
            if Content::of(&outcome).is_some_and(|content| content.is_in(self.places, &file)) {
                self.places.taken.remove_taken(&file).map_err(broken)?;
            } else {
                self.renumber(&file).map_err(broken)?;
            }
        }
        self.recovered.relook.sort_by_key(|file| file.seq);
        Ok(())
    }
}

fn resume_of(seq: u64, start: Option<Start>, last: &LastRuns, max_attempts: u32) -> Resume {
    let started = match start {
        None => 0,
        // In this boot the run lines are complete: without one, the recorded start did not happen.
        Some(Start { attempt, happened: false }) if last.this_boot => {
            let happened = last.lines.iter().any(|line| line.seq == seq && line.attempt == attempt);
            if happened { attempt } else { attempt.saturating_sub(1) }
        }
        // Known to have happened, or after a power cut, when nobody knows: it counts, so that there are never more starts
        // than allowed.
        Some(Start { attempt, .. }) => attempt,
    };
    resume(OnDisk::Claimed { started }, max_attempts)
}

fn give_up(claim: Claim, file: Option<TakenName>, attempts: u32, labels: &Labels<'_>) -> Settlement {
    let history = Some(history::of_claim(&claim, Vec::new(), None));
    // Earlier starts may have ended by themselves and been tried again.
    let message = format!(
        "interrupted: the daemon or the machine stopped while porch ran, at the last of {attempts} starts"
    );
    let outcome = Outcome {
        status: Status::Failed,
        message,
        mode: labels.mode.to_owned(),
        porch_path: labels.porch.to_owned(),
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
    Settlement { outcome, source, report, taken, republish: false, archived: false, renamed: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::RunLine;

    #[test]
    fn starts_are_neither_lost_nor_invented() {
        let ran = |attempt| RunLine { seq: 7, attempt, process: None };
        let same_boot = |lines: Vec<RunLine>| LastRuns { this_boot: true, lines };
        let rebooted = LastRuns { this_boot: false, lines: Vec::new() };
        let cases = [
            (None, same_boot(vec![]), Resume::Run { started: 0 }),
            // Recorded ahead, and the run line tells whether it happened.
            (Some((1, false)), same_boot(vec![ran(1)]), Resume::Run { started: 1 }),
            (Some((1, false)), same_boot(vec![]), Resume::Run { started: 0 }),
            (Some((3, false)), same_boot(vec![ran(2)]), Resume::Run { started: 2 }),
            (Some((3, false)), same_boot(vec![ran(3)]), Resume::GiveUp),
            // After a reboot nobody knows: it counts.
            (Some((1, false)), rebooted.clone(), Resume::Run { started: 1 }),
            (Some((3, false)), rebooted, Resume::GiveUp),
            // What an earlier recovery has counted stays counted, although its run line is gone.
            (Some((2, true)), same_boot(vec![]), Resume::Run { started: 2 }),
            (Some((3, true)), same_boot(vec![]), Resume::GiveUp),
        ];
        for (start, last, want) in cases {
            let start = start.map(|(attempt, happened)| Start { attempt, happened });
            assert_eq!(resume_of(7, start, &last, 3), want, "{start:?} {last:?}");
        }
    }
}
