//! Order: one lane per target, one intent of a lane at a time, in order of taking, held across retries. Among the
//! heads of free lanes priority decides, with ageing: the key below is fixed when an intent is taken, because all
//! waiting intents age at the same pace, so nothing has to be re-sorted and nothing can starve.

use crate::intent::TargetKey;
use crate::limits::PRIORITY_POINT;
use crate::record::LastSuccess;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// The order among ready heads: smaller runs first. Time of taking, made earlier by ten seconds a point of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    virtual_ms: i64,
    pub(super) seq: u64,
}

impl Rank {
    pub(super) fn new(taken: Duration, priority: u8, seq: u64) -> Self {
        let taken = i64::try_from(taken.as_millis()).unwrap_or(i64::MAX);
        let bonus = i64::try_from(PRIORITY_POINT.as_millis()).unwrap_or(0) * i64::from(priority);
        Self { virtual_ms: taken.saturating_sub(bonus), seq }
    }
}

#[derive(Debug, Default)]
struct Lane {
    /// Those in memory: first the ones whose claim is durable, then the ones whose claim is on its way.
    queue: VecDeque<Rank>,
    /// How many of `queue` have a durable claim.
    claimed: usize,
    /// Those of which only this is in memory: behind the claimed ones, before the others.
    parked: VecDeque<Rank>,
    /// How many of the first parked ones are being read back from the store.
    recalling: usize,
    /// The head is running, recording or pausing before a retry.
    busy: bool,
    last: Option<LastSuccess>,
    last_known: bool,
}

/// All lanes with unfinished intents.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_target: HashMap<TargetKey, Lane>,
    parked: usize,
    /// Targets of which an operator wants nothing to start.
    held: HashSet<TargetKey>,
}

impl Lanes {
    /// A newly accepted intent joins the end of its lane. It is not ready before its claim is durable.
    pub(super) fn join(&mut self, key: &TargetKey, rank: Rank) {
        self.by_target.entry(key.clone()).or_default().queue.push_back(rank);
    }

    /// The store's answer about the lane's last success; what this process saw itself is newer and wins.
    pub(super) fn learn_last(&mut self, key: &TargetKey, last: Option<LastSuccess>) {
        if let Some(lane) = self.by_target.get_mut(key)
            && !lane.last_known
        {
            lane.last = last;
            lane.last_known = true;
        }
    }

    pub(super) fn last(&self, key: &TargetKey) -> Option<&LastSuccess> {
        self.by_target.get(key)?.last.as_ref()
    }

    /// What this process saw itself: a success to compare with, or a failure that ended the claim of the one before.
    pub(super) fn set_last(&mut self, key: &TargetKey, last: Option<LastSuccess>) {
        if let Some(lane) = self.by_target.get_mut(key) {
            lane.last = last;
            lane.last_known = true;
        }
    }

    /// The head of a free lane that nobody holds.
    pub(super) fn free_head(&self, key: &TargetKey) -> Option<Rank> {
        let lane = self.by_target.get(key).filter(|lane| !lane.busy && !self.is_held(key))?;
        lane.queue.front().copied()
    }

    /// The intent whose turn it is in a lane.
    pub(super) fn head(&self, key: &TargetKey) -> Option<Rank> {
        self.by_target.get(key)?.queue.front().copied()
    }

    /// Whether the head is running, recording or pausing.
    pub(super) fn is_busy(&self, key: &TargetKey) -> bool {
        self.by_target.get(key).is_some_and(|lane| lane.busy)
    }

    /// From now on nothing of this target becomes ready; what runs goes on.
    pub(super) fn hold(&mut self, key: TargetKey) {
        self.held.insert(key);
    }

    /// Whether it was held.
    pub(super) fn release_hold(&mut self, key: &TargetKey) -> bool {
        self.held.remove(key)
    }

    pub(super) fn is_held(&self, key: &TargetKey) -> bool {
        self.held.contains(key)
    }

    pub(super) fn anything_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// The head keeps its lane busy.
    pub(super) fn occupy(&mut self, key: &TargetKey) {
        if let Some(lane) = self.by_target.get_mut(key) {
            lane.busy = true;
        }
    }

    /// The head pauses or waits: the lane is free again, with the same head.
    pub(super) fn release(&mut self, key: &TargetKey) {
        if let Some(lane) = self.by_target.get_mut(key) {
            lane.busy = false;
        }
    }

    /// The head is finished; the lane goes on with the next or is forgotten. None: it is not the head, and only heads finish.
    pub(super) fn finish_head(&mut self, key: &TargetKey, seq: u64) -> Option<()> {
        let lane = self.by_target.get_mut(key)?;
        lane.queue.front().filter(|rank| rank.seq == seq)?;
        lane.claimed = lane.claimed.checked_sub(1)?;
        lane.queue.pop_front();
        lane.busy = false;
        if lane.queue.is_empty() && lane.parked.is_empty() {
            self.by_target.remove(key);
        }
        Some(())
    }

    /// A claim of this lane became durable: it keeps its place among those in memory, or is parked when the lane has its
    /// share there or others are parked before it. True: parked.
    pub(super) fn claim_durable(&mut self, key: &TargetKey, seq: u64, share: usize) -> bool {
        let Some(lane) = self.by_target.get_mut(key) else { return false };
        let own = lane.queue.iter().skip(lane.claimed).position(|rank| rank.seq == seq);
        let Some(rank) = own.and_then(|index| lane.queue.remove(lane.claimed + index)) else { return false };
        let park = lane.claimed >= share || !lane.parked.is_empty();
        if park {
            lane.parked.push_back(rank);
            self.parked += 1;
        } else {
            lane.queue.insert(lane.claimed, rank);
            lane.claimed += 1;
        }
        park
    }

    /// One that an earlier daemon has left waiting, behind all others of its target.
    pub(super) fn park(&mut self, key: &TargetKey, rank: Rank) {
        self.by_target.entry(key.clone()).or_default().parked.push_back(rank);
        self.parked += 1;
    }

    /// Which parked ones are to be read back now, when few are left in memory: as many as the share has room for.
    pub(super) fn next_recalls(&mut self, key: &TargetKey, share: usize) -> Vec<u64> {
        let Some(lane) = self.by_target.get_mut(key) else { return Vec::new() };
        if lane.recalling > 0 || lane.claimed > share / 2 {
            return Vec::new();
        }
        let seqs: Vec<u64> = lane.parked.iter().take(share - lane.claimed).map(|rank| rank.seq).collect();
        lane.recalling = seqs.len();
        seqs
    }

    /// One that was to be read back is there. None: it was not asked for.
    pub(super) fn recalled(&mut self, key: &TargetKey, seq: u64) -> Option<Rank> {
        let lane = self.by_target.get_mut(key)?;
        let first = *lane.parked.front().filter(|rank| rank.seq == seq)?;
        lane.recalling = lane.recalling.checked_sub(1)?;
        lane.parked.pop_front();
        self.parked -= 1;
        lane.queue.insert(lane.claimed, first);
        lane.claimed += 1;
        Some(first)
    }

    /// How many are parked in all.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// Parked ones of lanes that are held and in which nothing runs.
    pub(super) fn parked_and_held(&self) -> usize {
        let lanes = self.held.iter().filter_map(|key| self.by_target.get(key));
        lanes.filter(|lane| !lane.busy).map(|lane| lane.parked.len()).sum()
    }

    /// The parked ones, each lane in its order.
    pub(super) fn all_parked(&self) -> impl Iterator<Item = (u64, &TargetKey)> {
        self.by_target.iter().flat_map(|(key, lane)| lane.parked.iter().map(move |rank| (rank.seq, key)))
    }

    /// Unfinished intents of a target.
    pub(super) fn length(&self, key: &TargetKey) -> usize {
        self.by_target.get(key).map_or(0, |lane| lane.queue.len() + lane.parked.len())
    }
}
