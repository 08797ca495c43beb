//! The clerk without its threads: one turn at a time, on a directory of its own.

use super::packages::PackageSync;
use super::publish::{PublishError, choose_name, publish};
use super::*;
use crate::sys::payload::Budget;
use crate::sys::slots::Slots;
use jiff::{SignedDuration, Timestamp};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A desk, and what it tells the daemon and the sync helper.
struct Office {
    desk: Desk<Box<dyn Fn(Vec<Ack>)>>,
    acks: Receiver<Ack>,
    syncs: Receiver<Vec<u64>>,
    temp: TempDir,
}

fn office() -> Office {
    let temp = tempfile::tempdir().unwrap();
    let handoff = Arc::new(Dir::open(temp.path()).unwrap());
    let sub = |name: &str| Arc::new(handoff.ensure(name, 0o750).unwrap());
    let places = Places {
        taken: sub("taken"),
        drafts: sub("drafts"),
        slots: Arc::new(Slots::below(&handoff, temp.path()).unwrap()),
        processed: sub("processed"),
        failed: sub("failed"),
        status: sub("status"),
        handoff: Arc::new(Dir::open(temp.path()).unwrap()),
    };
    let store = Arc::new(Store::open(sub("store"), true).unwrap());
    let (to_daemon, acks) = crossbeam_channel::unbounded();
    let (to_sync, syncs) = crossbeam_channel::unbounded();
    let mut head = Head::new("store".to_owned());
    head.refresh(&places.handoff, &places.drafts, &store, true);
    let report: Box<dyn Fn(Vec<Ack>)> =
        Box::new(move |acks| acks.into_iter().for_each(|ack| to_daemon.send(ack).unwrap()));
    let desk = Desk::new((places, None), store, head, report, to_sync);
    Office { desk, acks, syncs, temp }
}

impl Office {
    /// One turn; whether the clerk goes on, and what it said.
    fn turn(&mut self, batch: Vec<Command>) -> (bool, Vec<String>) {
        let goes_on = self.desk.turn(batch).is_ok();
        (goes_on, self.said())
    }

    fn said(&self) -> Vec<String> {
        let words = |ack| match ack {
            Ack::Claimed { seq, .. } => format!("claimed {seq}"),
            Ack::Armed { seq } => format!("armed {seq}"),
            Ack::Recalled { claim, started } => format!("recalled {} started {started}", claim.seq),
            Ack::Republished(outcome) => format!("republished {} {}", outcome.seq, outcome.archived_as),
            Ack::Filed { seq, archived_as } => format!("filed {seq} {archived_as}"),
            Ack::Committed { records, .. } => format!("committed {records}"),
            Ack::DiskFull(full) => format!("full {}", full.is_some()),
            Ack::Retained(removed) => format!("retained {removed}"),
            Ack::Fatal { code, .. } => format!("fatal {}", code.id()),
        };
        self.acks.try_iter().map(words).collect()
    }

    /// A durable claim with these bytes.
    fn claim(&self, seq: u64, bytes: &[u8]) {
        let policy = conductor_core::intent::Policy { allow_scale_to_zero: false };
        let text = br#"{"intent_type": "scaling", "target": "t", "namespace": "n", "replicas": 3}"#;
        let intent = conductor_core::intent::judge(text, policy).unwrap();
        let claim = Claim {
            v: conductor_core::record::VERSION,
            seq,
            name: "intent-a.json".to_owned(),
            sha256: crate::seal::sha256(bytes),
            size: bytes.len() as u64,
            uid: 0,
            taken_at: Timestamp::UNIX_EPOCH,
            correlation_id: "c".to_owned(),
            key: intent.key,
            kind: intent.kind,
            replicas: intent.replicas,
            priority: intent.priority,
            timeout_secs: None,
            reason: None,
            source: None,
            inode: 1,
            mtime_ns: 1,
        };
        self.desk.store.write(|batch| batch.claim(&claim, bytes, false)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Whether publishing went well, and under which name the file is recorded.
    fn publish(&self, mut settlement: Settlement) -> (Result<(), String>, String) {
        let result =
            publish(&self.desk.places, &self.desk.store, &mut settlement).map_err(|error| match error {
                PublishError::NoSpace => "no space".to_owned(),
                PublishError::Io { source, .. } => source.to_string(),
                PublishError::Unread(error) => error.to_string(),
            });
        (result, settlement.outcome.archived_as)
    }
}

fn outcome(seq: u64, name: &str) -> Outcome {
    let archived_as = format!("processed/{name}");
    Outcome { archived_as, attempts: 1, ..Outcome::blank(seq, name, Timestamp::UNIX_EPOCH) }
}

fn settlement(seq: u64, source: Source) -> Settlement {
    let outcome = outcome(seq, "intent-a.json");
    Settlement {
        outcome,
        source,
        report: None,
        taken: None,
        republish: false,
        archived: false,
        renamed: false,
    }
}

/// A settlement of bytes that the store has.
fn stored(seq: u64, source: Source) -> Settlement {
    let mut stored = settlement(seq, source);
    stored.outcome.sha256 = Some(crate::seal::sha256(b"ours"));
    stored
}

fn bytes(text: &str) -> Source {
    Source::Bytes(Payload::new(text.as_bytes().to_vec(), &Budget::new(1 << 20)))
}

fn settle(seq: u64) -> Command {
    Command::Settle(Box::new(settlement(seq, bytes("{}"))))
}

fn long_ago() -> Option<Instant> {
    Instant::now().checked_sub(SYNC_AFTER * 2)
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn it_sleeps_until_something_is_due_and_no_longer() {
    type Change = fn(&mut Desk<Box<dyn Fn(Vec<Ack>)>>);
    let cases: [(&str, Change, Duration); 8] = [
        ("nothing to do", |_| {}, HOUR),
        ("retention", |desk| desk.retain_before = Some(Timestamp::UNIX_EPOCH), Duration::ZERO),
        ("files without space", |desk| desk.space_retry_at = long_ago(), Duration::ZERO),
        ("done, and no batch to ride with", |desk| desk.done = vec![1], SYNC_AFTER),
        (
            "done, with a sync that will answer",
            |desk| (desk.done, desk.sync_under_way) = (vec![1], true),
            HOUR,
        ),
        (
            "done, and more published since",
            |desk| (desk.done, desk.published, desk.published_since) = (vec![1], vec![2], long_ago()),
            Duration::ZERO,
        ),
        (
            "published long ago",
            |desk| (desk.published, desk.published_since) = (vec![2], long_ago()),
            Duration::ZERO,
        ),
        (
            "published, with a sync before it",
            |desk| {
                (desk.published, desk.published_since, desk.sync_under_way) = (vec![2], long_ago(), true);
            },
            HOUR,
        ),
    ];
    for (what, change, patience) in cases {
        let mut office = office();
        change(&mut office.desk);
        assert_eq!(office.desk.patience(), patience, "{what}");
    }
}

#[test]
fn a_batch_collects_only_while_nobody_waits() {
    let office = office();
    // The shortest of many: this machine may be busy, but not each time.
    let shortest = |hurry: bool, commands: &dyn Fn() -> Vec<Command>| {
        office.desk.hurry.store(hurry, Ordering::Release);
        let one = |_| {
            let (sender, receiver) = crossbeam_channel::unbounded();
            for command in commands() {
                sender.send(command).unwrap();
            }
            let (begun, mut batch) = (Instant::now(), Vec::new());
            office.desk.collect(&receiver, &mut batch);
            (begun.elapsed(), batch.len())
        };
        (0..20).map(one).min().unwrap()
    };
    let (took, size) = shortest(false, &|| vec![Command::Hurry]);
    assert!(took >= LINGER && size == 1, "{took:?}");
    let (took, size) = shortest(true, &|| vec![Command::Hurry]);
    assert!(took < LINGER && size == 1, "somebody waits: {took:?}");
    let (took, _) = shortest(false, &Vec::new);
    assert!(took < LINGER, "nothing has come: {took:?}");
    let (took, _) = shortest(false, &|| vec![Command::Stop]);
    assert!(took < LINGER, "the end: {took:?}");
    let (took, size) = shortest(false, &|| (0..=BATCH_MAX).map(|_| Command::Hurry).collect());
    assert!(took < LINGER && size == BATCH_MAX, "a full batch: {took:?} {size}");
}

#[test]
fn the_clerk_is_woken_when_somebody_begins_to_wait() {
    let (commands, received) = crossbeam_channel::unbounded();
    let hurry = Arc::new(AtomicBool::new(true));
    let clerk = Clerk { commands, abandon: Arc::default(), hurry: Arc::clone(&hurry), thread: None };
    for (now, woken) in [(true, false), (false, false), (false, false), (true, true), (true, false)] {
        clerk.set_hurry(now);
        assert_eq!((hurry.load(Ordering::Acquire), received.try_recv().is_ok()), (now, woken));
    }
}

#[test]
fn a_turn_commits_when_there_is_something_to_commit() {
    let committed = |done: usize, batch: Vec<Command>| {
        let mut office = office();
        office.desk.done = (1..=done as u64).collect();
        let (goes_on, said) = office.turn(batch);
        assert!(goes_on);
        (said, office.desk.done.len())
    };
    let commit = || vec!["committed 0".to_owned()];
    assert_eq!(committed(0, vec![]), (vec![], 0));
    assert_eq!(committed(0, vec![Command::Hurry]), (vec![], 0));
    // What is done rides along with others, or goes when none come, or when it is much.
    assert_eq!(committed(1, vec![Command::Hurry]), (vec![], 1));
    assert_eq!(committed(1, vec![]), (commit(), 0));
    assert_eq!(committed(SYNC_AT, vec![Command::Hurry]), (commit(), 0));
    let (durable, _told) = crossbeam_channel::bounded(1);
    let release = Command::Release { target: "n/t".to_owned(), durable };
    let (said, done) = committed(1, vec![settle(7), Command::Arm { seq: 8, attempt: 2 }, release]);
    assert_eq!(said, ["committed 3", "armed 8", "filed 7 processed/intent-a.json"]);
    assert_eq!(done, 0);
}

#[test]
fn what_found_no_space_is_tried_again_in_order_and_until_then_the_disk_is_full() {
    let mut office = office();
    office.desk.set_full(Some(Full::Files));
    office.desk.set_full(Some(Full::Files));
    assert_eq!(office.said(), ["full true"]);
    office.desk.unpublished = vec![settlement(1, bytes("1"))];
    office.desk.space_retry_at = Some(Instant::now() + HOUR);
    // The store has room in its own file; that says nothing about others.
    assert_eq!(office.turn(vec![settle(2)]), (true, vec!["committed 1".to_owned()]));
    office.desk.space_retry_at = long_ago();
    // Others that keep coming do not put it off.
    let (_, said) = office.turn(vec![Command::Arm { seq: 3, attempt: 1 }]);
    let filed = ["filed 1 processed/intent-a.json", "filed 2 processed/intent-a.2.json"];
    assert_eq!(said, [&["committed 1", "armed 3", "full false"], &filed[..]].concat());
    assert!(office.desk.unpublished.is_empty() && office.desk.patience() > Duration::ZERO);
}

#[test]
fn a_store_that_cannot_be_opened_again_is_waited_for_until_the_end_is_asked_for() {
    let locked = |office: &Office| {
        // A copy that somebody has open, in the place of ours.
        let (path, aside) = (office.path("store/ledger.redb"), office.path("store/aside"));
        std::fs::rename(&path, &aside).unwrap();
        std::fs::copy(aside, path).unwrap();
        Store::open(Arc::new(Dir::open(&office.path("store")).unwrap()), false).unwrap()
    };
    let mut office = office();
    let somebody = locked(&office);
    office.desk.abandon.store(true, Ordering::Release);
    assert!(office.desk.reopen().is_err());
    assert_eq!(office.said(), ["full true", "fatal E408"]);

    let mut office = self::office();
    let somebody_else = locked(&office);
    let acks = office.acks.clone();
    let leaves = std::thread::spawn(move || {
        let first = acks.recv();
        drop(somebody_else);
        matches!(first, Ok(Ack::DiskFull(Some(Full::State))))
    });
    assert!(office.desk.reopen().is_ok());
    assert!(leaves.join().unwrap());
    let (_, said) = office.turn(vec![settle(1)]);
    assert_eq!(said, ["full false", "committed 1", "filed 1 processed/intent-a.json"]);

    // Gone is not full.
    std::fs::remove_file(office.path("store/ledger.redb")).unwrap();
    assert!(office.desk.reopen().is_err());
    assert_eq!(office.said(), ["fatal E404"]);
    drop(somebody);
}

#[test]
fn a_failed_sync_is_not_believed() {
    let failed = || Err(io::Error::from_raw_os_error(5));
    let mut office = office();
    assert_eq!(
        office.turn(vec![Command::Synced { seqs: vec![1], result: failed() }]),
        (false, vec!["fatal E406".to_owned()])
    );
    let settlements = vec![settlement(1, bytes(""))];
    assert_eq!(
        office.turn(vec![Command::PackagesSynced { settlements, result: failed() }]),
        (false, vec!["fatal E406".to_owned()])
    );
}

#[test]
fn an_outcome_of_the_embedded_engine_waits_until_its_package_is_synced() {
    let mut office = office();
    let (back, synced) = crossbeam_channel::unbounded();
    office.desk.packages = Some(PackageSync::start(Dir::open(office.temp.path()).unwrap(), back).unwrap());
    assert_eq!(office.turn(vec![settle(1)]), (true, vec![]));
    let answer = synced.recv_timeout(Duration::from_secs(30)).unwrap();
    let (_, said) = office.turn(vec![answer]);
    assert_eq!(said, ["committed 1", "filed 1 processed/intent-a.json"]);
    // Without a run there is nothing to wait for; what comes from the store was synced before it was recorded.
    for (attempts, republish, waits) in
        [(1, false, true), (3, false, true), (0, false, false), (1, true, false), (0, true, false)]
    {
        let mut told = settlement(2, bytes("{"));
        (told.outcome.attempts, told.republish) = (attempts, republish);
        assert_eq!(PackageSync::covers(&told), waits, "{attempts} {republish}");
    }
}

#[test]
fn one_sync_at_a_time_covers_what_was_published_before() {
    let mut office = office();
    office.turn(vec![settle(1)]);
    assert!(office.syncs.is_empty(), "it is not due yet");
    office.desk.published_since = long_ago();
    office.turn(vec![]);
    assert_eq!(office.syncs.try_recv(), Ok(vec![1]));
    office.desk.published = vec![2];
    office.desk.published_since = long_ago();
    office.turn(vec![]);
    assert!(office.syncs.is_empty(), "the first has not answered");
    office.turn(vec![Command::Synced { seqs: vec![1], result: Ok(()) }]);
    assert_eq!(office.syncs.try_recv(), Ok(vec![2]));
}

#[test]
fn a_clean_end_leaves_nothing_for_the_next_start() {
    let mut office = office();
    office.turn(vec![settle(1)]);
    office.desk.published_since = long_ago();
    office.turn(vec![settle(2)]);
    office.turn(vec![settle(3)]);
    office.turn(vec![Command::Synced { seqs: vec![1, 2], result: Ok(()) }]);
    assert_eq!((&office.desk.done, &office.desk.published), (&vec![1, 2], &vec![3]));
    assert_eq!(office.desk.store.sizes().unwrap().0, 3);
    office.desk.finish();
    assert_eq!(office.desk.store.sizes().unwrap().0, 0);
    let head: HeadBody = serde_json::from_slice(&office.read(HEAD_FILE)).unwrap();
    assert_eq!((head.counts.processed, head.last_seq), (3, 3));
}

#[test]
fn retention_goes_in_rounds_and_says_what_it_removed() {
    let mut office = office();
    let young = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    let all: Vec<Outcome> = (1..=300).map(|seq| outcome(seq, &format!("intent-{seq}.json"))).collect();
    let kept = Outcome { finished_at: young, ..outcome(301, "intent-301.json") };
    let all: Vec<Outcome> = all.into_iter().chain([kept]).collect();
    office
        .desk
        .store
        .write(|batch| {
            all.iter().try_for_each(|one| batch.settle(one, None, Kept::File))?;
            batch.done(&all.iter().map(|one| one.seq).collect::<Vec<_>>())
        })
        .unwrap();
    // What is exactly as old as the bound is not older.
    let retain = || vec![Command::Retain { before: young }];
    assert_eq!(office.turn(retain()), (true, vec!["retained 256".to_owned()]));
    assert_eq!(office.desk.patience(), Duration::ZERO, "the rest follows at once");
    assert_eq!(office.turn(vec![]), (true, vec!["retained 44".to_owned()]));
    assert_eq!(office.turn(vec![]), (true, vec![]));
    assert_eq!(office.turn(retain()), (true, vec![]), "nothing was removed, so nothing is said");
    let mut left = Vec::new();
    office
        .desk
        .store
        .outcomes(|one| {
            left.push(one.seq);
            true
        })
        .unwrap();
    assert_eq!(left, [301]);
}

#[test]
fn retention_leaves_the_status_of_a_later_run_alone() {
    let office = office();
    let old = outcome(1, "intent-a.json");
    let places = &office.desk.places;
    let body = old.status_body();
    // The status of a later run may even begin like the old one.
    let longer = [&body[..], b" "].concat();
    for (content, stays) in [(&longer[..], true), (b"another".as_slice(), true), (&body[..], false)] {
        std::fs::write(office.path("status").join(conductor_core::name::status_name(&old.name)), content)
            .unwrap();
        office
            .desk
            .store
            .write(|batch| {
                batch.settle(&old, None, Kept::File)?;
                batch.done(&[1])
            })
            .unwrap();
        retention::sweep(places, &office.desk.store, Timestamp::now()).unwrap();
        assert_eq!(places.status.names().unwrap().len(), usize::from(stays), "{content:?}");
    }
}

#[test]
fn a_name_is_chosen_that_nobody_has() {
    let office = office();
    let mut reserved = HashSet::new();
    std::fs::write(office.path("processed/intent-b.json"), "somebody's").unwrap();
    let cases = [
        (1, "intent-a.json", "processed/intent-a.json"),
        (2, "intent-a.json", "processed/intent-a.2.json"), // Reserved by the one before, in the same batch.
        (3, "intent-b.json", "processed/intent-b.3.json"), // On the disk.
    ];
    for (seq, name, wanted) in cases {
        let mut one = outcome(seq, name);
        choose_name(&office.desk.places, &mut one, &mut reserved).unwrap();
        assert_eq!(one.archived_as, wanted);
    }
}

#[test]
fn a_stranger_in_the_way_costs_one_other_name_and_is_never_overwritten() {
    let office = office();
    std::fs::write(office.path("processed/intent-a.json"), "a stranger's").unwrap();
    let numbered = || "processed/intent-a.7.json".to_owned();
    assert_eq!(office.publish(settlement(7, bytes("ours"))), (Ok(()), numbered()));
    assert_eq!(office.read("processed/intent-a.7.json"), b"ours");
    // Both names taken: it gives up, and says why.
    let (result, _) = office.publish(settlement(7, bytes("ours")));
    assert!(result.unwrap_err().contains("File exists"));
    assert_eq!(office.read("processed/intent-a.json"), b"a stranger's");
    assert!(office.desk.places.drafts.names().unwrap().is_empty(), "no draft stays behind");
}

#[test]
fn what_cannot_be_archived_is_never_said_to_be() {
    let office = office();
    let too_long = |source: Source| {
        let mut settlement = settlement(7, source);
        settlement.outcome.archived_as = format!("processed/{}", "n".repeat(256));
        office.publish(settlement)
    };
    let taken = || TakenName { seq: 7, raw: b"intent-a.json".as_slice().into() };
    std::fs::write(office.path("taken/7.intent-a.json"), "taken").unwrap();
    for source in [Source::Taken(taken()), bytes("ours")] {
        let (result, name) = too_long(source);
        assert!(result.unwrap_err().contains("File name too long"));
        assert_eq!(name.len(), "processed/".len() + 256, "another reason is no reason for another name");
    }
    // Moved by the daemon that died before it could say so.
    std::fs::rename(office.path("taken/7.intent-a.json"), office.path("processed/intent-a.json")).unwrap();
    let (result, name) = office.publish(settlement(7, Source::Taken(taken())));
    assert_eq!((result, name.as_str()), (Ok(()), "processed/intent-a.json"));
}

#[test]
fn a_staged_copy_that_is_gone_is_made_from_the_bytes() {
    let office = office();
    let staged = || stored(7, Source::Staged { slot: 3 });
    let (result, _) = office.publish(staged());
    assert!(result.unwrap_err().contains("its record is missing"), "and never an empty file");
    assert!(office.desk.places.processed.names().unwrap().is_empty());
    office.claim(7, b"ours");
    let (result, _) = office.publish(staged());
    assert_eq!((result, office.read("processed/intent-a.json")), (Ok(()), b"ours".to_vec()));
    // Whatever stands in its place.
    let office = self::office();
    office.claim(7, b"ours");
    std::fs::write(office.path("staging/3"), "no directory").unwrap();
    let (result, _) = office.publish(staged());
    assert_eq!((result, office.read("processed/intent-a.json")), (Ok(()), b"ours".to_vec()));
}

#[test]
fn what_a_power_cut_left_is_replaced_and_what_is_whole_is_left_alone() {
    let office = office();
    let path = office.path("processed/intent-a.json");
    for (found, untouched) in [("ours", true), ("ou", false), ("ours and more", false), ("else", false)] {
        std::fs::write(&path, found).unwrap();
        // A second link keeps the number of the file from being used again.
        let old = office.path("old");
        std::fs::hard_link(&path, &old).unwrap();
        let again = Settlement { republish: true, ..settlement(7, bytes("ours")) };
        assert_eq!(office.publish(again), (Ok(()), "processed/intent-a.json".to_owned()));
        assert_eq!(std::fs::read(&path).unwrap(), b"ours", "{found}");
        let same = std::fs::metadata(&path).unwrap().ino() == std::fs::metadata(&old).unwrap().ino();
        assert_eq!(same, untouched, "{found}");
        std::fs::remove_file(old).unwrap();
    }
}

#[test]
fn a_draft_that_was_left_behind_and_a_name_without_room_for_one_are_no_obstacle() {
    let office = office();
    std::fs::write(office.path("drafts/intent-a.json.draft"), "of a daemon that died").unwrap();
    assert_eq!(office.publish(settlement(7, bytes("ours"))).0, Ok(()));
    assert_eq!(office.read("processed/intent-a.json"), b"ours");
    for length in [249, 250, 255] {
        let name = "n".repeat(length);
        let mut long = settlement(7, bytes("ours"));
        long.outcome.archived_as = format!("processed/{name}");
        assert_eq!(office.publish(long).0, Ok(()), "{length}");
        assert_eq!(office.read(&format!("processed/{name}")), b"ours");
    }
    assert!(office.desk.places.drafts.names().unwrap().is_empty());
}

#[test]
fn the_head_is_looked_at_again_when_it_may_have_changed() {
    let mut office = office();
    assert_eq!(office.desk.head.patience(), HOUR, "it says what there is to say");
    office.desk.head.set_not_ready(conductor_core::ready::Reasons::default());
    assert_eq!(office.desk.head.patience(), Duration::ZERO);
    let ready = |office: &Office| serde_json::from_slice::<HeadBody>(&office.read(HEAD_FILE)).unwrap().ready;
    office.turn(vec![]);
    assert!(ready(&office), "readiness is told at once");
    // Outcomes change it once a second at most.
    office.turn(vec![settle(1)]);
    let head: HeadBody = serde_json::from_slice(&office.read(HEAD_FILE)).unwrap();
    assert_eq!(head.counts.processed, 0);
    let fresh = Head::new(String::new()).patience();
    assert!(fresh > Duration::ZERO && fresh <= Duration::from_secs(1), "{fresh:?}");
}

#[test]
fn what_an_earlier_daemon_decided_is_published_before_anything_newer() {
    let mut office = office();
    let refused =
        |seq| Outcome { sha256: Some(crate::seal::sha256(b"ours")), ..outcome(seq, "intent-a.json") };
    let decided = [refused(1), Outcome { archived_as: "processed/intent-a.2.json".to_owned(), ..refused(2) }];
    office
        .desk
        .store
        .write(|batch| decided.iter().try_for_each(|one| batch.settle(one, None, Kept::Bytes(b"ours"))))
        .unwrap();
    let again = |seq| Again { seq, taken: None };
    let (goes_on, said) = office.turn(vec![settle(3), Command::Republish(vec![again(1), again(2)])]);
    let republished = ["republished 1 processed/intent-a.json", "republished 2 processed/intent-a.2.json"];
    let filed = ["committed 1", "filed 3 processed/intent-a.3.json"];
    assert!(goes_on);
    assert_eq!(said, [&republished[..], &filed[..]].concat());
    assert_eq!(office.read("processed/intent-a.2.json"), b"ours");
    // What cannot be read is no file, and the end.
    let (goes_on, said) = office.turn(vec![Command::Republish(vec![again(9)])]);
    assert_eq!((goes_on, said), (false, vec!["fatal E404".to_owned()]));
}
