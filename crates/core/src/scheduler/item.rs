//! One intent in memory: what the scheduler knows of it from its admission to its outcome. Plain data; its stage is changed by
//! `course` alone.

use super::message::Admission;
use super::places::Place;
use super::queues::Rank;
use crate::Slot;
use crate::intent::TargetKey;
use crate::outcome::Postponed;
use crate::stage::{Entry, Stage};

/// An intent that is not finished, and not parked.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) stage: Stage,
    pub(super) key: TargetKey,
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) sha256: crate::Digest,
    pub(super) rank: Rank,
    pub(super) started: u32,
    pub(super) reserve: Reserve,
    pub(super) slot: Option<Slot>,
    /// Why its last start was postponed.
    pub(super) postponed: Option<Postponed>,
}

/// How far the record of its next start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    No,
    Asked,
    Durable,
}

impl Item {
    /// An intent as it was admitted: without a slot, and with no start recorded.
    pub(super) fn new(entry: Entry, admission: Admission, rank: Rank) -> Self {
        let Admission { key, place, name, sha256, started, .. } = admission;
        let stage = entry.into();
        Self {
            stage,
            key,
            place,
            name,
            sha256,
            rank,
            started,
            reserve: Reserve::No,
            slot: None,
            postponed: None,
        }
    }
}
