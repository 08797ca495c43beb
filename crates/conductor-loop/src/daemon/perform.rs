//! The hands of the daemon: keeps what belongs to each unfinished intent, turns desk effects into commands and answers into
//! desk events, builds the outcome record, and logs one line per event.

use super::board::Board;
use super::{Summary, error_log, history};
use crate::clerk::{Again, Clerk, Command as ToClerk, Publication, PublicationKind, Source};
use crate::config::Mode;
use crate::intake::{Command as ToIntake, Intake, Judged, Verdict as Judgement};
use crate::runner::{Bytes, Ended, Job, Runner, Stamp, Stop};
use conductor_core::Code;
use conductor_core::desk::{Admission, Effect, Event, Place};
use conductor_core::limits::{MESSAGE_MAX, RunLimits};
use conductor_core::outcome::{Run, Verdict};
use conductor_core::record::{Claim, Outcome, RunRecord, Status, made_correlation_id};
use conductor_core::scrub;
use conductor_core::stage::Final;
use conductor_core::units::format_duration;
use conductor_crypto::random_fraction;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What belongs to one claimed intent while it is unfinished.
pub(super) struct Parcel {
    pub(super) claim: Arc<Claim>,
    /// Where its run writes.
    place: Place,
    bytes: Bytes,
    /// When the run under way was handed to the workers, and which start it is.
    pub(super) handed: Option<(jiff::Timestamp, u32)>,
    /// The runs that ended.
    pub(super) runs: Vec<RunRecord>,
    /// The last run, until it is recorded.
    last_run: Option<(Run, Option<u16>)>,
}

pub(super) struct Bench<'b> {
    clerk: Clerk,
    runner: Runner,
    mode: Mode,
    porch_path: String,
    /// By number, so that the first are the oldest.
    parcels: BTreeMap<u64, Parcel>,
    /// Outcomes on their way to the disk.
    recording: HashMap<u64, Outcome>,
    /// Numbers of outcomes that the clerk publishes again.
    republishing: HashSet<u64>,
    /// What was found wrong in our own books, first of all.
    defect: Option<String>,
    summary: &'b mut Summary,
    board: Arc<Board>,
}

impl<'b> Bench<'b> {
    pub(super) fn new(
        clerk: Clerk,
        runner: Runner,
        (mode, porch_path): (Mode, String),
        (summary, board): (&'b mut Summary, Arc<Board>),
    ) -> Self {
        let (parcels, recording) = (BTreeMap::new(), HashMap::new());
        let (republishing, defect) = (HashSet::new(), None);
        Self { clerk, runner, mode, porch_path, parcels, recording, republishing, defect, summary, board }
    }

    /// Our own books are wrong: nothing that follows from them can be trusted, but what is durable can.
    fn found_defect(&mut self, what: String) {
        tracing::error!(code = Code::Defect.id(), "{what}: {}", Code::Defect.remedy());
        self.defect.get_or_insert(what);
    }

    /// What was found wrong in our own books: the process must end.
    pub(super) fn defect(&self) -> Option<&str> {
        self.defect.as_deref()
    }

    pub(super) fn porch_path(&self) -> &str {
        &self.porch_path
    }

    /// The program that runs intents as it is now, or why it cannot be run; none where the engine is built in.
    pub(super) fn program(&self) -> Option<Result<Option<Stamp>, String>> {
        self.runner.program()
    }

    pub(super) fn summary(&self) -> &Summary {
        self.summary
    }

    pub(super) fn recording(&self) -> usize {
        self.recording.len() + self.republishing.len()
    }

    pub(super) fn parcels(&self) -> impl Iterator<Item = (u64, &Parcel)> {
        self.parcels.iter().map(|(seq, parcel)| (*seq, parcel))
    }

    pub(super) fn parcel(&self, seq: u64) -> Option<&Parcel> {
        self.parcels.get(&seq)
    }

    /// When the oldest intent was taken that waits: porch does not run for it, and it has no outcome on its way to the disk.
    pub(super) fn oldest_waiting(&self, active: &BTreeSet<u64>) -> Option<jiff::Timestamp> {
        let waits = |seq: &u64| !active.contains(seq) && !self.recording.contains_key(seq);
        self.parcels.iter().find(|(seq, _)| waits(seq)).map(|(_, parcel)| parcel.claim.taken_at)
    }

    pub(super) fn send(&self, command: ToClerk) {
        self.clerk.send(command);
    }

    pub(super) fn stop_runs(&self, level: Stop) {
        if level > Stop::No {
            self.runner.stop(level);
        }
    }

    pub(super) fn set_hurry(&self, hurry: bool) {
        self.clerk.set_hurry(hurry);
    }

    pub(super) fn abandon(&self) {
        self.clerk.abandon();
    }

    pub(super) fn apply(&self, live: RunLimits) {
        self.runner.apply(live);
    }

    pub(super) fn close(&mut self) {
        self.runner.join();
        self.clerk.stop();
    }

    /// Takes an accepted intent into care and describes it to the desk.
    pub(super) fn admit(&mut self, claim: Claim, bytes: Bytes, started: u32) -> Admission {
        let admission = Admission {
            seq: claim.seq,
            key: claim.key.clone(),
            place: self.runner.place_of(&claim, &bytes),
            name: claim.name.clone(),
            sha256: claim.sha256,
            priority: claim.priority,
            started,
        };
        let (seq, claim) = (claim.seq, Arc::new(claim));
        let place = admission.place.clone();
        let parcel = Parcel { claim, place, bytes, handed: None, runs: Vec::new(), last_run: None };
        self.parcels.insert(seq, parcel);
        admission
    }

    /// A taken file was judged.
    pub(super) fn judged(&mut self, judged: Judged) -> Event {
        let Judged { taken, name, meta, verdict } = judged;
        match verdict {
            Judgement::Accepted { claim, bytes } => {
                tracing::debug!(seq = claim.seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, "accepted");
                Event::Accepted(self.admit(*claim, Bytes::Held(bytes), 0))
            }
            Judgement::Refused { refusal, bytes, correlation_id } => {
                let seq = taken.seq;
                let outcome = Outcome {
                    status: Status::Failed,
                    message: scrub::line(&refusal.to_string(), MESSAGE_MAX),
                    sha256: bytes.as_ref().map(|(_, digest)| *digest),
                    size: bytes.as_ref().map_or(meta.size, |(bytes, _)| bytes.len() as u64),
                    correlation_id: correlation_id.unwrap_or_else(|| made_correlation_id(seq)),
                    error_code: Some(refusal.code),
                    history: Some(history::of_refused(meta.uid)),
                    ..self.blank(seq, &name)
                };
                let report = Some(error_log::render(&outcome, None, Some(&refusal)));
                let (source, taken) = match bytes {
                    Some((bytes, _)) => (Source::Bytes(bytes), Some(taken)),
                    None => (Source::Taken(taken), None),
                };
                self.settle(Publication { outcome, source, report, taken, kind: PublicationKind::First });
                Event::Refused { seq }
            }
        }
    }

    /// An outcome of this daemon, of which the caller says the rest.
    fn blank(&self, seq: u64, name: &str) -> Outcome {
        Outcome {
            mode: self.mode.as_str().to_owned(),
            porch_path: self.porch_path.clone(),
            ..Outcome::blank(seq, name, jiff::Timestamp::now())
        }
    }

    pub(super) fn settle(&mut self, publication: Publication) {
        self.recording.insert(publication.outcome.seq, publication.outcome.clone());
        self.clerk.send(ToClerk::Settle(Box::new(publication)));
    }

    /// Publishes again what an earlier daemon had decided.
    pub(super) fn republish(&mut self, again: Vec<Again>) {
        self.republishing.extend(again.iter().map(|again| again.seq));
        self.clerk.send(ToClerk::Republish(again));
    }

    /// The claim is durable: its bytes stay in memory only while there is room for what waits.
    pub(super) fn claimed(&mut self, seq: u64) {
        if let Some(parcel) = self.parcels.get_mut(&seq)
            && let Bytes::Held(bytes) = &parcel.bytes
            && !bytes.keep()
        {
            parcel.bytes = Bytes::Stored;
        }
    }

    pub(super) fn ended(&mut self, ended: Ended) -> Event {
        let Ended { job, run, staged } = ended;
        let (verdict, took) = (run.ending.verdict(), run.duration);
        self.board.metrics.ran(took);
        if !run.leftovers.is_empty() {
            tracing::warn!(
                seq = job.seq,
                file = job.claim.name,
                correlation_id = job.claim.correlation_id,
                left_over = run.leftovers.join(", "),
                "processes outlived porch and were killed"
            );
        }
        if let Some(parcel) = self.parcels.get_mut(&job.seq) {
            parcel.handed = None;
            if !matches!(verdict, Verdict::Postpone(_)) {
                parcel.runs.push(history::run_record(job.attempt, &run));
            }
            parcel.last_run = Some((run, staged.then_some(job.slot)));
        }
        // Only a retry needs it, and the first random number costs milliseconds.
        let jitter = if matches!(verdict, Verdict::Retry(_)) { random_fraction() } else { 0.0 };
        Event::Ended { seq: job.seq, verdict, took, jitter }
    }

    /// An outcome is durable and published.
    pub(super) fn filed(&mut self, seq: u64, archived_as: &str) {
        self.parcels.remove(&seq);
        match self.recording.remove(&seq) {
            Some(outcome) => self.tell_filed(&outcome, archived_as),
            None => self.found_defect(format!("intent {seq} was filed, and nothing was to be filed")),
        }
    }

    /// An outcome of an earlier daemon is published.
    pub(super) fn filed_again(&mut self, outcome: &Outcome) {
        if self.republishing.remove(&outcome.seq) {
            self.tell_filed(outcome, &outcome.archived_as);
        } else {
            self.found_defect(format!("intent {} was published again unasked", outcome.seq));
        }
    }

    fn tell_filed(&mut self, outcome: &Outcome, archived_as: &str) {
        self.summary.count(outcome);
        self.board.metrics.filed(outcome);
        let seq = outcome.seq;
        let file = outcome.name.as_str();
        let id = outcome.correlation_id.as_str();
        let target = outcome.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let (attempts, duration_ms) = (outcome.attempts, outcome.duration_ms.unwrap_or(0));
        match (outcome.status, outcome.error_code) {
            (Status::Success, _) => {
                tracing::info!(
                    seq,
                    file,
                    correlation_id = id,
                    target,
                    attempts,
                    duration_ms,
                    archived_as,
                    "{}",
                    outcome.message
                );
            }
            (Status::Failed, code) => {
                let code = code.map_or("", Code::id);
                tracing::warn!(
                    seq,
                    file,
                    correlation_id = id,
                    target,
                    code,
                    attempts,
                    duration_ms,
                    archived_as,
                    "{}",
                    outcome.message
                );
            }
        }
    }

    /// Performs what the desk asks for. Takes are collected into one command.
    pub(super) fn perform(&mut self, effects: Vec<Effect>, intake: &Intake) {
        let mut takes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Take { name, expect } => takes.push((name, expect)),
                Effect::Scan { restart } => intake.send(ToIntake::Scan { restart }),
                Effect::Claim { seq, arm } => self.claim(seq, arm),
                Effect::Park { seq } => drop(self.parcels.remove(&seq)),
                Effect::Recall { seqs } => self.clerk.send(ToClerk::Recall { seqs }),
                Effect::Arm { seq, attempt } => self.clerk.send(ToClerk::Arm { seq, attempt }),
                Effect::Run { seq, attempt, slot } => self.run(seq, attempt, slot),
                Effect::Record { seq, outcome, attempts, duplicate_of } => {
                    self.record(seq, outcome, attempts, duplicate_of);
                }
                Effect::RetryAnnounced { seq, attempt, pause } => self.announce_retry(seq, attempt, pause),
                Effect::Left { seq } => self.leave(seq),
                Effect::Bug(bug) => self.found_defect(bug.to_string()),
            }
        }
        if !takes.is_empty() {
            intake.send(ToIntake::Take(takes));
        }
    }

    fn leave(&mut self, seq: u64) {
        self.summary.interrupted += 1;
        self.board.metrics.interrupted();
        let Some(Parcel { claim, .. }) = self.parcels.remove(&seq) else { return self.unknown(seq) };
        tracing::warn!(seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key,
            code = Code::Interrupted.id(), "interrupted: the next start runs it again");
    }

    fn unknown(&mut self, seq: u64) {
        self.found_defect(format!("intent {seq} is known to the desk alone"));
    }

    fn claim(&mut self, seq: u64, arm: bool) {
        if let Some(Parcel { claim, bytes: Bytes::Held(bytes), .. }) = self.parcels.get(&seq) {
            self.clerk.send(ToClerk::Claim { claim: Box::new((**claim).clone()), bytes: bytes.clone(), arm });
        } else {
            self.unknown(seq);
        }
    }

    fn run(&mut self, seq: u64, attempt: u32, slot: u16) {
        let Some(parcel) = self.parcels.get_mut(&seq) else { return self.unknown(seq) };
        let (claim, bytes) = (Arc::clone(&parcel.claim), parcel.bytes.clone());
        if attempt == 1 {
            self.board.metrics.started(claim.taken_at);
        }
        parcel.handed = Some((jiff::Timestamp::now(), attempt));
        tracing::debug!(seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, attempt, "starting porch");
        let place = parcel.place.clone();
        self.runner.run(Job { seq, attempt, slot, place, claim, bytes });
    }

    fn record(&mut self, seq: u64, outcome: Final, attempts: u32, duplicate_of: Option<u64>) {
        let Some(parcel) = self.parcels.get_mut(&seq) else { return self.unknown(seq) };
        let (claim, bytes) = (Arc::clone(&parcel.claim), parcel.bytes.clone());
        let (last_run, runs) = (parcel.last_run.take(), std::mem::take(&mut parcel.runs));
        let run = last_run.as_ref().map(|(run, _)| run);
        let record = Outcome {
            status: if matches!(outcome, Final::Failed(_)) { Status::Failed } else { Status::Success },
            message: message(outcome, run, duplicate_of),
            sha256: Some(claim.sha256),
            size: claim.size,
            correlation_id: claim.correlation_id.clone(),
            attempts,
            exit_code: run.and_then(|run| run.ending.exit_code()),
            signal: run.and_then(|run| run.ending.signal()).map(str::to_owned),
            error_code: if let Final::Failed(code) = outcome { Some(code) } else { None },
            duration_ms: run.map(|run| u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX)),
            duplicate_of,
            key: Some(claim.key.clone()),
            history: Some(history::of_claim(&claim, runs, run)),
            // The file that ran: a program may have come back elsewhere.
            porch_path: run
                .and_then(|run| run.command.first().cloned())
                .unwrap_or_else(|| self.porch_path.clone()),
            ..self.blank(seq, &claim.name)
        };
        let report = (record.status == Status::Failed).then(|| error_log::render(&record, run, None));
        let source = match (last_run.and_then(|(_, slot)| slot), bytes) {
            (Some(slot), _) => Source::Staged { slot },
            (None, Bytes::Held(bytes)) => Source::Bytes(bytes),
            (None, Bytes::Stored) => Source::Stored,
        };
        let kind = PublicationKind::First;
        self.settle(Publication { outcome: record, source, report, taken: None, kind });
    }

    fn announce_retry(&mut self, seq: u64, attempt: u32, pause: Duration) {
        self.board.metrics.retried();
        let Some(parcel) = self.parcels.get_mut(&seq) else { return self.unknown(seq) };
        // What it printed is kept of the last run alone: many may wait for their next.
        let why = parcel.last_run.take().map(|(run, _)| scrub::shown(&run.ending.describe(), MESSAGE_MAX));
        let why = why.unwrap_or_default();
        let claim = &parcel.claim;
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, next_attempt = attempt, pause_ms, "retrying: {why}");
    }
}

/// The status message. A success reads as the specification's example does.
fn message(outcome: Final, run: Option<&Run>, duplicate_of: Option<u64>) -> String {
    let text = match (outcome, run) {
        (Final::Duplicate, _) => format!(
            "Duplicate of {}: the target's last success had the same name and content; porch was not run",
            duplicate_of.unwrap_or(0)
        ),
        (Final::Success, Some(run)) => {
            // Milliseconds are enough for people; the exact value is in duration_ms.
            let rounded = Duration::from_millis(u64::try_from(run.duration.as_millis()).unwrap_or(0).max(1));
            format!("Processed by worker {} in {}", run.worker, format_duration(rounded))
        }
        (Final::Failed(_), Some(run)) => match first_line(&run.stderr.head) {
            Some(line) => format!("{}: {line}", run.ending.describe()),
            None => run.ending.describe(),
        },
        (_, None) => "no run is known".to_owned(),
    };
    scrub::shown(&text, MESSAGE_MAX)
}

/// The first line of standard error that says something.
fn first_line(stderr: &[u8]) -> Option<String> {
    let text = scrub::block(stderr);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(|line| scrub::line(line, 200))
}
