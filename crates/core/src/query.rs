//! Questions of an operator and their answers: the same documents over the local socket, in the JSON API, and from the
//! store alone when no daemon runs. Types only; the adapters fill them in.

mod report;

pub use report::{Covers, Held, Pulse, StatusReport};

use crate::code::Code;
use crate::digest::Digest;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::record::{Asked, Outcome, RunRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The largest number of rows in one answer.
pub const ROWS_MAX: usize = 1_000;
/// The number of rows in an answer when the question names none.
pub const ROWS_DEFAULT: usize = 50;

/// The word for every target, in a hold.
pub const EVERYTHING: &str = "*";

/// How long a failure counts as one of the last hour.
pub const LATELY: Duration = Duration::from_hours(1);

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// The daemon's status.
    Status,
    /// The intents of a selection.
    List(Selection),
    /// Everything about one intent.
    Show {
        /// Its sequence number, or its file's name.
        of: String,
    },
    /// The one reason why an intent waits or failed.
    Explain {
        /// A sequence number, a file's name, or a target.
        of: String,
    },
    /// Starts no intent of a target until the target is released.
    Hold {
        /// `NAMESPACE/TARGET`, or the target alone where it is unambiguous, or `*` for everything.
        target: String,
        /// The reason, for other operators.
        note: String,
    },
    /// Releases a held target.
    Release {
        /// `NAMESPACE/TARGET`, or the target alone where it is unambiguous, or `*` for everything.
        target: String,
    },
    /// Ends an intent that waits; its file is filed as a failure.
    Cancel {
        /// Its sequence number, or its file's name.
        of: String,
    },
    /// Removes outcomes older than a moment, and their files.
    Purge {
        /// Outcomes decided before this are removed.
        before: Timestamp,
        /// `false`: dry run, which only reports the outcomes it would remove.
        really: bool,
    },
    /// Outcomes in order of their numbers, for an export.
    Export {
        /// The first number.
        from: Seq,
    },
    /// Makes a backup.
    Backup,
    /// The daemon's last log lines.
    Logs {
        /// Only lines with a higher number than this; 0: from the first line kept.
        after: u64,
        /// At most this many lines, the newest.
        most: usize,
    },
}

impl Question {
    /// Whether the question changes state: then it is answered only on the local socket.
    pub fn changes_something(&self) -> bool {
        matches!(
            self,
            Self::Hold { .. }
                | Self::Release { .. }
                | Self::Cancel { .. }
                | Self::Purge { really: true, .. }
                | Self::Backup
        )
    }
}

/// A selection of intents, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Intents in one of these states; empty: in any.
    pub states: Vec<State>,
    /// Intents of this target: `NAMESPACE/TARGET`, or the target alone.
    pub target: Option<String>,
    /// Intents whose file name or correlation id contains this; of several words each.
    pub text: Option<String>,
    /// Intents that failed with this code.
    pub code: Option<Code>,
    /// Intents decided, or seen, at this time or later.
    pub since: Option<Timestamp>,
    /// Finished intents with a lower number than this: the next page.
    pub before: Option<Seq>,
    /// Of the waiting intents of a target only the first, whose row says how many others wait; parts other than states and
    /// target do not change that number.
    pub by_target: bool,
    /// At most this many rows.
    pub most: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            target: None,
            text: None,
            code: None,
            since: None,
            before: None,
            by_target: false,
            most: ROWS_DEFAULT,
        }
    }
}

impl Selection {
    /// Whether the selection includes intents of this state.
    pub fn wants(&self, state: State) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Whether the selection includes this row.
    pub fn takes(&self, row: &Row) -> bool {
        let target =
            |wanted: &String| row.target.as_ref().is_some_and(|key| TargetKey::is_named_in(key, wanted));
        let word = |wanted: &str| {
            row.file.contains(wanted) || row.correlation_id.as_ref().is_some_and(|id| id.contains(wanted))
        };
        let text = |wanted: &String| wanted.split_whitespace().all(word);
        self.wants(row.state)
            && self.target.as_ref().is_none_or(target)
            && self.text.as_ref().is_none_or(text)
            && self.code.is_none_or(|code| row.error_code == Some(code))
            && self.since.is_none_or(|since| row.at.is_some_and(|at| at >= since))
    }
}

/// The state of an intent, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Seen or taken, and porch does not run for it.
    Waiting,
    /// `porch` runs.
    Running,
    /// Filed under processed/.
    Done,
    /// Filed under failed/.
    Failed,
}

impl State {
    /// All states, in the order in which an intent passes them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// The state's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One named reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A word of a closed list (docs/FORMATS.md).
    pub word: String,
    /// An explanation in one sentence.
    pub text: String,
    /// Advice for the operator.
    pub advice: String,
}

impl Reason {
    /// A reason with these words.
    pub fn new(word: &str, text: impl Into<String>, advice: &str) -> Self {
        Self { word: word.to_owned(), text: text.into(), advice: advice.to_owned() }
    }
}

/// One intent in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Sequence number; `None` until the file is taken.
    pub seq: Option<Seq>,
    /// Its file's name.
    pub file: String,
    /// The state of the intent.
    pub state: State,
    /// `NAMESPACE/TARGET`, if the content was accepted.
    pub target: Option<String>,
    /// The identifier that log, status and this row share.
    pub correlation_id: Option<String>,
    /// Digest of its bytes, if they were read.
    pub sha256: Option<Digest>,
    /// Size in bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The time at which it was seen, taken, started or decided, according to its state.
    pub at: Option<Timestamp>,
    /// Number of starts of porch.
    pub attempts: u32,
    /// Duration of the last run.
    pub duration_ms: Option<u64>,
    /// The code of a failure.
    pub error_code: Option<Code>,
    /// The success that a duplicate repeats.
    pub duplicate_of: Option<Seq>,
    /// The archived file.
    pub archived_as: Option<String>,
    /// How many others of its target wait, in a list by target; `None`: the row is for this intent alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<u64>,
    /// Why it waits or failed, or how it succeeded.
    pub reason: Reason,
}

/// A list of intents: unfinished ones in their expected order of start, then finished ones, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The rows.
    pub intents: Vec<Row>,
    /// Whether more intents match than the question asked for.
    pub more: bool,
    /// The value of `before` for the next question, if finished intents were left out.
    pub next_before: Option<Seq>,
}

/// A part of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The outcomes, lowest number first.
    pub outcomes: Vec<Outcome>,
    /// The value of `from` for the next part; `None`: this was the last.
    pub next: Option<Seq>,
    /// The highest number given.
    pub last_seq: Seq,
}

/// The most outcomes in a part of an export; each may hold the output and the change of a run.
pub const EXPORTED_MOST: usize = 200;

/// Everything about one intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The intent's row.
    pub intent: Row,
    /// The request, if it was accepted.
    pub asked: Option<Asked>,
    /// Size in bytes.
    pub size: u64,
    /// Owner of the file, a user id.
    pub uid: Option<u32>,
    /// `direct` or `structured`.
    pub mode: Option<String>,
    /// The program or engine that ran it.
    pub porch_path: Option<String>,
    /// The events of its life, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// The known starts of porch.
    pub runs: Vec<RunRecord>,
    /// The output of porch, scrubbed.
    pub output: String,
    /// The change of the package as a unified diff.
    pub diff: String,
    /// The error log of a failure, while it is kept.
    pub error_log: Option<String>,
    /// The intent's text, scrubbed, while its file is kept.
    pub content: Option<String>,
    /// Which of archived file, error log and status is missing or altered and therefore not shown; one sentence each.
    #[serde(default)]
    pub not_as_filed: Vec<String>,
    /// What proves it.
    #[serde(default)]
    pub proof: Proof,
    /// Other intents with the same file name, newest first.
    pub same_name: Vec<Row>,
}

/// What proves what is said of an intent: the signature of its status, and its entries in the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The name of the key that has signed its status; `None`: there is no status of it, or none that is genuine.
    pub signed_by: Option<String>,
    /// Why no genuine status or no entry is shown; one sentence each.
    pub missing: Vec<String>,
    /// Its entries in the audit trail, in order.
    pub entries: Vec<ProofEntry>,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofEntry {
    /// Its number; `audit proof NUMBER` proves that the signed trail has it.
    pub number: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The event, by its name in the trail.
    pub event: String,
    /// `success` or `failure`.
    pub outcome: String,
    /// Who caused it.
    pub actor: String,
    /// Whether a start made it again because a crash had taken it.
    pub recovered: bool,
    /// What else is known of it.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

/// One event in an intent's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// The time of the event.
    pub at: Timestamp,
    /// The event.
    pub what: String,
}

/// The one reason why an intent waits or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The number, name or target asked about.
    pub of: String,
    /// The answer.
    pub reason: Reason,
    /// The intent that the answer concerns.
    pub intent: Option<Row>,
    /// Unfinished intents of the target behind that one.
    pub waiting_behind: usize,
}

/// The result of a purge or its dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Number of outcomes.
    pub outcomes: u64,
    /// Number of failures among them.
    pub failed: u64,
    /// Whether the outcomes are removed; `false`: dry run.
    pub really: bool,
}

/// Log lines, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// The lines as written.
    pub lines: Vec<String>,
    /// Number of the last line: the value of `after` for the next question.
    pub last: u64,
}

/// Why a question has no answer, as a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// No intent or target matches.
    NotFound,
    /// Several targets have this name.
    Ambiguous,
    /// The client may not do this, or it exceeds a bound.
    NotPermitted,
    /// The daemon cannot answer at the moment.
    Busy,
    /// No daemon runs.
    NotRunning,
    /// The store cannot be read.
    Store,
    /// The question makes no sense.
    BadQuestion,
}

impl RefusalKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::NotFound,
        Self::Ambiguous,
        Self::NotPermitted,
        Self::Busy,
        Self::NotRunning,
        Self::Store,
        Self::BadQuestion,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Ambiguous => "ambiguous",
            Self::NotPermitted => "not-permitted",
            Self::Busy => "busy",
            Self::NotRunning => "not-running",
            Self::Store => "store",
            Self::BadQuestion => "bad-question",
        }
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The kind of refusal; on the wire its word.
    #[serde(rename = "word")]
    pub kind: RefusalKind,
    /// The question, and why it has no answer.
    pub text: String,
    /// Advice for the operator.
    pub advice: String,
}

impl Refused {
    /// A refusal.
    pub fn new(kind: RefusalKind, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, text: text.into(), advice: advice.into() }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Answers `Status`.
    Status(Box<StatusReport>),
    /// Answers `List`.
    List(Listing),
    /// Answers `Show`.
    Show(Box<Shown>),
    /// Answers `Explain`.
    Explain(Box<Explained>),
    /// Answers `Hold`: the hold is durable.
    Held(Held),
    /// Answers `Release`: the release is durable.
    Released {
        /// The released target.
        target: String,
    },
    /// Answers `Cancel`: the outcome is durable, and its files are made.
    Cancelled(Box<Row>),
    /// Answers `Purge`.
    Purged(Purged),
    /// Answers `Export`.
    Exported(Exported),
    /// Answers `Backup`: it was made, and restored on trial.
    BackedUp {
        /// The file.
        path: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Answers `Logs`.
    Logs(LogLines),
    /// The question has no answer.
    Refused(Refused),
}

#[cfg(test)]
mod tests;
