//! A worker in isolation: the source of a run's bytes, and the result when they cannot be read.

use super::*;
use conductor_core::outcome::{Postponed, Verdict};
use conductor_core::{Attempt, Seq, Slot};
use conductor_crypto::sha256;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

const BYTES: &[u8] = b"{}";

fn claim() -> Claim {
    Claim { sha256: sha256(BYTES), size: BYTES.len() as u64, ..conductor_testkit::claim(7) }
}

fn settings(out: &Path, read_back: ReadBack) -> Settings {
    Settings {
        engine: Engine::External(Arc::new(Program::find("/bin/true", None, true).unwrap())),
        outlet: Arc::new(Outlet::new(out, false).unwrap()),
        repositories: Arc::default(),
        structured: false,
        limits: RunLimits { timeout: Duration::from_mins(1), grace: Duration::from_secs(1) },
        kubeconfig: None,
        read_back,
        resources: ResourceLimits::default(),
        policy: None,
    }
}

#[test]
fn workers_that_are_dropped_have_ended_and_let_go_of_the_store() {
    let temp = tempfile::tempdir().unwrap();
    let private = Arc::new(Dir::open(temp.path()).unwrap());
    let slots = Arc::new(Slots::below(&private, temp.path()).unwrap());
    let (run_table, _) = RunTable::open(&private).unwrap();
    let store = Arc::new(());
    let held = Arc::clone(&store);
    let read_back = ReadBack::new(move |_, _| {
        assert_eq!(*held, ());
        Ok(())
    });
    drop(Runner::start(3, settings(temp.path(), read_back), &slots, &Arc::new(run_table), |_| ()).unwrap());
    assert_eq!(Arc::strong_count(&store), 1, "the next attempt finds it free");
}

#[test]
fn bytes_that_cannot_be_read_back_are_no_attempt_and_no_file() {
    let temp = tempfile::tempdir().unwrap();
    let private = Arc::new(Dir::open(temp.path()).unwrap());
    let slots = Arc::new(Slots::below(&private, temp.path()).unwrap());
    let (run_table, _) = RunTable::open(&private).unwrap();
    let asked = AtomicUsize::new(0);
    let not_read = |code| Err(NotRead { code, reason: "why".to_owned() });
    let read_back = ReadBack::new(move |_, work| match asked.fetch_add(1, Ordering::AcqRel) {
        0 => not_read(Code::StoreFailed),
        1 => not_read(Code::StoreDamaged),
        2 => Ok(()), // Neither an error nor bytes.
        _ => {
            work(BYTES);
            Ok(())
        }
    });
    let settings = settings(temp.path(), read_back);
    let (to_test, told) = crossbeam_channel::unbounded();
    let report = move |report| drop(to_test.send(report));
    let mut runner = Runner::start(1, settings, &slots, &Arc::new(run_table), report).unwrap();
    for code in [Code::StoreFailed, Code::StoreDamaged, Code::StoreFailed] {
        runner.run(Job {
            seq: Seq(7),
            attempt: Attempt(1),
            slot: Slot(0),
            place: Place::Output,
            claim: Arc::new(claim()),
            bytes: Bytes::Stored,
        });
        let Report::Ended(ended) = told.recv_timeout(Duration::from_mins(1)).unwrap() else {
            panic!("it began without its bytes");
        };
        let Ended { run, staged, .. } = *ended;
        assert!(matches!(&run.ending, Ending::NoBytes { code: found, .. } if *found == code), "{run:?}");
        assert_eq!((run.ending.verdict(), staged), (Verdict::Postpone(Postponed::NoBytes), false));
        assert!(!temp.path().join("staging/0/intent-a.json").exists(), "no file of nothing");
    }
    runner.run(Job {
        seq: Seq(7),
        attempt: Attempt(1),
        slot: Slot(0),
        place: Place::Output,
        claim: Arc::new(claim()),
        bytes: Bytes::Stored,
    });
    let first = told.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(matches!(first, Report::Began { seq: Seq(7) }), "it begins before it ends: {first:?}");
    let Report::Ended(ended) = told.recv_timeout(Duration::from_mins(1)).unwrap() else { panic!("twice") };
    let Ended { run, staged, .. } = *ended;
    assert_eq!((run.ending, staged), (Ending::Exited(0), true));
    assert_eq!(std::fs::read(temp.path().join("staging/0/intent-a.json")).unwrap(), BYTES);
    runner.join();
}
