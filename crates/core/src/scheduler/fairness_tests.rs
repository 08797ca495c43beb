//! A producer that holds any number of files open for ever does not delay other producers.

use super::tests::{admission, limits, sighting};
use super::{Bug, Effect, Event, Scheduler, invariant_tests};
use crate::ids::Seq;
use crate::limits::{STILL_OPEN_MAX, TAKES_IN_FLIGHT_MAX};
use crate::ready::Reasons;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// The intake's side: takes are answered one after the other; the adversary's files are open for writing, and the oldest
/// is judged as it is when there are too many.
struct Intake {
    scheduler: Scheduler,
    next_seq: u64,
    still_open: VecDeque<Seq>,
    good: Vec<Box<[u8]>>,
}

impl Intake {
    fn tell(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.scheduler.handle(Duration::ZERO, event, &mut effects);
        for effect in effects {
            assert!(!matches!(effect, Effect::Bug(_)), "{effect:?}");
        }
    }

    fn refuse(&mut self, seq: Seq) {
        self.tell(Event::Refused { seq });
        self.tell(Event::Filed { seq });
    }

    /// One turn of the loop, with every requested take answered.
    fn turn(&mut self) {
        let mut effects = Vec::new();
        self.scheduler.advance(Duration::ZERO, &mut effects);
        let mut accepted = Vec::new();
        for effect in effects {
            let Effect::Take { name, .. } = effect else { continue };
            let seq = self.next_seq;
            self.next_seq += 1;
            self.tell(Event::Taken(name.clone()));
            if name.starts_with(b"intent-good") {
                self.tell(Event::Accepted(admission(seq, &format!("t{seq}"), 5)));
                self.good.push(name);
                accepted.push(seq);
                continue;
            }
            self.tell(Event::StillOpen { seq: Seq(seq) });
            self.still_open.push_back(Seq(seq));
            if self.still_open.len() > STILL_OPEN_MAX {
                let oldest = self.still_open.pop_front().unwrap();
                self.refuse(oldest);
            }
        }
        for seq in accepted {
            self.tell(Event::Claimed { seq: Seq(seq), last: None });
        }
        invariant_tests::audit(&self.scheduler);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A good file is taken within this many turns: the number of earlier files, divided by the window.
    #[test]
    fn files_that_writers_hold_keep_no_other_producer_waiting(bursts in proptest::collection::vec(0_usize..900, 1..12)) {
        let mut scheduler = Scheduler::new(limits(2), None);
        scheduler.set_not_ready(&Reasons::default());
        let mut intake = Intake { scheduler, next_seq: 1, still_open: VecDeque::new(), good: Vec::new() };
        for (round, burst) in bursts.into_iter().enumerate() {
            let held = (0..burst).map(|number| sighting(&format!("intent-{round}-{number}.json")));
            intake.tell(Event::Sighted(held.collect()));
            let good = sighting(&format!("intent-good-{round}.json"));
            let before = intake.scheduler.sighted();
            intake.tell(Event::Sighted(vec![good.clone()]));
            for _ in 0..=before / TAKES_IN_FLIGHT_MAX {
                intake.turn();
            }
            prop_assert!(intake.good.contains(&good.name), "round {}, {} before it", round, before);
            prop_assert!(intake.scheduler.still_open.len() <= STILL_OPEN_MAX);
        }
        prop_assert!(!intake.scheduler.is_drained() || intake.still_open.is_empty(), "they are waited for");
    }
}

#[test]
fn what_a_writer_holds_is_judged_once_and_counts_until_then() {
    let mut scheduler = Scheduler::new(limits(1), None);
    scheduler.set_not_ready(&Reasons::default());
    let mut effects = Vec::new();
    let mut tell = |scheduler: &mut Scheduler, event| scheduler.handle(Duration::ZERO, event, &mut effects);
    tell(&mut scheduler, Event::Relooking { count: 3 });
    for seq in (1..=3).map(Seq) {
        tell(&mut scheduler, Event::StillOpen { seq });
    }
    assert_eq!((scheduler.takes_in_flight, scheduler.being_judged(), scheduler.is_idle()), (0, 3, false));
    tell(&mut scheduler, Event::Refused { seq: Seq(1) });
    tell(&mut scheduler, Event::Vanished { seq: Seq(2) });
    tell(&mut scheduler, Event::Accepted(admission(3, "t", 5)));
    assert_eq!((scheduler.being_judged(), scheduler.unfinished()), (0, 2));
    tell(&mut scheduler, Event::Vanished { seq: Seq(2) });
    assert_eq!(effects.last(), Some(&Effect::Bug(Bug::NoSuchTake)));
}
