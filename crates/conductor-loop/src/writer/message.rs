//! The writer's commands and answers, and the values that they carry.

use super::broken::Broken;
use crate::payload::Payload;
use conductor_core::name::TakenName;
use conductor_core::query::Held;
use conductor_core::ready::Reasons;
use conductor_core::record::{Claim, Clearance, LastSuccess, Outcome};
use conductor_core::{Attempt, Seq, Slot};
use conductor_evidence::Record;
use conductor_evidence::tree::Point;
use crossbeam_channel::Sender;
use std::io;
use std::time::Duration;

/// The source of the archived file.
#[derive(Debug, Clone)]
pub enum Source {
    /// The private copy in a staging slot, checked after the run; if it is missing, the store has the bytes.
    Staged {
        /// The slot.
        slot: Slot,
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
    /// It is decided now, and none of its files exists.
    First,
    /// An earlier daemon decided it: its files may exist, whole or in part.
    Again,
}

/// A final outcome on its way to the disk, with the sources of its files.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The record; the writer fills in `archived_as`.
    pub outcome: Outcome,
    /// The source of the archived file.
    pub source: Source,
    /// The error log of a failure.
    pub report: Option<Vec<u8>>,
    /// The producer's file, to be removed when a copy has been archived.
    pub taken: Option<TakenName>,
    /// Whether it is published for the first time.
    pub kind: PublicationKind,
}

/// A decided outcome whose files may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Sequence number.
    pub seq: Seq,
    /// The producer's file, if it still exists.
    pub taken: Option<TakenName>,
}

/// A claim to be made durable.
#[derive(Debug)]
pub struct NewClaim {
    /// The record.
    pub claim: Box<Claim>,
    /// The bytes.
    pub bytes: Payload,
    /// Whether the first start is recorded with it.
    pub reserve: bool,
    /// The way to the worker that has prepared the first start and waits.
    pub clearance: Option<Sender<Clearance>>,
}

/// What an operator does with a target.
#[derive(Debug)]
pub enum Holding {
    /// Nothing of it is started from now on.
    Held(Held),
    /// It goes on.
    Released {
        /// `NAMESPACE/TARGET`
        target: String,
        /// The operator's user id.
        uid: u32,
    },
}

/// A command to the writer.
#[derive(Debug)]
pub enum Command {
    /// Make a claim durable.
    Claim(NewClaim),
    /// Make the next start durable.
    Reserve {
        /// Sequence number.
        seq: Seq,
        /// The number of the start.
        attempt: Attempt,
    },
    /// Make an outcome durable and publish it.
    Settle(Box<Publication>),
    /// Publish an earlier daemon's outcomes again; the store has all their data.
    Republish(Vec<Again>),
    /// A read from the store failed: check the store.
    ReadFailed,
    /// Remove outcomes older than this, at an operator's request.
    Retain {
        /// Outcomes decided before this are removed.
        before: jiff::Timestamp,
    },
    /// Remove outcomes that have been kept for longer than this.
    Expire {
        /// --retention
        retention: jiff::SignedDuration,
    },
    /// Read the claims of these parked intents from the store, in this order.
    Recall {
        /// Sequence numbers.
        seqs: Vec<Seq>,
    },
    /// The helper has synced all earlier published files.
    Synced {
        /// The outcomes that are DONE.
        seqs: Vec<Seq>,
        /// Whether the sync worked.
        result: io::Result<()>,
    },
    /// The packages written by these outcomes' runs are on the disk.
    PackagesSynced {
        /// The outcomes, now to be made durable.
        publications: Vec<Publication>,
        /// Whether the sync worked.
        result: io::Result<()>,
    },
    /// An operator holds or releases a target.
    Hold {
        /// Which, and who.
        holding: Holding,
        /// Receives a message when it is durable.
        durable: Sender<()>,
    },
    /// The reasons for not being ready, for the public head.
    NotReady(Reasons),
    /// An entry for the audit trail, with the next batch or soon.
    Audit(Box<Record>),
    /// Somebody was refused: read the refusals for the audit trail.
    Denied,
    /// A worker waits for the disk: do not collect.
    Flush,
    /// Finish everything and end.
    Stop,
}

/// The data that could not be written for lack of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The state store.
    State,
    /// Files in the handoff directory.
    Files,
}

/// An answer of the writer.
#[derive(Debug)]
pub enum Ack {
    /// A claim is durable.
    Claimed {
        /// Sequence number.
        seq: Seq,
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
    Reserved {
        /// Sequence number.
        seq: Seq,
    },
    /// An outcome is durable and published.
    Filed {
        /// Sequence number.
        seq: Seq,
        /// The archived file.
        archived_as: String,
    },
    /// An earlier daemon's outcome was published again.
    Republished(Box<Outcome>),
    /// One transaction was made durable.
    Committed {
        /// Duration of the commit.
        took: Duration,
        /// Number of claims, starts and outcomes in it.
        records: usize,
    },
    /// There is no space to write; `None`: there is space again.
    DiskFull(Option<Full>),
    /// For several seconds a file could not be made, for want of a descriptor, memory or a name; `false`: it is made.
    FilingWaits(bool),
    /// The audit trail has grown to this.
    Audited(Point),
    /// The retention removed this many outcomes.
    Retained(u64),
    /// No write can become durable any more; the process must end.
    Fatal(Broken),
}
