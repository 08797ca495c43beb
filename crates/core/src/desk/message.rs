//! What goes into the desk and what comes out: events, effects, and the values they carry.

use super::places::Place;
use crate::intent::TargetKey;
use crate::outcome::{Postponed, Verdict};
use crate::record::LastSuccess;
use crate::stage::{Final, Misstep};
use std::time::Duration;

/// What a file looked like: any change shows in one of these.
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
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// Time since its last change; zero when the clocks disagree.
    pub age: Duration,
}

/// An accepted intent as the desk needs it.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Sequence number.
    pub seq: u64,
    /// What order hangs on.
    pub key: TargetKey,
    /// Where its run writes.
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

/// A claim of which nothing else is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Sequence number.
    pub seq: u64,
    /// 0 to 10.
    pub priority: u8,
}

/// What can happen. One channel, one enum.
#[derive(Debug)]
pub enum Event {
    /// Names were seen, by a hint or in a slice of a scan.
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
    /// A name asked for is no longer ours to take: gone, or left where it is.
    NotTaken(Box<[u8]>),
    /// A name asked for has changed meanwhile: it has to be quiet again.
    Unsettled(Sighting),
    /// Files that an earlier daemon had taken are being looked at again: their judgements follow.
    Relooking {
        /// How many.
        count: usize,
    },
    /// A name was taken; its judgement follows.
    Taken(Box<[u8]>),
    /// A taken file is still open for writing: its judgement follows later.
    WriterOpen {
        /// Sequence number.
        seq: u64,
    },
    /// A taken file is gone before it was judged: whoever removed it has taken the intent back.
    Vanished {
        /// Sequence number.
        seq: u64,
    },
    /// A taken file was judged and accepted.
    Accepted(Admission),
    /// A taken file was judged and refused; its outcome goes to the clerk directly.
    Refused {
        /// Sequence number.
        seq: u64,
    },
    /// An outcome found at start goes to the clerk: nothing was taken for it and nothing is judged.
    Recording {
        /// Sequence number.
        seq: u64,
    },
    /// A claim is durable.
    Claimed {
        /// Sequence number.
        seq: u64,
        /// The last success of its target, as the store knows it.
        last: Option<LastSuccess>,
    },
    /// A claim found in the store at start: durable already.
    Recovered {
        /// The intent.
        admission: Admission,
        /// The last success of its target, as the store knows it.
        last: Option<LastSuccess>,
    },
    /// A parked intent was read back from the store.
    Recalled(Admission),
    /// Claims found in the store at start that stay there for now, behind the recovered ones of their target.
    Parked {
        /// The target.
        key: TargetKey,
        /// In order of taking.
        waiting: Vec<Parked>,
    },
    /// The record of the next start is durable.
    Armed {
        /// Sequence number.
        seq: u64,
    },
    /// The worker has started porch.
    Began {
        /// Sequence number.
        seq: u64,
    },
    /// A run ended, or did not come about.
    Ended {
        /// Sequence number.
        seq: u64,
        /// The verdict drawn from it.
        verdict: Verdict,
        /// How long it took.
        took: Duration,
        /// 0..=1, spreads retries.
        jitter: f64,
    },
    /// An outcome is durable and its files are published.
    Filed {
        /// Sequence number.
        seq: u64,
    },
    /// Whoever watches a place found something wrong with it, or nothing any more.
    Trouble {
        /// The place.
        place: Place,
        /// What is wrong.
        cause: Option<Postponed>,
    },
    /// An operator wants nothing of this target to start.
    Hold(TargetKey),
    /// And now it may.
    Release(TargetKey),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Take this name if it still looks like this (or whatever it looks like).
    Take {
        /// The raw name.
        name: Box<[u8]>,
        /// What it must look like.
        expect: Option<Fingerprint>,
    },
    /// Begin a scan, or deliver the next slice of the one under way.
    Scan {
        /// Whether to begin anew.
        restart: bool,
    },
    /// Make the claim durable; with `arm`, the first start as well.
    Claim {
        /// Sequence number.
        seq: u64,
        /// Whether to record the first start in the same commit.
        arm: bool,
    },
    /// Nothing but the number of this intent, whose claim is durable, is kept in memory.
    Park {
        /// Sequence number.
        seq: u64,
    },
    /// Read these parked intents back from the store, in this order.
    Recall {
        /// Sequence numbers.
        seqs: Vec<u64>,
    },
    /// Make the next start durable.
    Arm {
        /// Sequence number.
        seq: u64,
        /// Which start it will be.
        attempt: u32,
    },
    /// Run porch.
    Run {
        /// Sequence number.
        seq: u64,
        /// Which start this is.
        attempt: u32,
        /// The staging slot, held until the outcome is filed.
        slot: u16,
    },
    /// Record the final outcome and publish its files.
    Record {
        /// Sequence number.
        seq: u64,
        /// The outcome.
        outcome: Final,
        /// Starts of porch in all.
        attempts: u32,
        /// For a duplicate: the success it repeats.
        duplicate_of: Option<u64>,
    },
    /// A retryable ending: say when it is tried again.
    RetryAnnounced {
        /// Sequence number.
        seq: u64,
        /// Which start comes next.
        attempt: u32,
        /// After this pause.
        pause: Duration,
    },
    /// A start that did not come about: it waits again.
    PutOff {
        /// Sequence number.
        seq: u64,
    },
    /// An interrupted run: it stays claimed in the store.
    Left {
        /// Sequence number.
        seq: u64,
    },
    /// Our defect: the books are wrong from here on, so nobody must go on with them.
    Bug(Bug),
}

/// An event that does not fit the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bug {
    /// It makes no sense at this stage.
    #[error(transparent)]
    Misstep(#[from] Misstep),
    /// An answer to a take that nobody asked for.
    #[error("a file was judged that was not asked for")]
    NoSuchTake,
    /// It was finished before others of its target that came earlier.
    #[error("intent {0} was finished out of its turn")]
    NotHead(u64),
    /// More runs are to start than there are staging slots.
    #[error("there is no staging slot for intent {0}")]
    NoSlot(u64),
    /// It is about an intent that is not known.
    #[error("intent {0} is not known here")]
    Unknown(u64),
}
