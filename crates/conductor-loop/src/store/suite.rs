//! One suite for every ledger: each gets the same work and the same queries.

use super::memory::Memory;
use super::*;
use conductor_core::age::{Bound, ClockBook, Look};
use conductor_core::intent::TargetKey;
use conductor_core::query::Held;
use conductor_core::record::{Claim, Outcome, Status};
use conductor_core::{Attempt, Seq};
use conductor_crypto::{KeyRing, RootKey, sha256};
use conductor_os::dir::Dir;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

const SEQS: u64 = 9;
const NAMES: [&str; 3] = ["intent-a.json", "intent-b.json", "intent-a.2.json"];
const PATHS: [&str; 4] = ["", "processed/intent-a.json", "failed/intent-b.json", "processed/intent-a.2.json"];
const TARGETS: [(&str, &str); 3] = [("n", "web"), ("m", "web"), ("n", "db")];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(which: usize) -> TargetKey {
    let (namespace, target) = TARGETS[which];
    TargetKey { namespace: namespace.into(), target: target.into() }
}

fn claim(seq: Seq, which: usize) -> Claim {
    Claim {
        name: NAMES[which].into(),
        sha256: sha256(b"abc"),
        taken_at: at(1),
        key: key(which),
        ..conductor_testkit::claim(seq)
    }
}

fn outcome(seq: Seq, which: usize) -> Outcome {
    Outcome {
        sha256: Some(sha256(b"abc")),
        size: 3,
        attempts: 1,
        archived_as: PATHS[1].into(),
        key: Some(key(which)),
        ..Outcome::blank(seq, NAMES[which], at(2))
    }
}

/// A batch that owns its records.
#[derive(Debug, Clone, Default)]
struct Batch {
    imported: Vec<Outcome>,
    decided: Vec<(Outcome, Option<Vec<u8>>, Keeps)>,
    claims: Vec<(Claim, Vec<u8>, bool)>,
    starts: Vec<(Seq, Start)>,
    holds: Vec<(Held, bool)>,
    done: Vec<Seq>,
    forgotten: Vec<Seq>,
    upkeep: Option<Upkeep>,
    floor: Option<Extent>,
}

#[derive(Debug, Clone, Copy)]
enum Keeps {
    Already,
    Bytes,
    File,
}

impl Batch {
    fn work(&self) -> Work<'_> {
        let decided = self.decided.iter().map(|(outcome, report, keeps)| Decided {
            outcome,
            report: report.as_deref(),
            kept: match keeps {
                Keeps::Already => Kept::Already,
                Keeps::Bytes => Kept::Bytes(b"abc"),
                Keeps::File => Kept::File,
            },
        });
        let claims =
            self.claims.iter().map(|(claim, bytes, reserved)| Claiming { claim, bytes, reserved: *reserved });
        let holds = self
            .holds
            .iter()
            .map(|(held, begins)| if *begins { Hold::Begins(held) } else { Hold::Ends(&held.target) });
        Work {
            imported: self.imported.iter().collect(),
            decided: decided.collect(),
            claims: claims.collect(),
            starts: self.starts.clone(),
            holds: holds.collect(),
            done: self.done.clone(),
            forgotten: self.forgotten.clone(),
            upkeep: self.upkeep.as_ref(),
            floor: self.floor.as_ref(),
        }
    }
}

/// The answers to every query.
pub(super) fn answers(ledger: &dyn Ledger) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: &str, answer: &dyn std::fmt::Debug| said.push(format!("{what}: {answer:?}"));
    // Making a store is a commit of its own.
    say("extent", &ledger.extent().map(|extent| Extent { commits: 0, ..extent }));
    say("numbers", &(ledger.last_seq(), ledger.counts(), ledger.sizes(), ledger.has_failed()));
    let mut unsettled = Vec::new();
    let read = ledger.unsettled(&mut |claim| unsettled.push(claim));
    say("unfinished", &(ledger.begun(), ledger.open_claims(), read, unsettled));
    say("kept", &(ledger.upkeep(), ledger.held()));
    let mut pending = Vec::new();
    let read = ledger.pending(&mut |one| pending.push(one));
    say("pending", &(read.map_err(|error| error.to_string()), pending));
    for seq in 0..=SEQS + 1 {
        let bytes = ledger.with_bytes(Seq(seq), &sha256(b"abc"), <[u8]>::to_vec);
        let claimed = ledger.with_claim(Seq(seq), |claim, bytes| (claim, bytes.to_vec()));
        say(
            "intent",
            &(
                seq,
                ledger.is_open(Seq(seq)),
                ledger.claim(Seq(seq)),
                ledger.outcome(Seq(seq)),
                bytes,
                claimed,
            ),
        );
        say("settled", &(seq, ledger.settled(Seq(seq))));
    }
    let found = |search: Search<'_>| {
        let mut found = Vec::new();
        let searched = ledger.search(search, &mut |outcome| {
            found.push(outcome.seq);
            true
        });
        (searched, found)
    };
    let names = NAMES.iter().map(|name| Term::File(name));
    let targets = ["n/web", "m/web", "web", "db", "n/db", "m/db", "no"].map(Term::Target);
    let endings = [Status::Success, Status::Failed].map(Term::Status);
    for term in names.chain(targets).chain(endings).map(Some).chain([None]) {
        for (from, below) in [(0, u64::MAX), (3, 7), (5, 5), (7, 3)] {
            say("found", &(term, found(Search { term, from: Seq(from), below: Seq(below) })));
        }
    }
    for from in [0, 3, 100] {
        let mut outcomes = Vec::new();
        let read = ledger.outcomes(Seq(from), &mut |outcome| {
            outcomes.push(outcome);
            outcomes.len() < 4
        });
        say("outcomes", &(from, read, &outcomes));
    }
    for path in PATHS {
        say("owner", &(path, ledger.owner(path)));
    }
    for which in 0..TARGETS.len() {
        say("last", &(which, ledger.last_success(&key(which), NAMES[which])));
        say("named", &ledger.targets_named(TARGETS[which].1));
        say("claim named", &ledger.claim_named(NAMES[which]));
    }
    let clock = ledger.upkeep().unwrap().clock;
    for second in 0..7 {
        say("since", &(second, ledger.first_since(at(second), &|| true)));
        let bound = Bound { before: at(second), now: at(5) };
        for from in [None, Some(DecidedAt { at: at(2), seq: Seq(4) })] {
            for most in [2, usize::MAX] {
                say("old", &(second, from, most, ledger.old(Part { from, most, bound, clock: &clock })));
            }
        }
    }
    said
}

/// Ledgers of every kind. The directory holds the store of one.
fn ledgers() -> (tempfile::TempDir, Vec<Box<dyn Ledger>>) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    let sub = |name: &str| Arc::new(dir.ensure(name, 0o700).unwrap());
    let keyless = Sealing::Keyless("a test".to_owned());
    let plain = Store::open(sub("plain"), &keyless, true).unwrap();
    let ring = KeyRing::of(RootKey::generate().unwrap());
    let sealed = Store::open(sub("sealed"), &Sealing::On(Arc::new(ring)), true).unwrap();
    let scrambled = Store::scrambled(sub("scrambled"));
    (temp, vec![Box::new(Memory::default()), Box::new(plain), Box::new(sealed), Box::new(scrambled)])
}

/// A step in the life of a ledger.
#[derive(Debug, Clone)]
enum Step {
    Commit(Box<Batch>),
    Reopen,
    WorkFor(bool),
}

fn perform(ledger: &dyn Ledger, step: &Step) -> String {
    match step {
        Step::Commit(batch) => format!("{:?}", ledger.commit(&batch.work())),
        Step::Reopen => format!("{:?}", ledger.reopen()),
        Step::WorkFor(here) => format!("{:?}", ledger.work_for(if *here { "here" } else { "there" })),
    }
}

fn compare(steps: &[Step]) {
    let (_temp, ledgers) = ledgers();
    let reference = &*ledgers[0];
    for step in steps {
        let said = perform(reference, step);
        for other in &ledgers[1..] {
            assert_eq!(perform(&**other, step), said, "{step:?}");
        }
    }
    let wanted = answers(reference);
    for other in &ledgers[1..] {
        for (found, wanted) in answers(&**other).iter().zip(&wanted) {
            assert_eq!(found, wanted);
        }
    }
}

fn commit(batch: Batch) -> Step {
    Step::Commit(Box::new(batch))
}

/// Steps that leave something in every table.
fn a_life() -> Vec<Step> {
    let held = Held { target: "n/web".into(), since: at(1), uid: 7, note: "why".into() };
    let failed = Outcome { status: Status::Failed, finished_at: at(3), ..outcome(Seq(2), 1) };
    let renamed = Outcome { archived_as: PATHS[3].into(), ..outcome(Seq(1), 0) };
    let imported = Outcome { key: None, imported: true, archived_as: String::new(), ..outcome(Seq(6), 2) };
    let mut clock = ClockBook::default();
    clock.look(Look {
        now: at(4),
        expected: None,
        retention: SignedDuration::from_hours(1),
        last_seq: Seq(3),
    });
    let swept = Some(DecidedAt { at: at(2), seq: Seq(1) });
    let claims = vec![(claim(Seq(1), 0), b"abc".to_vec(), true), (claim(Seq(2), 1), b"abc".to_vec(), false)];
    vec![
        Step::WorkFor(true),
        commit(Batch { claims, ..Batch::default() }),
        commit(Batch {
            starts: vec![(Seq(2), Start { attempt: Attempt(1), happened: true })],
            ..Batch::default()
        }),
        commit(Batch { decided: vec![(outcome(Seq(1), 0), None, Keeps::Already)], ..Batch::default() }),
        commit(Batch {
            decided: vec![(failed.clone(), Some(b"log".to_vec()), Keeps::Already)],
            claims: vec![(claim(Seq(3), 1), b"abc".to_vec(), true)],
            upkeep: Some(Upkeep { clock, swept }),
            ..Batch::default()
        }),
        commit(Batch { decided: vec![(renamed, None, Keeps::Already)], ..Batch::default() }),
        commit(Batch { done: vec![Seq(1)], imported: vec![imported], ..Batch::default() }),
        commit(Batch { holds: vec![(held, true)], ..Batch::default() }),
        commit(Batch { decided: vec![(outcome(Seq(4), 0), None, Keeps::Already)], ..Batch::default() }),
        commit(Batch {
            decided: vec![(Outcome { sha256: None, ..outcome(Seq(5), 0) }, None, Keeps::File)],
            floor: Some(Extent { last_seq: Seq(8), ..Extent::default() }),
            ..Batch::default()
        }),
        Step::Reopen,
    ]
}

/// Leaves something in every table of a ledger.
pub(super) fn fill_every_table(ledger: &dyn Ledger) {
    for step in a_life() {
        perform(ledger, &step);
    }
}

#[test]
fn every_ledger_answers_alike_after_the_life_of_intents() {
    let mut steps = a_life();
    compare(&steps);
    steps.push(commit(Batch {
        forgotten: vec![Seq(1), Seq(2), Seq(77)],
        done: vec![Seq(2)],
        ..Batch::default()
    }));
    steps.push(Step::WorkFor(false));
    compare(&steps);
}

#[test]
fn a_batch_that_cannot_be_recorded_leaves_nothing() {
    let (_temp, ledgers) = ledgers();
    for ledger in &ledgers {
        let before = answers(&**ledger);
        let batch = Batch {
            decided: vec![
                (outcome(Seq(1), 0), None, Keeps::Bytes),
                // It has no claim.
                (outcome(Seq(2), 0), None, Keeps::Already),
            ],
            ..Batch::default()
        };
        let error = ledger.commit(&batch.work()).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged(Damage::Intent { seq: Seq(2), flaw: Flaw::NoClaim })),
            "{error}"
        );
        assert_eq!(answers(&**ledger), before);
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let parts = (1..=SEQS, 0..3_usize, 0..4_usize, any::<[bool; 4]>(), 1..6_i64, 0..3_u32);
    parts.prop_map(|(seq, which, path, [failed, bare, read, again], second, attempts)| Outcome {
        status: if failed { Status::Failed } else { Status::Success },
        key: (!bare).then(|| key(which)),
        imported: bare,
        sha256: read.then(|| sha256(b"abc")),
        duplicate_of: again.then_some(Seq(1)),
        kept_since: again.then(|| at(second + 1)),
        archived_as: PATHS[path].into(),
        finished_at: at(second),
        attempts,
        ..outcome(Seq(seq), which)
    })
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let seqs = || proptest::collection::vec(1..=SEQS, 0..3);
    let keeps = prop_oneof![Just(Keeps::Already), Just(Keeps::Bytes), Just(Keeps::File)];
    let report = proptest::option::of(Just(b"log".to_vec()));
    let decided = proptest::collection::vec((any_outcome(), report, keeps), 0..3);
    let bytes = prop_oneof![9 => Just(b"abc".to_vec()), 1 => Just(b"other".to_vec())];
    let claims = proptest::collection::vec((1..=SEQS, 0..3_usize, bytes, any::<bool>()), 0..3);
    let starts = proptest::collection::vec((1..=SEQS, 1..4_u32, any::<bool>()), 0..2);
    let holds = proptest::collection::vec((0..3_usize, any::<bool>()), 0..2);
    let imported = proptest::collection::vec(any_outcome(), 0..2);
    let floor = proptest::option::weighted(0.1, 1..SEQS);
    (imported, decided, claims, starts, holds, seqs(), seqs(), floor).prop_map(
        |(imported, decided, claims, starts, holds, done, forgotten, floor)| Batch {
            imported,
            decided,
            claims: claims
                .into_iter()
                .map(|(seq, which, bytes, reserved)| (claim(Seq(seq), which), bytes, reserved))
                .collect(),
            starts: starts
                .into_iter()
                .map(|(seq, attempt, happened)| (Seq(seq), Start { attempt: Attempt(attempt), happened }))
                .collect(),
            holds: holds
                .into_iter()
                .map(|(which, begins)| {
                    let target = key(which).to_string();
                    (Held { target, since: at(1), uid: 7, note: String::new() }, begins)
                })
                .collect(),
            done: done.into_iter().map(Seq).collect(),
            forgotten: forgotten.into_iter().map(Seq).collect(),
            upkeep: None,
            floor: floor.map(|last_seq| Extent { last_seq: Seq(last_seq), ..Extent::default() }),
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any_batch().prop_map(commit),
        1 => Just(Step::Reopen),
        1 => any::<bool>().prop_map(Step::WorkFor),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_ledger_answers_alike_after_any_work(steps in proptest::collection::vec(any_step(), 1..14)) {
        compare(&steps);
    }
}

#[test]
fn another_destination_has_seen_no_run() {
    for ledger in ledgers().1 {
        let last = || {
            [(0, "intent-a.json"), (1, "intent-b.json")]
                .map(|(target, name)| ledger.last_success(&key(target), name).unwrap().map(|last| last.seq))
        };
        assert!(!ledger.work_for("here").unwrap());
        let imported =
            Outcome { key: None, imported: true, archived_as: String::new(), ..outcome(Seq(2), 1) };
        perform(&*ledger, &commit(Batch { imported: vec![imported], ..Batch::default() }));
        ledger.commit(&Work::decide(&outcome(Seq(3), 0), None, Kept::Bytes(b"abc"))).unwrap();
        assert_eq!(last(), [Some(Seq(3)), Some(Seq(2))]);
        assert!(!ledger.work_for("here").unwrap());
        assert_eq!(last(), [Some(Seq(3)), Some(Seq(2))], "the same destination");
        assert!(ledger.work_for("there").unwrap());
        assert_eq!(last(), [None, None]);
        assert!(!ledger.work_for("here").unwrap(), "nothing is left to forget");
    }
}
