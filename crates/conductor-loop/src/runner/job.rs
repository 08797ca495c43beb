//! One run to do: the intent, its bytes, and where it runs. A job is a value: it does nothing.

use crate::payload::Payload;
use conductor_core::record::{Claim, Clearance};
use conductor_core::scheduler::Place;
use conductor_core::{Attempt, Seq, Slot};
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::time::Instant;

/// The location of an intent's bytes.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In memory.
    Held(Payload),
    /// Only in the store.
    Stored,
}

impl Bytes {
    /// Bytes that are durable: they stay in memory only while there is room for waiting intents.
    pub fn durable(bytes: Payload) -> Self {
        if bytes.keep() { Self::Held(bytes) } else { Self::Stored }
    }
}

/// One run to do.
#[derive(Debug)]
pub struct Job {
    /// Sequence number.
    pub seq: Seq,
    /// The number of the start.
    pub attempt: Attempt,
    /// The staging slot.
    pub slot: Slot,
    /// The place that the run writes.
    pub place: Place,
    /// The intent.
    pub claim: Arc<Claim>,
    /// The time since which it waits for this run, and nothing held it back.
    pub came: Instant,
    /// Exactly the bytes to run.
    pub bytes: Bytes,
    /// What the prepared run waits for before it may begin; `None`: it may begin at once.
    pub clearance: Option<Receiver<Clearance>>,
}

impl Job {
    /// Its claim is durable and its private copy is written: bytes that memory has no room for would count as on their way
    /// as long as it runs, and keep other files from being read.
    pub(super) fn let_go_of_bytes(&mut self) {
        if let Bytes::Held(bytes) = &self.bytes
            && !bytes.keep()
        {
            self.bytes = Bytes::Stored;
        }
    }
}
