//! The daemon's knowledge of each unfinished intent in memory: one map from its number to its state, each with exactly
//! the data of that state. The scheduler decides about the same intents; its effects are checked against the state here, and a
//! mismatch is a defect of the daemon.

use crate::payload::{Budget, Payload};
use crate::runner::{Bytes, Ended, Job};
use crate::writer::Source;
use conductor_core::outcome::{Ending, Run, Verdict};
use conductor_core::record::{Claim, Clearance, Outcome, RunRecord};
use conductor_core::scheduler::Place;
use conductor_core::{Attempt, Seq, Slot};
use crossbeam_channel::{Sender, bounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the outputs that are kept of runs whose intents wait for the next one.
const OUTPUTS_MAX: usize = 1 << 20;

/// An accepted intent.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) claim: Arc<Claim>,
    /// The place that its run writes.
    pub(super) place: Place,
    /// The runs that ended.
    pub(super) runs: Vec<RunRecord>,
    /// The beginning of what the last of them wrote, while it waits for the next and there is room for it.
    pub(super) output: Option<Payload>,
    /// The time since which it waits for its next run.
    pub(super) came: Instant,
}

/// The state of one unfinished intent.
#[derive(Debug)]
pub(super) enum InFlight {
    /// Its claim is being written.
    Claiming { intent: Intent, bytes: Payload },
    /// A worker holds it, with its bytes, while its claim is being written.
    Ahead { intent: Intent, bytes: Payload, give: Sender<Clearance> },
    /// Its claim is durable, and it waits for its turn.
    Waiting { intent: Intent, bytes: Bytes },
    /// A worker holds it, with its bytes.
    Handed { intent: Intent, attempt: Attempt },
    /// `porch` was started for it.
    Running { intent: Intent, attempt: Attempt, since: jiff::Timestamp },
    /// Its run has ended, or its start did not happen; the scheduler decides in the same turn.
    Ended { intent: Intent, bytes: Bytes, run: Arc<Run>, staged_in: Option<Slot> },
    /// Its outcome is being written. Without a claim: it was refused, or given up at the start.
    Recording { outcome: Box<Outcome>, claim: Option<Arc<Claim>> },
    /// The writer publishes an earlier daemon's outcome again.
    Republishing,
}

impl InFlight {
    fn name(&self) -> &'static str {
        match self {
            Self::Claiming { .. } => "claiming",
            Self::Ahead { .. } => "in a worker's hand and claiming",
            Self::Waiting { .. } => "waiting",
            Self::Handed { .. } => "in a worker's hand",
            Self::Running { .. } => "running",
            Self::Ended { .. } => "at its end",
            Self::Recording { .. } => "being recorded",
            Self::Republishing => "being published again",
        }
    }

    pub(super) fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claiming { intent, .. }
            | Self::Ahead { intent, .. }
            | Self::Waiting { intent, .. }
            | Self::Handed { intent, .. }
            | Self::Running { intent, .. }
            | Self::Ended { intent, .. } => Some(&intent.claim),
            Self::Recording { claim, .. } => claim.as_deref(),
            Self::Republishing => None,
        }
    }

    /// The runs that ended.
    pub(super) fn runs(&self) -> &[RunRecord] {
        match self {
            Self::Claiming { intent, .. }
            | Self::Ahead { intent, .. }
            | Self::Waiting { intent, .. }
            | Self::Handed { intent, .. }
            | Self::Running { intent, .. }
            | Self::Ended { intent, .. } => &intent.runs,
            Self::Recording { outcome, .. } => outcome.history.as_ref().map_or(&[], |history| &history.runs),
            Self::Republishing => &[],
        }
    }

    /// The beginning of what the last run wrote.
    pub(super) fn output(&self) -> String {
        match self {
            Self::Waiting { intent, .. } | Self::Handed { intent, .. } | Self::Running { intent, .. } => {
                intent.output_text()
            }
            Self::Recording { outcome, .. } => {
                outcome.history.as_ref().map(|history| history.output.clone()).unwrap_or_default()
            }
            Self::Claiming { .. } | Self::Ahead { .. } | Self::Ended { .. } | Self::Republishing => {
                String::new()
            }
        }
    }

    /// Whether it is taken, porch does not run for it, and it has no outcome yet.
    fn waits(&self) -> bool {
        match self {
            Self::Claiming { .. }
            | Self::Ahead { .. }
            | Self::Waiting { .. }
            | Self::Handed { .. }
            | Self::Ended { .. } => true,
            Self::Running { .. } | Self::Recording { .. } | Self::Republishing => false,
        }
    }
}

/// A request that the state of the intent does not permit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("intent {seq} is to be {wanted}, and is {found}")]
pub(super) struct Mismatch {
    seq: Seq,
    wanted: &'static str,
    found: &'static str,
}

/// A start of porch, or of the engine in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) attempt: Attempt,
    pub(super) since: jiff::Timestamp,
}

/// The end of a run, or of a start that did not happen.
#[derive(Debug)]
pub(super) struct End {
    pub(super) claim: Arc<Claim>,
    pub(super) run: Arc<Run>,
    /// The start, if it came about.
    pub(super) start: Option<Start>,
}

/// An intent whose outcome is decided.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) intent: Intent,
    /// The last run; `None` if nothing ran.
    pub(super) run: Option<Arc<Run>>,
    /// The source of the archived file.
    pub(super) source: Source,
}

/// Every unfinished intent in memory, by number, so that the first are the oldest.
#[derive(Debug)]
pub(super) struct Flights {
    by_seq: BTreeMap<Seq, InFlight>,
    /// The room for what runs wrote whose intents wait for the next one.
    outputs: Arc<Budget>,
    /// When intents that could not run were let run again last.
    resumed: Option<Instant>,
}

impl Default for Flights {
    fn default() -> Self {
        Self { by_seq: BTreeMap::new(), outputs: Budget::new(2 * OUTPUTS_MAX), resumed: None }
    }
}

impl Intent {
    /// The beginning of what the last run wrote.
    pub(super) fn output_text(&self) -> String {
        self.output.as_deref().map(|output| String::from_utf8_lossy(output).into_owned()).unwrap_or_default()
    }
}

impl Flights {
    /// Intents that could not run may run again, as after the release of a hold: what was done meanwhile, their runs are to see.
    pub(super) fn resume(&mut self) {
        self.resumed = Some(Instant::now());
    }

    /// The time after which a run may rest on what others saw.
    fn came(&self, intent: &Intent) -> Instant {
        self.resumed.map_or(intent.came, |resumed| resumed.max(intent.came))
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&InFlight> {
        self.by_seq.get(&seq)
    }

    /// Whether an outcome is on its way to the disk or to its files.
    pub(super) fn any_recording(&self) -> bool {
        let recording = |one: &InFlight| matches!(one, InFlight::Recording { .. } | InFlight::Republishing);
        self.by_seq.values().any(recording)
    }

    /// The time at which the oldest waiting intent was taken.
    pub(super) fn oldest_waiting(&self) -> Option<jiff::Timestamp> {
        self.by_seq.values().find(|one| one.waits())?.claim().map(|claim| claim.taken_at)
    }

    /// Adds an intent.
    pub(super) fn enter(&mut self, seq: Seq, new: InFlight) -> Result<(), Mismatch> {
        if let Some(there) = self.by_seq.get(&seq) {
            return Err(Mismatch { seq, wanted: new.name(), found: there.name() });
        }
        self.by_seq.insert(seq, new);
        Ok(())
    }

    /// Removes an intent for a change that its state must permit; otherwise puts it back.
    fn take<T>(
        &mut self,
        seq: Seq,
        wanted: &'static str,
        change: impl FnOnce(InFlight) -> Result<T, InFlight>,
    ) -> Result<T, Mismatch> {
        let Some(one) = self.by_seq.remove(&seq) else {
            return Err(Mismatch { seq, wanted, found: "not known" });
        };
        change(one).map_err(|one| {
            let found = one.name();
            self.by_seq.insert(seq, one);
            Mismatch { seq, wanted, found }
        })
    }

    /// The claim and its bytes, for the store.
    pub(super) fn to_claim(&self, seq: Seq) -> Result<(Claim, Payload), Mismatch> {
        match self.by_seq.get(&seq) {
            Some(InFlight::Claiming { intent, bytes }) => Ok(((*intent.claim).clone(), bytes.clone())),
            other => {
                Err(Mismatch { seq, wanted: "claimed", found: other.map_or("not known", InFlight::name) })
            }
        }
    }

    /// Hands the intent to a worker while its claim is being written. Returns also the way to that worker, for the writer.
    pub(super) fn hand_ahead(&mut self, seq: Seq, slot: Slot) -> Result<(Job, Sender<Clearance>), Mismatch> {
        let (intent, bytes) = self.take(seq, "handed out", |one| match one {
            InFlight::Claiming { intent, bytes } => Ok((intent, bytes)),
            other => Err(other),
        })?;
        let (place, claim, came) = (intent.place.clone(), Arc::clone(&intent.claim), self.came(&intent));
        let (attempt, held) = (Attempt::FIRST, Bytes::Held(bytes.clone()));
        // The worker hears the first word: whoever says another later says it to nobody.
        let (give, clearance) = bounded(1);
        self.enter(seq, InFlight::Ahead { intent, bytes, give: give.clone() })?;
        let clearance = Some(clearance);
        Ok((Job { seq, attempt, slot, place, claim, came, bytes: held, clearance }, give))
    }

    /// The writer waits for space: workers return what they hold while its claim is being written.
    pub(super) fn call_back(&self) {
        for one in self.by_seq.values() {
            if let InFlight::Ahead { give, .. } = one {
                // It has its clearance already, or has been told to stop.
                let _ = give.try_send(Clearance::NotYet);
            }
        }
    }

    /// The claim is durable: the bytes stay in memory only while there is room for waiting intents, or a worker has them.
    pub(super) fn claimed(&mut self, seq: Seq) -> Result<(), Mismatch> {
        let next = self.take(seq, "claimed", |one| match one {
            InFlight::Claiming { intent, bytes } => {
                Ok(InFlight::Waiting { intent, bytes: Bytes::durable(bytes) })
            }
            InFlight::Ahead { intent, bytes, .. } => {
                bytes.keep();
                Ok(InFlight::Handed { intent, attempt: Attempt::FIRST })
            }
            other => Err(other),
        })?;
        self.enter(seq, next)
    }

    /// Removes the intent; the scheduler keeps its number.
    pub(super) fn park(&mut self, seq: Seq) -> Result<(), Mismatch> {
        self.take(seq, "parked", |one| match one {
            InFlight::Waiting { .. } => Ok(()),
            other => Err(other),
        })
    }

    pub(super) fn hand_out(&mut self, seq: Seq, attempt: Attempt, slot: Slot) -> Result<Job, Mismatch> {
        let (intent, bytes) = self.take(seq, "handed out", |one| match one {
            InFlight::Waiting { intent, bytes } => Ok((intent, bytes)),
            other => Err(other),
        })?;
        let (place, claim, came) = (intent.place.clone(), Arc::clone(&intent.claim), self.came(&intent));
        self.enter(seq, InFlight::Handed { intent, attempt })?;
        Ok(Job { seq, attempt, slot, place, claim, came, bytes, clearance: None })
    }

    /// `porch` was started. Returns the claim and the number of the start.
    pub(super) fn began(&mut self, seq: Seq) -> Result<(Arc<Claim>, Attempt), Mismatch> {
        let (intent, attempt) = self.take(seq, "running", |one| match one {
            InFlight::Handed { intent, attempt } => Ok((intent, attempt)),
            other => Err(other),
        })?;
        let claim = Arc::clone(&intent.claim);
        self.enter(seq, InFlight::Running { intent, attempt, since: jiff::Timestamp::now() })?;
        Ok((claim, attempt))
    }

    /// A run ended, or its start did not happen.
    pub(super) fn ended(&mut self, ended: Ended) -> Result<End, Mismatch> {
        let Ended { job, run, staged } = ended;
        let (mut intent, began, claiming) = self.take(job.seq, "at its end", |one| match one {
            InFlight::Ahead { intent, bytes, .. } => Ok((intent, None, Some(bytes))),
            InFlight::Handed { intent, .. } => Ok((intent, None, None)),
            InFlight::Running { intent, attempt, since } => {
                Ok((intent, Some(Start { attempt, since }), None))
            }
            other => Err(other),
        })?;
        // The engine is called before it finds that its place cannot be written: that is no start.
        let start = began.filter(|_| run.ending.began());
        if !matches!(run.ending.verdict(), Verdict::Postpone(_) | Verdict::Repeats) {
            intent.runs.push(super::history::run_record(job.attempt, &run));
        }
        let (claim, run) = (Arc::clone(&intent.claim), Arc::new(run));
        let staged_in = staged.then_some(job.slot);
        let ended = match claiming {
            Some(bytes) => InFlight::Claiming { intent, bytes },
            None if run.ending == Ending::Repeats => InFlight::Waiting { intent, bytes: job.bytes },
            None => InFlight::Ended { intent, bytes: job.bytes, run: Arc::clone(&run), staged_in },
        };
        self.enter(job.seq, ended)?;
        Ok(End { claim, run, start })
    }

    /// Makes the intent wait for its next start. Returns the ended run, of which only the beginning of the output is kept.
    pub(super) fn wait_again(&mut self, seq: Seq) -> Result<(Arc<Claim>, Arc<Run>), Mismatch> {
        let (mut intent, bytes, run) = self.take(seq, "tried again", |one| match one {
            InFlight::Ended { intent, bytes, run, .. } => Ok((intent, bytes, run)),
            other => Err(other),
        })?;
        let claim = Arc::clone(&intent.claim);
        intent.came = Instant::now();
        if !matches!(run.ending.verdict(), Verdict::Postpone(_)) {
            intent.output = None;
            let output = Payload::new(super::history::output(&run).into_bytes(), &self.outputs);
            intent.output = output.keep().then_some(output);
        }
        let bytes = match bytes {
            Bytes::Held(bytes) => Bytes::durable(bytes),
            Bytes::Stored => Bytes::Stored,
        };
        self.enter(seq, InFlight::Waiting { intent, bytes })?;
        Ok((claim, run))
    }

    /// Removes an interrupted intent, which stays claimed in the store.
    pub(super) fn leave(&mut self, seq: Seq) -> Result<Arc<Claim>, Mismatch> {
        self.take(seq, "left", |one| match one {
            InFlight::Ended { intent, .. } => Ok(intent.claim),
            other => Err(other),
        })
    }

    /// Removes an intent whose outcome is decided; it is absent until it enters as [`InFlight::Recording`].
    pub(super) fn decide(&mut self, seq: Seq) -> Result<Decided, Mismatch> {
        let from = |bytes| match bytes {
            Bytes::Held(bytes) => Source::Bytes(bytes),
            Bytes::Stored => Source::Stored,
        };
        self.take(seq, "recorded", |one| match one {
            InFlight::Waiting { intent, bytes } => Ok(Decided { intent, run: None, source: from(bytes) }),
            InFlight::Ended { intent, bytes, run, staged_in } => {
                let source = staged_in.map_or_else(|| from(bytes), |slot| Source::Staged { slot });
                Ok(Decided { intent, run: Some(run), source })
            }
            other => Err(other),
        })
    }

    /// Removes an intent whose outcome is durable and whose files are made.
    pub(super) fn filed(&mut self, seq: Seq) -> Result<Box<Outcome>, Mismatch> {
        self.take(seq, "filed", |one| match one {
            InFlight::Recording { outcome, .. } => Ok(outcome),
            other => Err(other),
        })
    }

    /// Removes an intent of an earlier daemon whose files are made again.
    pub(super) fn filed_again(&mut self, seq: Seq) -> Result<(), Mismatch> {
        self.take(seq, "filed again", |one| match one {
            InFlight::Republishing => Ok(()),
            other => Err(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Budget;
    use conductor_core::outcome::{Capture, Postponed};

    fn intent(seq: Seq) -> Intent {
        let claim = Claim {
            sha256: conductor_core::Digest([7; 32]),
            taken_at: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seq.get().cast_signed()),
            ..conductor_testkit::claim(seq)
        };
        Intent {
            claim: Arc::new(claim),
            place: Place::Output,
            runs: Vec::new(),
            output: None,
            came: Instant::now(),
        }
    }

    fn claiming(seq: Seq) -> InFlight {
        InFlight::Claiming { intent: intent(seq), bytes: Payload::new(b"{}".to_vec(), &Budget::new(1 << 20)) }
    }

    fn ended(job: Job, ending: Ending) -> Ended {
        let run = Run {
            ending,
            duration: std::time::Duration::ZERO,
            stdout: Capture::default(),
            stderr: Capture::default(),
            leftovers: Vec::new(),
            hint: None,
            change: String::new(),
            command: Vec::new(),
            porch_sha256: None,
            worker: 0,
            runner: "porch",
        };
        Ended { job, run, staged: true }
    }

    fn outcome(seq: Seq) -> Box<Outcome> {
        Box::new(Outcome::blank(seq, "intent-a.json", jiff::Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn each_state_has_what_the_next_one_needs() {
        let mut flights = Flights::default();
        flights.enter(Seq(1), claiming(Seq(1))).unwrap();
        let (claim, bytes) = flights.to_claim(Seq(1)).unwrap();
        assert_eq!((claim.seq, &*bytes), (Seq(1), &b"{}"[..]));
        flights.claimed(Seq(1)).unwrap();
        // A start that does not happen leaves no run; one that requests a retry does.
        // Nor does one of the engine that finds its place unusable, although the engine was called.
        let withheld = Ending::Withheld { cause: Postponed::OutFull, reason: String::new() };
        for (attempt, ending, called, runs) in
            [(1, Ending::NoSpace, false, 0), (1, withheld, true, 0), (1, Ending::Exited(75), true, 1)]
        {
            let job = flights.hand_out(Seq(1), Attempt(attempt), Slot(3)).unwrap();
            assert!(matches!(&job.bytes, Bytes::Held(bytes) if **bytes == b"{}"[..]));
            assert_eq!(flights.oldest_waiting(), Some(claim.taken_at), "a worker's hand is no run");
            if called {
                flights.began(Seq(1)).unwrap();
                assert_eq!(flights.oldest_waiting(), None);
            }
            let end = flights.ended(ended(job, ending)).unwrap();
            assert_eq!(end.start.map(|start| start.attempt), (runs > 0).then_some(Attempt::FIRST));
            flights.wait_again(Seq(1)).unwrap();
            assert_eq!(flights.get(Seq(1)).unwrap().runs().len(), runs);
        }
        let job = flights.hand_out(Seq(1), Attempt(2), Slot(4)).unwrap();
        assert_eq!(flights.began(Seq(1)).unwrap().1, Attempt(2));
        flights.ended(ended(job, Ending::Exited(0))).unwrap();
        let decided = flights.decide(Seq(1)).unwrap();
        assert!(matches!(decided.source, Source::Staged { slot: Slot(4) }) && decided.intent.runs.len() == 2);
        assert!(!flights.any_recording());
        flights.enter(Seq(1), InFlight::Recording { outcome: outcome(Seq(1)), claim: None }).unwrap();
        assert!(flights.any_recording() && flights.oldest_waiting().is_none());
        assert_eq!(flights.filed(Seq(1)).unwrap().seq, Seq(1));
        assert!(flights.get(Seq(1)).is_none());
    }

    #[test]
    fn one_that_is_handed_ahead_runs_repeats_or_is_taken_back() {
        let mut flights = Flights::default();
        let mut ahead = |seq| {
            flights.enter(Seq(seq), claiming(Seq(seq))).unwrap();
            flights.hand_ahead(Seq(seq), Slot(1)).unwrap().0
        };
        let (runs, repeats, returned) = (ahead(1), ahead(2), ahead(3));
        flights.claimed(Seq(1)).unwrap();
        flights.call_back();
        let told = |job: &Job| job.clearance.as_ref().unwrap().try_recv().ok();
        assert_eq!(
            (told(&runs), told(&returned)),
            (None, Some(Clearance::NotYet)),
            "where the claim is not durable"
        );
        assert!(
            matches!(&runs.bytes, Bytes::Held(bytes) if **bytes == b"{}"[..]) && runs.clearance.is_some()
        );
        assert!(flights.began(Seq(2)).is_err(), "not before its claim is durable");
        assert_eq!(flights.began(Seq(1)).unwrap().1, Attempt::FIRST);
        flights.ended(ended(runs, Ending::Exited(0))).unwrap();
        assert_eq!(flights.decide(Seq(1)).unwrap().intent.runs.len(), 1);
        flights.claimed(Seq(2)).unwrap();
        flights.ended(ended(repeats, Ending::Repeats)).unwrap();
        let decided = flights.decide(Seq(2)).unwrap();
        assert!(decided.run.is_none() && decided.intent.runs.is_empty(), "nothing ran");
        assert!(matches!(decided.source, Source::Bytes(_)));
        flights.ended(ended(returned, Ending::NotBegun)).unwrap();
        assert!(flights.hand_out(Seq(3), Attempt(1), Slot(0)).is_err(), "its claim is not durable");
        flights.claimed(Seq(3)).unwrap();
        flights.hand_out(Seq(3), Attempt(1), Slot(0)).unwrap();
    }

    #[test]
    fn what_was_done_while_an_intent_could_not_run_its_run_is_to_see() {
        let mut flights = Flights::default();
        flights.enter(Seq(1), claiming(Seq(1))).unwrap();
        flights.claimed(Seq(1)).unwrap();
        let before = Instant::now();
        flights.resume();
        let job = flights.hand_out(Seq(1), Attempt::FIRST, Slot(0)).unwrap();
        assert!(job.came >= before, "a hold was released or a fault has ended");
        let before = Instant::now();
        flights.began(Seq(1)).unwrap();
        flights.ended(ended(job, Ending::Exited(75))).unwrap();
        flights.wait_again(Seq(1)).unwrap();
        let job = flights.hand_out(Seq(1), Attempt(2), Slot(0)).unwrap();
        assert!(job.came >= before, "it is tried again");
        flights.enter(Seq(2), claiming(Seq(2))).unwrap();
        let before = Instant::now();
        flights.resume();
        assert!(flights.hand_ahead(Seq(2), Slot(1)).unwrap().0.came >= before);
    }

    #[test]
    fn what_does_not_fit_the_state_changes_nothing_and_says_both() {
        let mut flights = Flights::default();
        let unknown = flights.began(Seq(9)).unwrap_err();
        assert_eq!(unknown.to_string(), "intent 9 is to be running, and is not known");
        flights.enter(Seq(1), claiming(Seq(1))).unwrap();
        let claiming_still = "intent 1 is to be handed out, and is claiming";
        assert_eq!(flights.hand_out(Seq(1), Attempt(1), Slot(0)).unwrap_err().to_string(), claiming_still);
        assert!(
            flights.park(Seq(1)).is_err()
                && flights.wait_again(Seq(1)).is_err()
                && flights.leave(Seq(1)).is_err()
        );
        assert!(
            flights.decide(Seq(1)).is_err()
                && flights.filed(Seq(1)).is_err()
                && flights.filed_again(Seq(1)).is_err()
        );
        assert!(flights.enter(Seq(1), InFlight::Republishing).is_err(), "one number, one intent");
        flights.claimed(Seq(1)).unwrap();
        assert!(
            flights.claimed(Seq(1)).is_err()
                && flights.to_claim(Seq(1)).is_err()
                && flights.began(Seq(1)).is_err()
        );
        flights.park(Seq(1)).unwrap();
        assert!(flights.park(Seq(1)).is_err());
        flights.enter(Seq(2), InFlight::Republishing).unwrap();
        assert!(flights.filed(Seq(2)).is_err(), "it was not recorded now");
        flights.filed_again(Seq(2)).unwrap();
    }
}
