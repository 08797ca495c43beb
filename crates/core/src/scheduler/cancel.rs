//! Cancelling: an intent that waits gets its outcome out of its turn. It keeps its place in the queue of its target until
//! that is durable: nothing behind it starts before, so that after a crash it does not wait again behind what has run.

use super::books::Scheduler;
use super::item::Item;
use super::message::{Admission, Bug, Effect};
use crate::ids::Seq;
use crate::stage::{Entry, Stage, Step};
use std::time::Duration;

/// Where a waiting intent is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// In memory.
    Whole,
    /// In the store; of it only the number is in memory.
    Parked,
}

impl Scheduler {
    /// Where the intent waits; `None` if it does not wait, or is just being read back.
    pub fn waits(&self, seq: Seq) -> Option<Waits> {
        match self.items.get(&seq) {
            Some(item) => (item.stage == Stage::Waiting).then_some(Waits::Whole),
            None => self.queues.may_leave_parked(seq).then_some(Waits::Parked),
        }
    }

    /// Cancels an intent that waits.
    pub(super) fn on_cancel(&mut self, now: Duration, admission: Admission, effects: &mut Vec<Effect>) {
        let (seq, key) = (admission.seq, admission.key.clone());
        let Some(rank) = self.queues.cancel(&key, seq) else {
            return effects.push(Effect::Bug(Bug::Unknown(seq)));
        };
        if !self.items.contains_key(&seq) {
            self.enter(Item::new(Entry::FoundDurable, admission, rank));
        }
        self.advance_one(seq, Step::Cancel, now.into(), effects);
        self.places.withdraw(rank);
        self.pauses.retain(|(_, paused)| *paused != seq);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::tests::{World, admission, limits};
    use super::*;
    use crate::Code;
    use crate::limits::{Limits, Memory};
    use crate::outcome::Verdict;
    use crate::stage::Final;

    fn cancel(world: &mut World, seq: Seq) {
        assert!(world.scheduler.waits(seq).is_some(), "{seq}");
        world.event(Event::Cancel(world.keys[&seq].clone()));
        assert_eq!(
            world.recorded.last().map(|last| (last.0, last.1)),
            Some((seq, Final::Failed(Code::Cancelled)))
        );
        assert_eq!(world.scheduler.waits(seq), None, "once");
    }

    #[test]
    fn what_is_cancelled_leaves_the_order_of_the_others_as_it_is() {
        let mut world = World::new(limits(1));
        for seq in (1..=5).map(Seq) {
            world.accept(admission(seq, "t", 5));
        }
        assert_eq!((world.running.front(), world.scheduler.waits(Seq(1))), (Some(&Seq(1)), None), "it runs");
        cancel(&mut world, Seq(3));
        cancel(&mut world, Seq(5));
        world.end(Verdict::Success);
        assert_eq!(world.running.front(), Some(&Seq(2)));
        world.end(Verdict::Retry(Code::PorchBusy));
        // It pauses, and keeps no other of its target waiting once it is cancelled.
        cancel(&mut world, Seq(2));
        assert_eq!(world.running.front(), Some(&Seq(4)));
        world.end(Verdict::Success);
        assert!(world.scheduler.is_idle() && world.running.is_empty());
    }

    #[test]
    fn a_held_head_and_the_last_of_a_target_can_be_cancelled() {
        let mut world = World::new(limits(1));
        let key = admission(1, "t", 5).key;
        world.event(Event::Hold(key.clone().into()));
        (1..=2).for_each(|seq| world.accept(admission(seq, "t", 5)));
        cancel(&mut world, Seq(1));
        assert!(world.running.is_empty());
        cancel(&mut world, Seq(2));
        world.event(Event::Release(key.into()));
        assert!(world.scheduler.is_idle());
        world.accept(admission(3, "t", 5));
        assert_eq!(world.running.front(), Some(&Seq(3)));
    }

    #[test]
    fn what_is_parked_can_be_cancelled_and_the_rest_is_read_back_in_order() {
        let memory = Memory { park_above: 2, target_share: 2 };
        let mut world = World::new(Limits { memory, ..limits(1) });
        (1..=12).for_each(|seq| world.accept(admission(seq, "t", 5)));
        let parked: Vec<Seq> =
            (1..=12).map(Seq).filter(|seq| world.scheduler.waits(*seq) == Some(Waits::Parked)).collect();
        assert!(parked.len() > 4, "{parked:?}");
        let cancelled = [parked[1], parked[3], *parked.last().unwrap()];
        for seq in cancelled {
            cancel(&mut world, seq);
        }
        let mut order = Vec::new();
        while let Some(seq) = world.running.front().copied() {
            order.push(seq);
            world.end(Verdict::Success);
        }
        let wanted: Vec<Seq> = (1..=12).map(Seq).filter(|seq| !cancelled.contains(seq)).collect();
        assert_eq!(order, wanted);
        assert!(world.scheduler.is_idle());
    }

    #[test]
    fn starts_of_an_earlier_daemon_count_for_what_is_cancelled_while_it_is_parked() {
        let memory = Memory { park_above: 0, target_share: 1 };
        let mut world = World::new(Limits { memory, ..limits(1) });
        world.accept(admission(1, "t", 5));
        world.accept(Admission { started: 2, ..admission(2, "t", 5) });
        assert_eq!(world.scheduler.waits(Seq(2)), Some(Waits::Parked));
        cancel(&mut world, Seq(2));
        assert_eq!(world.recorded, [(Seq(2), Final::Failed(Code::Cancelled), 2)]);
    }

    #[test]
    fn a_run_that_failed_before_its_intent_was_cancelled_still_counts() {
        let mut world = World::new(limits(1));
        world.accept(admission(1, "t", 5));
        world.end(Verdict::Success);
        let again = |seq| Admission { seq, ..admission(1, "t", 5) };
        world.accept(admission(2, "t", 5));
        world.end(Verdict::Retry(Code::PorchBusy));
        cancel(&mut world, Seq(2));
        world.accept(again(Seq(3)));
        assert_eq!(
            world.running.front(),
            Some(&Seq(3)),
            "the package may be another since: it is no duplicate"
        );
    }

    #[test]
    fn nothing_of_a_target_starts_before_the_outcome_of_what_was_cancelled_is_durable() {
        // The head, which pauses between two starts, and is held or not.
        for held in [false, true] {
            let mut world = World::new(limits(1));
            world.filed_late = true;
            let key = admission(1, "t", 5).key;
            (1..=3).for_each(|seq| world.accept(admission(seq, "t", 5)));
            if held {
                world.event(Event::Hold(key.clone().into()));
            }
            world.end(Verdict::Retry(Code::PorchBusy));
            cancel(&mut world, Seq(1));
            world.event(Event::Release(key.into()));
            world.now += Duration::from_hours(1);
            world.tick();
            assert!(world.running.is_empty(), "after a crash 1 would run behind 2");
            world.file();
            assert_eq!(world.running, [Seq(2)]);
            // One behind the head that runs, whose outcome is durable last.
            cancel(&mut world, Seq(3));
            world.accept(admission(4, "t", 5));
            world.end(Verdict::Success);
            world.unfiled.swap(0, 1);
            world.file();
            assert!(world.running.is_empty(), "after a crash 3 would run behind 4");
            world.file();
            assert_eq!(world.running, [Seq(4)]);
            world.end(Verdict::Success);
            world.file();
            assert!(world.scheduler.is_idle());
        }
    }

    #[test]
    fn what_is_parked_behind_a_cancelled_one_is_not_read_back_before_its_outcome_is_durable() {
        let memory = Memory { park_above: 2, target_share: 2 };
        let mut world = World::new(Limits { memory, ..limits(1) });
        world.filed_late = true;
        (1..=12).for_each(|seq| world.accept(admission(seq, "t", 5)));
        let all = world.scheduler.unfinished();
        let parked =
            (1..=12).map(Seq).find(|seq| world.scheduler.waits(*seq) == Some(Waits::Parked)).unwrap();
        cancel(&mut world, parked);
        assert_eq!((world.scheduler.unfinished(), world.unfiled.len()), (all, 1), "counted once");
        assert!(world.scheduler.parked().all(|(seq, _)| seq != parked));
        let cancelled = world.unfiled.pop_front();
        for seq in (1..parked.get()).map(Seq) {
            assert_eq!(world.end(Verdict::Success), seq);
            world.file();
        }
        assert!(world.running.is_empty(), "after a crash {parked} would run behind the next");
        world.unfiled.extend(cancelled);
        world.file();
        for seq in (parked.get() + 1..=12).map(Seq) {
            assert_eq!(world.end(Verdict::Success), seq);
            world.file();
        }
        assert!(world.scheduler.is_idle());
    }
}
