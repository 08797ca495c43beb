//! The audit trail between the writer's batches: what is merged, what is appended at once, and what asks for a sync.

use super::*;
use crate::writer::audit::Auditing;
use crate::writer::{Audit, AuditDoor, Broken};
use conductor_core::Code;
use conductor_core::query::Held;
use conductor_crypto::{SealKey, SigningKey};
use conductor_evidence::entry::{Parsed, parse};
use conductor_evidence::segment::{self, Lines};
use conductor_evidence::{EntryResult, Event, Record, Setup, Trail, TrailError};
use std::cell::Cell;

/// An office with a trail in a directory of its own, and the way of entries to it.
fn audited() -> (Office, AuditDoor, Receiver<Command>) {
    let mut office = office();
    let dir = Arc::new(office.writer_loop.places.handoff.ensure("audit", 0o700).unwrap());
    let setup = Setup {
        dir,
        identity: SigningKey::from_seed(&[1; 32]),
        covers: vec![SealKey::new(&[2; 32]).unwrap()],
        boot: "boot".to_owned(),
        now: Timestamp::now(),
        segment_max: 1 << 20,
    };
    let (trail, _) = Trail::open(setup).unwrap();
    let auditing = Auditing::new(Audit { trail, first: Vec::new() }, Instant::now());
    let (commands, receiver) = crossbeam_channel::unbounded();
    let door = AuditDoor::of(&commands, &auditing.refusals());
    office.writer_loop.auditing = Some(auditing);
    (office, door, receiver)
}

/// The entries that an office has appended, as event and `detail.times`.
fn entries(office: &Office) -> Vec<(String, Option<u64>)> {
    let dir = office.writer_loop.places.handoff.sub("audit").unwrap();
    let lines = segment::list(&dir).unwrap().into_iter().flat_map(|first| Lines::open(&dir, first).unwrap());
    let entry = |line: segment::Line| match parse(&line.bytes) {
        Some(Parsed::Entry(entry)) => Some(*entry),
        _ => None,
    };
    let ours = lines.filter_map(|line| entry(line.unwrap())).filter(|entry| entry.event != "audit_segment");
    ours.map(|entry| (entry.event, entry.detail.get("times").and_then(serde_json::Value::as_u64))).collect()
}

fn denied(actor: &str) -> Record {
    Record { actor: actor.to_owned(), ..Record::of(Event::Denied, EntryResult::Failure) }
}

#[test]
fn a_refused_asker_has_one_entry_and_one_command_however_often_it_asks() {
    let (mut office, door, commands) = audited();
    for _ in 0..1_000 {
        door.send(denied("uid:7"));
        door.send(denied("network"));
    }
    let sent: Vec<Command> = commands.try_iter().collect();
    assert_eq!(sent.len(), 2, "the channel does not grow while the writer waits for space");
    office.turn(sent);
    // They wait for a batch, and those that come meanwhile are counted with them.
    door.send(denied("uid:7"));
    office.turn(commands.try_iter().collect());
    office.turn(vec![settle(Seq(1))]);
    let found = entries(&office);
    let refused: Vec<_> = found.iter().filter(|(event, _)| event == "authz_fail").collect();
    assert_eq!(refused, [&("authz_fail".to_owned(), Some(1_000)), &("authz_fail".to_owned(), Some(1_001))]);
}

#[test]
fn whoever_is_refused_causes_no_sync_and_what_is_done_is_synced_soon() {
    let (mut office, door, commands) = audited();
    // The first entries of a trail begin an epoch, which is synced.
    office.turn(vec![]);
    office.writer_loop.published_since = None;
    door.send(denied("uid:7"));
    office.turn(commands.try_iter().collect());
    office.writer_loop.append_pending().ok().unwrap();
    assert_eq!(entries(&office).len(), 1);
    assert!(office.writer_loop.published_since.is_none(), "nobody makes the disk work by asking");
    // A change of settings is written at once.
    door.send(Record::of(Event::Config, EntryResult::Success));
    office.turn(commands.try_iter().collect());
    assert_eq!(entries(&office).len(), 2);
    assert!(office.writer_loop.published_since.take().is_some());
    // A hold has its entry before it is answered.
    let (durable, told) = crossbeam_channel::bounded(1);
    let held = Held { target: "n/t".to_owned(), since: Timestamp::now(), uid: 7, note: String::new() };
    office.turn(vec![Command::Hold { holding: Holding::Held(held), durable }]);
    told.try_recv().unwrap();
    assert_eq!(entries(&office).last().unwrap().0, "authz_admin");
    assert!(office.writer_loop.published_since.is_some());
}

thread_local! {
    /// How far the writer's clock of this test is ahead.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[test]
fn what_the_trail_lacks_is_told_by_its_name_and_the_end_of_it_too() {
    let (mut office, ..) = audited();
    office.writer_loop.clock = || Instant::now() + AHEAD.get();
    let lacking = || TrailError::Lacking(io::Error::from_raw_os_error(24));
    let no_space = TrailError::NoSpace(io::Error::from_raw_os_error(28));
    office.writer_loop.tell_what_lacks(&lacking());
    assert_eq!(Broken::StoppedBeforeTrail(lacking()).code(), Code::StoreFailed);
    assert!(office.said().is_empty(), "what passes at once is not told");
    AHEAD.set(Duration::from_secs(6));
    office.writer_loop.tell_what_lacks(&lacking());
    assert_eq!(office.said(), ["waits true"], "a descriptor is no space");
    // Files that wait too are told of already, and are not over when the trail is.
    office.writer_loop.note_shortage(Some(Seq(1)), "archiving");
    AHEAD.set(Duration::from_secs(12));
    office.writer_loop.note_shortage(Some(Seq(1)), "archiving");
    office.said();
    office.writer_loop.append_pending().ok().unwrap();
    assert!(!office.said().contains(&"waits false".to_owned()));
    office.writer_loop.shortage.end();
    office.writer_loop.tell_what_lacks(&lacking());
    AHEAD.set(Duration::from_secs(18));
    office.writer_loop.tell_what_lacks(&lacking());
    office.said();
    office.writer_loop.append_pending().ok().unwrap();
    assert_eq!(office.said(), ["waits false"]);
    office.writer_loop.tell_what_lacks(&no_space);
    assert_eq!(office.said(), ["full true"]);
    assert_eq!(Broken::StoppedBeforeTrail(no_space).code(), Code::DiskFull);
}
