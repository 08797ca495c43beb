//! Facts: the closed list of events. Each fact is emitted once, where it becomes true; log lines, metrics and the summary
//! of a run of the daemon are made from facts alone.

use crate::outcome::Run;
use crate::query::{Covers, Held};
use crate::record::{Claim, Outcome};
use crate::{Attempt, Code, Confinement, NotReady, Seq};
use jiff::Timestamp;
use std::time::Duration;

/// One event.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'f> {
    /// An event of an intent.
    Intent(IntentFact<'f>),
    /// An operator's action.
    Operator(OperatorFact<'f>),
    /// An event of the daemon.
    Daemon(DaemonFact<'f>),
    /// An event of a place that the daemon uses.
    Place(PlaceFact<'f>),
}

/// An event of an intent, or of a file that may become one.
#[derive(Debug, Clone, Copy)]
pub enum IntentFact<'f> {
    /// An intent was judged and accepted.
    Accepted {
        /// The intent.
        claim: &'f Claim,
    },
    /// A file was judged and refused; its outcome is being written.
    Refused {
        /// Its outcome.
        outcome: &'f Outcome,
    },
    /// An intent was handed to a worker.
    HandedOut {
        /// The intent.
        claim: &'f Claim,
        /// The number of its next start.
        attempt: Attempt,
    },
    /// A worker started porch.
    Started {
        /// The intent.
        claim: &'f Claim,
        /// The number of the start.
        attempt: Attempt,
    },
    /// A run ended, or its start did not happen.
    RunEnded {
        /// The intent.
        claim: &'f Claim,
        /// The run's result.
        run: &'f Run,
        /// Whether porch, or the engine in its place, began to work.
        began: bool,
        /// The time of that start, if it was the intent's first.
        first_start: Option<Timestamp>,
    },
    /// An intent waits to be started again.
    Retried {
        /// The intent.
        claim: &'f Claim,
        /// The run that ended.
        run: &'f Run,
        /// The number of the next start.
        next_attempt: Attempt,
        /// The pause before it.
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
        /// The archived file, relative to the handoff directory.
        archived_as: &'f str,
    },
    /// A taken file is open for writing and waits.
    WriterHolds {
        /// Its number.
        seq: Seq,
    },
    /// A taken file was removed before it was judged.
    Vanished {
        /// Its number.
        seq: Seq,
        /// Its name, escaped.
        file: &'f str,
    },
    /// An entry of the handoff directory is ignored for its name, which looks as if it were meant as an intent's.
    Ignored {
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

/// An operator's action, or a request to the daemon.
#[derive(Debug, Clone, Copy)]
pub enum OperatorFact<'f> {
    /// An operator holds a target, or everything, durably.
    Held {
        /// The target, the operator and the reason.
        held: &'f Held,
    },
    /// An operator released a target, or everything, durably.
    Released {
        /// The target.
        covers: &'f Covers,
        /// The operator's user id.
        uid: u32,
    },
    /// An operator removes old outcomes.
    Purged {
        /// The operator's user id.
        uid: u32,
        /// How many.
        outcomes: u64,
        /// Outcomes decided before this are removed.
        before: Timestamp,
    },
    /// A reload changed a setting.
    SettingChanged {
        /// The setting.
        key: &'f str,
        /// The previous text.
        from: &'f str,
        /// The new text.
        to: &'f str,
    },
    /// A reload found changes of settings that need a restart.
    RestartNeeded {
        /// The settings.
        settings: &'f [&'static str],
    },
    /// A reload found an unusable configuration.
    ReloadRefused {
        /// The stable code.
        code: Code,
        /// The error.
        reason: &'f str,
    },
    /// A user who may not ask connected to the local socket.
    AskerRefused {
        /// The user id.
        uid: u32,
    },
    /// A request to the endpoints lacked the required token. Any client can cause it at any rate, so it is logged at `debug`.
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

/// An event of the daemon itself.
#[derive(Debug, Clone, Copy)]
pub enum DaemonFact<'f> {
    /// The daemon runs.
    Began {
        /// Its version.
        version: &'f str,
        /// The SHA-256 of the settings in force.
        config: &'f str,
        /// What is confined.
        confinement: &'f Confinement,
    },
    /// The daemon stops; all else that is to be said of this session has been said.
    Stopped {
        /// Whether nothing failed.
        well: bool,
    },
    /// The process gave up the rights that it does not need, and workers will.
    Confined {
        /// The standing of each part.
        confinement: &'f Confinement,
    },
    /// Outcomes older than the retention time were removed.
    Expired {
        /// How many.
        removed: u64,
    },
    /// A backup was made, and restored on trial.
    BackedUp {
        /// Its name.
        file: &'f str,
        /// Its size.
        bytes: u64,
        /// When it was begun: it holds what was known then.
        made_at: Timestamp,
        /// The operator who asked for it; `None`: it was time.
        uid: Option<u32>,
    },
    /// A backup could not be made.
    BackupFailed {
        /// Why.
        reason: &'f str,
        /// The operator who asked for it; `None`: it was time.
        uid: Option<u32>,
    },
    /// A backup was made, and the oldest ones cannot be removed.
    BackupsNotRemoved {
        /// Why.
        reason: &'f str,
    },
    /// A reason for not being ready began to hold.
    NotReady {
        /// The reason.
        reason: NotReady,
        /// The place of the reason, if it has one: a directory without space, a missing program.
        at: Option<&'f str>,
    },
    /// A reason for not being ready no longer holds.
    ReadyAgain {
        /// The reason.
        reason: NotReady,
    },
    /// A root key was opened, in whose name statuses are signed from now on.
    Signing {
        /// The name of the key that signs.
        key: &'f str,
        /// The key file.
        file: &'f str,
        /// Whether it lies beside the state.
        weak: bool,
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
    /// The kernel no longer reports new files.
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
    /// The intake can wait for events again.
    IntakeWorks,
    /// For several seconds the system has had no descriptor or memory to look at a taken file.
    FilesWait {
        /// The system's words.
        reason: &'f str,
    },
    /// It has again.
    FilesGoOn,
    /// The writer committed a batch.
    Committed {
        /// Duration of the run.
        took: Duration,
        /// The number of records in it.
        records: usize,
    },
    /// The loop has handled one input.
    Handled {
        /// The input's kind.
        input: &'static str,
        /// Duration of the commit.
        took: Duration,
    },
    /// The daemon's state is inconsistent.
    Defect {
        /// The inconsistency.
        what: &'f str,
    },
}

impl<'f> From<DaemonFact<'f>> for Fact<'f> {
    fn from(fact: DaemonFact<'f>) -> Self {
        Self::Daemon(fact)
    }
}

/// An event of a place that the daemon uses: directories, the program, the output.
#[derive(Debug, Clone, Copy)]
pub enum PlaceFact<'f> {
    /// Names in the handoff directory lead to other directories than at the start.
    PartsReplaced {
        /// The names.
        names: &'f [String],
    },
    /// All names lead to the directories of the start again.
    PartsBack,
    /// The handoff directory is missing, or was replaced.
    HandoffGone {
        /// The evidence.
        reason: &'f str,
    },
    /// The store was removed.
    StateGone {
        /// The missing part.
        what: &'f str,
    },
    /// A failure that the loss of the handoff directory explains.
    GivenUp {
        /// The stable code.
        code: Code,
        /// The failure.
        message: &'f str,
    },
    /// A run could not be started, or porch cannot run as it is now.
    PorchUnusable {
        /// Why.
        reason: &'f str,
    },
    /// Runs cannot begin for a reason that concerns no part of the daemon; they are tried again.
    RunsWithheld {
        /// Why.
        reason: &'f str,
    },
    /// The path of the staging directory leads elsewhere.
    StagingMoved {
        /// The finding.
        reason: &'f str,
    },
    /// The path of the staging directory leads to it again.
    StagingBack,
    /// A place cannot be written.
    PlaceUnusable {
        /// The reason for not being ready.
        reason: NotReady,
        /// The place.
        path: &'f str,
    },
    /// A run found that the directory of packages cannot be written.
    PlaceMet {
        /// The reason for not being ready.
        reason: NotReady,
        /// The system's words.
        words: &'f str,
    },
    /// A place can be written again.
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
