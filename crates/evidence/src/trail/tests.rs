//! Trails across ends of the process at any byte, full disks, clocks that go back, and lost keys.

use super::*;
use crate::entry::{Event, Place, Result as Outcome, key_text, render};
use crate::verify::{Against, Kind, Report, verify};
use conductor_core::Seq;
use std::collections::BTreeSet;

struct Bed {
    temp: tempfile::TempDir,
    dir: Arc<Dir>,
}

impl Bed {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = Arc::new(Dir::open(temp.path()).unwrap());
        Self { temp, dir }
    }

    fn setup(&self, minute: i64) -> Setup {
        let identity = SigningKey::from_seed(&[3; 32]);
        let (dir, boot) = (Arc::clone(&self.dir), "0123abcd".to_owned());
        let covers = vec![SealKey::new(&[9; 32]).unwrap()];
        Setup { dir, identity, covers, boot, now: at(minute), segment_max: SEGMENT_MAX }
    }

    fn open(&self, minute: i64) -> (Trail, Opened) {
        Trail::open(self.setup(minute)).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.temp.path().join(name)
    }

    fn verify(&self) -> Report {
        let identities = vec![SigningKey::from_seed(&[3; 32]).public()];
        verify(&self.dir, Against { identities, known: Vec::new() }).unwrap()
    }

    /// The events of the trail, without checkpoints.
    fn events(&self) -> Vec<String> {
        let mut events = Vec::new();
        for first in segment::list(&self.dir).unwrap() {
            for line in Lines::open(&self.dir, first).unwrap() {
                if let Some(Parsed::Entry(entry)) = parse(&line.unwrap().bytes) {
                    events.push(entry.event);
                }
            }
        }
        events
    }
}

fn at(minute: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    begin + SignedDuration::from_mins(minute)
}

fn filed(number: u64) -> Record {
    Record { intent: Some(Seq(number)), ..Record::of(Event::Filed, Outcome::Success) }
}

#[test]
fn an_epoch_ends_after_its_time_and_at_each_start_and_is_sealed_once() {
    let place = Bed::new();
    let (mut trail, opened) = place.open(0);
    assert_eq!(opened, Opened::default());
    assert_eq!(place.events(), Vec::<String>::new(), "an opening writes nothing");
    trail.append(&[filed(1)], at(1)).unwrap();
    for (minute, epoch) in [(15, 0), (16, 1)] {
        trail.append(&[], at(minute)).unwrap();
        assert_eq!(trail.epoch(), epoch, "also when nothing happened");
    }
    assert_eq!(trail.patience(at(17)), SignedDuration::from_mins(14));
    drop(trail);
    let (mut trail, _) = place.open(18);
    trail.append(&[filed(2)], at(18)).unwrap();
    let filed = Event::Filed.name();
    assert_eq!(place.events(), ["audit_segment", filed, "audit_epoch_end", "audit_epoch_end", filed]);
    let report = place.verify();
    assert_eq!((report.findings, report.epochs, report.entries), (vec![], 3, 9));
    assert_eq!(trail.head(), Point { size: 9, root: report.root });
}

#[test]
fn a_process_that_ends_at_any_byte_of_a_write_leaves_a_trail_that_goes_on() {
    let whole = {
        let place = Bed::new();
        let (mut trail, _) = place.open(0);
        trail.append(&[filed(1), filed(2)], at(0)).unwrap();
        trail.append(&[filed(3), filed(4)], at(1)).unwrap();
        (std::fs::read(place.file(&segment::name(0))).unwrap(), std::fs::read(place.file(KEY_FILE)).unwrap())
    };
    for length in 0..=whole.0.len() {
        let place = Bed::new();
        std::fs::write(place.file(&segment::name(0)), &whole.0[..length]).unwrap();
        std::fs::write(place.file(KEY_FILE), &whole.1).unwrap();
        // What the end of the process left is no finding, unless nothing is left at all, or whole lines that nobody signed.
        let left = place.verify();
        let torn = length == 0 || whole.0[length - 1] != b'\n';
        assert!(!torn || length == 0 || left.findings.is_empty(), "{length}: {left:?}");
        let (mut trail, opened) = place.open(2);
        trail.append(&[filed(9)], at(2)).unwrap();
        let report = place.verify();
        assert_eq!((&report.findings, report.torn), (&vec![], None), "{length}: {opened:?}");
        assert_eq!(
            opened.cut > 0,
            place.events().contains(&Event::Cut.name().to_owned()),
            "{length}: {opened:?}"
        );
        assert!(!opened.key_lost, "{length}");
    }
}

#[test]
fn segments_end_by_size_and_an_opening_reads_the_last_one_alone() {
    let place = Bed::new();
    let mut minute = 0;
    for _ in 0..6 {
        let setup = Setup { segment_max: 4_000, ..place.setup(minute) };
        let (mut trail, _) = Trail::open(setup).unwrap();
        for number in 0..10 {
            minute += 1;
            trail.append(&[filed(number)], at(minute)).unwrap();
        }
    }
    let segments = segment::list(&place.dir).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    assert_eq!(place.verify().findings, []);
    std::fs::write(place.file(&segment::name(segments[0])), "gone").unwrap();
    let (mut trail, _) = place.open(minute);
    trail.append(&[filed(1)], at(minute)).unwrap();
    assert!(!place.verify().findings.is_empty(), "which a verification finds");
}

#[test]
fn what_was_changed_before_a_signed_line_refuses_the_opening() {
    let place = Bed::new();
    let (mut trail, _) = place.open(0);
    for number in 0..5 {
        trail.append(&[filed(number), filed(number + 10)], at(number.try_into().unwrap())).unwrap();
    }
    drop(trail);
    let path = place.file(&segment::name(0));
    let whole = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("\"intent\": 1,", "\"intent\": 2,"), ("\"intent\": 4,", "\"intent\": 5,")] {
        std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        let refused = Trail::open(place.setup(9)).unwrap_err();
        assert!(matches!(refused, TrailError::Damaged { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole.replacen(from, to, 1), "unchanged");
    }
    // The first line of a segment as well: what follows it is signed.
    for from in ["{\"seq\": 0,", "audit_segment", "\"origin\""] {
        let changed = whole.replacen(from, "x", 1);
        std::fs::write(&path, &changed).unwrap();
        assert!(matches!(Trail::open(place.setup(9)), Err(TrailError::Damaged { .. })), "{from}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), changed, "unchanged");
    }
    // Removing all of it, or going back to an earlier epoch, is no beginning either.
    std::fs::write(&path, &whole).unwrap();
    let (mut trail, _) = place.open(9);
    trail.append(&[filed(1)], at(9)).unwrap();
    trail.sync_begins();
    trail.synced().unwrap();
    drop(trail);
    let later = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole).unwrap();
    assert!(Trail::open(place.setup(10)).unwrap_err().to_string().contains("its end was removed"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Trail::open(place.setup(10)), Err(TrailError::Damaged { .. })));
    std::fs::write(&path, later).unwrap();
    place.open(10);
}

#[test]
fn a_trail_with_the_keys_of_somebody_else_is_not_gone_on_with() {
    let (ours, theirs) = (Bed::new(), Bed::new());
    for place in [&ours, &theirs] {
        place.open(0).0.append(&[filed(1)], at(0)).unwrap();
    }
    std::fs::copy(theirs.file(&segment::name(0)), ours.file(&segment::name(0))).unwrap();
    let refused = Trail::open(ours.setup(1)).unwrap_err().to_string();
    assert!(refused.contains("another key"), "{refused}");
}

#[test]
fn a_lost_key_begins_an_epoch_that_the_identity_key_vouches_for_and_is_told() {
    let place = Bed::new();
    place.open(0).0.append(&[filed(1)], at(0)).unwrap();
    std::fs::remove_file(place.file(KEY_FILE)).unwrap();
    let (mut trail, opened) = place.open(1);
    assert!(opened.key_lost);
    trail.append(&[filed(2)], at(1)).unwrap();
    assert!(!place.file(KEY_FILE).exists(), "the key follows the trail when the trail is durable");
    trail.sync_begins();
    trail.synced().unwrap();
    let report = place.verify();
    assert_eq!(report.findings, []);
    assert_eq!(
        report.remarks.iter().map(|remark| remark.event.as_str()).collect::<Vec<_>>(),
        ["audit_key_lost"]
    );
    drop(trail);
    assert!(!place.open(2).1.key_lost, "the new one was stored");
}

#[test]
fn an_older_key_file_leads_to_the_current_key() {
    let place = Bed::new();
    let (mut trail, _) = place.open(0);
    trail.append(&[filed(1)], at(0)).unwrap();
    let first = std::fs::read(place.file(KEY_FILE)).unwrap();
    for minute in [20, 40, 60] {
        trail.append(&[], at(minute)).unwrap();
        assert_eq!(std::fs::read(place.file(KEY_FILE)).unwrap(), first, "not before a sync");
    }
    trail.sync_begins();
    trail.synced().unwrap();
    assert_ne!(std::fs::read(place.file(KEY_FILE)).unwrap(), first);
    drop(trail);
    std::fs::write(place.file(KEY_FILE), &first).unwrap();
    let (mut trail, opened) = place.open(61);
    assert!(!opened.key_lost);
    trail.append(&[filed(2)], at(61)).unwrap();
    assert_eq!(place.verify().findings, []);
}

#[test]
fn another_identity_key_is_told_and_has_to_be_given() {
    let place = Bed::new();
    place.open(0).0.append(&[filed(1)], at(0)).unwrap();
    let (first, second) = (SigningKey::from_seed(&[3; 32]), SigningKey::from_seed(&[4; 32]));
    let setup = Setup { identity: second.clone(), ..place.setup(1) };
    Trail::open(setup).unwrap().0.append(&[filed(2)], at(1)).unwrap();
    let judged = |identities| verify(&place.dir, Against { identities, known: Vec::new() }).unwrap();
    assert_eq!(judged(vec![first.public(), second.public()]).findings, []);
    assert_eq!(judged(vec![first.public()]).findings[0].kind, Kind::Signature);
}

#[test]
fn a_clock_that_goes_back_is_told_and_a_time_that_does_is_found() {
    let place = Bed::new();
    let (mut trail, _) = place.open(10);
    trail.append(&[filed(1)], at(10)).unwrap();
    trail.append(&[filed(2)], at(5)).unwrap();
    drop(trail);
    place.open(3).0.append(&[filed(3)], at(3)).unwrap();
    let report = place.verify();
    assert_eq!(report.findings, []);
    assert_eq!(report.remarks.len(), 2, "{report:?}");
}

#[test]
fn a_full_disk_appends_all_or_nothing() {
    let place = Bed::new();
    let (mut trail, _) = place.open(0);
    trail.append(&[filed(1)], at(0)).unwrap();
    let before = std::fs::read(place.file(&segment::name(0))).unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (file, length) = trail.segment.replace((full, before.len() as u64)).unwrap();
    let head = trail.head();
    assert!(matches!(trail.append(&[filed(2)], at(1)), Err(TrailError::NoSpace(_))));
    assert_eq!(trail.head(), head);
    // Half of a batch stands there, as a short write leaves it.
    file.write_all_at(b"{\"seq\": 3", length).unwrap();
    trail.segment = Some((file, length));
    trail.append(&[filed(2)], at(2)).unwrap();
    assert_eq!(place.verify().findings, []);
    assert_eq!(place.events().len(), 3);
}

#[test]
fn what_is_recorded_of_intents_is_found_again_in_whichever_segment() {
    let place = Bed::new();
    let (mut trail, _) = Trail::open(Setup { segment_max: 1_000, ..place.setup(0) }).unwrap();
    for number in 0..20 {
        trail.append(&[filed(number)], at(number.try_into().unwrap())).unwrap();
    }
    let wanted: BTreeSet<(Seq, Event)> =
        [(Seq(2), Event::Filed), (Seq(19), Event::Filed), (Seq(2), Event::Taken), (Seq(77), Event::Filed)]
            .into();
    let found = crate::recorded(&place.dir, trail.end(), &wanted, at(0)).unwrap();
    assert_eq!(found, [(Seq(2), Event::Filed), (Seq(19), Event::Filed)].into());
    let recent = crate::recorded(&place.dir, trail.end(), &wanted, at(500)).unwrap();
    assert_eq!(recent, [(Seq(19), Event::Filed)].into(), "older segments are not read");
}

#[test]
fn the_entries_of_an_intent_are_found_where_it_lived_and_where_a_start_made_them_again() {
    let place = Bed::new();
    let (mut trail, _) = Trail::open(Setup { segment_max: 1_000, ..place.setup(0) }).unwrap();
    let hour = 3_600_000;
    for number in 0..20 {
        trail.append(&[filed(number)], at(i64::try_from(number).unwrap() * hour)).unwrap();
    }
    trail.append(&[Record { recovered: true, ..filed(99) }], at(40 * hour)).unwrap();
    assert!(segment::list(&place.dir).unwrap().len() > 5);
    let of = |number: u64, from: i64, to: i64| -> Vec<(Option<Seq>, bool)> {
        let found = crate::entries_of(&place.dir, Seq(number), at(from * hour), at(to * hour)).unwrap();
        found.iter().map(|entry| (entry.intent, entry.recovered)).collect()
    };
    assert_eq!(of(7, 7, 7), [(Some(Seq(7)), false)]);
    assert_eq!(of(99, 15, 16), [(Some(Seq(99)), true)], "a start long after its time made its entry");
    assert_eq!(of(99, 0, 1), [], "so much later nothing is looked for");
    assert_eq!(of(0, 0, 0), [(Some(Seq(0)), false)]);
    assert_eq!(of(3, 15, 16), [], "segments of before are not read");
}

/// Somebody who writes numbers at their limits stops neither a verification nor a start.
#[test]
fn numbers_at_their_limits_are_judged_like_others() {
    let line = |seq: u64, epoch: u64| {
        let key = key_text(&SigningKey::from_seed(&[3; 32]).public());
        let frontier = vec![serde_json::json!("0".repeat(64)); seq.count_ones() as usize];
        let record = Record::of(Event::Segment, Outcome::Success)
            .with("frontier", frontier)
            .with("key", key.clone())
            .with("identity", key)
            .with("origin", "o");
        let prev = conductor_core::Digest([0; 32]);
        render(Place { seq, time: at(0), boot: "b", epoch, prev: &prev }, &record)
    };
    for (seq, epoch) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX - 1, 7)] {
        let place = Bed::new();
        let text = [line(seq, epoch), b"\n".to_vec(), line(u64::MAX, epoch), b"\n".to_vec()].concat();
        place.dir.create(segment::name(seq), 0o600, &text).unwrap();
        assert!(!place.verify().findings.is_empty(), "{seq} {epoch}");
        let (mut trail, opened) = place.open(0);
        assert!(opened.cut > 0);
        trail.append(&[filed(1)], at(0)).unwrap();
        assert_eq!(place.verify().findings, [], "{seq} {epoch}");
    }
}

#[test]
fn what_the_system_lacks_for_a_moment_is_waited_for() {
    for (errno, waits, is_space) in
        [(24, true, false), (12, true, false), (28, true, true), (5, false, false), (30, false, false)]
    {
        let error = failed("writing")(io::Error::from_raw_os_error(errno));
        assert_eq!((error.waits(), matches!(error, TrailError::NoSpace(_))), (waits, is_space), "{error}");
    }
}

#[test]
fn a_torn_end_stays_until_a_batch_says_that_it_is_gone() {
    let place = Bed::new();
    place.open(0).0.append(&[filed(1)], at(0)).unwrap();
    let path = place.file(&segment::name(0));
    let whole = std::fs::read(&path).unwrap();
    let torn = [whole.as_slice(), b"{\"seq\": torn"].concat();
    std::fs::write(&path, &torn).unwrap();
    // Two starts that end before their first batch.
    for _ in 0..2 {
        let (_, opened) = place.open(1);
        assert_eq!((opened.cut, std::fs::read(&path).unwrap()), (12, torn.clone()));
    }
    let (mut trail, _) = place.open(1);
    trail.append(&[filed(2)], at(1)).unwrap();
    assert!(place.events().contains(&"audit_tail_cut".to_owned()));
    assert_eq!((place.verify().findings, place.open(2).1.cut), (vec![], 0));
}

#[test]
fn a_segment_that_lost_its_name_is_noticed_before_a_sync_is_believed() {
    for replaced in [false, true] {
        let place = Bed::new();
        let (mut trail, _) = place.open(0);
        trail.append(&[filed(1)], at(0)).unwrap();
        trail.sync_begins();
        let path = place.file(&segment::name(0));
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        if replaced {
            std::fs::write(&path, content).unwrap();
        }
        assert!(matches!(trail.look_at_segment(), Err(TrailError::Gone(_))), "{replaced}");
    }
}

#[test]
fn what_no_checkpoint_covers_is_not_recorded() {
    let place = Bed::new();
    let (mut trail, _) = place.open(0);
    trail.append(&[filed(1)], at(0)).unwrap();
    let path = place.file(&segment::name(0));
    let whole = std::fs::read_to_string(&path).unwrap();
    trail.append(&[filed(2), filed(3)], at(1)).unwrap();
    let more = std::fs::read_to_string(&path).unwrap();
    // Whole entries of a batch whose checkpoint did not reach the disk, and a segment that nobody signed.
    let entries: Vec<&str> = more[whole.len()..].lines().filter(|line| line.contains("\"intent\"")).collect();
    assert_eq!(entries.len(), 2);
    let torn = format!("{whole}{}\n{}\n", entries[0], entries[1]);
    std::fs::write(&path, &torn).unwrap();
    std::fs::write(place.file(&segment::name(50)), format!("{}\n", entries[1])).unwrap();
    let wanted: BTreeSet<(Seq, Event)> = [1, 2, 3].map(|number| (Seq(number), Event::Filed)).into();
    let (mut trail, opened) = place.open(2);
    assert!(opened.cut > 0);
    let found = crate::recorded(&place.dir, trail.end(), &wanted, at(0)).unwrap();
    assert_eq!(found, [(Seq(1), Event::Filed)].into());
    // They are made again, and the torn end is written over before the rest of it goes.
    trail.append(&[filed(2), filed(3)], at(2)).unwrap();
    let found = crate::recorded(&place.dir, trail.end(), &wanted, at(0)).unwrap();
    assert_eq!((found, place.verify().findings), (wanted, vec![]));
    assert!(place.events().contains(&"audit_tail_cut".to_owned()));
    assert!(!place.file(&segment::name(50)).exists());
}

#[test]
fn a_torn_end_stays_while_there_is_no_space_to_tell_of_it() {
    let place = Bed::new();
    place.open(0).0.append(&[filed(1)], at(0)).unwrap();
    let path = place.file(&segment::name(0));
    let torn = [std::fs::read(&path).unwrap().as_slice(), b"{\"seq\": torn"].concat();
    std::fs::write(&path, &torn).unwrap();
    let (mut trail, _) = place.open(1);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (file, length) = trail.segment.replace((full, torn.len() as u64 - 12)).unwrap();
    assert!(matches!(trail.append(&[filed(2)], at(1)), Err(TrailError::NoSpace(_))));
    assert_eq!(std::fs::read(&path).unwrap(), torn);
    trail.segment = Some((file, length));
    trail.append(&[filed(2)], at(2)).unwrap();
    assert!(place.events().contains(&"audit_tail_cut".to_owned()));
    assert_eq!(place.verify().findings, []);
}
