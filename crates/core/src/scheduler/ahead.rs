//! Handing ahead: an intent that comes while nothing else is on its way, and that would run as soon as its claim is
//! durable, goes to an idle worker at once. The worker prepares the run while the claim is being written and is told by
//! the writer when it may begin, so that an idle daemon wakes no thread in between. Whatever has a backlog runs in the
//! order of the queues instead.

use super::books::Scheduler;
use super::item::Reserve;
use super::message::Effect;
use crate::ids::Seq;
use crate::stage::Step;
use crate::{Attempt, Slot};
use std::time::Duration;

impl Scheduler {
    /// Hands an intent whose claim is to be written to an idle worker, if nothing else could have that worker. Returns the
    /// staging slot.
    pub(super) fn hand_ahead(&mut self, now: Duration, seq: Seq, effects: &mut Vec<Effect>) -> Option<Slot> {
        let item = self.items.get(&seq)?;
        let (key, place, rank) = (item.key.clone(), item.place.clone(), item.rank);
        let is_alone = self.claiming.len() == 1
            && self.being_judged() == 0
            && self.debounce.next_due().is_none_or(|due| due > now)
            && self.places.is_free_for_new(now, &place);
        let is_only = self.queues.length(&key) == 1 && self.queues.free_head(&key) == Some(rank);
        let has_worker = self.handed.len() < self.hands().min(self.limits.workers) && !self.slots.is_empty();
        if !(self.starts() && is_alone && is_only && has_worker) {
            return None;
        }
        if self.rate.as_mut().is_some_and(|rate| rate.take(now).is_err()) {
            return None;
        }
        let slot = self.slots.pop()?;
        if let Some(item) = self.items.get_mut(&seq) {
            item.slot = Some(slot);
        }
        self.places.started(&place, rank);
        self.queues.occupy(&key);
        self.advance_one(seq, Step::HandAhead { attempt: Attempt::FIRST }, now.into(), effects);
        Some(slot)
    }

    /// The claim of an intent that was handed ahead is durable: it stays the busy head of its queue.
    pub(super) fn keep_place(&mut self, seq: Seq) {
        self.set_reserve(seq, Reserve::No);
        if let Some(item) = self.items.get(&seq) {
            // It is the first of its target, so it is parked behind no other.
            self.queues.claim_durable(&item.key, seq, usize::MAX);
        }
    }

    /// A worker returned an intent that was handed ahead: it waits for its claim like any other.
    pub(super) fn take_back(&mut self, seq: Seq) {
        self.free_slot(seq);
        if let Some(item) = self.items.get(&seq) {
            self.queues.release(&item.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::invariant_tests::audit;
    use super::super::tests::{limits, live, sighting};
    use super::super::{Admission, Event, Place, WaitReason, tests};
    use super::*;
    use crate::intent::TargetKey;
    use crate::limits::{Limits, SchedulerLimits};
    use crate::outcome::{Postponed, Verdict};
    use crate::query::Covers;
    use crate::ready::{NotReady, Reasons};
    use crate::record::LastSuccess;
    use crate::stage::Final;

    const NOW: Duration = Duration::ZERO;

    fn admission(seq: u64) -> Admission {
        tests::admission(seq, &format!("t{seq}"), 5)
    }

    fn idle(limits: Limits) -> Scheduler {
        let mut scheduler = Scheduler::new(limits, None);
        scheduler.set_not_ready(&Reasons::default());
        scheduler
    }

    fn tell(scheduler: &mut Scheduler, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        scheduler.handle(NOW, event, &mut effects);
        audit(scheduler);
        effects
    }

    fn accept(scheduler: &mut Scheduler, admission: Admission) -> Option<Slot> {
        tell(scheduler, Event::Relooking { count: 1 });
        let effects = tell(scheduler, Event::Accepted(admission));
        let [Effect::Claim { ahead, reserve: true, .. }] = effects[..] else { panic!("{effects:?}") };
        ahead
    }

    fn end(scheduler: &mut Scheduler, seq: u64, verdict: Verdict) -> Vec<Effect> {
        tell(scheduler, Event::Ended { seq: Seq(seq), verdict, took: NOW, jitter: 0.0 })
    }

    #[test]
    fn what_comes_alone_is_handed_ahead_and_needs_no_further_effect_to_run() {
        let mut scheduler = idle(limits(2));
        assert!(accept(&mut scheduler, admission(1)).is_some());
        assert_eq!(scheduler.why(NOW, Seq(1)), Some(WaitReason::Claiming));
        assert_eq!((scheduler.handed_out(), scheduler.running()), (1, 0));
        assert!(tell(&mut scheduler, Event::Claimed { seq: Seq(1), last: None }).is_empty());
        assert_eq!(scheduler.why(NOW, Seq(1)), Some(WaitReason::InHand));
        let mut effects = Vec::new();
        scheduler.advance(NOW, &mut effects);
        assert_eq!(effects, [Effect::Scan { restart: true }], "it starts once");
        assert!(tell(&mut scheduler, Event::Began { seq: Seq(1) }).is_empty());
        let recorded =
            Effect::Record { seq: Seq(1), outcome: Final::Success, attempts: 1, duplicate_of: None };
        assert_eq!(end(&mut scheduler, 1, Verdict::Success), [recorded]);
        assert!(tell(&mut scheduler, Event::Filed { seq: Seq(1) }).is_empty() && scheduler.is_idle());
    }

    #[test]
    fn what_repeats_the_last_success_ends_as_its_duplicate_and_counts_no_start() {
        let mut scheduler = idle(limits(2));
        let new = admission(7);
        let last = LastSuccess { seq: Seq(3), name: new.name.clone(), sha256: new.sha256 };
        assert!(accept(&mut scheduler, new).is_some());
        tell(&mut scheduler, Event::Claimed { seq: Seq(7), last: Some(last) });
        let recorded = Effect::Record {
            seq: Seq(7),
            outcome: Final::Duplicate,
            attempts: 0,
            duplicate_of: Some(Seq(3)),
        };
        assert_eq!(end(&mut scheduler, 7, Verdict::Repeats), [recorded]);
    }

    #[test]
    fn what_is_returned_because_the_daemon_stops_waits_like_any_other() {
        let mut scheduler = idle(limits(1));
        let slot = accept(&mut scheduler, admission(1));
        scheduler.set_not_ready(&NotReady::Stopping.into());
        assert!(end(&mut scheduler, 1, Verdict::Postpone(Postponed::Stopping)).is_empty());
        assert_eq!((scheduler.handed_out(), scheduler.why(NOW, Seq(1))), (0, Some(WaitReason::Claiming)));
        assert!(tell(&mut scheduler, Event::Claimed { seq: Seq(1), last: None }).is_empty());
        assert_eq!(scheduler.why(NOW, Seq(1)), Some(WaitReason::Stopping));
        scheduler.set_not_ready(&Reasons::default());
        let mut effects = Vec::new();
        scheduler.advance(NOW, &mut effects);
        let (seq, attempt) = (Seq(1), Attempt::FIRST);
        assert!(effects.contains(&Effect::Run { seq, attempt, slot: slot.unwrap() }), "{effects:?}");
    }

    #[test]
    fn nothing_is_handed_ahead_that_another_could_come_before() {
        type Case = (&'static str, fn(&mut Scheduler));
        let cases: [Case; 12] = [
            ("another file is being judged", |of| drop(tell(of, Event::Relooking { count: 1 }))),
            ("a name is due", |of| drop(tell(of, Event::Sighted(vec![sighting("intent-a.json")])))),
            ("another claim is being written", |of| {
                tell(of, Event::Relooking { count: 2 });
                tell(of, Event::Accepted(admission(1)));
                tell(of, Event::NotTaken(Box::from(&b"intent-b.json"[..])));
            }),
            ("another waits for a worker", |of| {
                let admission = Admission { started: 1, ..admission(1) };
                tell(of, Event::Recovered { admission, last: None });
            }),
            ("an earlier one of its target is unfinished", |of| {
                tell(of, Event::Hold(Covers::Target(admission(9).key)));
                let admission = Admission { key: admission(9).key, ..admission(1) };
                tell(of, Event::Recovered { admission, last: None });
            }),
            ("its target is held", |of| drop(tell(of, Event::Hold(Covers::Target(admission(9).key))))),
            ("everything is held", |of| drop(tell(of, Event::Hold(Covers::Everything)))),
            ("nothing starts", |of| of.set_not_ready(&NotReady::PorchMissing.into())),
            ("its place is in trouble", |of| {
                tell(of, Event::Trouble { place: Place::Output, cause: Some(Postponed::OutGone) });
            }),
            ("no worker is idle", |of| {
                for seq in [1, 2] {
                    assert!(accept(of, admission(seq)).is_some(), "{seq}");
                    tell(of, Event::Claimed { seq: Seq(seq), last: None });
                }
            }),
            ("the rate is used up", |of| {
                of.apply(NOW, &SchedulerLimits { rate: Some(0.1), ..live() });
                assert!(accept(of, admission(1)).is_some());
                tell(of, Event::Claimed { seq: Seq(1), last: None });
            }),
            ("another is cancelled and not recorded", |of| {
                let key = TargetKey { namespace: "n".into(), target: "t9".into() };
                tell(of, Event::Hold(Covers::Target(key.clone())));
                let admission = Admission { key: key.clone(), ..admission(1) };
                tell(of, Event::Recovered { admission: admission.clone(), last: None });
                tell(of, Event::Cancel(admission));
                tell(of, Event::Release(Covers::Target(key)));
            }),
        ];
        for (why, prepare) in cases {
            let mut scheduler = idle(limits(2));
            prepare(&mut scheduler);
            assert_eq!(accept(&mut scheduler, admission(9)), None, "{why}");
        }
        assert!(accept(&mut idle(limits(2)), admission(9)).is_some());
        // A file that is still being written can keep nobody waiting.
        let mut settling = idle(limits(2));
        settling.apply(NOW, &SchedulerLimits { debounce: Duration::from_secs(1), ..live() });
        tell(&mut settling, Event::Sighted(vec![sighting("intent-a.json")]));
        assert!(accept(&mut settling, admission(9)).is_some());
    }

    #[test]
    fn a_claim_that_a_worker_waits_for_is_not_held_back() {
        let mut scheduler = idle(limits(1));
        assert!(scheduler.waits_for_disk(), "the worker is idle");
        assert!(accept(&mut scheduler, admission(1)).is_some());
        assert!(scheduler.waits_for_disk(), "it may not begin before the claim is durable");
        tell(&mut scheduler, Event::Claimed { seq: Seq(1), last: None });
        assert!(!scheduler.waits_for_disk());
    }

    #[test]
    fn what_repeats_takes_nothing_of_the_rate_and_says_nothing_of_the_length_of_runs() {
        let mut scheduler = idle(limits(1));
        scheduler.apply(NOW, &SchedulerLimits { rate: Some(0.5), ..live() });
        let run = |scheduler: &mut Scheduler, seq: u64, verdict, took| {
            tell(scheduler, Event::Began { seq: Seq(seq) });
            tell(scheduler, Event::Ended { seq: Seq(seq), verdict, took, jitter: 0.0 });
            tell(scheduler, Event::Filed { seq: Seq(seq) });
        };
        assert!(accept(&mut scheduler, admission(1)).is_some());
        tell(&mut scheduler, Event::Claimed { seq: Seq(1), last: None });
        run(&mut scheduler, 1, Verdict::Success, Duration::from_secs(9));
        scheduler.apply(NOW, &SchedulerLimits { rate: Some(0.4), ..live() });
        for seq in 2..60 {
            let new = admission(seq);
            let last = LastSuccess { seq: Seq(1), name: new.name.clone(), sha256: new.sha256 };
            assert!(accept(&mut scheduler, new).is_some(), "{seq}");
            tell(&mut scheduler, Event::Claimed { seq: Seq(seq), last: Some(last) });
            end(&mut scheduler, seq, Verdict::Repeats);
            tell(&mut scheduler, Event::Filed { seq: Seq(seq) });
        }
        scheduler.apply(NOW, &live());
        accept(&mut scheduler, admission(60));
        tell(&mut scheduler, Event::Claimed { seq: Seq(60), last: None });
        // Nor does a start that does not come about say anything of it.
        for _ in 0..60 {
            end(&mut scheduler, 60, Verdict::Postpone(Postponed::PorchMissing));
            scheduler.advance(scheduler.wake_at().unwrap(), &mut Vec::new());
        }
        accept(&mut scheduler, admission(61));
        tell(&mut scheduler, Event::Claimed { seq: Seq(61), last: None });
        scheduler.advance(NOW, &mut Vec::new());
        assert_eq!(scheduler.handed_out(), 1, "with long runs no worker has another in hand");
    }

    #[test]
    fn a_repository_that_another_run_works_on_is_waited_for() {
        let place = || Place::Repository("r".into());
        let mut scheduler = idle(limits(2));
        for (seq, is_ahead) in [(1, true), (2, false)] {
            let slot = accept(&mut scheduler, Admission { place: place(), ..admission(seq) });
            assert_eq!(slot.is_some(), is_ahead, "{seq}");
            tell(&mut scheduler, Event::Claimed { seq: Seq(seq), last: None });
        }
        end(&mut scheduler, 1, Verdict::Postpone(Postponed::RemoteUnreachable));
        // One that waits for it is ready, so nothing is handed ahead anywhere.
        assert_eq!(accept(&mut scheduler, admission(3)), None);
    }
}
