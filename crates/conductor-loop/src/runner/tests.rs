//! A worker in isolation: the source of a run's bytes, and the result when they cannot be read.

use super::cells::{Cells, Domains};
use super::prepared::prepare;
use super::stop::StopSign;
use super::worker::Worker;
use super::{Bytes, Engine, Job, NotRead, Program, ReadBack, Report, RunTable, Runner, Settings, Stop};
use crate::handoff::Slots;
use crate::payload::Payload;
use conductor_core::limits::RunLimits;
use conductor_core::outcome::{Ending, Postponed, Run, Verdict};
use conductor_core::record::{Claim, Clearance};
use conductor_core::scheduler::Place;
use conductor_core::{Attempt, Code, Seq, Slot};
use conductor_crypto::sha256;
use conductor_os::confine::limits::ResourceLimits;
use conductor_os::dir::Dir;
use conductor_os::outlet::Outlet;
use conductor_os::wake::Waker;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

const BYTES: &[u8] = b"{}";

fn claim() -> Claim {
    Claim { sha256: sha256(BYTES), size: BYTES.len() as u64, ..conductor_testkit::claim(7) }
}

pub(super) fn settings(program: &Path, out: &Path, read_back: ReadBack) -> Settings {
    Settings {
        engine: Engine::External(Arc::new(Program::find(program.to_str().unwrap(), None, true).unwrap())),
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

pub(super) fn job() -> Job {
    Job {
        seq: Seq(7),
        attempt: Attempt(1),
        slot: Slot(0),
        place: Place::Output,
        claim: Arc::new(claim()),
        came: Instant::now(),
        bytes: Bytes::Stored,
        clearance: None,
    }
}

/// A worker without a thread, for runs in this directory.
pub(super) fn worker(home: &Path, settings: Settings) -> Worker {
    let private = Arc::new(Dir::open(home).unwrap());
    let (run_table, _) = RunTable::open(&private, "boot".to_owned()).unwrap();
    let waker = Waker::new().unwrap();
    Worker {
        number: 0,
        settings: Arc::new(RwLock::new(settings)),
        slots: Arc::new(Slots::below(&private, home).unwrap()),
        run_table: Arc::new(run_table),
        stop: Arc::new(StopSign::new(vec![waker.clone()])),
        waker,
        orphans: Arc::default(),
        cells: Cells::new(None, 0, &Arc::new(Domains::new())),
        groups: None,
        reading: Arc::default(),
        report: Box::new(|_| ()),
    }
}

/// One worker in a directory of its own.
struct One {
    runner: Runner,
    told: Receiver<Report>,
    temp: tempfile::TempDir,
}

impl One {
    fn start(read_back: ReadBack) -> Self {
        Self::with(Path::new("/bin/true"), read_back)
    }

    fn with(program: &Path, read_back: ReadBack) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let private = Arc::new(Dir::open(temp.path()).unwrap());
        let slots = Arc::new(Slots::below(&private, temp.path()).unwrap());
        let (run_table, _) = RunTable::open(&private, "boot".to_owned()).unwrap();
        run_table.reset().unwrap();
        let (to_test, told) = crossbeam_channel::unbounded();
        let report = move |report| drop(to_test.send(report));
        let settings = settings(program, temp.path(), read_back);
        let runner = Runner::start(1, settings, &slots, &Arc::new(run_table), report).unwrap();
        Self { runner, told, temp }
    }

    fn next(&self) -> Report {
        self.told.recv_timeout(Duration::from_mins(1)).expect("the worker reports")
    }

    /// The end that is reported next.
    fn end(&self) -> (Run, bool) {
        let Report::Ended(ended) = self.next() else { panic!("it began") };
        (ended.run, ended.staged)
    }

    fn copy(&self) -> PathBuf {
        self.temp.path().join("staging/0/intent-a.json")
    }
}

#[test]
fn a_program_that_is_gone_is_named_until_it_is_back() {
    let temp = tempfile::tempdir().unwrap();
    let porch = temp.path().join("porch");
    std::fs::copy("/bin/true", &porch).unwrap();
    let one = One::with(&porch, ReadBack::new(|_, _| Ok(())));
    let first = one.runner.program().unwrap().unwrap();
    assert!(first.is_some());
    std::fs::rename(&porch, temp.path().join("away")).unwrap();
    let missing = one.runner.program().unwrap().unwrap_err();
    assert!(missing.contains(&porch.display().to_string()), "{missing}");
    std::fs::rename(temp.path().join("away"), &porch).unwrap();
    assert!(one.runner.program().unwrap().is_ok());
}

#[test]
fn workers_that_are_dropped_have_ended_and_let_go_of_the_store() {
    let store = Arc::new(());
    let held = Arc::clone(&store);
    let one = One::start(ReadBack::new(move |_, _| {
        assert_eq!(*held, ());
        Ok(())
    }));
    drop(one);
    assert_eq!(Arc::strong_count(&store), 1, "the next attempt finds it free");
}

#[test]
fn bytes_that_cannot_be_read_back_are_no_attempt_and_no_file() {
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
    let mut one = One::start(read_back);
    for code in [Code::StoreFailed, Code::StoreDamaged, Code::StoreFailed] {
        one.runner.run(job());
        let (run, staged) = one.end();
        assert!(matches!(&run.ending, Ending::NoBytes { code: found, .. } if *found == code), "{run:?}");
        assert_eq!((run.ending.verdict(), staged), (Verdict::Postpone(Postponed::NoBytes), false));
        assert!(!one.copy().exists(), "no file of nothing");
    }
    one.runner.run(job());
    let first = one.next();
    assert!(matches!(first, Report::Began { seq: Seq(7) }), "it begins before it ends: {first:?}");
    let (run, staged) = one.end();
    assert_eq!((run.ending, staged), (Ending::Exited(0), true));
    assert_eq!(std::fs::read(one.copy()).unwrap(), BYTES);
    one.runner.join();
}

#[test]
fn a_prepared_run_begins_when_it_is_cleared_and_never_otherwise() {
    /// The end of a run that was prepared, and what happened then.
    fn prepared(then: fn(Sender<Clearance>, &One)) -> (One, bool, Ending) {
        let one = One::start(ReadBack::new(|_, work| {
            work(BYTES);
            Ok(())
        }));
        let (give, clearance) = bounded(1);
        one.runner.run(Job { clearance: Some(clearance), ..job() });
        // It is prepared before it is cleared.
        conductor_testkit::wait_until("the private copy is there", || {
            std::fs::read(one.copy()).is_ok_and(|bytes| bytes == BYTES)
        });
        assert!(one.told.is_empty(), "and has not begun");
        then(give, &one);
        let mut first = one.next();
        let began = matches!(first, Report::Began { .. });
        if began {
            first = one.next();
        }
        let Report::Ended(ended) = first else { panic!("twice") };
        assert_eq!(ended.staged, began, "what did not run is filed from elsewhere");
        (one, began, ended.run.ending)
    }
    let (_, began, ending) = prepared(|give, _| give.send(Clearance::Begin).unwrap());
    assert_eq!((began, ending), (true, Ending::Exited(0)));
    let (one, began, ending) = prepared(|give, _| give.send(Clearance::Repeats).unwrap());
    assert_eq!((began, ending, one.copy().exists()), (false, Ending::Repeats, false));
    let (_, began, ending) = prepared(|give, _| drop(give));
    assert_eq!((began, ending), (false, Ending::NotBegun), "the writer has ended");
    let (one, began, ending) = prepared(|give, _| give.send(Clearance::NotYet).unwrap());
    assert_eq!((began, ending, one.copy().exists()), (false, Ending::NoSpace, false));
    let (_, began, ending) = prepared(|give, one| {
        one.runner.stop(Stop::Drain);
        // Too late: it may be seen first, and permits nothing any more. Or the worker has gone.
        let _ = give.send(Clearance::Begin);
    });
    assert_eq!((began, ending), (false, Ending::NotBegun), "the daemon stops");
    let (_, began, ending) = prepared(|give, one| {
        one.runner.stop(Stop::Drain);
        // Nobody answers any more, and nobody has ended.
        std::mem::forget(give);
    });
    assert_eq!((began, ending), (false, Ending::NotBegun), "the daemon stops, and does not answer");
}

#[test]
fn nothing_begins_after_the_stop() {
    let one = One::start(ReadBack::new(|_, _| Ok(())));
    one.runner.stop(Stop::Drain);
    one.runner.run(job());
    assert_eq!((one.end().0.ending, one.copy().exists()), (Ending::NotBegun, false));
    // Nor what was permitted before it. Which of the two is seen first changes with what the worker has seen before.
    for before in 0..8 {
        let (comes, there) = bounded(1);
        let (let_go, may_go) = bounded::<()>(1);
        let one = One::start(ReadBack::new(move |_, work| {
            comes.send(()).unwrap();
            may_go.recv().unwrap();
            work(BYTES);
            Ok(())
        }));
        for _ in 0..before {
            let (give, clearance) = bounded(1);
            give.send(Clearance::NotYet).unwrap();
            let bytes = Bytes::Held(Payload::new(BYTES.to_vec(), &crate::payload::Budget::new(1 << 20)));
            one.runner.run(Job { clearance: Some(clearance), bytes, ..job() });
            assert_eq!(one.end().0.ending, Ending::NoSpace);
        }
        let (give, clearance) = bounded(1);
        one.runner.run(Job { clearance: Some(clearance), ..job() });
        there.recv().unwrap();
        give.send(Clearance::Begin).unwrap();
        one.runner.stop(Stop::Drain);
        let_go.send(()).unwrap();
        assert_eq!(one.end().0.ending, Ending::NotBegun);
    }
}

#[test]
fn only_a_run_that_began_is_in_the_run_table_and_only_its_copy_stays_in_the_slot() {
    let programs = tempfile::tempdir().unwrap();
    let porch = program(programs.path(), "#!/bin/sh\n: >left\nmkdir of-porch\n");
    let mut one = One::with(&porch, given());
    let recorded = |one: &One| {
        RunTable::open(&Dir::open(one.temp.path()).unwrap(), "boot".to_owned()).unwrap().1.lines.len()
    };
    let aside = programs.path().join("aside");
    std::fs::rename(&porch, &aside).unwrap();
    one.runner.run(job());
    assert_eq!(one.end().0.ending.verdict(), Verdict::Postpone(Postponed::PorchMissing));
    assert_eq!(recorded(&one), 0);
    std::fs::rename(&aside, &porch).unwrap();
    one.runner.run(job());
    assert!(matches!(one.next(), Report::Began { .. }));
    let (run, staged) = one.end();
    assert_eq!((run.ending, staged, recorded(&one)), (Ending::Exited(0), true, 1));
    let slot = one.copy().parent().unwrap().to_owned();
    let left: Vec<_> = std::fs::read_dir(slot).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["intent-a.json"]);
    one.runner.join();
}

#[test]
fn a_run_that_was_handed_ahead_holds_only_bytes_that_memory_has_room_for() {
    for (most, is_held) in [(2 * BYTES.len(), true), (2, false)] {
        let one = One::start(ReadBack::new(|_, _| Ok(())));
        let budget = crate::payload::Budget::new(most);
        let (give, clearance) = bounded(1);
        let bytes = Bytes::Held(Payload::new(BYTES.to_vec(), &budget));
        one.runner.run(Job { clearance: Some(clearance), bytes, ..job() });
        give.send(Clearance::Begin).unwrap();
        assert!(matches!(one.next(), Report::Began { .. }));
        // What runs for long keeps no file from being read.
        assert_eq!(budget.in_use(), (0, if is_held { BYTES.len() } else { 0 }), "{most}");
        let Report::Ended(ended) = one.next() else { panic!("it began twice") };
        assert_eq!((ended.run.ending, ended.staged), (Ending::Exited(0), true));
        assert_eq!(matches!(ended.job.bytes, Bytes::Held(_)), is_held);
    }
}

#[test]
fn a_staging_directory_that_is_gone_is_made_again_and_a_copy_that_cannot_be_written_waits() {
    type Change = fn(&Path);
    let nothing: Change = |_| ();
    let removed: Change = |home| std::fs::remove_dir_all(home.join("staging")).unwrap();
    let replaced: Change = |home| {
        std::fs::remove_dir_all(home).unwrap();
        std::fs::create_dir_all(home.join("staging")).unwrap();
    };
    let endless = "n".repeat(300);
    for (change, name, waits) in [
        (nothing, "intent-a.json", None),
        (removed, "intent-a.json", None),
        (nothing, endless.as_str(), Some(Postponed::System)),
        (replaced, "intent-a.json", Some(Postponed::DirectoryReplaced)),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let (home, out) = (temp.path().join("home"), temp.path().join("out"));
        for dir in [&home, &out] {
            std::fs::create_dir(dir).unwrap();
        }
        let read_back = ReadBack::new(|_, work| {
            work(BYTES);
            Ok(())
        });
        let settings = settings(Path::new("/bin/true"), &out, read_back);
        let worker = worker(&home, settings.clone());
        change(&home);
        let claim = Arc::new(Claim { name: name.to_owned(), ..claim() });
        let prepared = prepare(&worker, &settings, &Job { claim, ..job() });
        let found = prepared.map(|_| std::fs::read(home.join("staging/0").join(name)).unwrap());
        match (found, waits) {
            (Ok(found), None) => assert_eq!(found, BYTES),
            (Err(Ending::Withheld { cause, .. }), Some(waits)) => assert_eq!(cause, waits),
            (found, waits) => panic!("{found:?} instead of {waits:?}"),
        }
    }
}

/// A script as a program, made elsewhere first: nobody has it open for writing.
fn program(dir: &Path, script: &str) -> PathBuf {
    let (draft, porch) = (dir.join("draft"), dir.join("porch"));
    std::fs::write(&draft, script).unwrap();
    std::fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(draft, &porch).unwrap();
    porch
}

/// The bytes of the claim, as the store gives them.
fn given() -> ReadBack {
    ReadBack::new(|_, work| {
        work(BYTES);
        Ok(())
    })
}

#[test]
fn a_run_tells_what_was_started_what_it_wrote_and_how_it_ended() {
    let programs = tempfile::tempdir().unwrap();
    let script =
        "#!/bin/sh\necho \"$@\"\necho \"$CONDUCTOR_INTENT_SEQ of $CONDUCTOR_INTENT_ATTEMPT\" >&2\nexit 3\n";
    let porch = program(programs.path(), script);
    let one = One::with(&porch, given());
    one.runner.run(job());
    assert!(matches!(one.next(), Report::Began { .. }));
    let (run, staged) = one.end();
    let words = format!("-intent {} -out {}", one.copy().display(), one.temp.path().display());
    let program = porch.canonicalize().unwrap();
    assert_eq!(run.command.join(" "), format!("{} {words}", program.display()));
    let written = [&run.stdout, &run.stderr].map(|stream| String::from_utf8(stream.head.clone()).unwrap());
    assert_eq!(written, [format!("{words}\n"), "7 of 1\n".to_owned()]);
    assert_eq!((&run.ending, staged, run.runner, run.worker), (&Ending::Exited(3), true, "porch", 0));
    assert_eq!(run.porch_sha256, Some(sha256(script.as_bytes())));
    assert!(run.duration > Duration::ZERO && run.leftovers.is_empty());
}

#[test]
fn a_porch_that_is_asked_to_end_has_its_grace_and_what_it_finishes_counts() {
    // What it says meanwhile does not end the grace.
    for (at_term, wanted) in [
        ("echo ending; sleep .2; exit 0", Ending::Exited(0)),
        ("exit 3", Ending::Interrupted),
        (":", Ending::Interrupted),
    ] {
        let programs = tempfile::tempdir().unwrap();
        let at = |name: &str| programs.path().join(name);
        let script = format!(
            "#!/bin/sh\ntrap '{at_term}' TERM\n: >{}\nwhile :; do sleep .05; done\n",
            at("begun").display()
        );
        let porch = program(programs.path(), &script);
        let one = One::with(&porch, given());
        one.runner.run(job());
        conductor_testkit::wait_until("it runs", || at("begun").exists());
        // Those that run may end by themselves.
        one.runner.stop(Stop::Drain);
        assert!(matches!(one.next(), Report::Began { .. }));
        let asked = Instant::now();
        one.runner.stop(Stop::Terminate);
        let (run, staged) = one.end();
        assert_eq!((&run.ending, staged), (&wanted, true), "{at_term}");
        let grace = Duration::from_secs(1);
        assert_eq!(asked.elapsed() >= grace, at_term == ":", "who does not end is killed after its grace");
    }
}

/// Takes a write lease on a file: whoever executes it waits for that to be given back.
const LEASE: &str = "import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
time.sleep(120)";

#[test]
fn workers_end_while_a_start_does_not_come_about() {
    if !conductor_testkit::has("python3") {
        return eprintln!("NOT TESTED: the program's file is leased by python3");
    }
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("porch");
    std::fs::copy("/bin/true", &program).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&program).unwrap());
    let leased = |state: &str| {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let is_it = |line: &str| line.contains(state) && line.contains(&format!(":{inode} "));
        locks.lines().any(is_it)
    };
    let one = One::with(
        &program,
        ReadBack::new(|_, work| {
            work(BYTES);
            Ok(())
        }),
    );
    let mut python = std::process::Command::new("python3");
    let mut lease = python.args(["-c", LEASE]).arg(&program).spawn().unwrap();
    conductor_testkit::wait_until("the program is leased", || leased("ACTIVE"));
    one.runner.run(job());
    conductor_testkit::wait_until("its start waits", || leased("BREAKING"));
    let One { runner, told, .. } = one;
    // As after a failure of the store: no loop turns any more that would look after it.
    drop(runner);
    let Ok(Report::Ended(ended)) = told.try_recv() else { panic!("it began") };
    assert_eq!(ended.run.ending.verdict(), Verdict::Postpone(Postponed::System), "{:?}", ended.run.ending);
    lease.kill().unwrap();
    lease.wait().unwrap();
}
