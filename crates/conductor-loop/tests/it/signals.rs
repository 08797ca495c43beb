//! The effects of signals on the daemon, and on porch.

use crate::env;
use conductor_testkit::{Running, TestEnv, flat, wait_until};
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// By number, because real-time signals have no name; by a program, because safe libraries know only named ones.
fn send(pid: u32, signal: i32) {
    let sent = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).output().unwrap();
    assert!(sent.status.success(), "signal {signal}: {}", String::from_utf8_lossy(&sent.stderr));
}

fn does_an_intent(env: &TestEnv, name: &str) {
    env.drop_file(name, flat("a", 3));
    assert_eq!(env.wait_status(name)["status"], "success", "{name}");
}

/// A daemon whose death by a signal leaves no core file.
fn without_core(env: &TestEnv) -> Running {
    let daemon = env.command(&["-porch", "builtin"]);
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -c 0; exec "$@""#, "sh"]).arg(daemon.get_program()).args(daemon.get_args());
    command.current_dir(env.path(""));
    let daemon = Running::start(command);
    daemon.wait_log("ready");
    daemon
}

#[test]
fn signals_without_a_use_change_nothing() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    let useless = [10, 12, 13, 14, 16, 24, 25, 26, 27, 29, 30].into_iter().chain(34..=64);
    let default = [17, 23, 28, 18, 20, 21, 22, 19];
    for signal in useless.chain(default) {
        send(daemon.pid(), signal);
        // A stopped process is continued, as a terminal's user would.
        send(daemon.pid(), 18);
        does_an_intent(&env, &format!("intent-{signal}.json"));
    }
    daemon.stop().expect(0);
}

#[test]
fn three_signals_stop_it_cleanly() {
    for signal in [2, 3, 15] {
        let env = env();
        let daemon = env.start_ready(&["-porch", "builtin"]);
        does_an_intent(&env, "intent-a.json");
        send(daemon.pid(), signal);
        daemon.wait().expect(0);
        env.assert_clean();
    }
}

#[test]
fn signals_of_a_broken_process_end_it_by_themselves() {
    for signal in [4, 5, 6, 7, 8, 11, 31] {
        let env = env();
        let mut daemon = without_core(&env);
        send(daemon.pid(), signal);
        if matches!(signal, 7 | 11) {
            // Rust's handler checks the first one for a stack overflow and restores the default; the next one ends the process.
            let pid = daemon.pid().to_string();
            let daemon = RefCell::new(&mut daemon);
            wait_until("its end", || {
                let again = || Command::new("kill").args([&format!("-{signal}"), &pid]).output();
                !daemon.borrow_mut().is_running() || again().is_err()
            });
        }
        assert_eq!(daemon.wait().status.signal(), Some(signal));
    }
}

#[test]
fn a_reload_signal_reloads_and_stops_nothing() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    for _ in 0..3 {
        send(daemon.pid(), 1);
    }
    does_an_intent(&env, "intent-a.json");
    daemon.stop().expect(0);
}

/// The parent's ignored and blocked signals have no effect: the daemon can be stopped, and porch starts as from a login.
#[test]
fn porch_starts_with_every_signal_at_its_default() {
    let env = env();
    let porch = env.path("bin/own-porch");
    // A process of its own, without a child whose shell could change anything.
    let script =
        "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done </proc/self/status >\"$0.status.$$\"\n";
    fs::write(&porch, script).unwrap();
    fs::set_permissions(&porch, fs::Permissions::from_mode(0o755)).unwrap();
    let ways: [&[&str]; 3] = [
        &["env"],
        &["env", "--ignore-signal=HUP,INT,QUIT,TERM,PIPE,CHLD,TSTP,TTIN,TTOU,USR1,URG,WINCH"],
        &["env", "--block-signal"],
    ];
    for way in ways {
        if !Command::new(way[0]).args(&way[1..]).arg("true").status().is_ok_and(|status| status.success()) {
            eprintln!("NOT TESTED: this env cannot {}", way[1]);
            continue;
        }
        let daemon = env.command(&["-porch", porch.to_str().unwrap()]);
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg(daemon.get_program()).args(daemon.get_args()).current_dir(env.path(""));
        command.envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let daemon = Running::start(command);
        daemon.wait_log("ready");
        let name = format!("intent-{}.json", way.len() + way.last().unwrap().len());
        does_an_intent(&env, &name);
        send(daemon.pid(), 15);
        daemon.wait().expect(0);
        let status = fs::read_dir(env.path("bin"))
            .unwrap()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("own-porch.status."));
        let status = status.expect("porch ran").path();
        let text = fs::read_to_string(&status).unwrap();
        let mask = |line: &str| {
            let mask = text.lines().find_map(|of| of.strip_prefix(line)).unwrap().trim();
            // Without 32 and 33, which the C library reserves.
            u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31)
        };
        assert_eq!((mask("SigBlk:"), mask("SigIgn:")), (0, 0), "{way:?}: {text}");
        fs::remove_file(status).unwrap();
    }
}

/// Opening a file for writing while the daemon holds a read lease on it sends the daemon a signal.
#[test]
fn a_producer_that_breaks_its_leases_ends_nothing() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    let until = Instant::now() + Duration::from_secs(2);
    let mut number = 0;
    while Instant::now() < until {
        number += 1;
        let draft = env.handoff(&format!(".y{number}"));
        fs::write(&draft, flat(&format!("t{}", number % 50), 3)).unwrap();
        let kept = fs::File::open(&draft).unwrap();
        fs::rename(&draft, env.handoff(&format!("intent-{number}.json"))).unwrap();
        let same = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&kept));
        let end = Instant::now() + Duration::from_millis(4);
        while Instant::now() < end {
            // O_NONBLOCK: breaks the lease without waiting for it.
            drop(fs::OpenOptions::new().write(true).custom_flags(0o4000).open(&same));
        }
    }
    wait_until("all are done", || env.names("status").len() == number);
    does_an_intent(&env, "intent-good.json");
    daemon.stop().expect(0);
    env.assert_clean();
}

/// The signal of the file size limit ends nothing; its error counts as a lack of space.
#[test]
fn a_limit_of_file_sizes_is_waited_for_like_a_full_disk() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let limit = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    limit(Some(1));
    env.drop_file("intent-a.json", flat("a", 3));
    daemon.wait_log("disk full");
    assert!(env.status("intent-a.json").is_none());
    limit(None);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
    env.assert_clean();
}

/// A restriction on the calling thread at this point applies to all later threads; only the log's is older.
#[test]
fn no_thread_but_the_logs_runs_before_the_process_is_confined() {
    let env = env();
    let daemon = Running::start(env.command(&["-log-level", "debug", "-listen", "127.0.0.1:0"]));
    daemon.wait_log("ready");
    assert_eq!(daemon.logged_values("everything is open", "threads"), ["conductor-loop log"]);
    let running = thread_count(daemon.pid());
    assert!(running > 5, "and then they start: {running}");
    daemon.stop().expect(0);
}

fn thread_count(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}
