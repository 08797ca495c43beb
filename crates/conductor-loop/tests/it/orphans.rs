//! Processes that leave their run without any mark of ours end with it; foreign processes do not. A run ends at its time
//! limit even if waiting is impossible.

use crate::env;
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, TestEnv, at_call, flat, wait_until};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// A program that starts an orphan and records its process id; only for the target `bad`.
fn porch(env: &TestEnv, orphan: &str) -> String {
    let path = env.path("hostile-porch");
    let told = env.path("bin/orphan");
    let text = format!(
        "#!/bin/sh\nexport PATH=/usr/bin:/bin TOLD={}\ncase \"$2\" in *bad*) {orphan}\nwhile ! [ -s \"$TOLD\" ]; do sleep .01; done;; *) sleep .2;; esac\n",
        told.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Records its process id only when it has left everything.
fn escaped(told: &str) -> String {
    format!(
        "setsid env -i /bin/sh -c 'echo $$ >{told}.new; mv {told}.new {told}; exec /bin/sleep 987' </dev/null >/dev/null 2>&1 &"
    )
}

fn told(env: &TestEnv) -> PathBuf {
    env.path("bin/orphan")
}

fn number(env: &TestEnv) -> Option<u32> {
    std::fs::read_to_string(told(env)).ok()?.trim().parse().ok()
}

fn is_alive(number: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn can_escape() -> bool {
    let can = conductor_testkit::has("setsid");
    if !can {
        eprintln!("NOT TESTED: orphans without marks (setsid is not installed)");
    }
    can
}

#[test]
fn an_orphan_without_our_marks_ends_with_its_run_and_is_named() {
    if !can_escape() {
        return;
    }
    let twice = |told: &str| {
        format!(
            "(setsid env -i /bin/sh -c '(setsid /bin/sh -c \"echo \\$\\$ >{told}.new; mv {told}.new {told}; exec /bin/sleep 987\" &)' </dev/null >/dev/null 2>&1 &)"
        )
    };
    let makers: [&dyn Fn(&str) -> String; 2] = [&escaped, &twice];
    for maker in makers {
        let env = env();
        let porch = porch(&env, &maker(&told(&env).display().to_string()));
        env.drop_file("intent-bad.json", flat("bad", 3));
        let finished = env.once(&["-porch", &porch, "-workers", "1"]).expect(0);
        let orphan = number(&env).expect("the orphan told its number");
        assert!(!is_alive(orphan), "the orphan outlived the daemon");
        let log = finished.log();
        let named = |line: &serde_json::Value| {
            line["left_over"].as_str().is_some_and(|left| left.contains(&format!("{orphan} ")))
                && line["seq"].is_u64()
        };
        assert_eq!(log.iter().filter(|line| named(line)).count(), 1, "{log:?}");
    }
}

#[test]
fn an_orphan_among_runs_that_go_on_is_gone_in_bounded_time() {
    if !can_escape() {
        return;
    }
    let env = env();
    let porch = porch(&env, &escaped(&told(&env).display().to_string()));
    let daemon = env.start_ready(&["-porch", &porch, "-workers", "4"]);
    let mut dropped = 0;
    let more = |dropped: &mut usize| {
        for _ in 0..4 {
            env.drop_file(&format!("intent-t{dropped}.json"), flat(&format!("t{}", *dropped % 8), 3));
            *dropped += 1;
        }
    };
    more(&mut dropped);
    env.drop_file("intent-bad.json", flat("bad", 3));
    let dropped = std::cell::Cell::new(dropped);
    wait_until("the orphan is gone while others run", || {
        if env.names("processed").len() + 8 > dropped.get() {
            let mut count = dropped.get();
            more(&mut count);
            dropped.set(count);
        }
        number(&env).is_some_and(|orphan| !is_alive(orphan))
    });
    wait_until("all runs have ended", || {
        (0..dropped.get()).all(|n| env.status(&format!("intent-t{n}.json")).is_some())
    });
    for n in 0..dropped.get() {
        let status = env.status(&format!("intent-t{n}.json")).unwrap();
        assert_eq!(
            (status["status"].as_str(), status["attempts"].as_u64()),
            (Some("success"), Some(1)),
            "{status}"
        );
    }
    daemon.stop().expect(0);
}

#[test]
fn an_orphan_ends_with_its_run_also_after_a_start_that_did_not_come_about() {
    if !can_escape() {
        return;
    }
    let env = env();
    let porch = porch(&env, &escaped(&told(&env).display().to_string()));
    let (path, complete) = (PathBuf::from(&porch), env.path("complete-porch"));
    std::fs::rename(&path, &complete).unwrap();
    // A program whose interpreter is missing, as in the middle of an update.
    std::fs::write(&path, "#!/nowhere/sh\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = env.start_ready(&["-porch", &porch, "-workers", "1"]);
    env.drop_file("intent-bad.json", flat("bad", 3));
    daemon.wait_log("could not be started");
    std::fs::rename(&complete, &path).unwrap();
    assert_eq!(env.wait_status("intent-bad.json")["status"], "success");
    assert!(!is_alive(number(&env).unwrap()), "it outlived its run");
    let stopped = daemon.stop().expect(0);
    let left: Vec<_> = stopped.log().into_iter().filter(|line| line.get("left_over").is_some()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_child_from_before_the_start_is_not_killed() {
    if !can_escape() {
        return;
    }
    let env = env();
    let porch = porch(&env, &escaped(&told(&env).display().to_string()));
    env.drop_file("intent-bad.json", flat("bad", 3));
    let daemon = env.command(&["-once", "-porch", &porch]);
    let before = env.path("before");
    let mut command = Command::new("/bin/sh");
    let script = "sleep 600 </dev/null >/dev/null 2>&1 & echo $! >\"$0\"; exec \"$@\"";
    command.arg("-c").arg(script).arg(&before).arg(daemon.get_program()).args(daemon.get_args());
    command.env_clear().envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").process_group(0);
    assert!(command.output().unwrap().status.success());
    let before: u32 = std::fs::read_to_string(before).unwrap().trim().parse().unwrap();
    let lives = is_alive(before);
    let started = rustix::process::Pid::from_raw(i32::try_from(before).unwrap()).unwrap();
    rustix::process::kill_process(started, rustix::process::Signal::KILL).unwrap();
    assert!(lives, "a child of the daemon's shell was killed");
    assert!(!is_alive(number(&env).unwrap()), "the orphan of the run was not");
}

/// An orphan of a porch whose daemon was killed.
fn left_by_a_killed_daemon(env: &TestEnv) -> u32 {
    let first = porch(env, &(escaped(&told(env).display().to_string()) + " sleep 600 &\nwait"));
    env.drop_file("intent-bad.json", flat("bad", 3));
    let daemon = env.start_ready(&["-porch", &first]);
    wait_until("the orphan told its number", || number(env).is_some());
    daemon.kill();
    let orphan = number(env).unwrap();
    assert!(is_alive(orphan));
    orphan
}

#[test]
fn an_orphan_of_a_killed_daemon_ends_at_the_next_start() {
    if !can_escape() {
        return;
    }
    let env = env();
    let orphan = left_by_a_killed_daemon(&env);
    env.once(&["-porch", "/bin/true"]).expect(0);
    assert!(!is_alive(orphan), "it outlived the next start");
}

#[test]
fn a_start_that_cannot_read_which_boot_this_is_starts_nothing_beside_what_lives_on() {
    let may = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may || !can_escape() {
        return eprintln!("NOT TESTED: taking /proc away from a process is not permitted here");
    }
    let env = env();
    let orphan = left_by_a_killed_daemon(&env);
    let again = env.command(&["-porch", "/bin/true", "-once"]);
    let mut without = Command::new("unshare");
    without.args(["-m", "sh", "-c", "umount -l /proc && exec \"$0\" \"$@\""]).arg(again.get_program());
    without.args(again.get_args()).envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let refused = without.output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("E402") && told.contains("/proc/sys/kernel/random/boot_id"), "{told}");
    assert!(told.contains("MountAPIVFS=yes"), "{told}");
    assert!(is_alive(orphan) && env.status("intent-bad.json").is_none());
    env.once(&["-porch", "/bin/true"]).expect(0);
    assert!(!is_alive(orphan), "it outlived the next start");
}

#[test]
fn nothing_that_escaped_is_left_after_stopping_at_once() {
    if !can_escape() {
        return;
    }
    let env = env();
    let orphan = escaped(&told(&env).display().to_string()) + " trap '' TERM; sleep 600 & wait; sleep 600";
    let porch = porch(&env, &orphan);
    env.drop_file("intent-bad.json", flat("bad", 3));
    let daemon = env.start_ready(&["-porch", &porch, "-grace-period", "1m"]);
    wait_until("the orphan told its number", || number(&env).is_some());
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_log("stopping");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
    assert!(!is_alive(number(&env).unwrap()), "it outlived the daemon");
}

#[test]
fn a_failing_poll_never_loses_the_time_limit() {
    let env = env();
    env.script("*: sleep=600000");
    env.drop_file("intent-x.json", flat("x", 3));
    let command = env.command(&["-once", "-timeout", "500ms", "-grace-period", "100ms"]);
    let enomem = 12;
    let report = at_call(&command, (Class::Named(&["ppoll"]), Action::FailOn(enomem), 1), 20, &env.path("."));
    let Some(report) = report else { return eprintln!("NOT TESTED: tracing is not permitted here") };
    assert_eq!(report.exit, Some(8), "{}", report.stderr);
    assert_eq!(env.status("intent-x.json").unwrap()["error_code"], "E303", "{}", report.stderr);
    assert!(env.porches().is_empty());
}
