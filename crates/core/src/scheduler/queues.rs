//! Order: one queue per target, one intent of a queue at a time, in order of taking, kept across retries. Among the heads
//! of free queues priority decides, with ageing: the key below is fixed when an intent is taken, because all waiting
//! intents age at the same pace, so no re-sorting is needed and no intent can starve.

use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::PRIORITY_POINT;
use crate::query::Covers;
use crate::record::LastSuccess;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// The order among ready heads: smaller runs first. Time of taking, made earlier by ten seconds per point of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    virtual_ms: i64,
    pub(super) seq: Seq,
}

impl Rank {
    pub(super) fn new(taken: Duration, priority: u8, seq: Seq) -> Self {
        let taken = i64::try_from(taken.as_millis()).unwrap_or(i64::MAX);
        let bonus = i64::try_from(PRIORITY_POINT.as_millis()).unwrap_or(0) * i64::from(priority);
        Self { virtual_ms: taken.saturating_sub(bonus), seq }
    }
}

#[derive(Debug, Default)]
struct Queue {
    /// Intents in memory: first those with a durable claim, then those whose claim is being written.
    in_memory: VecDeque<Rank>,
    /// The number of intents in `in_memory` with a durable claim.
    claimed: usize,
    /// Intents of which only this is in memory: after the claimed ones, before the others.
    parked: VecDeque<Rank>,
    /// The number of first parked intents being read back from the store.
    recalling: usize,
    /// Cancelled intents, in memory or parked, whose outcome is not durable yet: each keeps its place until then.
    cancelled: HashSet<Seq>,
    /// The head is running, recording or pausing before a retry.
    busy: bool,
    last: Option<LastSuccess>,
    last_known: bool,
}

impl Queue {
    /// The parked intents that wait for their turn.
    fn waiting_parked(&self) -> impl Iterator<Item = &Rank> {
        self.parked.iter().filter(|rank| !self.cancelled.contains(&rank.seq))
    }
}

/// All queues with unfinished intents.
#[derive(Debug, Default)]
pub(super) struct Queues {
    by_target: HashMap<TargetKey, Queue>,
    /// The number of parked intents that wait for their turn.
    parked: usize,
    /// Targets held by an operator.
    held: HashSet<TargetKey>,
    /// Whether an operator holds everything.
    all_held: bool,
}

impl Queues {
    /// Adds a newly accepted intent to the end of its queue. It is not ready before its claim is durable.
    pub(super) fn join(&mut self, key: &TargetKey, rank: Rank) {
        self.by_target.entry(key.clone()).or_default().in_memory.push_back(rank);
    }

    /// Learns the queue's last success from the store; a newer one seen by this process wins.
    pub(super) fn learn_last(&mut self, key: &TargetKey, last: Option<LastSuccess>) {
        if let Some(queue) = self.by_target.get_mut(key)
            && !queue.last_known
        {
            queue.last = last;
            queue.last_known = true;
        }
    }

    pub(super) fn last(&self, key: &TargetKey) -> Option<&LastSuccess> {
        self.by_target.get(key)?.last.as_ref()
    }

    /// Sets the queue's last success as seen by this process; `None` after a failed run, which invalidates the one before.
    pub(super) fn set_last(&mut self, key: &TargetKey, last: Option<LastSuccess>) {
        if let Some(queue) = self.by_target.get_mut(key) {
            queue.last = last;
            queue.last_known = true;
        }
    }

    /// The head of a free queue that is not held.
    pub(super) fn free_head(&self, key: &TargetKey) -> Option<Rank> {
        let queue = self.by_target.get(key).filter(|queue| !queue.busy && !self.is_held(key))?;
        queue.in_memory.front().copied()
    }

    /// The intent whose turn it is in a queue.
    pub(super) fn head(&self, key: &TargetKey) -> Option<Rank> {
        self.by_target.get(key)?.in_memory.front().copied()
    }

    /// Whether the head is running, recording or pausing.
    pub(super) fn is_busy(&self, key: &TargetKey) -> bool {
        self.by_target.get(key).is_some_and(|queue| queue.busy)
    }

    /// Holds a target, or everything: no intent of it becomes ready; a current run continues. Returns the heads concerned.
    pub(super) fn hold(&mut self, covers: Covers) -> Vec<Rank> {
        match covers {
            Covers::Everything => {
                self.all_held = true;
                self.by_target.values().filter_map(|queue| queue.in_memory.front().copied()).collect()
            }
            Covers::Target(key) => {
                let head = self.head(&key);
                self.held.insert(key);
                head.into_iter().collect()
            }
        }
    }

    /// Ends a hold. Returns the targets that may be free now.
    pub(super) fn release_hold(&mut self, covers: Covers) -> Vec<TargetKey> {
        match covers {
            Covers::Everything if std::mem::take(&mut self.all_held) => {
                self.by_target.keys().cloned().collect()
            }
            Covers::Target(key) if self.held.remove(&key) => vec![key],
            _ => Vec::new(),
        }
    }

    pub(super) fn is_held(&self, key: &TargetKey) -> bool {
        self.all_held || self.held.contains(key)
    }

    /// Whether an operator holds everything.
    pub(super) fn is_all_held(&self) -> bool {
        self.all_held
    }

    pub(super) fn anything_held(&self) -> bool {
        self.all_held || !self.held.is_empty()
    }

    /// Marks the queue as busy with its head.
    pub(super) fn occupy(&mut self, key: &TargetKey) {
        if let Some(queue) = self.by_target.get_mut(key) {
            queue.busy = true;
        }
    }

    /// Frees the queue, with the same head, which pauses or waits.
    pub(super) fn release(&mut self, key: &TargetKey) {
        if let Some(queue) = self.by_target.get_mut(key) {
            queue.busy = false;
        }
    }

    /// Removes a finished intent: the head, and the queue continues with the next intent or is removed; or one that was
    /// cancelled. `None`: it is neither.
    pub(super) fn finish(&mut self, key: &TargetKey, seq: Seq) -> Option<()> {
        let queue = self.by_target.get_mut(key)?;
        let cancelled = queue.cancelled.remove(&seq);
        match queue.in_memory.iter().take(queue.claimed).position(|rank| rank.seq == seq) {
            Some(place) if place == 0 || cancelled => {
                queue.in_memory.remove(place);
                queue.claimed -= 1;
                queue.busy &= place > 0;
            }
            None if cancelled => {
                let place = queue.parked.iter().position(|rank| rank.seq == seq)?;
                queue.parked.remove(place);
            }
            _ => return None,
        }
        if queue.in_memory.is_empty() && queue.parked.is_empty() {
            self.by_target.remove(key);
        }
        Some(())
    }

    /// Whether the intent is parked, and not being read back.
    pub(super) fn may_leave_parked(&self, seq: Seq) -> bool {
        let behind = |queue: &Queue| queue.parked.iter().skip(queue.recalling).any(|rank| rank.seq == seq);
        self.by_target.values().any(behind)
    }

    /// Marks an intent with a durable claim as cancelled: it may finish out of its turn. `None`: it is not here, or is being
    /// read back.
    pub(super) fn cancel(&mut self, key: &TargetKey, seq: Seq) -> Option<Rank> {
        let queue = self.by_target.get_mut(key)?;
        let is_it = |rank: &&Rank| rank.seq == seq;
        let rank = if let Some(rank) = queue.in_memory.iter().take(queue.claimed).find(is_it) {
            *rank
        } else {
            let rank = *queue.parked.iter().skip(queue.recalling).find(is_it)?;
            self.parked -= 1;
            rank
        };
        queue.cancelled.insert(seq);
        Some(rank)
    }

    /// A claim of this queue became durable: the intent keeps its place in memory, or is parked when the queue has used up
    /// its share there or others are parked before it. Returns true if it was parked.
    pub(super) fn claim_durable(&mut self, key: &TargetKey, seq: Seq, share: usize) -> bool {
        let Some(queue) = self.by_target.get_mut(key) else { return false };
        let own = queue.in_memory.iter().skip(queue.claimed).position(|rank| rank.seq == seq);
        let Some(rank) = own.and_then(|index| queue.in_memory.remove(queue.claimed + index)) else {
            return false;
        };
        let park = queue.claimed >= share || !queue.parked.is_empty();
        if park {
            queue.parked.push_back(rank);
            self.parked += 1;
        } else {
            queue.in_memory.insert(queue.claimed, rank);
            queue.claimed += 1;
        }
        park
    }

    /// Parks an intent left waiting by an earlier daemon, after all others of its target.
    pub(super) fn park(&mut self, key: &TargetKey, rank: Rank) {
        self.by_target.entry(key.clone()).or_default().parked.push_back(rank);
        self.parked += 1;
    }

    /// The parked intents to read back now, when few are left in memory: as many as the share permits, and none behind one
    /// that is cancelled.
    pub(super) fn next_recalls(&mut self, key: &TargetKey, share: usize) -> Vec<Seq> {
        let Some(queue) = self.by_target.get_mut(key) else { return Vec::new() };
        if queue.recalling > 0 || queue.claimed > share / 2 {
            return Vec::new();
        }
        let waiting = queue.parked.iter().take_while(|rank| !queue.cancelled.contains(&rank.seq));
        let seqs: Vec<Seq> = waiting.take(share - queue.claimed).map(|rank| rank.seq).collect();
        queue.recalling = seqs.len();
        seqs
    }

    /// Moves a parked intent that was read back into memory. `None`: it was not requested.
    pub(super) fn recalled(&mut self, key: &TargetKey, seq: Seq) -> Option<Rank> {
        let queue = self.by_target.get_mut(key)?;
        let first = *queue.parked.front().filter(|rank| rank.seq == seq)?;
        queue.recalling = queue.recalling.checked_sub(1)?;
        queue.parked.pop_front();
        self.parked -= 1;
        queue.in_memory.insert(queue.claimed, first);
        queue.claimed += 1;
        Some(first)
    }

    /// The number of parked intents that wait for their turn.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// The number of parked intents in held queues without a current run.
    pub(super) fn parked_and_held(&self) -> usize {
        let held = self.by_target.iter().filter(|(key, queue)| !queue.busy && self.is_held(key));
        held.map(|(_, queue)| queue.waiting_parked().count()).sum()
    }

    /// The parked intents that wait for their turn, each queue in its order.
    pub(super) fn all_parked(&self) -> impl Iterator<Item = (Seq, &TargetKey)> {
        self.by_target.iter().flat_map(|(key, queue)| queue.waiting_parked().map(move |rank| (rank.seq, key)))
    }

    /// Unfinished intents of a target after this one; numbers are given in the order of taking.
    pub(super) fn behind(&self, key: &TargetKey, seq: Seq) -> usize {
        let later =
            |queue: &Queue| queue.in_memory.iter().chain(&queue.parked).filter(|rank| rank.seq > seq).count();
        self.by_target.get(key).map_or(0, later)
    }

    /// Unfinished intents of a target.
    pub(super) fn length(&self, key: &TargetKey) -> usize {
        self.by_target.get(key).map_or(0, |queue| queue.in_memory.len() + queue.parked.len())
    }
}
