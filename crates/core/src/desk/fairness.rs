//! A producer that holds any number of files open for ever does not delay other producers.

use super::tests::{admission, limits, sighting};
use super::*;
use crate::limits::WITH_WRITER_MAX;
use proptest::prelude::*;
use std::collections::VecDeque;

/// The intake's side: takes are answered one after the other; the adversary's files are open for writing, and the oldest
/// is judged as it is when there are too many.
struct Intake {
    desk: Desk,
    next_seq: u64,
    with_writer: VecDeque<u64>,
    good: Vec<Box<[u8]>>,
}

impl Intake {
    fn tell(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.desk.handle(Duration::ZERO, event, &mut effects);
        for effect in effects {
            assert!(!matches!(effect, Effect::Bug(_)), "{effect:?}");
        }
    }

    fn refuse(&mut self, seq: u64) {
        self.tell(Event::Refused { seq });
        self.tell(Event::Filed { seq });
    }

    /// One turn of the loop, with every requested take answered.
    fn turn(&mut self) {
        let mut effects = Vec::new();
        self.desk.advance(Duration::ZERO, &mut effects);
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
            self.tell(Event::WriterOpen { seq });
            self.with_writer.push_back(seq);
            if self.with_writer.len() > WITH_WRITER_MAX {
                let oldest = self.with_writer.pop_front().unwrap();
                self.refuse(oldest);
            }
        }
        for seq in accepted {
            self.tell(Event::Claimed { seq, last: None });
        }
        accounts::audit(&self.desk);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A good file is taken within this many turns: the number of earlier files, divided by the window.
    #[test]
    fn files_that_writers_hold_keep_no_other_producer_waiting(bursts in proptest::collection::vec(0_usize..900, 1..12)) {
        let mut desk = Desk::new(limits(2), None);
        desk.set_not_ready(&Reasons::default());
        let mut intake = Intake { desk, next_seq: 1, with_writer: VecDeque::new(), good: Vec::new() };
        for (round, burst) in bursts.into_iter().enumerate() {
            let held = (0..burst).map(|number| sighting(&format!("intent-{round}-{number}.json")));
            intake.tell(Event::Sighted(held.collect()));
            let good = sighting(&format!("intent-good-{round}.json"));
            let before = intake.desk.sighted();
            intake.tell(Event::Sighted(vec![good.clone()]));
            for _ in 0..=before / TAKES_IN_FLIGHT_MAX {
                intake.turn();
            }
            prop_assert!(intake.good.contains(&good.name), "round {}, {} before it", round, before);
            prop_assert!(intake.desk.with_writer.len() <= WITH_WRITER_MAX);
        }
        prop_assert!(!intake.desk.is_drained() || intake.with_writer.is_empty(), "they are waited for");
    }
}

#[test]
fn what_a_writer_holds_is_judged_once_and_counts_until_then() {
    let mut desk = Desk::new(limits(1), None);
    desk.set_not_ready(&Reasons::default());
    let mut effects = Vec::new();
    let mut tell = |desk: &mut Desk, event| desk.handle(Duration::ZERO, event, &mut effects);
    tell(&mut desk, Event::Relooking { count: 3 });
    for seq in 1..=3 {
        tell(&mut desk, Event::WriterOpen { seq });
    }
    assert_eq!((desk.takes_in_flight, desk.being_judged(), desk.is_idle()), (0, 3, false));
    tell(&mut desk, Event::Refused { seq: 1 });
    tell(&mut desk, Event::Vanished { seq: 2 });
    tell(&mut desk, Event::Accepted(admission(3, "t", 5)));
    assert_eq!((desk.being_judged(), desk.unfinished()), (0, 2));
    tell(&mut desk, Event::Vanished { seq: 2 });
    assert_eq!(effects.last(), Some(&Effect::Bug(Bug::NoSuchTake)));
}
