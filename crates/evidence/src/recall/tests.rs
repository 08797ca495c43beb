//! What the search for one intent reads of a long trail.

use super::*;
use crate::entry::{Record, Result as Outcome};
use crate::trail::{Setup, Trail};
use conductor_crypto::{SealKey, SigningKey};
use std::sync::Arc;

/// Intents whose entries follow each other within an hour, one batch each.
const INTENTS: u64 = 300;

fn at(number: u64) -> Timestamp {
    let begin: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    begin + SignedDuration::from_secs(number.cast_signed())
}

/// A trail in which this one's entry of its taking is left out.
fn trail(dir: &Arc<Dir>, without: u64) {
    let setup = Setup {
        dir: Arc::clone(dir),
        identity: SigningKey::from_seed(&[3; 32]),
        covers: vec![SealKey::new(&[9; 32]).unwrap()],
        boot: "0123abcd".to_owned(),
        now: at(0),
        segment_max: 20_000,
    };
    let (mut trail, _) = Trail::open(setup).unwrap();
    for number in 0..INTENTS {
        let of = |event| Record {
            intent: Some(Seq(number)),
            file: Some("intent-a.json".to_owned()),
            ..Record::of(event, Outcome::Success)
        };
        let life = [Event::Taken, Event::Started, Event::Ended, Event::Filed].map(of);
        let begin = usize::from(number == without);
        trail.append(life.get(begin..).unwrap(), at(number)).unwrap();
    }
}

#[test]
fn one_intent_costs_its_own_lines_and_no_more_than_a_segment_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    trail(&dir, 201);
    let segments = segment::list(&dir).unwrap().len();
    assert!(segments > 10, "{segments}");
    let search = |number: u64| {
        let mut search = Search { dir: &dir, intent: Seq(number), effort: Effort::default() };
        let found = search.entries(at(number), at(number)).unwrap();
        (found.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>(), search.effort)
    };
    let life = [Event::Taken, Event::Started, Event::Ended, Event::Filed].map(Event::name);
    for number in [0, 1, 30, 100, 200, 299] {
        let (found, effort) = search(number);
        assert_eq!(found, life, "{number}");
        assert!(effort.parsed <= 20 && effort.read <= 150, "{number}: {effort:?}");
    }
    // Where its beginning is not there, all is searched that clocks may have put before it.
    let (found, effort) = search(201);
    assert_eq!(found, life[1..]);
    assert!(effort.read > 300, "{effort:?}");
}

#[test]
fn an_intent_that_waited_long_is_found_at_its_beginning_and_at_its_end() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    trail(&dir, 7);
    let mut search = Search { dir: &dir, intent: Seq(7), effort: Effort::default() };
    let found = search.entries(at(7), at(290)).unwrap();
    assert_eq!(found.len(), 3);
    let late = Search { dir: &dir, intent: Seq(290), effort: Effort::default() }.entries(at(7), at(290));
    assert_eq!(late.unwrap().len(), 4, "between them are more segments than are read");
}
