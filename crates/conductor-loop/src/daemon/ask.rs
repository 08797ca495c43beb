//! The questions that only the loop can answer, each with the channel for an answer of its type.

use crate::queries::{Found, Lined, Selector};
use conductor_core::query::{Covers, Held, Refused, Selection};
use conductor_core::record::Claim;
use crossbeam_channel::{Receiver, Sender};

/// A question to the loop, with the channel for its answer.
pub(super) enum Ask {
    /// The numbers of intents in each state.
    Load(Reply<Load>),
    /// Unfinished intents of a selection.
    Rows(Selection, Reply<Lined>),
    /// One unfinished intent.
    Find(Selector, Reply<Option<Found>>),
    /// The hold that concerns a target.
    HoldOn(String, Reply<Option<Held>>),
    /// Hold a target, or everything.
    Hold(Held, Reply<Result<Durable, Refused>>),
    /// End a hold, by this user.
    Release(Covers, u32, Reply<Result<Durable, Refused>>),
    /// Cancel an intent that waits.
    Cancel(Box<Cancel>, Reply<Result<Durable, Refused>>),
    /// Remove outcomes.
    Purge(Purge, Reply<()>),
}

/// Which outcomes an operator wants removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purge {
    /// Those decided before this.
    pub(super) before: jiff::Timestamp,
    /// How many there were when it was asked.
    pub(super) outcomes: u64,
    /// The operator's user id.
    pub(super) uid: u32,
}

/// Which intent an operator wants ended.
#[derive(Debug)]
pub(super) struct Cancel {
    /// Its durable claim.
    pub(super) claim: Claim,
    /// Its starts so far, if this process has not started it.
    pub(super) started: u32,
    /// The operator's user id.
    pub(super) uid: u32,
}

/// The channel for one answer.
pub(super) struct Reply<T>(pub(super) Sender<T>);

impl<T> Reply<T> {
    pub(super) fn send(self, answer: T) {
        // The client may have gone.
        let _ = self.0.try_send(answer);
    }
}

/// Receives a message when a change is durable.
pub(super) struct Durable(pub(super) Receiver<()>);

/// The numbers of intents in each state.
#[derive(Debug, Clone, Default)]
pub(super) struct Load {
    pub(super) no_events: Option<String>,
    pub(super) left: u64,
    pub(super) sighted: u64,
    pub(super) waiting: u64,
    pub(super) active: u64,
    pub(super) oldest_waiting: Option<jiff::Timestamp>,
    pub(super) held: Vec<Held>,
}

/// An operator who waits for the outcome of an intent.
pub(super) struct Cancelling {
    /// The operator's user id.
    pub(super) uid: u32,
    pub(super) filed: Sender<()>,
}
