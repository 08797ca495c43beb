//! Handles each event: the scheduler decides, the intent in flight changes its state, the executor acts, and a fact is emitted.

use super::fatal::Fatal;
use super::in_flight::{End, InFlight, Intent, Mismatch};
use super::outcomes::Ruling;
use super::session::Session;
use crate::intake::{Judged, Verdict as Judgement};
use crate::runner::{Bytes, Ended};
use crate::writer::{NewClaim, Publication};
use conductor_core::fact::{DaemonFact, IntentFact};
use conductor_core::outcome::Verdict;
use conductor_core::record::{Claim, LastSuccess, Outcome};
use conductor_core::scheduler::{Admission, Effect, Event, Place};
use conductor_core::{Attempt, Seq, Slot};
use conductor_crypto::random_fraction;
use conductor_os::monotonic;
use std::sync::Arc;
use std::time::Instant;

impl Session<'_> {
    pub(super) fn event(&mut self, event: Event) {
        let mut effects: Vec<Effect> = Vec::new();
        self.scheduler.handle(monotonic(), event, &mut effects);
        self.perform(effects);
    }

    /// Performs the scheduler's effects. Takes are collected into one request.
    pub(super) fn perform(&mut self, effects: Vec<Effect>) {
        let mut takes = Vec::new();
        for effect in effects {
            let done = match effect {
                Effect::Take { name, expect } => {
                    takes.push((name, expect));
                    Ok(())
                }
                Effect::Scan { restart } => {
                    self.executor.intake.scan(restart);
                    Ok(())
                }
                Effect::Claim { seq, reserve, ahead } => self.claim(seq, reserve, ahead),
                Effect::Park { seq } => self.in_flight.park(seq),
                Effect::Recall { seqs } => {
                    self.executor.recall(seqs);
                    Ok(())
                }
                Effect::Reserve { seq, attempt } => {
                    self.executor.reserve(seq, attempt);
                    Ok(())
                }
                Effect::Run { seq, attempt, slot } => self.hand_out(seq, attempt, slot),
                Effect::Record { seq, outcome, attempts, duplicate_of } => {
                    self.record(seq, Ruling { outcome, attempts, duplicate_of, cancelled_by: None })
                }
                Effect::RetryAnnounced { seq, attempt, pause } => {
                    let waits = self.in_flight.wait_again(seq);
                    waits.map(|(claim, run)| {
                        let (claim, run) = (&claim, &run);
                        self.observe(IntentFact::Retried { claim, run, next_attempt: attempt, pause });
                    })
                }
                Effect::PutOff { seq } => self.in_flight.wait_again(seq).map(drop),
                Effect::Left { seq } => {
                    let left = self.in_flight.leave(seq);
                    left.map(|claim| self.observe(IntentFact::Interrupted { claim: &claim }))
                }
                Effect::Bug(bug) => {
                    self.found_defect(&bug.to_string());
                    Ok(())
                }
            };
            self.check(done);
        }
        self.executor.intake.take(takes);
    }

    /// The one check of the intents in flight against the scheduler and the threads.
    pub(super) fn check(&mut self, fits: Result<(), Mismatch>) {
        if let Err(mismatch) = fits {
            self.found_defect(&mismatch.to_string());
        }
    }

    /// The daemon's state is inconsistent: the process must end; the next start continues from the durable state.
    fn found_defect(&mut self, what: &str) {
        self.observe(DaemonFact::Defect { what });
        self.fatal.get_or_insert_with(|| Fatal::Defect(what.to_owned()));
    }

    /// Sends a claim to the writer, and the intent to a worker if it is handed ahead.
    fn claim(&mut self, seq: Seq, reserve: bool, ahead: Option<Slot>) -> Result<(), Mismatch> {
        let (claim, bytes) = self.in_flight.to_claim(seq)?;
        let claim = Box::new(claim);
        let Some(slot) = ahead else {
            self.executor.claim(NewClaim { claim, bytes, reserve, clearance: None });
            return Ok(());
        };
        let (job, give) = self.in_flight.hand_ahead(seq, slot)?;
        self.executor.claim(NewClaim { claim, bytes, reserve, clearance: Some(give) });
        self.observe(IntentFact::HandedOut { claim: &job.claim, attempt: job.attempt });
        self.executor.run(job);
        Ok(())
    }

    fn hand_out(&mut self, seq: Seq, attempt: Attempt, slot: Slot) -> Result<(), Mismatch> {
        let job = self.in_flight.hand_out(seq, attempt, slot)?;
        self.observe(IntentFact::HandedOut { claim: &job.claim, attempt });
        self.executor.run(job);
        Ok(())
    }

    fn record(&mut self, seq: Seq, ruling: Ruling) -> Result<(), Mismatch> {
        let decided = self.in_flight.decide(seq)?;
        let claim = Arc::clone(&decided.intent.claim);
        let cancelled_by = self.cancelling.get(&seq).map(|cancelling| cancelling.uid);
        let publication = self.outcomes.of_ruling(decided, Ruling { cancelled_by, ..ruling });
        self.settle(publication, Some(claim))
    }

    /// Sends an outcome to the writer.
    pub(super) fn settle(
        &mut self,
        publication: Publication,
        claim: Option<Arc<Claim>>,
    ) -> Result<(), Mismatch> {
        let outcome = Box::new(publication.outcome.clone());
        self.in_flight.enter(outcome.seq, InFlight::Recording { outcome, claim })?;
        self.executor.settle(publication);
        Ok(())
    }

    /// The scheduler's view of an intent whose claim is durable and whose bytes are in the store.
    pub(super) fn admit_stored(&mut self, claim: Claim, started: u32) -> Admission {
        let place = self.executor.place_of(&claim, &Bytes::Stored);
        let (intent, admission) = described(claim, place, started);
        let entered = self.in_flight.enter(admission.seq, InFlight::Waiting { intent, bytes: Bytes::Stored });
        self.check(entered);
        admission
    }

    /// Handles a judged file.
    pub(super) fn on_judged(&mut self, judged: Judged) {
        let seq = judged.taken.seq;
        match judged {
            Judged { verdict: Judgement::Accepted { claim, bytes }, .. } => {
                self.observe(IntentFact::Accepted { claim: &claim });
                let place = self.executor.place_of(&claim, &Bytes::Held(bytes.clone()));
                let (intent, admission) = described(*claim, place, 0);
                let entered = self.in_flight.enter(seq, InFlight::Claiming { intent, bytes });
                self.check(entered);
                self.event(Event::Accepted(admission));
            }
            refused => {
                if let Some(publication) = self.outcomes.of_refusal(refused) {
                    self.observe(IntentFact::Refused { outcome: &publication.outcome });
                    let settled = self.settle(publication, None);
                    self.check(settled);
                }
                self.event(Event::Refused { seq });
            }
        }
    }

    /// Handles a durable claim.
    pub(super) fn on_claimed(&mut self, seq: Seq, last: Option<LastSuccess>) {
        let waits = self.in_flight.claimed(seq);
        self.check(waits);
        self.event(Event::Claimed { seq, last });
    }

    /// Handles the start of porch by a worker.
    pub(super) fn on_began(&mut self, seq: Seq) {
        let runs = self.in_flight.began(seq);
        let fits = runs.map(|(claim, attempt)| self.observe(IntentFact::Started { claim: &claim, attempt }));
        self.check(fits);
        self.event(Event::Began { seq });
    }

    /// Handles the end of a run, or a start that did not happen.
    pub(super) fn decide_end(&mut self, ended: Ended) {
        let (seq, verdict, took) = (ended.job.seq, ended.run.ending.verdict(), ended.run.duration);
        // Only a retry needs it, and the first random number costs milliseconds.
        let jitter = if matches!(verdict, Verdict::Retry(_)) { random_fraction() } else { 0.0 };
        let fits = self.in_flight.ended(ended);
        let fits = fits.map(|End { claim, run, start }| {
            let first_start = start.filter(|start| start.attempt == Attempt::FIRST).map(|start| start.since);
            let began = start.is_some();
            self.observe(IntentFact::RunEnded { claim: &claim, run: &run, began, first_start });
        });
        self.check(fits);
        self.event(Event::Ended { seq, verdict, took, jitter });
    }

    /// Handles an outcome that is durable and published.
    pub(super) fn on_filed(&mut self, seq: Seq, archived_as: &str) {
        self.progress_at = monotonic();
        let filed = self.in_flight.filed(seq);
        let fits = filed.map(|outcome| self.observe(IntentFact::Filed { outcome: &outcome, archived_as }));
        self.check(fits);
        self.tell_cancelled(seq);
        self.event(Event::Filed { seq });
    }

    /// Handles an earlier daemon's outcome that is published again.
    pub(super) fn on_filed_again(&mut self, outcome: &Outcome) {
        let filed = self.in_flight.filed_again(outcome.seq);
        let fits = filed.map(|()| {
            let archived_as = &outcome.archived_as;
            self.observe(IntentFact::Filed { outcome, archived_as });
        });
        self.check(fits);
        self.event(Event::Filed { seq: outcome.seq });
    }
}

pub(super) fn described(claim: Claim, place: Place, started: u32) -> (Intent, Admission) {
    let admission = Admission {
        seq: claim.seq,
        key: claim.key.clone(),
        place: place.clone(),
        name: claim.name.clone(),
        sha256: claim.sha256,
        priority: claim.priority,
        started,
    };
    (
        Intent { claim: Arc::new(claim), place, runs: Vec::new(), output: None, came: Instant::now() },
        admission,
    )
}
