//! Parking: of a target with many waiting intents the scheduler keeps only the first in memory, and of the others their
//! numbers; their claims are durable in the store and are read back when their turn is near. So a slow or held target
//! does not use up the room that other targets need.

use super::books::Scheduler;
use super::item::Item;
use super::message::{Admission, Bug, Effect, Parked};
use super::queues::Rank;
use super::wait_reason::WaitReason;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::{PARKED_MAX, TAKEN_MAX};
use crate::stage::Entry;
use std::time::Duration;

impl Scheduler {
    /// The number of intents that one target may have in memory before further ones are parked.
    pub(super) fn share(&self) -> usize {
        self.limits.memory.share(self.items.len())
    }

    /// Keeps only the number of an intent, in its queue.
    pub(super) fn park(&mut self, seq: Seq, effects: &mut Vec<Effect>) {
        // A recorded start that does not happen is recorded again when its turn comes.
        let Some(item) = self.remove(seq) else { return };
        effects.push(Effect::Park { seq });
        self.recall_more(&item.key, effects);
    }

    /// Requests the next parked intents of a target, when few of it are left in memory.
    pub(super) fn recall_more(&mut self, key: &TargetKey, effects: &mut Vec<Effect>) {
        let seqs = self.queues.next_recalls(key, self.share().min(self.limits.memory.target_share));
        if !seqs.is_empty() {
            effects.push(Effect::Recall { seqs });
        }
    }

    /// Parks the intents of a target that an earlier daemon left, after those in memory.
    pub(super) fn on_parked(&mut self, key: &TargetKey, waiting: &[Parked], effects: &mut Vec<Effect>) {
        for Parked { seq, priority } in waiting {
            self.queues.park(key, Rank::new(Duration::ZERO, *priority, *seq));
        }
        self.recall_more(key, effects);
    }

    /// Adds a parked intent that was read back: from now on it waits like any other.
    pub(super) fn on_recalled(&mut self, now: Duration, admission: Admission, effects: &mut Vec<Effect>) {
        let (seq, key) = (admission.seq, admission.key.clone());
        let Some(rank) = self.queues.recalled(&key, seq) else {
            return effects.push(Effect::Bug(Bug::Unknown(seq)));
        };
        self.enter(Item::new(Entry::FoundDurable, admission, rank));
        self.unreserved.insert(rank);
        self.offer_head(&key, now.into(), effects);
        self.recall_more(&key, effects);
    }

    /// Files taken or requested and not judged.
    pub(super) fn being_judged(&self) -> usize {
        self.takes_in_flight + self.still_open.len()
    }

    /// Claims and refusals being written: the bound on the delay that one producer can cause another there.
    pub(super) fn unrecorded(&self) -> usize {
        self.claiming.len() + self.decided.len()
    }

    /// Whether one more may be taken beside those in memory, in progress and parked.
    pub(super) fn has_room(&self) -> bool {
        let in_memory = self.items.len() + self.decided.len() + self.being_judged();
        in_memory < TAKEN_MAX && self.queues.parked() < PARKED_MAX
    }

    /// Numbers and targets of the parked intents, each target in its order.
    pub fn parked(&self) -> impl Iterator<Item = (Seq, &TargetKey)> {
        self.queues.all_parked()
    }

    /// The reason for which a parked intent waits; `None` if it is not parked.
    pub fn why_parked(&self, seq: Seq) -> Option<(&TargetKey, WaitReason)> {
        let (_, key) = self.parked().find(|(parked, _)| *parked == seq)?;
        Some((key, self.why_parked_of(key)))
    }

    /// The reason for which the parked intents of a target wait.
    pub fn why_parked_of(&self, key: &TargetKey) -> WaitReason {
        let behind = || self.queues.head(key).map(|head| WaitReason::Behind { seq: head.seq });
        self.why_held(key).or_else(behind).unwrap_or(WaitReason::Starting)
    }

    /// Unfinished intents of a target.
    pub fn unfinished_of(&self, key: &TargetKey) -> usize {
        self.queues.length(key)
    }

    /// The number of unfinished intents of a target that come after this one.
    pub fn behind(&self, key: &TargetKey, seq: Seq) -> usize {
        self.queues.behind(key, seq)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::tests::{World, admission, limits};
    use super::*;
    use crate::limits::{Limits, Memory};
    use crate::outcome::Verdict;

    fn key(target: &str) -> TargetKey {
        TargetKey { namespace: "n".into(), target: target.into() }
    }

    #[test]
    fn a_held_target_with_any_backlog_keeps_no_other_from_being_taken() {
        let mut world = World::new(limits(2));
        world.audited = false;
        world.event(Event::Hold(key("flood").into()));
        let flood = 3 * TAKEN_MAX as u64;
        for seq in (1..=flood).map(Seq) {
            world.accept(admission(seq, "flood", 5));
            assert!(world.scheduler.has_room(), "{seq}");
        }
        assert!(
            world.scheduler.items.len() <= world.scheduler.limits.memory.park_above + 1,
            "{}",
            world.scheduler.items.len()
        );
        assert_eq!(world.scheduler.unfinished(), usize::try_from(flood).unwrap());
        world.accept(admission(flood + 1, "other", 5));
        assert_eq!(world.end(Verdict::Success), Seq(flood + 1));
        assert_eq!(world.scheduler.why_parked(Seq(flood)), Some((&key("flood"), WaitReason::Held)));
        assert_eq!(
            world.scheduler.held_back(),
            world.scheduler.unfinished(),
            "--once ends in spite of what is held"
        );
    }

    #[test]
    fn parked_intents_run_in_their_order_each_once() {
        let memory = Memory { park_above: 6, target_share: 2 };
        let mut world = World::new(Limits { memory, ..limits(2) });
        let mut seq = 0;
        for round in 0..40 {
            for target in ["a", "b", "c"].iter().take(1 + round % 3) {
                seq += 1;
                world.accept(admission(seq, target, 5));
            }
        }
        assert!(world.scheduler.parked().count() > 20);
        while !world.running.is_empty() {
            world.end(Verdict::Success);
        }
        assert!(world.scheduler.is_idle());
        let mut last = std::collections::HashMap::new();
        for (done, _, _) in &world.recorded {
            let before = last.insert(world.keys[done].key.clone(), *done);
            assert!(before.is_none_or(|before| before < *done), "{:?}", world.recorded);
        }
        assert_eq!(world.recorded.len() as u64, seq);
    }

    #[test]
    fn with_many_targets_in_memory_each_keeps_one() {
        let mut world = World::new(limits(1));
        world.audited = false;
        let mut seq = 0;
        for round in 0..2 {
            for target in 0..TAKEN_MAX / 2 {
                seq += 1;
                world.accept(admission(seq, &format!("t{target}"), 5));
                assert!(world.scheduler.has_room(), "{round} {target}");
            }
        }
        assert!(world.scheduler.items.len() < TAKEN_MAX * 3 / 4, "{}", world.scheduler.items.len());
    }

    #[test]
    fn what_an_earlier_daemon_left_parked_is_read_back_when_its_turn_comes() {
        let mut world = World::new(limits(1));
        let parked: Vec<Parked> = (2..=200).map(|seq| Parked { seq: Seq(seq), priority: 5 }).collect();
        (1..=200).for_each(|seq| drop(world.keys.insert(Seq(seq), admission(seq, "a", 5))));
        let admission = world.keys[&Seq(1)].clone();
        world.event(Event::Recovered { admission, last: None });
        world.event(Event::Parked { key: key("a"), waiting: parked });
        for seq in (1..=200).map(Seq) {
            assert_eq!(world.end(Verdict::Success), seq);
        }
        assert!(world.scheduler.is_idle());
    }

    #[test]
    fn one_that_was_not_asked_for_is_a_bug() {
        let mut scheduler = Scheduler::new(limits(1), None);
        let mut effects = Vec::new();
        scheduler.handle(Duration::ZERO, Event::Recalled(admission(1, "a", 5)), &mut effects);
        assert_eq!(effects, [Effect::Bug(Bug::Unknown(Seq(1)))]);
    }
}
