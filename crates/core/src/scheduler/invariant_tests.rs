//! The scheduler's invariants: counters agree with the items they count, windows are never exceeded, scans are requested when
//! they are due.

use super::course::{POSTPONED_RETRY, SCARCE};
use super::item::{Item, Reserve};
use super::queues::Rank;
use super::tests::{World, admission, limits, live, sighting};
use super::{Admission, Bug, Effect, Event, Scheduler, WaitReason};
use crate::ids::Seq;
use crate::limits::{
    AHEAD_BELOW, Limits, SIGHTED_MAX, START_WINDOW, SchedulerLimits, TAKEN_MAX, UNRECORDED_MAX,
};
use crate::outcome::{Postponed, Verdict};
use crate::ready::{NotReady, Reasons};
use crate::record::LastSuccess;
use crate::stage::{Final, Stage};
use crate::{Attempt, Code, Slot};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// Checks counters against the items they count.
pub(super) fn audit(scheduler: &Scheduler) {
    let those = |is: fn(&Item) -> bool| -> HashSet<Seq> {
        scheduler.items.iter().filter(|(_, item)| is(item)).map(|(seq, _)| *seq).collect()
    };
    assert_eq!(scheduler.reserved, those(|item| item.reserve != Reserve::No), "reserved");
    let is_handed = |item: &Item| {
        matches!(item.stage, Stage::Ahead { .. } | Stage::Handed { .. } | Stage::Running { .. })
    };
    assert_eq!(scheduler.handed, those(is_handed), "handed");
    assert_eq!(scheduler.running, those(|item| matches!(item.stage, Stage::Running { .. })), "running");
    let used = scheduler.items.values().filter(|item| item.slot.is_some()).count();
    assert_eq!(scheduler.slots.len() + used, Scheduler::slot_count(&scheduler.limits), "slots");
    let unreserved: BTreeSet<Rank> =
        scheduler.items.values().filter(|item| waits_unarmed(item)).map(|item| item.rank).collect();
    assert_eq!(scheduler.unreserved, unreserved, "unreserved");
    assert_eq!(
        scheduler.unfinished(),
        scheduler.items.len() + scheduler.decided.len() + scheduler.parked().count()
    );
    assert_eq!(
        scheduler.claiming,
        those(|item| matches!(item.stage, Stage::Claiming | Stage::Ahead { .. })),
        "claiming"
    );
}

fn waits_unarmed(item: &Item) -> bool {
    item.stage == Stage::Waiting && item.reserve == Reserve::No
}

/// A scheduler whose effects the test inspects; none is performed.
fn bare(workers: usize, period: Option<Duration>) -> Scheduler {
    let mut scheduler = Scheduler::new(limits(workers), period);
    scheduler.set_not_ready(&Reasons::default());
    scheduler
}

fn advance(scheduler: &mut Scheduler, now: Duration) -> Vec<Effect> {
    let mut effects = Vec::new();
    scheduler.advance(now, &mut effects);
    effects
}

fn tell(scheduler: &mut Scheduler, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    scheduler.handle(Duration::ZERO, event, &mut effects);
    effects
}

/// Judges and accepts a requested file, while another is being judged: it is not handed ahead.
fn accept(scheduler: &mut Scheduler, admission: Admission) -> Vec<Effect> {
    tell(scheduler, Event::Relooking { count: 2 });
    tell(scheduler, Event::Accepted(admission))
}

#[test]
fn what_was_not_asked_for_is_a_bug_and_not_a_debt() {
    let unknown = |seq| vec![Effect::Bug(Bug::Unknown(seq))];
    let no_take = || vec![Effect::Bug(Bug::NoSuchTake)];
    let sighted = sighting("intent-a.json");
    let ended = Event::Ended { seq: Seq(1), verdict: Verdict::Success, took: Duration::ZERO, jitter: 0.0 };
    let cases = [
        (Event::NotTaken(sighted.name.clone()), no_take()),
        (Event::Unsettled(sighted), no_take()),
        (Event::Refused { seq: Seq(1) }, no_take()),
        (Event::Claimed { seq: Seq(1), last: None }, unknown(Seq(1))),
        (Event::Reserved { seq: Seq(1) }, unknown(Seq(1))),
        (Event::Began { seq: Seq(1) }, unknown(Seq(1))),
        (ended, unknown(Seq(1))),
        (Event::Filed { seq: Seq(1) }, unknown(Seq(1))),
    ];
    for (event, bug) in cases {
        assert_eq!(tell(&mut bare(1, None), event), bug);
    }
    // Outcomes found at start are no takes, in any order of events.
    let mut scheduler = bare(1, None);
    tell(&mut scheduler, Event::Recording { seq: Seq(1) });
    tell(&mut scheduler, Event::Relooking { count: 1 });
    assert_eq!((scheduler.takes_in_flight, scheduler.unfinished()), (1, 1));
    assert!(tell(&mut scheduler, Event::Filed { seq: Seq(1) }).is_empty());
    assert_eq!(tell(&mut scheduler, Event::Filed { seq: Seq(1) }), unknown(Seq(1)), "once");
    assert!(tell(&mut scheduler, Event::Refused { seq: Seq(2) }).is_empty());
    audit(&scheduler);
}

#[test]
fn what_a_worker_has_in_hand_runs_when_the_worker_says_so() {
    let mut scheduler = bare(1, None);
    accept(&mut scheduler, admission(1, "t", 5));
    tell(&mut scheduler, Event::Claimed { seq: Seq(1), last: None });
    let ended = |verdict| Event::Ended { seq: Seq(1), verdict, took: Duration::ZERO, jitter: 0.0 };
    let load = |scheduler: &Scheduler| {
        (scheduler.handed_out(), scheduler.running(), scheduler.why(Duration::ZERO, Seq(1)))
    };
    assert!(advance(&mut scheduler, Duration::ZERO).contains(&Effect::Run {
        seq: Seq(1),
        attempt: Attempt(1),
        slot: Slot(0)
    }));
    assert_eq!(load(&scheduler), (1, 0, Some(WaitReason::InHand)));
    let bugs = tell(&mut scheduler, ended(Verdict::Success));
    assert!(matches!(bugs[..], [Effect::Bug(Bug::Misstep(_))]), "no success without a run: {bugs:?}");
    // A start that does not happen is not counted, and the next is the first again.
    assert_eq!(
        tell(&mut scheduler, ended(Verdict::Postpone(Postponed::System))),
        [Effect::PutOff { seq: Seq(1) }]
    );
    assert_eq!((scheduler.handed_out(), scheduler.running()), (0, 0));
    let effects = advance(&mut scheduler, POSTPONED_RETRY);
    assert!(
        effects.contains(&Effect::Run { seq: Seq(1), attempt: Attempt(1), slot: Slot(0) }),
        "{effects:?}"
    );
    assert!(tell(&mut scheduler, Event::Began { seq: Seq(1) }).is_empty());
    assert_eq!(load(&scheduler), (1, 1, Some(WaitReason::Running { attempt: Attempt(1) })));
    let bugs = tell(&mut scheduler, Event::Began { seq: Seq(1) });
    assert!(matches!(bugs[..], [Effect::Bug(Bug::Misstep(_))]), "once: {bugs:?}");
    let recorded = Effect::Record { seq: Seq(1), outcome: Final::Success, attempts: 1, duplicate_of: None };
    assert_eq!(tell(&mut scheduler, ended(Verdict::Success)), [recorded]);
    assert_eq!((scheduler.handed_out(), scheduler.running()), (0, 0));
    audit(&scheduler);
}

fn takes(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Take { .. })).count()
}

#[test]
fn slots_are_enough_for_every_hand_and_every_recorded_start() {
    for workers in [1, 3, 64] {
        assert_eq!(Scheduler::slot_count(&limits(workers)), 2 * workers + START_WINDOW);
        assert_eq!(bare(workers, None).slots.len(), 2 * workers + START_WINDOW);
    }
}

#[test]
fn the_first_claims_are_armed_with_their_claim_and_no_more_than_the_window() {
    let mut scheduler = bare(1, None);
    let mut reserved = 0;
    for seq in (1..=START_WINDOW as u64 + 3).map(Seq) {
        let effects = accept(&mut scheduler, admission(seq, &format!("t{seq}"), 5));
        let Effect::Claim { reserve, .. } = &effects[0] else { panic!("{effects:?}") };
        assert_eq!(*reserve, seq <= Seq(START_WINDOW as u64), "{seq}");
        reserved += usize::from(*reserve);
    }
    assert_eq!(reserved, START_WINDOW);
    // A start makes room for the next, which is requested without a further event.
    for seq in (1..=START_WINDOW as u64 + 3).map(Seq) {
        tell(&mut scheduler, Event::Claimed { seq, last: None });
    }
    audit(&scheduler);
    let effects = advance(&mut scheduler, Duration::ZERO);
    assert!(
        effects.contains(&Effect::Run { seq: Seq(1), attempt: Attempt(1), slot: Slot(0) }),
        "{effects:?}"
    );
    assert!(
        effects.contains(&Effect::Reserve { seq: Seq(START_WINDOW as u64 + 1), attempt: Attempt(1) }),
        "{effects:?}"
    );
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Reserve { .. })).count(), 1);
    audit(&scheduler);
}

#[test]
fn takes_are_counted_until_their_judgement() {
    let mut scheduler = bare(1, None);
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    let name = |number: usize| sighting(&format!("intent-{number}.json"));
    tell(&mut scheduler, Event::Sighted((0..4).map(name).collect()));
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 4);
    assert!(!scheduler.is_idle());
    // One is gone, one changed, one is refused, one accepted.
    tell(&mut scheduler, Event::NotTaken(name(0).name));
    tell(&mut scheduler, Event::Unsettled(name(1)));
    // The changed one, and the two not judged yet.
    assert_eq!((scheduler.takes_in_flight, scheduler.sighted()), (2, 3));
    tell(&mut scheduler, Event::Taken(name(2).name));
    tell(&mut scheduler, Event::Refused { seq: Seq(1) });
    assert_eq!((scheduler.takes_in_flight, scheduler.unfinished()), (1, 1));
    tell(&mut scheduler, Event::Accepted(admission(2, "t", 5)));
    assert_eq!((scheduler.takes_in_flight, scheduler.unfinished()), (0, 2));
    tell(&mut scheduler, Event::Filed { seq: Seq(1) });
    assert_eq!(scheduler.unfinished(), 1);
    tell(&mut scheduler, Event::Relooking { count: 3 });
    tell(&mut scheduler, Event::Relooking { count: 2 });
    assert_eq!(scheduler.takes_in_flight, 5);
    audit(&scheduler);
}

#[test]
fn taking_stops_at_what_can_be_held() {
    let mut scheduler = bare(1, None);
    for seq in (2..TAKEN_MAX as u64).map(Seq) {
        tell(
            &mut scheduler,
            Event::Recovered { admission: admission(seq, &format!("t{seq}"), 5), last: None },
        );
    }
    tell(&mut scheduler, Event::Recording { seq: Seq(1) });
    tell(&mut scheduler, Event::Sighted(vec![sighting("intent-a.json"), sighting("intent-b.json")]));
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 1, "one place is left");
    assert_eq!(scheduler.wake_at(), None, "and now none");
    tell(&mut scheduler, Event::Filed { seq: Seq(1) });
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 1);
}

#[test]
fn takes_wait_for_what_is_not_durable_yet() {
    let mut scheduler = bare(1, None);
    tell(&mut scheduler, Event::Relooking { count: UNRECORDED_MAX });
    let half = UNRECORDED_MAX as u64 / 2;
    for seq in (1..=half).map(Seq) {
        tell(&mut scheduler, Event::Refused { seq });
        tell(&mut scheduler, Event::Accepted(admission(half + seq.get(), "t", 5)));
    }
    tell(&mut scheduler, Event::Sighted(vec![sighting("intent-a.json"), sighting("intent-b.json")]));
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 0, "all are on their way");
    tell(&mut scheduler, Event::Filed { seq: Seq(1) });
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 1);
    tell(&mut scheduler, Event::Claimed { seq: Seq(half + 1), last: None });
    assert_eq!(takes(&advance(&mut scheduler, Duration::ZERO)), 1);
    audit(&scheduler);
}

#[test]
fn what_was_quiet_for_the_debounce_time_is_taken_as_it_looked() {
    let mut scheduler = bare(1, None);
    let second = Duration::from_secs(1);
    scheduler.apply(Duration::ZERO, &SchedulerLimits { debounce: second, ..live() });
    let sighted = sighting("intent-a.json");
    tell(&mut scheduler, Event::Sighted(vec![sighted.clone()]));
    assert_eq!(takes(&advance(&mut scheduler, second / 2)), 0);
    let effects = advance(&mut scheduler, second);
    let expect = Some(sighted.fingerprint);
    assert!(effects.contains(&Effect::Take { name: sighted.name, expect }), "{effects:?}");
}

#[test]
fn seeing_a_file_again_unchanged_does_not_delay_it() {
    let mut scheduler = bare(1, None);
    let second = Duration::from_secs(1);
    scheduler.apply(Duration::ZERO, &SchedulerLimits { debounce: second, ..live() });
    let mut effects = Vec::new();
    for tenths in [0, 3, 6, 9] {
        let sighted = Event::Sighted(vec![sighting("intent-a.json")]);
        scheduler.handle(Duration::from_millis(100 * tenths), sighted, &mut effects);
    }
    assert_eq!(takes(&advance(&mut scheduler, second)), 1);
}

#[test]
fn it_is_drained_only_after_a_whole_scan_that_left_nothing() {
    let mut scheduler = bare(1, None);
    assert!(!scheduler.is_drained(), "nothing was looked for");
    assert_eq!(advance(&mut scheduler, Duration::ZERO), [Effect::Scan { restart: true }]);
    assert!(!scheduler.is_drained(), "it is being looked for");
    tell(&mut scheduler, Event::ScanSlice { complete: false });
    assert!(!scheduler.is_drained(), "there is more to list");
    assert_eq!(advance(&mut scheduler, Duration::ZERO), [Effect::Scan { restart: false }], "the next slice");
    assert!(advance(&mut scheduler, Duration::ZERO).is_empty(), "one at a time");
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    assert!(scheduler.is_drained());
    tell(&mut scheduler, Event::Sighted(vec![sighting("intent-a.json")]));
    assert!(!scheduler.is_drained(), "one was seen");
    advance(&mut scheduler, Duration::ZERO);
    assert!(!scheduler.is_drained(), "it is being taken");
    tell(&mut scheduler, Event::Taken(sighting("intent-a.json").name));
    tell(&mut scheduler, Event::Accepted(admission(1, "t", 5)));
    assert!(!scheduler.is_drained(), "it is not finished");
    let mut idle = bare(1, None);
    tell(&mut idle, Event::ScanSlice { complete: true });
    tell(&mut idle, Event::ScanWanted);
    assert!(!idle.is_drained(), "events were lost");
    // A scan requested twice is one scan; a third request after its end starts another.
    advance(&mut idle, Duration::ZERO);
    tell(&mut idle, Event::ScanSlice { complete: true });
    assert!(idle.is_drained());
}

#[test]
fn scans_repeat_after_the_period_and_wait_for_a_half_empty_table() {
    let period = Duration::from_secs(10);
    let mut scheduler = bare(1, Some(period));
    advance(&mut scheduler, Duration::ZERO);
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    assert_eq!(scheduler.wake_at(), Some(period));
    assert!(advance(&mut scheduler, period / 2).is_empty());
    assert_eq!(advance(&mut scheduler, period), [Effect::Scan { restart: true }]);
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    scheduler.set_not_ready(&NotReady::DiskFull.into());
    assert_eq!(scheduler.wake_at(), None, "nothing is taken");
    assert!(advance(&mut scheduler, 3 * period).is_empty());
    scheduler.set_not_ready(&Reasons::default());
    // A debounce, so that sighted names stay in the table.
    scheduler.apply(Duration::ZERO, &SchedulerLimits { debounce: Duration::from_mins(1), ..live() });
    let names = |from: usize, to: usize| (from..to).map(|n| sighting(&format!("intent-{n}.json"))).collect();
    tell(&mut scheduler, Event::Sighted(names(0, SIGHTED_MAX / 2)));
    assert_eq!(advance(&mut scheduler, 3 * period), [Effect::Scan { restart: true }], "half is free");
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    tell(&mut scheduler, Event::Sighted(names(SIGHTED_MAX / 2, SIGHTED_MAX / 2 + 1)));
    tell(&mut scheduler, Event::ScanWanted);
    assert!(advance(&mut scheduler, 3 * period).is_empty(), "there is enough to do");
}

#[test]
fn a_shorter_debounce_counts_for_what_waits_already() {
    let mut scheduler = bare(1, None);
    let hour = Duration::from_hours(1);
    scheduler.apply(Duration::ZERO, &SchedulerLimits { debounce: hour, ..live() });
    tell(&mut scheduler, Event::Sighted(vec![sighting("intent-a.json")]));
    assert_eq!(takes(&advance(&mut scheduler, hour / 2)), 0);
    scheduler.apply(hour / 2, &SchedulerLimits { debounce: hour / 60, ..live() });
    assert_eq!(scheduler.wake_at(), Some(hour / 2 + hour / 60));
    assert_eq!(takes(&advance(&mut scheduler, hour / 2 + hour / 60)), 1);
}

#[test]
fn what_could_not_be_taken_is_looked_for_when_taking_goes_on() {
    let mut scheduler = bare(1, None);
    advance(&mut scheduler, Duration::ZERO);
    tell(&mut scheduler, Event::ScanSlice { complete: true });
    scheduler.set_not_ready(&NotReady::DiskFull.into());
    assert!(advance(&mut scheduler, Duration::ZERO).is_empty());
    scheduler.set_not_ready(&Reasons::default());
    assert_eq!(advance(&mut scheduler, Duration::ZERO), [Effect::Scan { restart: true }]);
}

#[test]
fn settings_change_but_for_the_number_of_workers() {
    let mut world = World::new(Limits { live: SchedulerLimits { rate: Some(1.0), ..live() }, ..limits(1) });
    world.scheduler.apply(Duration::ZERO, &live());
    audit(&world.scheduler);
    (1..=3).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
    assert_eq!(world.running.len(), 1, "still one worker");
    for _ in 0..3 {
        world.end(Verdict::Success);
    }
    assert_eq!(world.recorded.len(), 3, "and no rate any more");
    // The same rate again keeps its tokens: three starts are left of the burst of four.
    let mut world = World::new(Limits { live: SchedulerLimits { rate: Some(2.0), ..live() }, ..limits(9) });
    world.accept(admission(1, "t1", 5));
    world.scheduler.apply(Duration::ZERO, &SchedulerLimits { rate: Some(2.0), ..live() });
    (2..=9).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
    assert_eq!(world.running.len(), 4);
    world.scheduler.apply(Duration::ZERO, &SchedulerLimits { rate: Some(100.0), ..live() });
    world.tick();
    assert_eq!(world.running.len(), 9, "another rate begins anew");
    assert!(world.scheduler.wake_at().is_none());
}

#[test]
fn recovered_intents_come_before_all_others_and_count_their_starts() {
    let mut world = World::new(limits(1));
    world.now = Duration::from_secs(1_000);
    world.accept(admission(7, "new", 5));
    assert_eq!(world.running.pop_front(), Some(Seq(7)));
    world.accept(admission(8, "newer", 5));
    for (seq, started) in [(1, 2), (2, 0)] {
        let recovered = Admission { started, ..admission(seq, &format!("old{seq}"), 5) };
        world.keys.insert(Seq(seq), recovered.clone());
        world.event(Event::Recovered { admission: recovered, last: None });
    }
    audit(&world.scheduler);
    world.event(Event::Ended {
        seq: Seq(7),
        verdict: Verdict::Success,
        took: Duration::from_secs(1),
        jitter: 0.0,
    });
    assert_eq!(world.running.front(), Some(&Seq(1)));
    world.end(Verdict::Retry(Code::PorchBusy));
    assert_eq!(
        world.recorded.last(),
        Some(&(Seq(1), Final::Failed(Code::PorchBusy), 3)),
        "the third start was the last"
    );
    assert_eq!(world.running.front(), Some(&Seq(2)));
}

#[test]
fn a_recovered_intent_that_repeats_a_success_is_a_duplicate_unless_it_may_have_run() {
    for (started, runs) in [(0, false), (1, true)] {
        let mut world = World::new(limits(1));
        let recovered = Admission { started, ..admission(5, "t", 5) };
        let last = LastSuccess { seq: Seq(3), name: recovered.name.clone(), sha256: recovered.sha256 };
        world.keys.insert(Seq(5), recovered.clone());
        world.event(Event::Recovered { admission: recovered, last: Some(last) });
        assert_eq!(!world.running.is_empty(), runs, "{started}");
        audit(&world.scheduler);
    }
}

#[test]
fn a_run_without_space_or_bytes_does_not_count_and_comes_back() {
    let mut world = World::new(limits(1));
    world.accept(admission(1, "t", 5));
    world.end(Verdict::Postpone(Postponed::NoBytes));
    audit(&world.scheduler);
    assert!(world.running.is_empty());
    let why = world.scheduler.why(world.now, Seq(1)).unwrap();
    assert_eq!(
        why,
        WaitReason::Postponed { cause: Postponed::NoBytes, left: Some(POSTPONED_RETRY), repository: None }
    );
    assert_eq!(why.reason().word, "store-unreadable");
    world.now = world.scheduler.wake_at().expect("it waits for space");
    world.tick();
    world.end(Verdict::Success);
    assert_eq!(world.recorded, [(Seq(1), Final::Success, 1)]);
    audit(&world.scheduler);
}

#[test]
fn each_worker_has_one_more_in_hand_while_runs_are_short() {
    for (took, hands) in [(AHEAD_BELOW, 3), (AHEAD_BELOW / 2, 6)] {
        let mut world = World::new(limits(3));
        (1..=20).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
        let seq = world.running.pop_front().unwrap();
        world.event(Event::Ended { seq, verdict: Verdict::Success, took, jitter: 0.0 });
        assert_eq!(world.running.len(), hands, "{took:?}");
    }
}

#[test]
fn where_the_system_has_nothing_left_runs_go_one_at_a_time_for_a_while() {
    let mut world = World::new(limits(4));
    (1..=9).for_each(|seq| world.accept(admission(seq, &format!("t{seq}"), 5)));
    assert_eq!(world.running.len(), 4);
    world.end(Verdict::Postpone(Postponed::System));
    for left in [3, 2, 1] {
        assert_eq!(world.running.len(), left, "no other takes its place");
        world.end(Verdict::Success);
    }
    assert_eq!(world.running.len(), 1, "one after the other");
    world.end(Verdict::Success);
    assert_eq!(world.running.len(), 1);
    assert_eq!(world.scheduler.wake_at(), Some(POSTPONED_RETRY));
    world.now = POSTPONED_RETRY;
    world.tick();
    assert_eq!((world.running.len(), world.scheduler.wake_at()), (1, Some(SCARCE)));
    world.now = SCARCE;
    world.tick();
    assert_eq!((world.running.len(), world.scheduler.wake_at()), (4, None));
    audit(&world.scheduler);
}

#[test]
fn an_urgent_intent_is_armed_out_of_its_turn_and_few_at_once() {
    let mut scheduler = bare(1, None);
    let window = START_WINDOW as u64;
    for seq in (1..=window).map(Seq) {
        accept(&mut scheduler, admission(seq, &format!("t{seq}"), 0));
    }
    // Claims that are not durable yet keep the window full and no intent ready.
    for seq in window + 1..=window + 5 {
        accept(&mut scheduler, admission(seq, &format!("t{seq}"), 10));
        tell(&mut scheduler, Event::Claimed { seq: Seq(seq), last: None });
    }
    let reserves: Vec<_> = advance(&mut scheduler, Duration::ZERO)
        .into_iter()
        .filter_map(|effect| if let Effect::Reserve { seq, .. } = effect { Some(seq) } else { None })
        .collect();
    assert_eq!(reserves, [window + 1, window + 2].map(Seq), "two for each worker");
    audit(&scheduler);
}
