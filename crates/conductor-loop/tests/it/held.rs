//! Files that a writer holds open delay no other file.

use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, TestUser, flat, wait_until};
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More than a window of takes.
const FILES: usize = 300;
/// A file with a writer is waited for ten debounce times: longer than a test waits for a good intent.
const FLAGS: [&str; 6] = ["-porch", "builtin", "-debounce", "3s", "-period", "200ms"];
/// The interval at which the adversary renews missing files.
const RENEWED: Duration = Duration::from_millis(100);

/// Keeps this many files there, each open for writing for ever if `open`; taken ones are renewed, up to the process's
/// descriptor limit.
fn adversary(env: &TestEnv, open: bool, stop: &AtomicBool) {
    let mut held: Vec<File> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for number in 0..FILES {
            let path = env.handoff(&format!("intent-held-{number}.json"));
            if path.exists() || held.len() > 2 * FILES {
                continue;
            }
            let mut file = File::create(&path).unwrap();
            file.write_all(b"{").unwrap();
            if open {
                held.push(file);
            }
        }
        std::thread::sleep(RENEWED); // The producer's own pace.
    }
}

fn good_ones_get_through(env: &TestEnv, daemon: Running, open: bool) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| adversary(env, open, &stop));
        daemon.wait_log("a writer still holds it");
        for number in 0..2 {
            let name = format!("intent-good-{number}.json");
            env.drop_file(&name, flat(&format!("t{number}"), 3));
            let done = std::panic::catch_unwind(|| env.wait_status(&name));
            // The adversary ends in any case.
            stop.fetch_or(done.is_err(), Ordering::Relaxed);
            assert_eq!(done.unwrap()["status"], "success");
        }
        // A list is no single moment: one may be given up, and the next taken, while it is made.
        let bounded = std::panic::catch_unwind(|| {
            wait_until("at most 128 are waited for", || {
                let rows = env.operate_json(&["list", "--limit", "1000"]).0;
                let waiting = |row: &&serde_json::Value| row["reason"]["word"] == "writer-open";
                (1..=128).contains(&rows["intents"].as_array().unwrap().iter().filter(waiting).count())
            });
        });
        stop.store(true, Ordering::Relaxed);
        assert!(bounded.is_ok());
    });
    daemon.stop().expect(0);
}

#[test]
fn files_open_for_writing_keep_no_other_producer_waiting() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    good_ones_get_through(&env, daemon, true);
}

/// The kernel reports no writers for files of another user; text that ends too early counts as a sign of one.
#[test]
fn unfinished_files_of_others_keep_no_other_producer_waiting() {
    if !is_root() {
        return eprintln!("NOT TESTED: only root can be two users");
    }
    let env = env().as_user(TestUser::Nobody);
    let daemon = env.start_ready(&FLAGS);
    good_ones_get_through(&env, daemon, false);
}

/// A taken file that is not judged yet has one reason.
#[test]
fn a_file_that_waits_for_its_writer_is_listed_and_explained() {
    let env = env();
    // The writer is waited for ten debounce times: longer than two questions take on a busy machine.
    let daemon = env.start_ready(&["-porch", "builtin", "-period", "100ms", "-debounce", "3s"]);
    let mut writer = File::create(env.handoff("intent-w.json")).unwrap();
    writer.write_all(b"{").unwrap();
    let word = |of: &str| env.operate_json(&["explain", of]).0["reason"]["word"].as_str().map(str::to_owned);
    wait_until("it is explained", || word("intent-w.json").as_deref() == Some("writer-open"));
    assert_eq!(word("1").as_deref(), Some("writer-open"));
    writer.write_all(&flat("a", 3).as_bytes()[1..]).unwrap();
    drop(writer);
    assert_eq!(env.wait_status("intent-w.json")["status"], "success");
    fs::remove_file(env.handoff("status/intent-w.json.status")).unwrap();
    daemon.stop().expect(0);
}
