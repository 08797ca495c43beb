//! Tampering: each way to change a trail is found, at the right place.

use super::*;
use crate::entry::{Record, Result as Outcome, user};
use crate::trail::{Setup, Trail};
use conductor_core::Seq;
use conductor_crypto::{SealKey, SigningKey};
use jiff::{SignedDuration, Timestamp};
use std::ops::RangeInclusive;
use std::sync::Arc;

fn identity() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn record(number: u64) -> Record {
    Record { intent: Some(Seq(number)), actor: user(1000), ..Record::of(Event::Filed, Outcome::Success) }
}

/// A trail of at least this many entries in batches of different sizes, in segments of at most about this size, over three epochs.
fn written(entries: u64, segment_max: u64) -> Vec<(u64, Vec<Vec<u8>>)> {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    let setup = Setup {
        dir: Arc::clone(&dir),
        identity: identity(),
        covers: vec![SealKey::new(&[9; 32]).unwrap()],
        boot: "b".to_owned(),
        now: now(),
        segment_max,
    };
    let (mut trail, _) = Trail::open(setup).unwrap();
    let (mut time, mut number) = (now(), 0);
    let step = SignedDuration::from_mins(40) / i32::try_from(entries / 6).unwrap();
    while trail.head().size < entries {
        let most = (number % 7) + 1;
        let batch: Vec<Record> = (number..number + most).map(record).collect();
        trail.append(&batch, time).unwrap();
        (number, time) = (number + most, time + step);
    }
    let lines = |first| Lines::open(&dir, first).unwrap().map(|line| line.unwrap().bytes).collect();
    segment::list(&dir).unwrap().into_iter().map(|first| (first, lines(first))).collect()
}

fn lines_of(lines: &[Vec<u8>]) -> impl Iterator<Item = io::Result<Line>> {
    lines.iter().map(|bytes| Ok(Line { bytes: bytes.clone(), whole: true }))
}

fn judged(trail: &[(u64, Vec<Vec<u8>>)], against: &Against) -> Report {
    let mut verifier = Verifier::new(against.clone());
    for (first, lines) in trail {
        verifier.segment(*first, lines_of(lines)).unwrap();
    }
    verifier.finish()
}

fn given() -> Against {
    Against { identities: vec![identity().public()], known: Vec::new() }
}

#[test]
fn what_was_written_is_accepted_and_its_end_is_unknown_without_a_witness() {
    let trail = written(400, 20_000);
    assert!(trail.len() > 3);
    let report = judged(&trail, &given());
    assert_eq!(report.findings, [], "{report:?}");
    assert!(report.epochs >= 3 && report.entries >= 400 && !report.end_known, "{report:?}");
    assert_eq!(report.identity, Some(identity().public().id().to_string()));
    let known = vec![Point { size: report.entries, root: report.root }];
    assert!(judged(&trail, &Against { known, ..given() }).end_known);
    let stranger = Against { identities: vec![SigningKey::from_seed(&[4; 32]).public()], known: Vec::new() };
    assert_eq!(judged(&trail, &stranger).findings[0].kind, Kind::Signature);
}

/// Changes a list of lines. Returns the entries at one of which it has to be found.
type Tampering = fn(&mut Vec<Vec<u8>>, usize) -> RangeInclusive<u64>;

fn is_checkpoint(line: &[u8]) -> bool {
    matches!(crate::entry::parse(line), Some(Parsed::Checkpoint { .. }))
}

/// Makes every line behind this one continue the one before it again, as somebody without a key can.
fn chain(lines: &mut [Vec<u8>], from: usize) {
    for at in from.max(1)..lines.len() {
        let prev = sha256(&lines[at - 1]).to_string();
        let end = lines[at].len() - 2 - prev.len();
        lines[at].splice(end..end + prev.len(), prev.bytes());
    }
}

/// Makes every root of a checkpoint that of the changed lines.
fn root_anew(lines: &mut [Vec<u8>], from: usize) {
    let mut tree = Frontier::default();
    for at in 0..lines.len() {
        if at >= from
            && let Some(Parsed::Checkpoint { seq, note, prev }) = crate::entry::parse(&lines[at])
        {
            let old = note.lines().nth(2).unwrap();
            let new = crate::checkpoint::Checkpoint {
                origin: String::new(),
                size: 0,
                root: tree.root(),
                extensions: vec![],
            };
            let note = note.replacen(old, new.body().lines().nth(2).unwrap(), 1);
            lines[at] = crate::entry::render_checkpoint(seq, &note, &prev);
        }
        chain(lines, at);
        tree.push(crate::tree::leaf(&lines[at]));
    }
}

const TAMPERINGS: &[(&str, Tampering)] = &[
    ("one byte of an entry", |lines, k| {
        let at = lines[k].len() - 100;
        lines[k][at] ^= 1;
        k as u64..=k as u64
    }),
    ("an entry deleted", |lines, k| {
        lines.remove(k);
        k as u64..=k as u64
    }),
    ("two entries deleted", |lines, k| {
        lines.drain(k..k + 2);
        k as u64..=k as u64
    }),
    ("the first entry deleted", |lines, _| {
        lines.remove(0);
        0..=0
    }),
    ("an entry put in again", |lines, k| {
        let again = lines[k].clone();
        lines.insert(k + 1, again);
        k as u64..=k as u64
    }),
    ("an old entry put in", |lines, k| {
        let old = lines[k - 50].clone();
        lines.insert(k, old);
        k as u64 - 50..=k as u64 - 50
    }),
    ("a forged entry put in", |lines, k| {
        let prev = sha256(&lines[k - 1]).to_string();
        let next: Entry = serde_json::from_slice(&lines[k]).unwrap();
        let forged = format!(
            r#"{{"seq": {k}, "time": "{:.3}", "boot": "b", "epoch": {}, "event": "intent_filed", "outcome": "success", "actor": "daemon", "prev": "{prev}"}}"#,
            next.time, next.epoch
        );
        lines.insert(k, forged.into_bytes());
        k as u64..=k as u64
    }),
    ("two entries swapped", |lines, k| {
        lines.swap(k, k + 1);
        k as u64..=k as u64
    }),
    ("a forged entry appended", |lines, k| {
        let mut forged = lines[k].clone();
        let seq = lines.len();
        forged =
            String::from_utf8(forged).unwrap().replacen(&k.to_string(), &seq.to_string(), 1).into_bytes();
        lines.push(forged);
        chain(lines, seq);
        seq as u64..=seq as u64
    }),
    ("the last checkpoint cut off", |lines, _| {
        lines.pop();
        let last = lines.iter().rposition(|line| is_checkpoint(line)).unwrap() as u64 + 1;
        last..=last
    }),
    ("an entry changed and all chained anew", |lines, k| {
        let text = String::from_utf8(lines[k].clone()).unwrap();
        lines[k] = text.replace("uid:1000", "uid:1001").into_bytes();
        chain(lines, k + 1);
        let first = lines[..k].iter().rposition(|line| is_checkpoint(line)).unwrap() as u64 + 1;
        first..=k as u64
    }),
    ("an entry changed, all chained and every root made anew", |lines, k| {
        let text = String::from_utf8(lines[k].clone()).unwrap();
        lines[k] = text.replace("uid:1000", "uid:1001").into_bytes();
        root_anew(lines, k + 1);
        let signed = (k + 1 + lines[k + 1..].iter().position(|line| is_checkpoint(line)).unwrap()) as u64;
        signed..=signed
    }),
    ("a checkpoint left out and all chained anew", |lines, k| {
        let at = k + lines[k..].iter().position(|line| is_checkpoint(line)).unwrap();
        lines.remove(at);
        chain(lines, at);
        at as u64..=at as u64
    }),
];

#[test]
fn every_tampering_is_found_at_its_place() {
    let trail = written(300, u64::MAX);
    let [(0, lines)] = trail.as_slice() else { panic!("one segment") };
    // An entry between two others of its batch.
    let k = (100..200).find(|k| (k - 1..=k + 1).all(|at| !is_checkpoint(&lines[at]))).unwrap();
    for (name, tamper) in TAMPERINGS {
        let mut changed = lines.clone();
        let place = tamper(&mut changed, k);
        assert_ne!(changed, *lines, "{name}");
        let report = judged(&[(0, changed)], &given());
        let found = report.findings.first().unwrap_or_else(|| panic!("{name}: not found"));
        assert!(place.contains(&found.first), "{name}: {place:?}, found {found:?}");
    }
}

#[test]
fn a_segment_that_is_missing_repeated_or_older_is_found() {
    let trail = written(400, 20_000);
    let mut without = trail.clone();
    let (gone, _) = without.remove(1);
    let found = judged(&without, &given()).findings.remove(0);
    assert_eq!((found.first, found.last, found.kind), (gone, trail[2].0 - 1, Kind::Number));
    let mut twice = trail.clone();
    twice.insert(1, trail[1].clone());
    assert_eq!(judged(&twice, &given()).findings[0].first, trail[1].0);
    let mut shorter = trail.clone();
    shorter[0].1.truncate(3);
    assert_eq!(judged(&shorter, &given()).findings[0].first, 3);
    let empty = judged(&[], &given());
    assert_eq!(empty.findings[0].kind, Kind::End);
}

#[test]
fn a_trail_that_was_rolled_back_is_found_by_who_knew_it_longer() {
    let trail = written(300, u64::MAX);
    let whole = judged(&trail, &given());
    let known = vec![Point { size: whole.entries, root: whole.root }];
    let mut older = trail.clone();
    let end = older[0].1[..200].iter().rposition(|line| is_checkpoint(line)).unwrap() + 1;
    older[0].1.truncate(end);
    // Nothing inside the trail tells.
    assert!(judged(&older, &given()).findings.is_empty());
    let found = judged(&older, &Against { known: known.clone(), ..given() }).findings.remove(0);
    assert_eq!((found.first, found.last, found.kind), (end as u64, whole.entries - 1, Kind::End));
    // Another trail, of another key, in its place.
    let other = written(300, u64::MAX);
    let report = judged(&other, &Against { known, ..given() });
    assert_eq!(report.findings[0].kind, Kind::Root);
}

#[test]
fn an_end_that_was_torn_is_told_and_is_no_finding() {
    let trail = written(300, u64::MAX);
    let end = trail[0].1[..200].iter().rposition(|line| is_checkpoint(line)).unwrap() + 1;
    let mut verifier = Verifier::new(given());
    let torn = trail[0].1[..=end].iter().cloned().map(|bytes| Line { bytes, whole: true });
    let torn = torn.chain([Line { bytes: trail[0].1[end + 1][..20].to_vec(), whole: false }]);
    verifier.segment(0, torn.map(Ok)).unwrap();
    let report = verifier.finish();
    assert_eq!((report.findings.len(), report.torn, report.entries), (0, Some(end as u64), end as u64));
}

/// Each byte is changed by itself, and found by reading on from the line that holds it, which is what reading all would find as well.
#[test]
fn every_byte_of_a_thousand_entries_is_held_up() {
    let trail = written(1_000, u64::MAX);
    let lines = &trail[0].1;
    let mut before = Verifier::new(given());
    let mut begun = false;
    for at in 0..lines.len() {
        for byte in 0..=lines[at].len() {
            let mut changed = lines[at].clone();
            let whole = byte < changed.len();
            if let Some(byte) = changed.get_mut(byte) {
                *byte ^= 1;
            }
            let mut verifier = before.clone();
            let place = at as u64;
            if !whole {
                // The newline: this line and the next are one, or the end is torn.
                let Some(next) = lines.get(at + 1) else { continue };
                changed.push(b'\n' ^ 1);
                changed.extend_from_slice(next);
            }
            if !begun {
                verifier.begin(&changed, 0);
            }
            verifier.line(&changed, lines.get(at + 1 + usize::from(!whole)).map(Vec::as_slice), !begun);
            let mut on = at + 1 + usize::from(!whole);
            while verifier.report.findings.is_empty() && on < lines.len() {
                verifier.line(&lines[on], lines.get(on + 1).map(Vec::as_slice), false);
                on += 1;
            }
            let found = verifier.report.findings.first();
            let found = found.unwrap_or_else(|| panic!("byte {byte} of entry {at} is not found"));
            assert!(found.first == place, "byte {byte} of entry {at}: {found:?}");
        }
        if !begun {
            before.begin(&lines[at], 0);
        }
        before.line(&lines[at], lines.get(at + 1).map(Vec::as_slice), !begun);
        begun = true;
        assert!(before.report.findings.is_empty(), "entry {at}: {:?}", before.report.findings);
    }
}
