//! Order per target, parallelism, priority, duplicates, retries.

use crate::env;
use conductor_testkit::{Call, Running, flat, wait_until};
use std::collections::HashMap;

fn intervals_by_target(calls: &[Call]) -> HashMap<String, Vec<(u64, u64, String)>> {
    let mut by_target: HashMap<String, Vec<_>> = HashMap::new();
    for call in calls {
        let end = call.end_ns.expect("every run ended");
        by_target.entry(call.target()).or_default().push((call.begin_ns, end, call.intent_name()));
    }
    by_target
}

#[test]
fn one_target_never_runs_beside_itself_and_keeps_its_order() {
    let env = env();
    env.script("*: sleep=3");
    for i in 0..40 {
        env.drop_file(&format!("intent-{i:02}.json"), flat(&format!("t{}", i % 4), 1 + i % 5));
    }
    env.once(&["-workers", "4"]).expect(0);
    for (target, runs) in intervals_by_target(&env.calls()) {
        assert_eq!(runs.len(), 10);
        assert!(runs.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{target} overlaps");
        assert!(runs.windows(2).all(|pair| pair[0].2 < pair[1].2), "{target} out of order");
    }
}

#[test]
fn a_blocked_target_does_not_keep_others_waiting() {
    let env = env();
    env.script("stuck: wait=go\n*: exit=0");
    for i in 0..100 {
        env.drop_file(&format!("intent-a-stuck-{i:03}.json"), flat("stuck", 1 + i % 9));
    }
    env.drop_file("intent-z-free.json", flat("free", 3));
    let daemon = env.start(&[]);
    assert_eq!(env.wait_status("intent-z-free.json")["status"], "success");
    assert_eq!(env.calls().iter().filter(|call| call.target() == "stuck").count(), 1);
    env.release("go");
    env.wait_status("intent-a-stuck-099.json");
    daemon.stop().expect(0);
}

#[test]
fn different_targets_run_in_parallel_up_to_the_workers() {
    let env = env();
    env.script("*: wait=go");
    for i in 0..5 {
        env.drop_file(&format!("intent-{i}.json"), flat(&format!("t{i}"), 1));
    }
    let daemon = env.start(&["-workers", "3"]);
    wait_until("three porches at once", || env.calls().len() == 3);
    env.release("go");
    env.wait_status("intent-4.json");
    daemon.stop().expect(0);
    assert_eq!(env.calls().len(), 5);
}

#[test]
fn priority_goes_first_among_waiting_targets() {
    let env = env();
    env.script("first: wait=go\n*: exit=0");
    let with_priority =
        |target: &str, priority: u8| flat(target, 1).replace('}', &format!(", \"priority\": {priority}}}"));
    env.drop_file("intent-0.json", with_priority("first", 10));
    let daemon = env.start(&["-workers", "1"]);
    wait_until("the first to run", || env.calls().len() == 1);
    env.drop_file("intent-1.json", with_priority("low", 0));
    env.drop_file("intent-2.json", with_priority("middle", 5));
    env.drop_file("intent-3.json", with_priority("high", 10));
    wait_until("all taken", || !env.handoff("intent-3.json").exists());
    // Claimed too, so that all three are queued when the worker is free.
    daemon.wait_log("ready");
    wait_until("nothing in taken", || env.names(".conductor/taken").is_empty());
    env.release("go");
    for name in ["intent-1.json", "intent-2.json", "intent-3.json"] {
        env.wait_status(name);
    }
    let order: Vec<String> = env.calls().iter().map(Call::target).collect();
    assert_eq!(order, ["first", "high", "middle", "low"]);
    daemon.stop().expect(0);
}

#[test]
fn a27_duplicates_are_those_of_the_targets_last_success() {
    let env = env();
    let drop_and_run = |replicas| {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&[]).code()
    };
    assert_eq!((drop_and_run(5), drop_and_run(3), drop_and_run(5)), (0, 0, 0));
    assert_eq!(env.calls().len(), 3, "5 -> 3 -> 5 runs three times");
    assert_eq!(drop_and_run(5), 0);
    assert_eq!(env.calls().len(), 3, "dropped twice runs once");
    let status = env.status("intent-a.json").unwrap();
    assert_eq!((status["status"].as_str(), status["duplicate_of"].as_u64()), (Some("success"), Some(3)));
    env.script("*: exit=1");
    assert_eq!((drop_and_run(7), drop_and_run(7)), (8, 8));
    assert_eq!(env.calls().len(), 5, "a failed one dropped again runs again");
}

#[test]
fn a_failed_run_in_between_ends_a_duplicates_claim() {
    let env = env();
    let drop_a = |content: &str| env.drop_file("intent-a.json", content);
    let done = |seq: u64| {
        wait_until("it is done", || env.status("intent-a.json").is_some_and(|status| status["seq"] == seq));
        env.status("intent-a.json").unwrap()["duplicate_of"].as_u64()
    };
    let daemon = env.start_ready(&[]);
    drop_a(&flat("a", 3));
    assert_eq!(done(1), None);
    env.script("*: exit=1");
    drop_a(&flat("a", 5));
    done(2);
    env.script("*: exit=0");
    drop_a(&flat("a", 3));
    assert_eq!(done(3), None, "the failed run may have changed the world");
    drop_a("{");
    done(4);
    drop_a(&flat("a", 3));
    assert_eq!(done(5), Some(3), "a refused file changes nothing");
    daemon.stop().expect(0);
    // The same across a restart.
    env.script("*: exit=1");
    drop_a(&flat("a", 5));
    env.once(&[]).expect(8);
    env.script("*: exit=0");
    drop_a(&flat("a", 3));
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["duplicate_of"], serde_json::Value::Null);
}

#[test]
fn a_success_is_repeated_only_where_it_was_made() {
    let env = env();
    let run = |out: &str, mode: &str| {
        env.drop_file("intent-a.json", flat("a", 3));
        let mut command = env.bare_command();
        command.args([
            "-once",
            "-debounce",
            "0",
            "-handoff",
            "handoff",
            "-porch",
            "builtin",
            "-out",
            out,
            "-mode",
            mode,
        ]);
        Running::start(command).wait().expect(0);
        env.status("intent-a.json").unwrap()["duplicate_of"].as_u64()
    };
    assert_eq!((run("out", "direct"), run("out", "direct")), (None, Some(1)));
    assert_eq!((run("other", "direct"), run("other", "direct")), (None, Some(3)), "it has no package yet");
    assert!(env.path("other/test/a-scaling").is_dir());
    assert_eq!(run("other", "structured"), None, "another kind of package");
}

#[test]
fn an_interrupted_run_in_between_ends_a_duplicates_claim() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    env.script("*: wait=never");
    env.drop_file("intent-b.json", flat("a", 5));
    let daemon = env.start(&["-max-attempts", "1"]);
    wait_until("porch runs", || env.calls().len() == 2);
    // It waits behind the run that is about to be interrupted for the last time.
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("it is taken", || !env.handoff("intent-a.json").exists());
    daemon.kill();
    env.script("*: exit=0");
    env.once(&["-max-attempts", "1"]).expect(8);
    assert_eq!(env.status("intent-b.json").unwrap()["error_code"], "E306");
    assert_eq!(env.status("intent-a.json").unwrap()["duplicate_of"], serde_json::Value::Null);
    assert_eq!(env.calls().len(), 3);
}

#[test]
fn retryable_endings_are_retried_and_hold_their_target() {
    let env = env();
    env.script("busy: busy-until=3\n*: exit=0");
    env.drop_file("intent-1.json", flat("busy", 1));
    env.drop_file("intent-2.json", flat("busy", 2));
    env.once(&[]).expect(0);
    let status = env.status("intent-1.json").unwrap();
    assert_eq!((status["status"].as_str(), status["attempts"].as_u64()), (Some("success"), Some(3)));
    let order: Vec<String> = env.calls().iter().map(Call::intent_name).collect();
    assert_eq!(
        order,
        [
            "intent-1.json",
            "intent-1.json",
            "intent-1.json",
            "intent-2.json",
            "intent-2.json",
            "intent-2.json"
        ]
    );
}

#[test]
fn retries_end_at_max_attempts() {
    let env = env();
    env.script("*: exit=75");
    env.drop_file("intent-1.json", flat("a", 1));
    env.once(&["-max-attempts", "2"]).expect(8);
    let status = env.status("intent-1.json").unwrap();
    assert_eq!(
        (status["error_code"].as_str(), status["attempts"].as_u64(), status["exit_code"].as_i64()),
        (Some("E305"), Some(2), Some(75))
    );
    assert_eq!(env.calls().len(), 2);
}
