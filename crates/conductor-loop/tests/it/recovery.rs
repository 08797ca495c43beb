//! Killed at random and at chosen points: every intent has exactly one outcome in every case.

use crate::env;
use conductor_testkit::{TestEnv, flat, trail, wait_until};
use std::collections::HashMap;
use std::fs;
use std::os::fd::AsRawFd;

/// Asserts that each intent is archived once, has one status, and that nothing is left in between.
fn assert_each_once(env: &TestEnv, count: usize) {
    let archived: Vec<String> = ["processed", "failed"]
        .iter()
        .flat_map(|d| env.names(d))
        .filter(|name| !name.ends_with(".error.log"))
        .collect();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for name in &archived {
        *by_name.entry(name).or_default() += 1;
    }
    assert_eq!(archived.len(), count, "{archived:?}");
    assert!(by_name.values().all(|n| *n == 1));
    assert_eq!(env.names("status").len(), count);
    env.assert_clean();
}

#[test]
fn g08_killed_again_and_again_under_load_every_intent_has_one_outcome() {
    let env = env();
    env.script("*: sleep=2");
    for i in 0..300 {
        env.drop_file(&format!("intent-{i:03}.json"), flat(&format!("t{}", i % 7), 1 + i % 9));
    }
    let mut killed = 0;
    while env.names("status").len() < 300 && killed < 12 {
        let daemon = env.start(&["-workers", "3", "-max-attempts", "100"]);
        // Wait for progress: each life ends after a different amount of work.
        let goal = (env.names("status").len() + 3 + killed * 2).min(300);
        wait_until("some progress", || env.names("status").len() >= goal);
        daemon.kill();
        killed += 1;
    }
    env.once(&["-workers", "3", "-max-attempts", "100"]).expect(0);
    assert_each_once(&env, 300);
    let numbers: Vec<u64> = (0..300)
        .map(|i| env.status(&format!("intent-{i:03}.json")).unwrap()["seq"].as_u64().unwrap())
        .collect();
    trail::check(&env, &numbers).unwrap();
    let mut ends: HashMap<String, Vec<(u64, Option<u64>)>> = HashMap::new();
    env.calls()
        .into_iter()
        .for_each(|call| ends.entry(call.target()).or_default().push((call.begin_ns, call.end_ns)));
    for (target, runs) in ends {
        let overlap = runs.windows(2).any(|pair| pair[0].1.is_some_and(|end| end > pair[1].0));
        assert!(!overlap, "{target} ran beside itself");
    }
}

#[test]
fn a_start_says_how_much_it_continues_and_nothing_where_nothing_was_left() {
    let env = env();
    env.script("*: sleep=600000");
    let names = ["x", "y", "z"].map(|target| format!("intent-{target}.json"));
    for (name, target) in names.iter().zip(["x", "y", "z"]) {
        env.drop_file(name, flat(target, 3));
    }
    let flags = ["-workers", "1", "-max-attempts", "1"];
    let daemon = env.start_ready(&flags);
    wait_until("one runs, and all of them are in the store", || {
        let taken = names.iter().all(|name| !env.handoff(name).exists());
        taken && env.names(".conductor/taken").is_empty() && env.porches().len() == 1
    });
    daemon.kill();
    env.script("");
    let continued = |log: &[serde_json::Value]| -> Vec<[u64; 3]> {
        let lines = log.iter().filter(|line| line["message"] == "continuing unfinished work");
        let counts = ["to_publish", "to_run", "to_look_at"];
        lines.map(|line| counts.map(|count| line[count].as_u64().unwrap())).collect()
    };
    // The one that ran was interrupted at its only start, and is filed without another.
    let next = env.once(&flags).expect(8);
    assert_eq!(continued(&next.log()), [[1, 2, 0]]);
    assert!(continued(&env.once(&flags).expect(0).log()).is_empty());
    assert_each_once(&env, 3);
}

#[test]
fn statuses_and_archives_are_made_again_from_the_store() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-bad.json", "{");
    let daemon = env.start_ready(&[]);
    env.wait_status("intent-a.json");
    env.wait_status("intent-bad.json");
    // Before DONE: the published files are not yet known to be durable, as after a power cut.
    daemon.kill();
    for lost in [
        "processed/intent-a.json",
        "status/intent-a.json.status",
        "failed/intent-bad.json",
        "failed/intent-bad.json.error.log",
    ] {
        fs::remove_file(env.handoff(lost)).unwrap();
    }
    fs::write(env.handoff("status/intent-bad.json.status"), "{\"torn").unwrap();
    // The outcomes are reported in this run, so they count for its exit status.
    env.once(&[]).expect(8);
    assert_eq!(env.calls().len(), 1, "porch is not started again");
    assert_eq!(env.read("processed/intent-a.json"), flat("a", 3));
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
    assert_eq!(env.status("intent-bad.json").unwrap()["error_code"], "E204");
    assert!(env.read("failed/intent-bad.json.error.log").contains("E204"));
    assert_each_once(&env, 2);
}

#[test]
fn a_file_that_was_taken_and_not_claimed_is_looked_at_again() {
    let env = env();
    env.once(&[]).expect(0);
    fs::write(env.handoff(".conductor/taken/7.intent-a.json"), flat("a", 3)).unwrap();
    fs::create_dir(env.handoff(".conductor/taken/9")).unwrap();
    fs::write(env.handoff(".conductor/taken/9/intent- odd.json"), flat("a", 3)).unwrap();
    env.once(&[]).expect(8);
    assert_eq!(env.status("intent-a.json").unwrap()["seq"], 7);
    assert_eq!(env.names("processed"), ["intent-a.json"]);
    env.drop_file("intent-b.json", flat("b", 3));
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-b.json").unwrap()["seq"], 10, "numbers go on behind what was taken");
    env.assert_clean();
}

/// Makes the last daemon's run table one of another boot.
pub(super) fn after_a_reboot(env: &TestEnv) {
    let path = env.handoff(".conductor/running");
    let text = fs::read_to_string(&path).unwrap();
    let (boot, rest) = text.split_once('\n').unwrap();
    fs::write(path, format!("{:<1$}\n{rest}", "another boot", boot.len())).unwrap();
}

#[test]
fn a_taking_that_a_power_cut_undid_is_not_run_twice() {
    let env = env();
    env.script("*: wait=go");
    env.drop_file("intent-a.json", flat("a", 3));
    let inode_keeper = env.path("kept");
    fs::hard_link(env.handoff("intent-a.json"), &inode_keeper).unwrap();
    fs::remove_file(&inode_keeper).unwrap();
    let keep = fs::File::open(env.handoff("intent-a.json")).unwrap();
    let daemon = env.start(&[]);
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.kill();
    // The same inode, with its time and size, under its old name: the disk as it is after the power cut.
    let restored = rustix::fs::linkat(
        rustix::fs::CWD,
        format!("/proc/self/fd/{}", keep.as_raw_fd()),
        rustix::fs::CWD,
        env.handoff("intent-a.json"),
        rustix::fs::AtFlags::SYMLINK_FOLLOW,
    );
    if restored.is_err() {
        return eprintln!("note: an unlinked file cannot be linked again here; nothing was tested");
    }
    after_a_reboot(&env);
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    assert_eq!(env.names("processed"), ["intent-a.json"]);
    assert!(!env.handoff("intent-a.json").exists());
}

#[test]
fn counted_attempts_survive_kills() {
    let env = env();
    env.script("*: wait=never");
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("a", 4));
    for attempt in 1..=3 {
        let daemon = env.start(&[]);
        wait_until("porch runs", || env.calls().len() == attempt);
        daemon.kill();
    }
    env.script("*: exit=0");
    env.once(&[]).expect(8);
    let status = env.status("intent-a.json").unwrap();
    assert_eq!((status["error_code"].as_str(), status["attempts"].as_u64()), (Some("E306"), Some(3)));
    let waiting = env.status("intent-b.json").unwrap();
    assert_eq!(
        (waiting["status"].as_str(), waiting["attempts"].as_u64()),
        (Some("success"), Some(1)),
        "waiting is no attempt"
    );
}
