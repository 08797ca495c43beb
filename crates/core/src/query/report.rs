//! What the daemon says of itself: its status, held targets, and the figures of one moment.

use super::EVERYTHING;
use crate::confinement::Confinement;
use crate::ids::Seq;
use crate::intent::{NotATarget, TargetKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The daemon's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Version of the program.
    pub version: String,
    /// Whether a daemon runs.
    pub running: bool,
    /// The daemon's process id.
    pub pid: Option<u32>,
    /// The time of its start.
    pub started_at: Option<Timestamp>,
    /// Whether the daemon takes new files.
    pub ready: bool,
    /// The reasons for not being ready: words of a closed list.
    pub not_ready: Vec<String>,
    /// The time since which it has not been ready; `None`: it is ready.
    #[serde(default)]
    pub not_ready_since: Option<Timestamp>,
    /// Absolute path of the handoff directory.
    pub handoff: String,
    /// Absolute path of the output directory.
    pub out: String,
    /// The program or engine that runs intents.
    pub porch_path: String,
    /// `direct` or `structured`.
    pub mode: String,
    /// Number of concurrent runs of porch.
    pub workers: usize,
    /// What the daemon and its runs are confined to; empty: no daemon runs.
    #[serde(default)]
    pub confinement: Confinement,
    /// Why the kernel reports no new files, so that the directory is listed instead; `None`: it reports them.
    #[serde(default)]
    pub no_events: Option<String>,
    /// Entries of the handoff directory that cannot be taken and are retried.
    #[serde(default)]
    pub left: u64,
    /// Names seen in the handoff directory and not yet taken.
    pub sighted: u64,
    /// Taken intents whose porch is not running yet.
    pub waiting: u64,
    /// Seconds since the oldest waiting intent was taken.
    pub oldest_waiting_s: Option<u64>,
    /// Runs of porch in progress.
    pub active: u64,
    /// Outcomes with status success since the store was created, duplicates included.
    pub processed: u64,
    /// Outcomes that repeat an earlier success.
    pub duplicates: u64,
    /// Outcomes with status failed.
    pub failed: u64,
    /// Failures of the last hour; no more than [`ROWS_MAX`](super::ROWS_MAX) are counted.
    #[serde(default)]
    pub failed_last_hour: u64,
    /// The last sequence number given.
    pub last_seq: Seq,
    /// What an operator holds.
    pub held: Vec<Held>,
    /// Free space of the handoff directory's file system, in bytes.
    pub free_bytes: Option<u64>,
    /// The URLs that are served.
    #[serde(default)]
    pub endpoints: Vec<String>,
}

/// What an operator's hold covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Covers {
    /// Every target.
    Everything,
    /// This target.
    Target(TargetKey),
}

impl From<TargetKey> for Covers {
    fn from(key: TargetKey) -> Self {
        Self::Target(key)
    }
}

impl FromStr for Covers {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        if text == EVERYTHING { Ok(Self::Everything) } else { text.parse().map(Self::Target) }
    }
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str(EVERYTHING),
            Self::Target(key) => key.fmt(f),
        }
    }
}

/// An operator's hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// `NAMESPACE/TARGET`, or `*` for everything.
    pub target: String,
    /// The start of the hold.
    pub since: Timestamp,
    /// The user id of the operator, attested by the kernel.
    pub uid: u32,
    /// The reason, in the operator's words.
    pub note: String,
}

impl Held {
    /// The target, or the word for everything, for people.
    pub fn subject(&self) -> &str {
        if self.target == EVERYTHING { "everything" } else { &self.target }
    }
}

/// The figures of one moment for the page's charts. Totals count from the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Whether the daemon takes new files.
    pub ready: bool,
    /// Outcomes with status success.
    pub processed: u64,
    /// Outcomes with status failed.
    pub failed: u64,
    /// Runs in progress.
    pub active: i64,
    /// Taken intents that wait.
    pub waiting: i64,
    /// Files seen and not yet taken.
    pub sighted: i64,
    /// Outcomes whose time from taking to status was measured.
    pub timed: u64,
    /// The sum of these times in milliseconds.
    pub timed_ms: f64,
    /// The distribution of these times since the last moment: upper bounds in milliseconds, ascending, each with the number
    /// of outcomes between it and the bound below.
    pub took_ms: Vec<(f64, u64)>,
}
