//! The scheduler in a simulated world: a simulator performs effects in virtual time, and the promises of order are checked.

use super::{Admission, Effect, Event, Fingerprint, Place, Scheduler, Sighting, invariant_tests};
use crate::Code;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::{Limits, Memory, SIGHTED_MAX, SchedulerLimits, TAKES_IN_FLIGHT_MAX};
use crate::outcome::{Postponed, Verdict};
use crate::ready::{NotReady, Reasons};
use crate::record::LastSuccess;
use crate::stage::Final;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

pub(super) fn limits(workers: usize) -> Limits {
    Limits { workers, memory: Memory::default(), live: live() }
}

pub(super) fn live() -> SchedulerLimits {
    SchedulerLimits { debounce: Duration::ZERO, max_attempts: 3, rate: None }
}

pub(super) fn admission(seq: impl Into<Seq>, target: &str, priority: u8) -> Admission {
    let seq = seq.into();
    Admission {
        seq,
        key: TargetKey { namespace: "n".into(), target: target.into() },
        place: Place::Output,
        name: format!("intent-{seq}.json"),
        sha256: crate::Digest([u8::try_from(seq.get() % 251).unwrap(); 32]),
        priority,
        started: 0,
    }
}

pub(super) fn sighting(name: &str) -> Sighting {
    let fingerprint = Fingerprint { inode: 1, size: 1, mtime_ns: 1, ctime_ns: 1 };
    Sighting { name: name.as_bytes().into(), fingerprint, age: Duration::ZERO }
}

/// Performs effects at once, except runs, which the test ends.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) now: Duration,
    started: Vec<Seq>,
    pub(super) recorded: Vec<(Seq, Final, u32)>,
    pub(super) running: VecDeque<Seq>,
    last: HashMap<TargetKey, LastSuccess>,
    pub(super) keys: HashMap<Seq, Admission>,
    /// False if there are too many intents to check all of them after each event.
    pub(super) audited: bool,
    /// Whether outcomes are durable only when the test says so.
    pub(super) filed_late: bool,
    /// Outcomes that are not durable: after a crash their intents wait again.
    pub(super) unfiled: VecDeque<Seq>,
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        let mut scheduler = Scheduler::new(limits, None);
        scheduler.set_not_ready(&Reasons::default());
        let now = Duration::ZERO;
        let (started, recorded, running) = (Vec::new(), Vec::new(), VecDeque::new());
        Self {
            scheduler,
            now,
            started,
            recorded,
            running,
            last: HashMap::new(),
            keys: HashMap::new(),
            audited: true,
            filed_late: false,
            unfiled: VecDeque::new(),
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.scheduler.handle(self.now, event, &mut effects);
        self.scheduler.advance(self.now, &mut effects);
        if self.audited {
            invariant_tests::audit(&self.scheduler);
        }
        self.perform(effects);
    }

    pub(super) fn tick(&mut self) {
        let mut effects = Vec::new();
        self.scheduler.advance(self.now, &mut effects);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Claim { seq, ahead, .. } => {
                    let admission = &self.keys[&seq];
                    let last = self.last.get(&admission.key).cloned();
                    let repeats = last
                        .as_ref()
                        .is_some_and(|last| last.is_repeated_by(&admission.name, admission.sha256));
                    self.event(Event::Claimed { seq, last });
                    match ahead {
                        Some(_) if repeats => self.tell_end(seq, Verdict::Repeats),
                        Some(_) => self.start(seq),
                        None => {}
                    }
                }
                Effect::Reserve { seq, .. } => self.event(Event::Reserved { seq }),
                Effect::Run { seq, .. } => self.start(seq),
                Effect::Record { seq, outcome, attempts, .. } => {
                    if outcome == Final::Success {
                        let a = &self.keys[&seq];
                        let success = LastSuccess { seq, name: a.name.clone(), sha256: a.sha256 };
                        self.last.insert(a.key.clone(), success);
                    } else if matches!(outcome, Final::Failed(_)) && attempts > 0 {
                        self.last.remove(&self.keys[&seq].key);
                    }
                    self.recorded.push((seq, outcome, attempts));
                    self.unfiled.push_back(seq);
                    if !self.filed_late {
                        self.file();
                    }
                }
                Effect::Scan { .. } => self.event(Event::ScanSlice { complete: true }),
                Effect::Recall { seqs } => {
                    for seq in seqs {
                        let admission = self.keys[&seq].clone();
                        self.event(Event::Recalled(admission));
                    }
                }
                Effect::Bug(misstep) => panic!("{misstep}"),
                _ => {}
            }
        }
    }

    /// A worker starts a run.
    fn start(&mut self, seq: Seq) {
        let key = &self.keys[&seq].key;
        let again = self.unfiled.iter().find(|other| **other < seq && self.keys[*other].key == *key);
        assert_eq!(again, None, "after a crash it would run behind {seq}");
        self.started.push(seq);
        self.running.push_back(seq);
        self.event(Event::Began { seq });
    }

    fn tell_end(&mut self, seq: Seq, verdict: Verdict) {
        self.event(Event::Ended { seq, verdict, took: Duration::from_millis(200), jitter: 1.0 });
    }

    pub(super) fn accept(&mut self, admission: Admission) {
        self.keys.insert(admission.seq, admission.clone());
        self.event(Event::Relooking { count: 1 });
        self.event(Event::Accepted(admission));
    }

    /// The oldest outcome that is not durable becomes so.
    pub(super) fn file(&mut self) {
        let seq = self.unfiled.pop_front().expect("an outcome is on its way");
        self.event(Event::Filed { seq });
    }

    pub(super) fn end(&mut self, verdict: Verdict) -> Seq {
        let seq = self.running.pop_front().expect("something runs");
        self.tell_end(seq, verdict);
        seq
    }
}

#[test]
fn one_target_runs_one_at_a_time_in_order() {
    let mut world = World::new(limits(4));
    (1..=5).for_each(|seq| world.accept(admission(seq, "t", 5)));
    for seq in (1..=5).map(Seq) {
        assert_eq!(world.running.len(), 1);
        assert_eq!(world.end(Verdict::Success), seq);
    }
    assert!(world.scheduler.is_idle());
}

#[test]
fn order_is_held_across_retries() {
    let mut world = World::new(limits(4));
    world.accept(admission(1, "t", 5));
    world.accept(admission(2, "t", 10));
    world.end(Verdict::Retry(Code::PorchBusy));
    assert!(world.running.is_empty(), "the second waits while the first pauses");
    world.now = world.scheduler.wake_at().expect("a retry is planned");
    world.tick();
    assert_eq!(world.end(Verdict::Success), Seq(1));
    assert_eq!(world.end(Verdict::Success), Seq(2));
    assert_eq!(world.recorded[0], (Seq(1), Final::Success, 2));
}

#[test]
fn attempts_run_out() {
    let mut world = World::new(limits(1));
    world.accept(admission(1, "t", 5));
    for _ in 0..3 {
        world.end(Verdict::Retry(Code::PorchBusy));
        if let Some(at) = world.scheduler.wake_at() {
            world.now = at;
            world.tick();
        }
    }
    assert_eq!(world.recorded, [(Seq(1), Final::Failed(Code::PorchBusy), 3)]);
}

#[test]
fn priority_orders_targets_and_ageing_lets_nothing_starve() {
    let mut world = World::new(limits(1));
    world.accept(admission(1, "busy", 5));
    world.accept(admission(2, "low", 0));
    world.accept(admission(3, "high", 10));
    world.end(Verdict::Success);
    assert_eq!(world.running.front(), Some(&Seq(3)));
    // An intent of low priority that has waited longer than ten points of priority are worth (100 s) goes first.
    world.now = Duration::from_secs(101);
    world.accept(admission(4, "late", 10));
    world.end(Verdict::Success);
    assert_eq!(world.running.front(), Some(&Seq(2)));
}

#[test]
fn duplicates_follow_the_last_success_of_the_target() {
    let same = |seq| Admission {
        name: "intent-a.json".into(),
        sha256: crate::Digest([9; 32]),
        ..admission(seq, "t", 5)
    };
    let other = |seq| Admission {
        name: "intent-a.json".into(),
        sha256: crate::Digest([8; 32]),
        ..admission(seq, "t", 5)
    };
    let mut world = World::new(limits(1));
    world.accept(same(1));
    world.accept(same(2));
    world.end(Verdict::Success);
    assert_eq!(world.recorded.last(), Some(&(Seq(2), Final::Duplicate, 0)), "dropped twice runs once");
    world.accept(other(3));
    world.end(Verdict::Success);
    world.accept(same(4));
    assert_eq!(world.end(Verdict::Failure(Code::PorchFailed)), Seq(4), "5 -> 3 -> 5 runs three times");
    world.accept(same(5));
    assert_eq!(world.end(Verdict::Success), Seq(5), "a failed one dropped again runs again");
}

#[test]
fn short_runs_are_handed_out_one_ahead_per_worker_and_long_ones_are_not() {
    for (took, hands) in [(Duration::from_millis(1), 2), (Duration::from_secs(1), 1)] {
        let mut world = World::new(limits(1));
        (1..=5).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
        assert_eq!(world.running.len(), 1, "nothing is known of the first");
        let seq = world.running.pop_front().unwrap();
        world.event(Event::Ended { seq, verdict: Verdict::Success, took, jitter: 0.0 });
        assert_eq!(world.running.len(), hands, "{took:?}");
    }
}

#[test]
fn interrupted_runs_are_left_for_the_next_start() {
    let mut world = World::new(limits(1));
    world.accept(admission(1, "t", 5));
    world.scheduler.set_not_ready(&NotReady::Stopping.into());
    world.end(Verdict::Interrupted);
    assert!(world.recorded.is_empty());
    assert!(world.scheduler.is_idle());
}

#[test]
fn rate_delays_and_drops_nothing() {
    let mut world = World::new(Limits { live: SchedulerLimits { rate: Some(10.0), ..live() }, ..limits(1) });
    (1..=50).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
    while world.recorded.len() < 50 {
        if world.running.is_empty() {
            world.now = world.scheduler.wake_at().expect("the rate wakes");
            world.tick();
        } else {
            world.end(Verdict::Success);
        }
    }
    assert!((2.9..3.2).contains(&world.now.as_secs_f64()), "50 at 10/s with a burst of 20: {:?}", world.now);
}

#[test]
fn takes_are_bounded_and_the_directory_is_the_queue() {
    let mut scheduler = Scheduler::new(limits(1), None);
    scheduler.set_not_ready(&Reasons::default());
    let mut effects = Vec::new();
    let names = (0..SIGHTED_MAX + 10).map(|i| sighting(&format!("intent-{i:06}.json"))).collect();
    scheduler.handle(Duration::ZERO, Event::Sighted(names), &mut effects);
    scheduler.advance(Duration::ZERO, &mut effects);
    let takes = effects.iter().filter(|e| matches!(e, Effect::Take { .. })).count();
    assert_eq!(takes, TAKES_IN_FLIGHT_MAX);
    assert_eq!(scheduler.sighted(), SIGHTED_MAX);
    assert!(!scheduler.is_drained(), "what did not fit is looked for again");
}

#[test]
fn nothing_is_taken_or_started_when_told_not_to() {
    let mut world = World::new(limits(1));
    world.scheduler.set_not_ready(&NotReady::Stopping.into());
    world.event(Event::Sighted(vec![sighting("intent-a.json")]));
    world.accept(admission(1, "t", 5));
    assert!(world.running.is_empty());
    assert_eq!(world.scheduler.wake_at(), None);
}

proptest! {
    /// Random arrivals, endings, cancellations and times: each target in order and one at a time, each intent recorded
    /// exactly once, and none starts before the outcomes of all earlier ones of its target are durable.
    #[test]
    fn promises_hold_for_random_histories(
        workers in 1usize..5,
        (park_above, target_share) in (0usize..20, 1usize..4),
        filed_late in any::<bool>(),
        script in proptest::collection::vec((0u8..6, 0u8..5, 0u8..11, 0u64..3000), 1..150),
    ) {
        let memory = Memory { park_above, target_share };
        let mut world = World::new(Limits { memory, ..limits(workers) });
        world.filed_late = filed_late;
        let (mut seq, mut cancelled) = (0, HashSet::new());
        for (action, target, priority, pause) in script {
            world.now += Duration::from_millis(pause);
            world.tick();
            match action {
                0 | 1 => {
                    seq += 1;
                    world.accept(admission(seq, &format!("t{target}"), priority));
                }
                // Any that waits, in memory or parked, first or not.
                4 => {
                    let waits = |seq: &Seq| world.scheduler.waits(*seq).is_some();
                    let chosen = (1..=seq).map(Seq).filter(waits).nth(usize::from(priority));
                    if let Some(chosen) = chosen {
                        world.event(Event::Cancel(world.keys[&chosen].clone()));
                        cancelled.insert(chosen);
                    }
                }
                5 if !world.unfiled.is_empty() => world.file(),
                _ if world.running.is_empty() => {}
                2 => { world.end(Verdict::Success); }
                _ => { world.end(if target == 0 { Verdict::Retry(Code::PorchBusy) } else { Verdict::Postpone(Postponed::NoSpace) }); }
            }
            prop_assert!(world.running.len() <= workers);
            let mut targets: Vec<_> = world.running.iter().map(|s| world.keys[s].key.clone()).collect();
            targets.sort();
            targets.dedup();
            prop_assert_eq!(targets.len(), world.running.len(), "one run per target");
        }
        while !world.scheduler.is_idle() {
            if !world.running.is_empty() {
                world.end(Verdict::Success);
            } else if !world.unfiled.is_empty() {
                world.file();
            } else {
                world.now = world.scheduler.wake_at().expect("no intent is forgotten");
                world.tick();
            }
        }
        let mut all: Vec<_> = world.recorded.iter().map(|(s, _, _)| *s).collect();
        for key in world.keys.values().map(|a| a.key.clone()).collect::<HashSet<_>>() {
            let of_key: Vec<_> = all.iter().filter(|s| world.keys[*s].key == key && !cancelled.contains(*s)).copied().collect();
            prop_assert!(of_key.windows(2).all(|w| w[0] < w[1]), "recorded in order of taking");
        }
        let code = Final::Failed(Code::Cancelled);
        let told: HashSet<Seq> =
            world.recorded.iter().filter(|(_, outcome, _)| *outcome == code).map(|(s, _, _)| *s).collect();
        prop_assert_eq!(told, cancelled);
        all.sort_unstable();
        prop_assert_eq!(all, (1..=seq).map(Seq).collect::<Vec<_>>(), "each recorded exactly once");
    }
}

#[test]
fn a_listing_that_is_due_wakes_nobody_before_its_names_fit_in() {
    let later = SchedulerLimits { debounce: Duration::from_mins(1), ..live() };
    let mut scheduler = World::new(Limits { live: later, ..limits(1) }).scheduler;
    let (second, mut effects) = (Duration::from_secs(1), Vec::new());
    scheduler.set_period(Some(second));
    scheduler.advance(Duration::ZERO, &mut effects);
    scheduler.handle(Duration::ZERO, Event::ScanSlice { complete: true }, &mut effects);
    let names = (0..=SIGHTED_MAX / 2).map(|number| sighting(&format!("intent-{number}.json"))).collect();
    scheduler.handle(Duration::ZERO, Event::Sighted(names), &mut effects);
    effects.clear();
    scheduler.advance(2 * second, &mut effects);
    assert_eq!(effects, []);
    assert_eq!(scheduler.wake_at(), Some(Duration::from_mins(1)), "or the loop turns without a pause");
    scheduler.handle(2 * second, Event::Taken(Box::from(&b"intent-0.json"[..])), &mut effects);
    assert_eq!(scheduler.wake_at(), Some(second));
    scheduler.advance(2 * second, &mut effects);
    assert_eq!(effects, [Effect::Scan { restart: true }]);
}
