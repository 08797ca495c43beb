//! Start, stop, signals, locks, exit statuses, disk space.

use crate::env;
use conductor_testkit::{flat, wait_until};
use rustix::process::Signal;
use std::fs;
use std::process::Command;

#[test]
fn term_lets_running_porches_finish_within_the_grace_time() {
    let env = env();
    env.script("*: wait=go");
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("a", 4));
    let daemon = env.start(&["-grace-period", "30s"]);
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.signal(Signal::TERM);
    daemon.wait_log("stopping");
    env.release("go");
    daemon.wait().expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
    assert_eq!(env.calls().len(), 1, "the second waits for the next start");
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-b.json").unwrap()["status"], "success");
    env.assert_clean();
}

#[test]
fn what_outlasts_the_grace_time_is_interrupted_and_runs_again() {
    let env = env();
    env.script("*: wait=never");
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = env.start(&["-grace-period", "100ms"]);
    wait_until("porch runs", || env.calls().len() == 1);
    let finished = daemon.stop().expect(0);
    assert!(finished.stderr.contains("E306"), "{}", finished.stderr);
    assert!(env.status("intent-a.json").is_none(), "an interruption is no failure");
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    let status = env.status("intent-a.json").unwrap();
    assert_eq!((status["status"].as_str(), status["attempts"].as_u64()), (Some("success"), Some(2)));
}

#[test]
fn interruptions_count_as_attempts_up_to_the_limit() {
    let env = env();
    env.script("*: wait=never");
    env.drop_file("intent-a.json", flat("a", 3));
    for attempt in 1..=2 {
        let daemon = env.start(&["-grace-period", "0", "-max-attempts", "2"]);
        wait_until("porch runs", || env.calls().len() == attempt);
        daemon.stop().expect(0);
    }
    env.once(&["-max-attempts", "2"]).expect(8);
    let status = env.status("intent-a.json").unwrap();
    assert_eq!((status["error_code"].as_str(), status["attempts"].as_u64()), (Some("E306"), Some(2)));
    assert!(status["message"].as_str().unwrap().ends_with("at the last of 2 starts"), "{status}");
    assert_eq!(env.calls().len(), 2);
}

#[test]
fn a_second_signal_stops_at_once() {
    let env = env();
    env.script("*: ignore-term wait=never");
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = env.start(&["-grace-period", "1h"]);
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.signal(Signal::INT);
    daemon.wait_log("stopping");
    daemon.signal(Signal::TERM);
    daemon.wait().expect(0);
    assert!(env.status("intent-a.json").is_none());
}

#[test]
fn one_daemon_per_handoff_directory() {
    let env = env();
    let first = env.start_ready(&[]);
    let second = env.once(&[]).expect(1);
    assert!(
        second.stderr.contains("E402") && second.stderr.contains(&format!("pid {}", first.pid())),
        "{}",
        second.stderr
    );
    first.kill();
    env.once(&[]).expect(0);
}

#[test]
fn copies_of_all_directories_go_on_where_the_originals_ended() {
    let env = env();
    let to = env.path("elsewhere");
    fs::create_dir(&to).unwrap();
    env.drop_file("intent-done.json", flat("a", 2));
    let daemon = env.start_ready(&[]);
    env.wait_status("intent-done.json");
    env.operate(&["hold", "test/b"]).expect(0);
    env.drop_file("intent-waits.json", flat("b", 2));
    wait_until("b waits", || {
        env.operate_json(&["explain", "intent-waits.json"]).0["reason"]["word"] == "held"
    });
    daemon.stop().expect(0);
    let ran = env.calls().len();
    for name in ["handoff", "out"] {
        let copied = Command::new("cp").arg("-a").arg(env.path(name)).arg(&to).status().unwrap();
        assert!(copied.success());
    }
    let (handoff, out) = (to.join("handoff"), to.join("out"));
    let at = ["-handoff", handoff.to_str().unwrap()];
    fs::write(handoff.join("intent-new.json"), flat("c", 2)).unwrap();
    let porch = env.path("bin/porch");
    let words =
        ["-once", "-allow-unsafe-porch", "-porch", porch.to_str().unwrap(), "-out", out.to_str().unwrap()];
    env.run(&[&words[..], &at].concat()).expect(0);
    assert_eq!(env.calls().len(), ran + 1, "what was done does not run again, and what is held waits");
    let list = env.run(&[&["list", "--json"], &at[..]].concat()).expect(0).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let intents = list["intents"].as_array().unwrap();
    let known: Vec<_> = intents.iter().map(|row| (row["seq"].as_u64(), row["state"].as_str())).collect();
    assert_eq!(
        known,
        [(Some(2), Some("waiting")), (Some(3), Some("done")), (Some(1), Some("done"))],
        "{list}"
    );
}

#[test]
fn sighup_applies_what_is_safe_and_refuses_nonsense() {
    let env = env();
    let config = env.path("c.toml");
    fs::write(&config, "timeout = \"30s\"\n").unwrap();
    let daemon = env.start_ready(&["-config", config.to_str().unwrap()]);
    fs::write(&config, "timeout = \"150ms\"\nmax-attempts = \"bad\"\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_log("configuration not changed");
    fs::write(&config, "timeout = \"150ms\"\nworkers = 5\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_log("setting changed");
    daemon.wait_log("at the next start only");
    env.script("*: sleep=600000");
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["error_code"], "E303");
    daemon.stop().expect(0);
}

#[test]
fn exit_statuses() {
    let env = env();
    env.once(&[]).expect(0);
    env.drop_file("intent-bad.json", "{");
    env.once(&[]).expect(8);
    env.once(&[]).expect(0);
    fs::write(env.path("file"), "").unwrap();
    env.run(&["-handoff", env.path("file/below").to_str().unwrap(), "-once", "-porch", "builtin"]).expect(1);
    env.run(&["-mode", "fast"]).expect(2);
    env.run(&["--no-such-flag"]).expect(2);
    assert_eq!(env.names("failed").len(), 2, "old failures stay and do not count again");
}

#[test]
fn a_porch_that_is_asked_for_and_missing_refuses_the_start() {
    let env = env();
    let finished = env.once(&["-porch", "no-such-porch"]).expect(1);
    assert!(
        finished
            .stderr
            .contains("porch validation failed: exec: \"no-such-porch\": executable file not found in $PATH"),
        "{}",
        finished.stderr
    );
    for hostile in ["porch; rm -rf /", "porch | cat", "`id`", "$(id)"] {
        env.once(&["-porch", hostile]).expect(1);
    }
}

#[test]
fn without_any_porch_the_embedded_engine_works_with_one_warning() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    let mut command = env.bare_command();
    command
        .env("PATH", env.path("out"))
        .args(["-once", "-handoff"])
        .arg(env.path("handoff"))
        .arg("-out")
        .arg(env.path("out"));
    let finished = conductor_testkit::Running::start(command).wait().expect(0);
    assert_eq!(finished.stderr.matches("embedded engine").count(), 1);
    assert_eq!(env.status("intent-a.json").unwrap()["porch_path"], "builtin");
}

#[test]
fn rate_limits_delay_and_lose_nothing() {
    let env = env();
    for i in 0..8 {
        env.drop_file(&format!("intent-{i}.json"), flat(&format!("t{i}"), 3));
    }
    env.once(&["-rate", "4", "-workers", "8"]).expect(0);
    let begins: Vec<u64> = env.calls().iter().map(|call| call.begin_ns).collect();
    assert_eq!(begins.len(), 8);
    // The scheduler's own test shows a burst of twice the rate, then one intent every quarter of a second; this one shows that
    // the flag reaches the scheduler: a rate of four lets eight through at once.
    env.drop_file("intent-9.json", flat("t9", 3));
    env.drop_file("intent-10.json", flat("t10", 3));
    env.once(&["-rate", "0.5", "-workers", "8"]).expect(0);
    let begins: Vec<u64> = env.calls().iter().skip(8).map(|call| call.begin_ns).collect();
    assert!(begins[1] - begins[0] >= 1_900_000_000, "one, then the next two seconds later");
}

#[test]
fn a_failing_daemon_that_lives_long_stays_alive() {
    let env = env();
    env.script("*: exit=1");
    let mut daemon = env.start_ready(&[]);
    for i in 0..60 {
        env.drop_file(&format!("intent-{i}.json"), if i % 2 == 0 { flat("a", 3) } else { "{".to_owned() });
        env.wait_status(&format!("intent-{i}.json"));
    }
    assert!(daemon.is_running());
    daemon.stop().expect(0);
    assert_eq!(env.names("status").len(), 60);
}

/// A file system mounted at this place until dropped; `None` if mounting is not permitted.
pub(crate) struct Mounted(std::path::PathBuf);

impl Mounted {
    pub(crate) fn new(kind: &str, at: std::path::PathBuf, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("note: mounting needs root and is not allowed here; nothing was tested");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn parts_on_another_file_system_refuse_the_start() {
    for part in ["processed", "status", ".conductor"] {
        let env = env();
        fs::create_dir(env.handoff(part)).unwrap();
        let Some(_mounted) = Mounted::new("tmpfs", env.handoff(part), "size=16m,mode=750") else { return };
        let finished = env.once(&[]).expect(1);
        assert!(finished.stderr.contains("E403") && finished.stderr.contains(part), "{}", finished.stderr);
    }
}

#[test]
fn g02_a_full_disk_stops_taking_and_resumes_alone() {
    let env = env();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("handoff"), "size=16m,mode=755") else { return };
    let daemon = env.start_ready(&["-porch", "builtin", "-period", "200ms"]);
    fs::write(env.handoff("ballast"), vec![0; 13 << 20]).unwrap();
    daemon.wait_log("E408");
    fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
    wait_until("the head to say so", || env.read(".conductor-state.json").contains("disk-full"));
    assert!(env.handoff("intent-a.json").exists(), "not taken");
    fs::remove_file(env.handoff("ballast")).unwrap();
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn g02_a_run_with_an_end_ends_on_a_full_disk() {
    let env = env();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("handoff"), "size=16m,mode=755") else { return };
    env.once(&[]).expect(0);
    fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
    let mut ballast = fs::File::create(env.handoff("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    let finished = env.once(&[]).expect(1);
    assert!(finished.stderr.contains("E408 nothing is taken: disk-full"), "{}", finished.stderr);
    drop(ballast);
    fs::remove_file(env.handoff("ballast")).unwrap();
    env.once(&[]).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
}

/// What is claimed is tried again each second, which is no progress.
#[test]
fn g02_a_run_with_an_end_ends_where_a_private_copy_finds_no_space() {
    let env = env();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("handoff"), "size=16m,mode=755") else { return };
    let state = env.path("state");
    let flags = ["-state-dir", state.to_str().unwrap()];
    fs::create_dir(&state).unwrap();
    env.script("*: wait=go");
    fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
    let daemon = env.start(&flags);
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.kill();
    let mut ballast = fs::File::create(env.handoff("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    let finished = env.once(&flags).expect(1);
    assert!(finished.stderr.contains("E408 1 intent waits: disk-full"), "{}", finished.stderr);
    drop(ballast);
    fs::remove_file(env.handoff("ballast")).unwrap();
    env.release("go");
    env.once(&flags).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
}

/// Not a byte is left, so that records and files of intents in progress cannot be written.
#[test]
fn g02_what_is_in_flight_survives_a_disk_without_a_single_byte() {
    let env = env();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("handoff"), "size=16m,mode=755") else { return };
    env.script("*: wait=go");
    fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
    let daemon = env.start(&[]);
    wait_until("porch runs", || env.calls().len() == 1);
    let mut ballast = fs::File::create(env.handoff("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    env.release("go");
    daemon.wait_log("E408");
    drop(ballast);
    fs::remove_file(env.handoff("ballast")).unwrap();
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
    assert_eq!(env.calls().len(), 1, "porch ran once");
}
