//! The versioned records of store and status. A status file and an archived file are projections of these records: the
//! same record always renders to the same bytes, so a lost projection can be made again.

use crate::Attempt;
use crate::attestation::{Attested, RunProof};
use crate::code::Code;
use crate::digest::Digest;
use crate::ids::Seq;
use crate::intent::{Kind, TargetKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;

/// The version of every record written by this program; a reader refuses any other.
pub const VERSION: u8 = 1;
/// `processed_by` in every status.
pub const PROCESSED_BY: &str = "conductor-loop";

/// The record that is durable before porch may start. The bytes of the intent are stored beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Record version.
    pub v: u8,
    /// Sequence number, unique for the life of the store.
    pub seq: Seq,
    /// Name of the file.
    pub name: String,
    /// Digest of exactly the bytes that run.
    pub sha256: Digest,
    /// Size of the bytes.
    pub size: u64,
    /// Owner of the file as the kernel attests it.
    pub uid: u32,
    /// The time of taking.
    pub taken_at: Timestamp,
    /// The intent's own identifier, or one made from the sequence number.
    pub correlation_id: String,
    /// The serialisation key: intents with equal keys never run concurrently.
    pub key: TargetKey,
    /// The type of request.
    pub kind: Kind,
    /// Requested replicas, if given (for the embedded engine).
    pub replicas: Option<u32>,
    /// 0 to 10.
    pub priority: u8,
    /// The intent's own time limit for porch, in seconds.
    pub timeout_secs: Option<u64>,
    /// The producer's reason.
    pub reason: Option<String>,
    /// The producer's name, as it claims.
    pub source: Option<String>,
    /// The producer's inode: if a power cut undoes the taking, the file is recognised and does not run twice.
    pub inode: u64,
    /// Modification time of that inode in nanoseconds, for the same purpose.
    pub mtime_ns: i64,
}

/// `status` of a status file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Filed under processed/.
    Success,
    /// Filed under failed/.
    Failed,
}

/// The final outcome of one intent: the commit point, and the source of its status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Record version.
    pub v: u8,
    /// Sequence number.
    pub seq: Seq,
    /// Name of the file (a derived one if the real name must not be used).
    pub name: String,
    /// Success or failure.
    pub status: Status,
    /// A description in one line.
    pub message: String,
    /// The time of the decision.
    pub finished_at: Timestamp,
    /// A later moment from which the outcome ages, if the clock was wrong at the decision (see [`crate::age`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since: Option<Timestamp>,
    /// `direct` or `structured`.
    pub mode: String,
    /// The program or engine that ran the intent, or would have.
    pub porch_path: String,
    /// Digest of the bytes, if they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Size in bytes.
    pub size: u64,
    /// The identifier in every log line of this intent.
    pub correlation_id: String,
    /// Total starts of porch.
    pub attempts: u32,
    /// Exit status, if porch exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal name, if a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The stable code of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Code>,
    /// Duration of the last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What the engine's result line notes, such as that a package is only a part of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The archived file, relative to the handoff directory.
    pub archived_as: String,
    /// The earlier success this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<Seq>,
    /// The serialisation key; `None` for refused files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<TargetKey>,
    /// Whether it was imported and has no files here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// How its status is signed; `None` for an outcome of a version that did not sign, or where signing is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attested>,
    /// The intent's history; `None` for imported outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<History>>,
}

/// The events of one intent up to its outcome. Not part of the status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The time of taking.
    pub taken_at: Timestamp,
    /// Owner of the file as the kernel attests it.
    pub uid: u32,
    /// The request; `None` for refused files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The starts of porch that this daemon has seen end, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunRecord>,
    /// The output of porch's last run: scrubbed, at most [`crate::limits::OUTPUT_KEPT_MAX`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The change of the package as a unified diff, if the embedded engine made one; at most
    /// [`crate::limits::DIFF_KEPT_MAX`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
    /// What is known of the last start beyond its ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<RunProof>>,
    /// The operator who cancelled it, a user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<u32>,
}

/// The request of an accepted intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The type of request.
    pub kind: Kind,
    /// Requested replicas, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// 0 to 10.
    pub priority: u8,
    /// The producer's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The producer's name, as it claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One start of porch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The number of the start, from 1.
    pub attempt: Attempt,
    /// The number of the worker.
    pub worker: usize,
    /// The time of the start.
    pub began_at: Timestamp,
    /// Duration in milliseconds.
    pub took_ms: u64,
    /// The ending, in words.
    pub ending: String,
}

impl Claim {
    /// The intent's request.
    pub fn asked(&self) -> Asked {
        Asked {
            kind: self.kind,
            replicas: self.replicas,
            priority: self.priority,
            reason: self.reason.clone(),
            source: self.source.clone(),
        }
    }
}

/// The last success of a target (or of a name, for imported entries): an intent that equals it is a duplicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSuccess {
    /// Sequence number of that success.
    pub seq: Seq,
    /// Its file name.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Digest,
}

impl LastSuccess {
    /// Whether an intent of this name and with these bytes repeats it.
    pub fn is_repeated_by(&self, name: &str, sha256: Digest) -> bool {
        self.name == name && self.sha256 == sha256
    }
}

/// What becomes of a run that was prepared while the claim of its intent was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    /// The claim and the start are durable: it may begin.
    Begin,
    /// The claim is durable, and nothing is to run: the intent repeats the last success of its target.
    Repeats,
    /// The claim cannot be written for now: the intent waits for it without a worker.
    NotYet,
}

impl Clearance {
    /// The clearance of a durable claim whose target had this last success.
    pub fn of(claim: &Claim, last: Option<&LastSuccess>) -> Self {
        let repeats = last.is_some_and(|last| last.is_repeated_by(&claim.name, claim.sha256));
        if repeats { Self::Repeats } else { Self::Begin }
    }
}

impl Outcome {
    /// An outcome with only a number, a name and a time; the caller sets the rest.
    pub fn blank(seq: Seq, name: &str, finished_at: Timestamp) -> Self {
        Self {
            v: VERSION,
            seq,
            name: name.to_owned(),
            status: Status::Success,
            message: String::new(),
            finished_at,
            kept_since: None,
            mode: String::new(),
            porch_path: String::new(),
            sha256: None,
            size: 0,
            correlation_id: made_correlation_id(seq),
            attempts: 0,
            exit_code: None,
            signal: None,
            error_code: None,
            duration_ms: None,
            note: None,
            archived_as: String::new(),
            duplicate_of: None,
            key: None,
            imported: false,
            attested: None,
            history: None,
        }
    }
}

/// JSON on one line with a space after `:` and `,`: easy to read and to grep.
pub fn one_line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, OneLine);
    // Writing a type with text keys into memory cannot fail.
    let written = value.serialize(&mut writer);
    debug_assert!(written.is_ok(), "records always serialise");
    bytes
}

struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn begin_object_key<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// The correlation id of an intent that names none; log, status and store share it.
pub fn made_correlation_id(seq: Seq) -> String {
    format!("cl-{seq}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_a_blank_behind_each_comma_and_colon() {
        let value = serde_json::json!({"a": [1, 2, {"b": []}], "c": "d"});
        assert_eq!(one_line(&value), br#"{"a": [1, 2, {"b": []}], "c": "d"}"#);
        assert_eq!(made_correlation_id(Seq(17)), "cl-17");
    }

    fn outcome() -> Outcome {
        Outcome {
            message: "Processed by worker 0 in 2.5s".into(),
            mode: "direct".into(),
            porch_path: "porch".into(),
            sha256: Some(Digest([1; 32])),
            size: 12,
            attempts: 1,
            exit_code: Some(0),
            duration_ms: Some(2500),
            archived_as: "processed/intent-a.json".into(),
            ..Outcome::blank(Seq(7), "intent-a.json", "2024-08-15T10:30:00Z".parse().unwrap())
        }
    }

    #[test]
    fn records_read_back() {
        let text = serde_json::to_string(&outcome()).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome());
    }
}
