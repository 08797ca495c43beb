//! What the clerk is asked for and what it answers, and the values both carry.

use crate::payload::Payload;
use conductor_core::Code;
use conductor_core::inquiry::Held;
use conductor_core::name::TakenName;
use conductor_core::ready::Reasons;
use conductor_core::record::{Claim, LastSuccess, Outcome};
use crossbeam_channel::Sender;
use std::io;
use std::time::Duration;

/// Where the archived file comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The private copy in a staging slot, checked after the run; the store has the bytes if it is not there.
    Staged {
        /// The slot.
        slot: u16,
    },
    /// From memory.
    Bytes(Payload),
    /// From the store, which has them with the claim, or since the outcome was recorded.
    Stored,
    /// The taken file itself is moved: it was not read.
    Taken(TakenName),
}

/// Whether an outcome is published for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicationKind {
    /// Yes: it is decided now, and nothing of it is there.
    First,
    /// An earlier daemon decided it: its files may be there already, whole or in part.
    Again,
}

/// A final outcome on its way to the disk, with what its files are made from.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The record; the clerk fills in `archived_as`.
    pub outcome: Outcome,
    /// What is archived.
    pub source: Source,
    /// The error log of a failure.
    pub report: Option<Vec<u8>>,
    /// The producer's file, to be removed when a copy was archived.
    pub taken: Option<TakenName>,
    /// Whether it is published for the first time.
    pub kind: PublicationKind,
}

/// A decided outcome whose files may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Sequence number.
    pub seq: u64,
    /// The producer's file, where it is still there.
    pub taken: Option<TakenName>,
}

/// What the daemon asks for.
#[derive(Debug)]
pub enum Command {
    /// Make a claim durable.
    Claim {
        /// The record.
        claim: Box<Claim>,
        /// The bytes.
        bytes: Payload,
        /// Whether its first start is recorded with it.
        arm: bool,
    },
    /// Make the next start durable.
    Arm {
        /// Sequence number.
        seq: u64,
        /// Which start.
        attempt: u32,
    },
    /// Make an outcome durable and publish it.
    Settle(Box<Publication>),
    /// Publish again what an earlier daemon had decided; the store has all of it.
    Republish(Vec<Again>),
    /// Something could not be read from the store: look after it.
    ReadFailed,
    /// Remove what is older than this: an operator wants it.
    Retain {
        /// Outcomes decided before go.
        before: jiff::Timestamp,
    },
    /// Remove what has been kept for longer than this.
    Expire {
        /// --retention
        retention: jiff::SignedDuration,
    },
    /// Read the claims of these parked intents back, in this order.
    Recall {
        /// Sequence numbers.
        seqs: Vec<u64>,
    },
    /// The helper has synced everything published before.
    Synced {
        /// What is DONE.
        seqs: Vec<u64>,
        /// Whether the sync worked.
        result: io::Result<()>,
    },
    /// What these outcomes' runs wrote is on the disk.
    PackagesSynced {
        /// The outcomes, now to be made durable.
        publications: Vec<Publication>,
        /// Whether the sync worked.
        result: io::Result<()>,
    },
    /// An operator holds a target.
    Hold {
        /// The record.
        held: Held,
        /// Told when it is durable.
        durable: Sender<()>,
    },
    /// An operator releases a target.
    Release {
        /// `NAMESPACE/TARGET`
        target: String,
        /// Told when it is durable.
        durable: Sender<()>,
    },
    /// Whether the daemon is ready, for the public head.
    NotReady(Reasons),
    /// Somebody waits for the disk now: do not collect.
    Hurry,
    /// Finish everything and end.
    Stop,
}

/// What could not be written for lack of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The state store.
    State,
    /// Files in the handoff directory.
    Files,
}

/// What the clerk answers.
#[derive(Debug)]
pub enum Ack {
    /// A claim is durable.
    Claimed {
        /// Sequence number.
        seq: u64,
        /// The last success of its target.
        last: Option<LastSuccess>,
    },
    /// A parked claim was read back.
    Recalled {
        /// The claim.
        claim: Box<Claim>,
        /// Starts of porch so far.
        started: u32,
    },
    /// A start is durable.
    Armed {
        /// Sequence number.
        seq: u64,
    },
    /// An outcome is durable and published.
    Filed {
        /// Sequence number.
        seq: u64,
        /// Where the file is now.
        archived_as: String,
    },
    /// A decided outcome was published again.
    Republished(Box<Outcome>),
    /// One transaction was made durable.
    Committed {
        /// How long that took.
        took: Duration,
        /// Claims, starts and outcomes in it.
        records: usize,
    },
    /// There is no space to write, or (none) there is room again.
    DiskFull(Option<Full>),
    /// Retention removed this many outcomes.
    Retained(u64),
    /// Nothing can be made durable any more; the process must end.
    Fatal {
        /// The stable code.
        code: Code,
        /// What failed.
        reason: String,
    },
}
