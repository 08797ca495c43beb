//! What happens, as one closed list. Each fact is emitted once, where it becomes true; log lines, metrics and the summary of a run
//! of the daemon are made of facts alone.

use crate::inquiry::Held;
use crate::outcome::Run;
use crate::record::{Claim, Outcome};
use crate::{Code, NotReady, TargetKey};
use jiff::Timestamp;
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'f> {
    /// To an intent.
    Intent(IntentFact<'f>),
    /// By an operator.
    Operator(OperatorFact<'f>),
    /// To the daemon.
    Daemon(DaemonFact<'f>),
    /// To a place the daemon works in.
    Place(PlaceFact<'f>),
}

/// What happens to an intent, or to a file that is to become one.
#[derive(Debug, Clone, Copy)]
pub enum IntentFact<'f> {
    /// An intent was judged and taken on.
    Accepted {
        /// The intent.
        claim: &'f Claim,
    },
    /// A file was judged and refused; its outcome is on the way to the disk.
    Refused {
        /// Its outcome.
        outcome: &'f Outcome,
    },
    /// An intent was handed to a worker.
    HandedOut {
        /// The intent.
        claim: &'f Claim,
        /// Which start it is to be.
        attempt: u32,
    },
    /// A worker started porch.
    Started {
        /// The intent.
        claim: &'f Claim,
        /// Which start it was.
        attempt: u32,
    },
    /// A run ended, or its start did not happen.
    RunEnded {
        /// The intent.
        claim: &'f Claim,
        /// How it went.
        run: &'f Run,
        /// Whether porch was started.
        began: bool,
    },
    /// An intent waits to be started again.
    Retried {
        /// The intent.
        claim: &'f Claim,
        /// The run that ended.
        run: &'f Run,
        /// Which start the next one will be.
        next_attempt: u32,
        /// How long it waits.
        pause: Duration,
    },
    /// A run was ended by the daemon's own end; the next daemon starts it again.
    Interrupted {
        /// The intent.
        claim: &'f Claim,
    },
    /// An outcome is durable and published.
    Filed {
        /// The outcome.
        outcome: &'f Outcome,
        /// Where the file is, relative to the handoff directory.
        archived_as: &'f str,
    },
    /// A taken file is open for writing and waits.
    WriterHolds {
        /// Its number.
        seq: u64,
    },
    /// A taken file was removed before it was judged.
    Vanished {
        /// Its number.
        seq: u64,
        /// Its name, escaped.
        file: &'f str,
    },
    /// An entry of the handoff directory cannot be taken.
    Left {
        /// Its name, escaped.
        file: &'f str,
        /// The stable code.
        code: Code,
        /// The system's words.
        reason: &'f str,
    },
    /// The bytes of an intent could not be read back from the store.
    Unread {
        /// The intent.
        claim: &'f Claim,
        /// The stable code.
        code: Code,
        /// The store's words.
        reason: &'f str,
    },
}

impl<'f> From<IntentFact<'f>> for Fact<'f> {
    fn from(fact: IntentFact<'f>) -> Self {
        Self::Intent(fact)
    }
}

/// What people ask of the daemon.
#[derive(Debug, Clone, Copy)]
pub enum OperatorFact<'f> {
    /// An operator holds a target, durably.
    Held {
        /// Which, by whom, why.
        held: &'f Held,
    },
    /// An operator released a target, durably.
    Released {
        /// Which.
        key: &'f TargetKey,
        /// By whom.
        uid: u32,
    },
    /// An operator has old outcomes removed.
    Purged {
        /// By whom.
        uid: u32,
        /// How many.
        outcomes: u64,
        /// What was decided before this.
        before: Timestamp,
    },
    /// A reload changed a setting.
    SettingChanged {
        /// Which.
        key: &'f str,
        /// The text before.
        from: &'f str,
        /// The text now.
        to: &'f str,
    },
    /// A reload found settings changed that a restart alone applies.
    RestartNeeded {
        /// Which.
        settings: &'f [&'static str],
    },
    /// A reload found a configuration that cannot be used.
    ReloadRefused {
        /// The stable code.
        code: Code,
        /// What is wrong.
        reason: &'f str,
    },
    /// A request to the endpoints came without the token that is asked for. Anybody can cause it at any rate, so it is for `debug`.
    TokenRefused,
    /// A signal asked the daemon to stop.
    StopAsked {
        /// Its name.
        signal: &'f str,
        /// Runs under way.
        running: usize,
    },
    /// A second signal asked it to stop at once.
    StopAtOnce {
        /// Its name.
        signal: &'f str,
    },
}

impl<'f> From<OperatorFact<'f>> for Fact<'f> {
    fn from(fact: OperatorFact<'f>) -> Self {
        Self::Operator(fact)
    }
}

/// What becomes of the daemon itself.
#[derive(Debug, Clone, Copy)]
pub enum DaemonFact<'f> {
    /// Outcomes older than the retention time were removed.
    Expired {
        /// How many.
        removed: u64,
    },
    /// A reason for not being ready began to hold.
    NotReady {
        /// Which.
        reason: NotReady,
        /// Where, of a reason that has a place: a directory without room, the program that is gone.
        at: Option<&'f str>,
    },
    /// A reason for not being ready holds no longer.
    ReadyAgain {
        /// Which.
        reason: NotReady,
    },
    /// A scan of the handoff directory is complete.
    Scanned,
    /// The handoff directory could not be listed.
    ScanFailed {
        /// The system's words.
        reason: &'f str,
    },
    /// The kernel lost events.
    EventsLost,
    /// The kernel's events do not tell of new files.
    EventsFail {
        /// Why.
        reason: &'f str,
    },
    /// Events work again.
    EventsWork,
    /// The system refuses to let the intake wait.
    IntakeFails {
        /// The system's words.
        reason: &'f str,
    },
    /// It waits for events again.
    IntakeWorks,
    /// The clerk committed a batch.
    Committed {
        /// Duration of the run.
        took: Duration,
        /// Records in it.
        records: usize,
    },
    /// The loop has handled one input.
    Handled {
        /// Its kind.
        input: &'static str,
        /// Duration of the commit.
        took: Duration,
    },
    /// The daemon's own books are wrong.
    Defect {
        /// What does not fit.
        what: &'f str,
    },
}

impl<'f> From<DaemonFact<'f>> for Fact<'f> {
    fn from(fact: DaemonFact<'f>) -> Self {
        Self::Daemon(fact)
    }
}

/// What becomes of the places the daemon works in: directories, the program, the output.
#[derive(Debug, Clone, Copy)]
pub enum PlaceFact<'f> {
    /// Names in the handoff directory lead to other directories than at the start.
    PartsReplaced {
        /// The names.
        names: &'f [String],
    },
    /// All of them lead to those of the start again.
    PartsBack,
    /// The handoff directory is gone, or is another one.
    HandoffGone {
        /// How that is known.
        reason: &'f str,
    },
    /// The store was taken away.
    StateGone {
        /// What of it.
        what: &'f str,
    },
    /// A failure that the loss of the handoff directory explains.
    GivenUp {
        /// The stable code.
        code: Code,
        /// What failed.
        message: &'f str,
    },
    /// A run could not be started, or porch cannot be run as it is now.
    PorchUnusable {
        /// Why.
        reason: &'f str,
    },
    /// The path of the staging directory leads elsewhere.
    StagingMoved {
        /// What was found.
        reason: &'f str,
    },
    /// It leads there again.
    StagingBack,
    /// Nothing can be written at a place.
    PlaceUnusable {
        /// What it means for being ready.
        reason: NotReady,
        /// The place.
        path: &'f str,
    },
    /// A run found that nothing can be written where packages go.
    PlaceMet {
        /// What it means for being ready.
        reason: NotReady,
        /// The system's words.
        words: &'f str,
    },
    /// Packages can be written at a place again.
    PlaceUsable {
        /// The place.
        path: &'f str,
    },
}

impl<'f> From<PlaceFact<'f>> for Fact<'f> {
    fn from(fact: PlaceFact<'f>) -> Self {
        Self::Place(fact)
    }
}
