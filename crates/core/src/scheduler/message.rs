//! The scheduler's input and output: events, effects, and the values they carry.

use super::places::Place;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::outcome::{Postponed, Verdict};
use crate::query::Covers;
use crate::record::LastSuccess;
use crate::stage::{Final, Misstep};
use crate::{Attempt, Slot};
use std::time::Duration;

/// The metadata of a file: any change shows in one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time, nanoseconds since 1970. Producers cannot forge it.
    pub ctime_ns: i64,
}

/// A name seen in the handoff directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The raw name.
    pub name: Box<[u8]>,
    /// The file's metadata.
    pub fingerprint: Fingerprint,
    /// Time since its last change; zero when the clocks disagree.
    pub age: Duration,
}

/// The scheduler's view of an accepted intent.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Sequence number.
    pub seq: Seq,
    /// The serialisation key: intents with equal keys never run concurrently.
    pub key: TargetKey,
    /// The place that its run writes.
    pub place: Place,
    /// File name, for the duplicate rule.
    pub name: String,
    /// Digest of the bytes, for the duplicate rule.
    pub sha256: crate::Digest,
    /// 0 to 10.
    pub priority: u8,
    /// Starts of porch so far (above zero after a recovery).
    pub started: u32,
}

/// A claim of which only this is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Sequence number.
    pub seq: Seq,
    /// 0 to 10.
    pub priority: u8,
}

/// An event. One channel, one enum.
#[derive(Debug)]
pub enum Event {
    /// Names were seen, through an event or in a slice of a scan.
    Sighted(Vec<Sighting>),
    /// The scan has delivered a slice; `complete`: it was the last.
    ScanSlice {
        /// Whether the directory's end was reached.
        complete: bool,
    },
    /// The directory could not be listed at the moment.
    ScanFailed,
    /// Events were lost: a scan must look at everything.
    ScanWanted,
    /// A requested name can no longer be taken: it is gone, or was left in the directory.
    NotTaken(Box<[u8]>),
    /// A requested name has changed meanwhile: it must be quiet again.
    Unsettled(Sighting),
    /// Files taken by an earlier daemon are being looked at again: their judgements follow.
    Relooking {
        /// The number of files.
        count: usize,
    },
    /// A name was taken; its judgement follows.
    Taken(Box<[u8]>),
    /// A taken file is still open for writing: its judgement follows later.
    StillOpen {
        /// Sequence number.
        seq: Seq,
    },
    /// A taken file disappeared before it was judged: its removal withdraws the intent.
    Vanished {
        /// Sequence number.
        seq: Seq,
    },
    /// A taken file was judged and accepted.
    Accepted(Admission),
    /// A taken file was judged and refused; its outcome goes to the writer directly.
    Refused {
        /// Sequence number.
        seq: Seq,
    },
    /// An outcome found at start goes to the writer: no take and no judgement belong to it.
    Recording {
        /// Sequence number.
        seq: Seq,
    },
    /// A claim is durable.
    Claimed {
        /// Sequence number.
        seq: Seq,
        /// The last success of its target, from the store.
        last: Option<LastSuccess>,
    },
    /// A claim found in the store at start: already durable.
    Recovered {
        /// The intent.
        admission: Admission,
        /// The last success of its target, from the store.
        last: Option<LastSuccess>,
    },
    /// A parked intent was read back from the store.
    Recalled(Admission),
    /// Claims found in the store at start that stay there for now, after the recovered ones of their target.
    Parked {
        /// The target.
        key: TargetKey,
        /// In order of taking.
        waiting: Vec<Parked>,
    },
    /// The record of the next start is durable.
    Reserved {
        /// Sequence number.
        seq: Seq,
    },
    /// The worker has started porch.
    Began {
        /// Sequence number.
        seq: Seq,
    },
    /// A run ended, or its start did not happen.
    Ended {
        /// Sequence number.
        seq: Seq,
        /// The verdict drawn from it.
        verdict: Verdict,
        /// Duration of the run.
        took: Duration,
        /// 0..=1, to spread retries.
        jitter: f64,
    },
    /// An outcome is durable and its files are published.
    Filed {
        /// Sequence number.
        seq: Seq,
    },
    /// An operator cancels a waiting intent.
    Cancel(Admission),
    /// The state of a place has changed.
    Trouble {
        /// The place.
        place: Place,
        /// The problem; `None`: the place works again.
        cause: Option<Postponed>,
    },
    /// Holds a target, or everything: no intent of it starts.
    Hold(Covers),
    /// Ends a hold.
    Release(Covers),
}

/// An action for the daemon.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Take this name if its fingerprint is `expect`, or in any state if that is `None`.
    Take {
        /// The raw name.
        name: Box<[u8]>,
        /// The required fingerprint.
        expect: Option<Fingerprint>,
    },
    /// Start a scan, or deliver the next slice of the current one.
    Scan {
        /// Whether to start anew.
        restart: bool,
    },
    /// Make the claim durable; with `reserve`, the first start too.
    Claim {
        /// Sequence number.
        seq: Seq,
        /// Whether to record the first start in the same commit.
        reserve: bool,
        /// The staging slot of a worker that prepares the first run meanwhile, and starts it as soon as the claim is durable;
        /// `None`: a later [`Effect::Run`] starts it.
        ahead: Option<Slot>,
    },
    /// Keep only the number of this intent, whose claim is durable, in memory.
    Park {
        /// Sequence number.
        seq: Seq,
    },
    /// Read these parked intents back from the store, in this order.
    Recall {
        /// Sequence numbers.
        seqs: Vec<Seq>,
    },
    /// Make the next start durable.
    Reserve {
        /// Sequence number.
        seq: Seq,
        /// The number of the start.
        attempt: Attempt,
    },
    /// Run porch.
    Run {
        /// Sequence number.
        seq: Seq,
        /// The number of the start.
        attempt: Attempt,
        /// The staging slot, held until the outcome is filed.
        slot: Slot,
    },
    /// Record the final outcome and publish its files.
    Record {
        /// Sequence number.
        seq: Seq,
        /// The outcome.
        outcome: Final,
        /// Total starts of porch.
        attempts: u32,
        /// For a duplicate: the success it repeats.
        duplicate_of: Option<Seq>,
    },
    /// A retryable ending: report the time of the retry.
    RetryAnnounced {
        /// Sequence number.
        seq: Seq,
        /// The number of the next start.
        attempt: Attempt,
        /// The pause before it.
        pause: Duration,
    },
    /// A start that did not happen: the intent waits again.
    PutOff {
        /// Sequence number.
        seq: Seq,
    },
    /// An interrupted run: the intent stays claimed in the store.
    Left {
        /// Sequence number.
        seq: Seq,
    },
    /// A defect of the daemon: its state is inconsistent, so it must end.
    Bug(Bug),
}

/// An event that does not fit the scheduler's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bug {
    /// The stage does not permit it.
    #[error(transparent)]
    Misstep(#[from] Misstep),
    /// An answer to a take that was not requested.
    #[error("a file was judged that was not asked for")]
    NoSuchTake,
    /// It finished before earlier intents of its target.
    #[error("intent {0} was finished out of its turn")]
    NotHead(Seq),
    /// More runs would start than there are staging slots.
    #[error("there is no staging slot for intent {0}")]
    NoSlot(Seq),
    /// It names an unknown intent.
    #[error("intent {0} is not known here")]
    Unknown(Seq),
}
