//! The daemon observed through its system calls: faults whose bugs `cargo xtask proof` found, kept as cases, and the cost
//! of one more intent, without a clock.

use crate::env;
use crate::lifecycle::Mounted;
use conductor_testkit::calls::Class;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{Action, Report, TestEnv, at_call, flat};
use rustix::io::Errno;
use std::time::Instant;

fn one(env: &TestEnv) -> Vec<Dropped> {
    let (name, content) = ("intent-a.json".to_owned(), flat("a", 3));
    env.once(&[]).expect(0);
    env.drop_file(&name, &content);
    vec![Dropped { name, content, ending: Ending::Any }]
}

/// Runs the daemon with an action at one of its calls. `None`, with a message, if tracing is not permitted.
fn run(
    env: &TestEnv,
    calls: &'static [&'static str],
    action: Action,
    at: u64,
    seconds: u64,
) -> Option<Report> {
    let command = env.command(&["-once", "-grace-period", "200ms"]);
    let report = at_call(&command, (Class::Named(calls), action, at), seconds, &env.path("."));
    if report.is_none() {
        eprintln!("NOT TESTED: tracing other processes is not permitted here");
    }
    report
}

#[test]
fn a_file_that_finds_no_space_once_is_written_later_and_nothing_is_archived_twice() {
    for at in 1.. {
        let env = env();
        let dropped = one(&env);
        let action = Action::Fail(Errno::DQUOT.raw_os_error());
        let Some(report) = run(&env, &["write"], action, at, 20) else { return };
        if at > report.calls {
            assert!(at > 5, "only {at} writes");
            return;
        }
        env.once(&[]).expect(0);
        promise::check(&env, &dropped, 1, true).unwrap_or_else(|reason| panic!("write {at}: {reason}"));
    }
}

#[test]
fn a_quota_that_statvfs_does_not_show_does_not_keep_a_daemon_from_stopping() {
    for at in [10, 14, 18, 22] {
        let env = env();
        let dropped = one(&env);
        let calls = &["write", "pwrite64", "openat2", "fdatasync"];
        let Some(report) = run(&env, calls, Action::FailOn(Errno::DQUOT.raw_os_error()), at, 1) else {
            return;
        };
        assert_eq!(report.signal, None, "call {at}: it had to be killed: {}", report.stderr);
        env.once(&[]).expect(0);
        promise::check(&env, &dropped, 1, true).unwrap_or_else(|reason| panic!("call {at}: {reason}"));
    }
}

#[test]
fn a_run_with_an_end_ends_where_the_handoff_directory_cannot_be_listed() {
    let env = env();
    env.once(&[]).expect(0);
    let Some(counted) = run(&env, &["getdents64"], Action::Count, 1, 20) else { return };
    // The last directory that is listed, up to its end.
    let listing = counted.calls - 1;
    let action = Action::FailOn(Errno::NOMEM.raw_os_error());
    let Some(report) = run(&env, &["getdents64"], action, listing, 40) else { return };
    assert_eq!(report.exit, Some(1), "{}", report.stderr);
    assert!(report.stderr.contains("E401 nothing is taken: intake-failing"), "{}", report.stderr);
}

#[test]
fn a_run_with_an_end_says_that_the_system_has_nothing_left_for_a_run() {
    let env = env();
    one(&env);
    let action = Action::FailOn(Errno::MFILE.raw_os_error());
    // Only the streams of a program are pipes.
    let Some(report) = run(&env, &["pipe2"], action, 1, 40) else { return };
    let said =
        "E304 1 intent waits: system; it is kept, and the next start goes on\n  hint: Raise the limits";
    assert!(report.exit == Some(1) && report.stderr.contains(said), "{}", report.stderr);
    env.once(&[]).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
}

/// The remedy of E406: a restart.
#[test]
fn after_a_sync_that_failed_a_restart_goes_on_and_no_number_is_used_twice() {
    let mut refused = 0;
    for at in 1.. {
        let env = env();
        let dropped = one(&env);
        let action = Action::Fail(Errno::IO.raw_os_error());
        let Some(report) = run(&env, &["fdatasync"], action, at, 20) else { return };
        if at > report.calls {
            break;
        }
        let code = report.exit;
        assert!(matches!(code, Some(0 | 1 | 3)), "sync {at}: {code:?}: {}", report.stderr);
        if code == Some(3) {
            assert!(report.stderr.contains("E406"), "sync {at}: {}", report.stderr);
            refused += 1;
        }
        env.once(&[]).expect(0);
        promise::check(&env, &dropped, 1, true).unwrap_or_else(|reason| panic!("sync {at}: {reason}"));
        let first = env.status("intent-a.json").unwrap()["seq"].as_u64();
        env.drop_file("intent-b.json", flat("a", 4));
        env.once(&[]).expect(0);
        let second = env.status("intent-b.json").unwrap();
        assert_eq!(second["status"], "success", "sync {at}: {second}");
        assert!(second["seq"].as_u64() > first, "sync {at}: {second}");
    }
    assert!(refused > 0, "no failed sync ended the daemon");
}

#[test]
fn an_edited_package_is_synced_before_it_replaces_the_old_one_unless_the_file_system_sees_to_that() {
    let syncs = |kind: &str| {
        let env = env();
        let _mounted = Mounted::new(kind, env.path("out"), "mode=755")?;
        env.drop_file("intent-a.json", flat("a", 3));
        env.once(&["-porch", "builtin"]).expect(0);
        env.drop_file("intent-b.json", flat("a", 4));
        let command = env.command(&["-once", "-porch", "builtin"]);
        let report = at_call(&command, (Class::Named(&["fsync"]), Action::Count, 0), 20, &env.path("."));
        if report.is_none() {
            eprintln!("NOT TESTED: tracing other processes is not permitted here");
        }
        let package =
            std::fs::read_to_string(env.path("out/test/a-scaling/deployment.yaml")).unwrap_or_default();
        assert!(report.is_none() || package.ends_with("replicas: 4\n"), "{package}");
        Some(report?.counts.get("fsync").copied().unwrap_or(0))
    };
    // Nothing on a tmpfs survives a power cut; of a ramfs nothing is known.
    let (Some(trusted), Some(unknown)) = (syncs("tmpfs"), syncs("ramfs")) else { return };
    assert_eq!(unknown, trusted + 1);
}

/// What one more intent costs at most, external and embedded: syncs, renames, processes. They are what an intent costs, whatever
/// else is called; the store's share holds when every record has a batch of its own.
const COSTS: [(&str, [f64; 2]); 7] = [
    ("fdatasync", [3.0, 3.0]),
    ("fsync", [0.0, 0.0]),
    ("syncfs", [2.0, 2.0]),
    ("renameat2", [2.0, 2.0]),
    ("renameat", [1.0, 2.0]),
    ("clone3", [1.0, 0.0]),
    ("pipe2", [2.0, 0.0]),
];
/// The public head is renamed once and again, whatever is done: so often in a second at most.
const BY_TIME: [&str; 1] = ["renameat"];
const A_SECOND: f64 = 40.0;
const WRITTEN_MAX: [u64; 2] = [131_072, 131_072];
const NAMES: &[&str] =
    &["fdatasync", "fsync", "syncfs", "renameat2", "renameat", "clone3", "pipe2", "write", "pwrite64"];

/// The counted calls, and the duration in seconds.
fn counted(engine: &[&str], intents: usize) -> Option<(Report, f64)> {
    let env = env();
    for number in 0..intents {
        env.drop_file(&format!("intent-{number:04}.json"), flat(&format!("t{number}"), 3));
    }
    let command = env.command(&[&["-once", "-workers", "1"], engine].concat());
    let begin = Instant::now();
    let report = at_call(&command, (Class::Named(NAMES), Action::Count, 0), 120, &env.path("."))?;
    Some((report, begin.elapsed().as_secs_f64()))
}

#[test]
fn one_more_intent_costs_a_bounded_number_of_calls() {
    const MORE: u32 = 200;
    for (which, engine) in [&[][..], &["-porch", "builtin"]].into_iter().enumerate() {
        let (Some((few, _)), Some((many, seconds))) =
            (counted(engine, 50), counted(engine, 50 + MORE as usize))
        else {
            return eprintln!("NOT TESTED: tracing other processes is not permitted here");
        };
        let count = |report: &Report, name: &str| report.counts.get(name).copied().unwrap_or(0);
        for (name, most) in COSTS {
            let most = most[which];
            let by_time = if BY_TIME.contains(&name) { A_SECOND * seconds } else { 0.0 };
            let most = most + 0.1 + by_time / f64::from(MORE);
            let more = count(&many, name).saturating_sub(count(&few, name));
            let each = f64::from(u32::try_from(more).unwrap()) / f64::from(MORE);
            assert!(each <= most, "{engine:?}: {each} {name} for one more intent, not at most {most}");
        }
        let written = many.written.saturating_sub(few.written) / u64::from(MORE);
        assert!(written <= WRITTEN_MAX[which], "{engine:?}: {written} bytes written for one more intent");
    }
}

#[test]
fn killed_before_each_write_the_audit_trail_goes_on_and_has_each_outcome_once() {
    for at in 1.. {
        let env = env();
        let dropped = one(&env);
        let calls = &["pwrite64", "ftruncate", "unlinkat", "renameat"];
        let Some(report) = run(&env, calls, Action::Kill, at, 20) else { return };
        if at > report.calls {
            assert!(at > 10, "only {at} calls");
            return;
        }
        env.once(&[]).expect(0);
        promise::check(&env, &dropped, 1, true).unwrap_or_else(|reason| panic!("call {at}: {reason}"));
    }
}
