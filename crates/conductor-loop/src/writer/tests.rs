//! The writer without its threads: one turn at a time, on a directory of its own.

mod archive;
mod audit;
mod neighbour;
mod waiting;

use super::limits::{BATCH_MAX, LINGER, SYNC_AFTER, SYNC_AT};
use super::packages::PackageSync;
use super::writer_loop::{self, WriterLoop};
use super::{
    Ack, Again, Command, Full, Head, Holding, NewClaim, Parts, Publication, PublicationKind, Source, Writer,
};
use crate::handoff::layout::HEAD as HEAD_FILE;
use crate::handoff::{Dirs, HeadBody, Slots};
use crate::payload::{Budget, Payload};
use crate::store::{Decided, Kept, Ledger, Store, Work};
use conductor_core::attestation::{Attest, Envelope, Signature};
use conductor_core::record::{Claim, Clearance, Outcome};
use conductor_core::{Attempt, Seq};
use conductor_os::dir::Dir;
use conductor_os::outlet::Outlet;
use crossbeam_channel::Receiver;
use jiff::{SignedDuration, Timestamp};
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

thread_local! {
    /// The clock's reading for the writer of this test.
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
    /// The beginning of a test, and the time that it simulates since then.
    static BEGUN: Cell<Instant> = Cell::new(Instant::now());
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn set_now(hours: i64) -> Timestamp {
    NOW.set(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours));
    NOW.get()
}

/// A writer loop, and its messages to the daemon and the sync helper.
struct Office {
    writer_loop: WriterLoop<Box<dyn Fn(Vec<Ack>)>>,
    acks: Receiver<Ack>,
    syncs: Receiver<Vec<Seq>>,
    temp: TempDir,
}

fn office() -> Office {
    office_in(tempfile::tempdir().unwrap())
}

/// An office in a directory that another may have used before.
fn office_in(temp: TempDir) -> Office {
    let handoff = Arc::new(Dir::open(temp.path()).unwrap());
    let sub = |name: &str| Arc::new(handoff.ensure(name, 0o750).unwrap());
    let places = Dirs {
        taken: sub("taken"),
        private: Arc::clone(&handoff),
        drafts: sub("drafts"),
        slots: Arc::new(Slots::below(&handoff, temp.path()).unwrap()),
        processed: sub("processed"),
        failed: sub("failed"),
        status: sub("status"),
        handoff: Arc::new(Dir::open(temp.path()).unwrap()),
    };
    // Scrambled: a value that bypasses the store's codec is noticed in the whole life of an intent.
    let store: Arc<dyn Ledger> = Arc::new(Store::scrambled(sub("store")));
    let (to_daemon, acks) = crossbeam_channel::unbounded();
    let (to_sync, syncs) = crossbeam_channel::unbounded();
    let mut head = Head::new("store".to_owned(), None, None);
    head.refresh(&places.handoff, &places.drafts, &*store, true);
    let report: Box<dyn Fn(Vec<Ack>)> =
        Box::new(move |acks| acks.into_iter().for_each(|ack| to_daemon.send(ack).unwrap()));
    let parts = writer_loop::Office {
        places,
        packages: None,
        store,
        keys: Arc::new(Unsigned),
        head,
        retention: SignedDuration::from_hours(168),
        audit: None,
    };
    let mut writer_loop = WriterLoop::new(parts, report, to_sync);
    writer_loop.clocks.now = || NOW.get();
    Office { writer_loop, acks, syncs, temp }
}

/// Signs with a constant: what is signed is tested elsewhere.
struct Unsigned;

impl Attest for Unsigned {
    fn key(&self) -> &'static str {
        "test"
    }

    fn attest(&self, key: &str, statement: Vec<u8>) -> Envelope {
        let sig = Signature { keyid: key.to_owned(), sig: conductor_crypto::sha256(&statement).to_string() };
        Envelope { payload_type: "test".to_owned(), payload: String::new(), signatures: vec![sig] }
    }
}

impl Office {
    /// Runs one turn; returns whether the writer continues, and its messages.
    fn turn(&mut self, batch: Vec<Command>) -> (bool, Vec<String>) {
        let goes_on = self.writer_loop.turn(batch).is_ok();
        (goes_on, self.said())
    }

    fn said(&self) -> Vec<String> {
        let words = |ack| match ack {
            Ack::Claimed { seq, .. } => format!("claimed {seq}"),
            Ack::Reserved { seq } => format!("reserved {seq}"),
            Ack::Recalled { claim, started } => format!("recalled {} started {started}", claim.seq),
            Ack::Republished(outcome) => format!("republished {} {}", outcome.seq, outcome.archived_as),
            Ack::Filed { seq, archived_as } => format!("filed {seq} {archived_as}"),
            Ack::Committed { records, .. } => format!("committed {records}"),
            Ack::DiskFull(full) => format!("full {}", full.is_some()),
            Ack::FilingWaits(waits) => format!("waits {waits}"),
            Ack::Retained(removed) => format!("retained {removed}"),
            Ack::Audited(head) => format!("audited {}", head.size),
            Ack::Fatal(broken) => format!("fatal {}", broken.code().id()),
        };
        self.acks.try_iter().map(words).collect()
    }

    /// Makes a claim with these bytes durable.
    fn claim(&self, seq: Seq, bytes: &[u8]) {
        let policy = conductor_core::intent::Policy { allow_scale_to_zero: false };
        let text = br#"{"intent_type": "scaling", "target": "t", "namespace": "n", "replicas": 3}"#;
        let intent = conductor_core::intent::judge(text, policy).unwrap();
        let claim = Claim {
            name: "intent-a.json".to_owned(),
            sha256: conductor_crypto::sha256(bytes),
            size: bytes.len() as u64,
            correlation_id: "c".to_owned(),
            key: intent.key,
            replicas: intent.replicas,
            priority: intent.priority,
            ..conductor_testkit::claim(seq)
        };
        self.writer_loop.store.commit(&Work::claim(&claim, bytes, false)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

fn outcome(seq: Seq, name: &str) -> Outcome {
    let archived_as = format!("processed/{name}");
    Outcome { archived_as, attempts: 1, ..Outcome::blank(seq, name, Timestamp::UNIX_EPOCH) }
}

fn publication(seq: Seq, source: Source) -> Publication {
    let outcome = outcome(seq, "intent-a.json");
    Publication { outcome, source, report: None, taken: None, kind: PublicationKind::First }
}

/// A publication of bytes that the store has.
fn stored(seq: Seq, source: Source) -> Publication {
    let mut stored = publication(seq, source);
    stored.outcome.sha256 = Some(conductor_crypto::sha256(b"ours"));
    stored
}

fn bytes(text: &str) -> Source {
    Source::Bytes(Payload::new(text.as_bytes().to_vec(), &Budget::new(1 << 20)))
}

fn settle(seq: Seq) -> Command {
    Command::Settle(Box::new(publication(seq, bytes("{}"))))
}

fn long_ago() -> Option<Instant> {
    Instant::now().checked_sub(SYNC_AFTER * 2)
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn it_sleeps_until_something_is_due_and_no_longer() {
    type Change = fn(&mut WriterLoop<Box<dyn Fn(Vec<Ack>)>>);
    let cases: [(&str, Change, Duration); 8] = [
        ("nothing to do", |_| {}, HOUR),
        ("retention", |writer_loop| writer_loop.begin_sweep(Timestamp::UNIX_EPOCH), Duration::ZERO),
        ("files without space", |writer_loop| writer_loop.retry_at = long_ago(), Duration::ZERO),
        ("done, and no batch to ride with", |writer_loop| writer_loop.done = vec![Seq(1)], SYNC_AFTER),
        (
            "done, with a sync that will answer",
            |writer_loop| (writer_loop.done, writer_loop.sync_under_way) = (vec![Seq(1)], true),
            HOUR,
        ),
        (
            "done, and more published since",
            |writer_loop| {
                (writer_loop.done, writer_loop.published, writer_loop.published_since) =
                    (vec![Seq(1)], vec![Seq(2)], long_ago());
            },
            Duration::ZERO,
        ),
        (
            "published long ago",
            |writer_loop| (writer_loop.published, writer_loop.published_since) = (vec![Seq(2)], long_ago()),
            Duration::ZERO,
        ),
        (
            "published, with a sync before it",
            |writer_loop| {
                (writer_loop.published, writer_loop.published_since, writer_loop.sync_under_way) =
                    (vec![Seq(2)], long_ago(), true);
            },
            HOUR,
        ),
    ];
    for (what, change, patience) in cases {
        let mut office = office();
        change(&mut office.writer_loop);
        assert_eq!(office.writer_loop.patience(), patience, "{what}");
    }
}

#[test]
fn a_batch_collects_only_while_nobody_waits() {
    let mut office = office();
    office.writer_loop.clock = || BEGUN.get() + PASSED.get();
    let moment = Duration::from_millis(1);
    let synced = Command::PackagesSynced { publications: vec![], result: Ok(()) };
    let full = || (0..BATCH_MAX).map(|_| Command::Flush).collect::<Vec<_>>();
    let cases = [
        ("it begins", false, Duration::ZERO, vec![Command::Flush], Some(LINGER)),
        ("it goes on", false, LINGER.saturating_sub(moment), vec![Command::Flush], Some(moment)),
        ("it has waited", false, LINGER, vec![Command::Flush], None),
        ("it has waited for longer", false, LINGER * 2, vec![Command::Flush], None),
        ("somebody waits", true, Duration::ZERO, vec![Command::Flush], None),
        ("nothing has come", false, Duration::ZERO, vec![], None),
        ("the end", false, Duration::ZERO, vec![Command::Flush, Command::Stop], None),
        ("its packages are synced", false, Duration::ZERO, vec![Command::Flush, synced], None),
        ("a full batch", false, Duration::ZERO, full(), None),
    ];
    for (what, flush, passed, batch, left) in cases {
        office.writer_loop.flush.store(flush, Ordering::Release);
        PASSED.set(passed);
        assert_eq!(office.writer_loop.collects_for(&batch, BEGUN.get()), left, "{what}");
    }
    // Commands beyond a batch's size wait for the next batch.
    let (sender, receiver) = crossbeam_channel::unbounded();
    full().into_iter().chain([Command::Flush]).for_each(|command| sender.send(command).unwrap());
    let mut batch = Vec::new();
    office.writer_loop.collect(&receiver, &mut batch);
    assert_eq!((batch.len(), receiver.len()), (BATCH_MAX, 1));
}

#[test]
fn the_writer_is_woken_when_a_worker_begins_to_wait() {
    let (commands, received) = crossbeam_channel::unbounded();
    let flush = Arc::new(AtomicBool::new(true));
    let writer =
        Writer { commands, abandon: Arc::default(), flush: Arc::clone(&flush), refusals: None, thread: None };
    for (now, woken) in [(true, false), (false, false), (false, false), (true, true), (true, false)] {
        writer.set_flush(now);
        assert_eq!((flush.load(Ordering::Acquire), received.try_recv().is_ok()), (now, woken));
    }
}

#[test]
fn what_cannot_wait_ends_the_collecting_of_a_batch() {
    const LONG: Duration = Duration::from_mins(1);
    for ask in [|writer: &mut Writer| writer.set_flush(true), Writer::stop] {
        let (commands, received) = crossbeam_channel::unbounded();
        let (say, told) = crossbeam_channel::bounded(1);
        let (abandon, flush) = (Arc::default(), Arc::default());
        let waits = Arc::clone(&flush);
        let collecting = std::thread::spawn(move || {
            let mut office = office();
            (office.writer_loop.linger, office.writer_loop.flush) = (LONG, waits);
            let (begun, mut batch) = (Instant::now(), vec![settle(Seq(1))]);
            office.writer_loop.collect(&received, &mut batch);
            say.send((batch.len(), begun.elapsed())).unwrap();
        });
        let mut writer = Writer { commands, abandon, flush, refusals: None, thread: Some(collecting) };
        writer.send(settle(Seq(2)));
        while !writer.commands.is_empty() {
            std::thread::yield_now();
        }
        ask(&mut writer);
        let (batch, took) = told.recv().unwrap();
        assert_eq!(batch, 3);
        assert!(took < LONG);
    }
}

#[test]
fn a_turn_commits_when_there_is_something_to_commit() {
    let committed = |done: usize, batch: Vec<Command>| {
        let mut office = office();
        office.writer_loop.done = (1..=done as u64).map(Seq).collect();
        let (goes_on, said) = office.turn(batch);
        assert!(goes_on);
        (said, office.writer_loop.done.len())
    };
    let commit = || vec!["committed 0".to_owned()];
    assert_eq!(committed(0, vec![]), (vec![], 0));
    assert_eq!(committed(0, vec![Command::Flush]), (vec![], 0));
    // DONE is written with other commands, or when none come, or when there are many.
    assert_eq!(committed(1, vec![Command::Flush]), (vec![], 1));
    assert_eq!(committed(1, vec![]), (commit(), 0));
    assert_eq!(committed(SYNC_AT, vec![Command::Flush]), (commit(), 0));
    let (durable, _told) = crossbeam_channel::bounded(1);
    let release = Command::Hold { holding: Holding::Released { target: "n/t".to_owned(), uid: 7 }, durable };
    let (said, done) =
        committed(1, vec![settle(Seq(7)), Command::Reserve { seq: Seq(8), attempt: Attempt(2) }, release]);
    assert_eq!(said, ["committed 3", "reserved 8", "filed 7 processed/intent-a.json"]);
    assert_eq!(done, 0);
}

#[test]
fn a_prepared_run_is_cleared_once_its_claim_is_durable_and_told_what_it_repeats() {
    let mut office = office();
    let mut claim = |seq: u64, text: &str| {
        let claim = Claim {
            sha256: conductor_crypto::sha256(text.as_bytes()),
            size: text.len() as u64,
            ..conductor_testkit::claim(seq)
        };
        let bytes = Payload::new(text.as_bytes().to_vec(), &Budget::new(1 << 20));
        let (give, clearance) = crossbeam_channel::bounded(1);
        let new = NewClaim { claim: Box::new(claim.clone()), bytes, reserve: true, clearance: Some(give) };
        let (_, said) = office.turn(vec![Command::Claim(new)]);
        assert_eq!(said, ["committed 1".to_owned(), format!("claimed {seq}")]);
        let outcome = Outcome {
            key: Some(claim.key.clone()),
            sha256: Some(claim.sha256),
            attempts: 1,
            ..outcome(Seq(seq), &claim.name)
        };
        let stored = Publication { outcome, ..publication(Seq(seq), Source::Stored) };
        office.turn(vec![Command::Settle(Box::new(stored))]);
        clearance.try_recv().unwrap()
    };
    assert_eq!(claim(1, "a"), Clearance::Begin);
    assert_eq!(claim(2, "a"), Clearance::Repeats);
    assert_eq!(claim(3, "b"), Clearance::Begin);
    assert_eq!(claim(4, "a"), Clearance::Begin, "what came between changed it");
}

#[test]
fn what_found_no_space_is_tried_again_in_order_and_until_then_the_disk_is_full() {
    let mut office = office();
    office.writer_loop.set_full(Some(Full::Files));
    office.writer_loop.set_full(Some(Full::Files));
    assert_eq!(office.said(), ["full true"]);
    office.writer_loop.unpublished = vec![publication(Seq(1), bytes("1")).into()];
    office.writer_loop.retry_at = Some(Instant::now() + HOUR);
    // The store has room in its own file; that proves nothing about other files.
    assert_eq!(office.turn(vec![settle(Seq(2))]), (true, vec!["committed 1".to_owned()]));
    office.writer_loop.retry_at = long_ago();
    // A steady stream of others does not postpone it.
    let (_, said) = office.turn(vec![Command::Reserve { seq: Seq(3), attempt: Attempt(1) }]);
    let filed = ["filed 1 processed/intent-a.json", "filed 2 processed/intent-a.2.json"];
    assert_eq!(said, [&["committed 1", "reserved 3", "full false"], &filed[..]].concat());
    assert!(office.writer_loop.unpublished.is_empty() && office.writer_loop.patience() > Duration::ZERO);
}

#[test]
fn a_store_that_cannot_be_opened_again_is_waited_for_until_the_end_is_asked_for() {
    let locked = |office: &Office| {
        // A copy that another process has open, in place of ours.
        let (path, aside) = (office.path("store/ledger.redb"), office.path("store/aside"));
        std::fs::rename(&path, &aside).unwrap();
        std::fs::copy(aside, path).unwrap();
        Store::scrambled(Arc::new(Dir::open(&office.path("store")).unwrap()))
    };
    let mut office = office();
    let somebody = locked(&office);
    office.writer_loop.abandon.store(true, Ordering::Release);
    assert!(office.writer_loop.reopen().is_err());
    assert_eq!(office.said(), ["full true", "fatal E408"]);

    let mut office = self::office();
    let somebody_else = locked(&office);
    let acks = office.acks.clone();
    let leaves = std::thread::spawn(move || {
        let first = acks.recv();
        drop(somebody_else);
        matches!(first, Ok(Ack::DiskFull(Some(Full::State))))
    });
    assert!(office.writer_loop.reopen().is_ok());
    assert!(leaves.join().unwrap());
    let (_, said) = office.turn(vec![settle(Seq(1))]);
    assert_eq!(said, ["full false", "committed 1", "filed 1 processed/intent-a.json"]);

    // A missing store is not a full disk.
    std::fs::remove_file(office.path("store/ledger.redb")).unwrap();
    assert!(office.writer_loop.reopen().is_err());
    assert_eq!(office.said(), ["fatal E404"]);
    drop(somebody);
}

#[test]
fn a_failed_sync_is_not_believed() {
    let failed = || Err(io::Error::from_raw_os_error(5));
    let mut office = office();
    assert_eq!(
        office.turn(vec![Command::Synced { seqs: vec![Seq(1)], result: failed() }]),
        (false, vec!["fatal E406".to_owned()])
    );
    let publications = vec![publication(Seq(1), bytes(""))];
    assert_eq!(
        office.turn(vec![Command::PackagesSynced { publications, result: failed() }]),
        (false, vec!["fatal E406".to_owned()])
    );
}

#[test]
fn an_outcome_of_the_embedded_engine_waits_until_its_package_is_synced() {
    let mut office = office();
    let (back, synced) = crossbeam_channel::unbounded();
    office.writer_loop.packages =
        Some(PackageSync::start(Arc::new(Outlet::new(office.temp.path(), true).unwrap()), back).unwrap());
    assert_eq!(office.turn(vec![settle(Seq(1))]), (true, vec![]));
    let answer = synced.recv_timeout(Duration::from_secs(30)).unwrap();
    let (_, said) = office.turn(vec![answer]);
    assert_eq!(said, ["committed 1", "filed 1 processed/intent-a.json"]);
    // Without a run there is no package to wait for; content from the store was synced before it was recorded.
    let (first, again) = (PublicationKind::First, PublicationKind::Again);
    for (attempts, kind, waits) in
        [(1, first, true), (3, first, true), (0, first, false), (1, again, false), (0, again, false)]
    {
        let mut told = publication(Seq(2), bytes("{"));
        (told.outcome.attempts, told.kind) = (attempts, kind);
        assert_eq!(PackageSync::covers(&told), waits, "{attempts} {kind:?}");
    }
}

#[test]
fn one_sync_at_a_time_covers_what_was_published_before() {
    let mut office = office();
    office.turn(vec![settle(Seq(1))]);
    assert!(office.syncs.is_empty(), "it is not due yet");
    office.writer_loop.published_since = long_ago();
    office.turn(vec![]);
    assert_eq!(office.syncs.try_recv(), Ok(vec![Seq(1)]));
    office.writer_loop.published = vec![Seq(2)];
    office.writer_loop.published_since = long_ago();
    office.turn(vec![]);
    assert!(office.syncs.is_empty(), "the first has not answered");
    office.turn(vec![Command::Synced { seqs: vec![Seq(1)], result: Ok(()) }]);
    assert_eq!(office.syncs.try_recv(), Ok(vec![Seq(2)]));
}

#[test]
fn a_clean_end_leaves_nothing_for_the_next_start() {
    let mut office = office();
    office.turn(vec![settle(Seq(1))]);
    office.writer_loop.published_since = long_ago();
    office.turn(vec![settle(Seq(2))]);
    office.turn(vec![settle(Seq(3))]);
    office.turn(vec![Command::Synced { seqs: vec![Seq(1), Seq(2)], result: Ok(()) }]);
    assert_eq!(
        (&office.writer_loop.done, &office.writer_loop.published),
        (&vec![Seq(1), Seq(2)], &vec![Seq(3)])
    );
    assert_eq!(office.writer_loop.store.sizes().unwrap().0, 3);
    office.writer_loop.finish();
    assert_eq!(office.writer_loop.store.sizes().unwrap().0, 0);
    let head: HeadBody = serde_json::from_slice(&office.read(HEAD_FILE)).unwrap();
    assert_eq!((head.counts.processed, head.last_seq), (3, Seq(3)));
}

#[test]
fn the_head_is_looked_at_again_when_it_may_have_changed() {
    let mut office = office();
    assert_eq!(office.writer_loop.head.patience(), HOUR, "it says what there is to say");
    office.writer_loop.head.set_not_ready(conductor_core::ready::Reasons::default());
    assert_eq!(office.writer_loop.head.patience(), Duration::ZERO);
    let ready = |office: &Office| serde_json::from_slice::<HeadBody>(&office.read(HEAD_FILE)).unwrap().ready;
    office.turn(vec![]);
    assert!(ready(&office), "readiness is told at once");
    // Outcomes change the head at most once a second.
    office.turn(vec![settle(Seq(1))]);
    let head: HeadBody = serde_json::from_slice(&office.read(HEAD_FILE)).unwrap();
    assert_eq!(head.counts.processed, 0);
    let fresh = Head::new(String::new(), None, None).patience();
    assert!(fresh > Duration::ZERO && fresh <= Duration::from_secs(1), "{fresh:?}");
}

#[test]
fn what_an_earlier_daemon_decided_is_published_before_anything_newer() {
    let mut office = office();
    let refused =
        |seq| Outcome { sha256: Some(conductor_crypto::sha256(b"ours")), ..outcome(seq, "intent-a.json") };
    let recorded = |outcome| Decided { outcome, report: None, kept: Kept::Bytes(b"ours") };
    let decided =
        [refused(Seq(1)), Outcome { archived_as: "processed/intent-a.2.json".to_owned(), ..refused(Seq(2)) }];
    office
        .writer_loop
        .store
        .commit(&Work { decided: decided.iter().map(recorded).collect(), ..Work::default() })
        .unwrap();
    let again = |seq| Again { seq, taken: None };
    let (goes_on, said) =
        office.turn(vec![settle(Seq(3)), Command::Republish(vec![again(Seq(1)), again(Seq(2))])]);
    let republished = ["republished 1 processed/intent-a.json", "republished 2 processed/intent-a.2.json"];
    let filed = ["committed 1", "filed 3 processed/intent-a.3.json"];
    assert!(goes_on);
    assert_eq!(said, [&republished[..], &filed[..]].concat());
    assert_eq!(office.read("processed/intent-a.2.json"), b"ours");
    // Unreadable content is never archived as a file, and ends the writer.
    let (goes_on, said) = office.turn(vec![Command::Republish(vec![again(Seq(9))])]);
    assert_eq!((goes_on, said), (false, vec!["fatal E404".to_owned()]));
}

#[test]
fn what_is_published_again_waits_too_after_space_was_lacking() {
    let mut office = office();
    let outcome =
        Outcome { sha256: Some(conductor_crypto::sha256(b"ours")), ..outcome(Seq(1), "intent-a.json") };
    let decided = vec![Decided { outcome: &outcome, report: None, kept: Kept::Bytes(b"ours") }];
    office.writer_loop.store.commit(&Work { decided, ..Work::default() }).unwrap();
    office.writer_loop.retry_at = Some(Instant::now() + HOUR);
    let again = vec![Again { seq: Seq(1), taken: None }];
    let (goes_on, said) = office.turn(vec![Command::Republish(again)]);
    assert!(goes_on && said.is_empty(), "{said:?}");
    office.writer_loop.retry_at = long_ago();
    assert_eq!(office.turn(Vec::new()).1, ["republished 1 processed/intent-a.json"]);
}

#[test]
fn a_writer_that_is_dropped_has_ended_and_released_the_store() {
    let Office { writer_loop, temp: _temp, .. } = office();
    let WriterLoop { places, store, head, .. } = writer_loop;
    let retention = SignedDuration::from_hours(168);
    let parts = Parts {
        places,
        packages: None,
        store: Arc::clone(&store),
        keys: Arc::new(Unsigned),
        head,
        retention,
        audit: None,
    };
    drop(Writer::start(parts, |_| ()).unwrap());
    assert_eq!(Arc::strong_count(&store), 1, "the next attempt finds it free");
}
