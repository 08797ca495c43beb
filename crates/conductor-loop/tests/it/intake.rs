//! Files are noticed, taken at the right time, and taken once.

use crate::env;
use conductor_testkit::{flat, wait_until};
use std::fs::{self, OpenOptions};
use std::io::Write;

#[test]
fn a_dropped_file_is_processed_filed_and_reported() {
    let env = env();
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-a.json", flat("a", 3));
    let status = env.wait_status("intent-a.json");
    assert_eq!(
        (status["status"].as_str(), status["archived_as"].as_str()),
        (Some("success"), Some("processed/intent-a.json"))
    );
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("Processed by worker ") && message.contains(" in "), "{message}");
    assert_eq!(env.read("processed/intent-a.json"), flat("a", 3));
    daemon.stop().expect(0);
    assert!(!env.handoff("intent-a.json").exists());
    env.assert_clean();
}

#[test]
fn once_takes_the_backlog_and_leaves_other_names_alone() {
    let env = env();
    for i in 0..10 {
        env.drop_file(&format!("intent-{i}.json"), flat("same", 3));
    }
    for other in ["not-intent.txt", "intent-x.json.tmp", ".intent-x.json", "Intent-x.json"] {
        env.drop_file(other, "x");
    }
    env.once(&["-workers", "3"]).expect(0);
    assert_eq!(env.calls().len(), 10, "ten names with one content run ten times");
    assert_eq!((env.names("processed").len(), env.names("status").len()), (10, 10));
    for other in ["not-intent.txt", "intent-x.json.tmp", ".intent-x.json", "Intent-x.json"] {
        assert!(env.handoff(other).exists(), "{other}");
    }
    env.assert_clean();
}

#[test]
fn once_on_an_empty_directory_ends_well() {
    env().once(&[]).expect(0);
}

#[test]
fn rapid_changes_are_debounced_into_one_run() {
    let env = env();
    let daemon = env.start_ready(&["-debounce", "300ms"]);
    for replicas in 1..=5 {
        fs::write(env.handoff("intent-a.json"), flat("a", replicas)).unwrap();
    }
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
    let calls = env.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].record["content"], flat("a", 5), "the last content is what runs");
}

#[test]
fn a_file_that_keeps_changing_is_taken_after_ten_debounce_times() {
    let env = env();
    let daemon = env.start_ready(&["-debounce", "40ms"]);
    let begin = std::time::Instant::now();
    // Rewritten faster than the quiet time until it is taken.
    while env.status("intent-a.json").is_none() {
        assert!(begin.elapsed().as_secs() < 20, "a busy file is not postponed for ever");
        if !env.handoff("processed/intent-a.json").exists() {
            env.drop_file("intent-a.json", flat("a", 3));
        }
    }
    assert!(begin.elapsed().as_millis() >= 40);
    daemon.stop().expect(0);
}

#[test]
fn a10_a_writer_that_holds_the_file_is_waited_for() {
    let env = env();
    let daemon = env.start_ready(&["-debounce", "10ms", "-period", "100ms"]);
    let text = flat("a", 3);
    let (first, second) = text.split_at(20);
    let mut writer =
        OpenOptions::new().create_new(true).write(true).open(env.handoff("intent-a.json")).unwrap();
    writer.write_all(first.as_bytes()).unwrap();
    // The scan finds it quiet and takes it; the open writer is noticed and waited for.
    daemon.wait_log("a writer still holds it");
    assert!(env.status("intent-a.json").is_none(), "taken, but not judged");
    writer.write_all(second.as_bytes()).unwrap();
    drop(writer);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    assert_eq!(env.read("processed/intent-a.json"), text);
    daemon.stop().expect(0);
}

#[test]
fn a24_more_files_than_events_fit_are_all_taken() {
    let env = env();
    let daemon = env.start(&["-porch", "builtin", "-log-level", "warn"]);
    for i in 0..20_000 {
        fs::write(env.handoff(&format!("intent-{i}.json")), flat(&format!("t{}", i % 50), 3)).unwrap();
    }
    // In steps, so that each has the full time limit on a busy machine.
    for share in (250..=20_000).step_by(250) {
        wait_until(&format!("{share} outcomes"), || env.names("processed").len() >= share);
    }
    daemon.stop().expect(0);
    assert_eq!(env.names("status").len(), 20_000);
    env.assert_clean();
}

#[test]
fn a32_scans_find_what_no_event_announced() {
    let env = env();
    let daemon = env.start_ready(&["-period", "100ms"]);
    // A hard link is created without a watched event; the other name goes before the scan can see two.
    env.drop_file("quiet.tmp", flat("a", 3));
    fs::hard_link(env.handoff("quiet.tmp"), env.handoff("intent-a.json")).unwrap();
    fs::remove_file(env.handoff("quiet.tmp")).unwrap();
    wait_until("a status", || env.status("intent-a.json").is_some());
    daemon.stop().expect(0);
}

#[test]
fn period_zero_works_by_events_alone() {
    let env = env();
    let daemon = env.start_ready(&["-period", "0"]);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
}

#[test]
fn a_replaced_handoff_directory_is_noticed_and_used() {
    let env = env();
    let daemon = env.start_ready(&[]);
    fs::rename(env.path("handoff"), env.path("old")).unwrap();
    daemon.wait_log("not ready");
    fs::create_dir(env.path("handoff")).unwrap();
    daemon.wait_log("starting over");
    wait_until("a new private directory", || env.handoff(".conductor/taken").exists());
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn a_deleted_handoff_directory_is_survived_even_while_porch_runs() {
    let env = env();
    env.script("*: wait=go");
    let daemon = env.start_ready(&["-debounce", "10ms", "-grace-period", "1s"]);
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("porch runs", || env.calls().len() == 1);
    fs::remove_dir_all(env.path("handoff")).unwrap();
    daemon.wait_log("not ready");
    env.release("go");
    fs::create_dir(env.path("handoff")).unwrap();
    daemon.wait_log("starting over");
    env.script("*: exit=0");
    wait_until("a new private directory", || env.handoff(".conductor/taken").exists());
    env.drop_file("intent-b.json", flat("b", 3));
    assert_eq!(env.wait_status("intent-b.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn a_name_collision_in_the_archive_gets_the_sequence_number() {
    let env = env();
    for replicas in 1..=3 {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&[]).expect(0);
    }
    assert_eq!(env.names("processed"), ["intent-a.2.json", "intent-a.3.json", "intent-a.json"]);
    assert_eq!(env.status("intent-a.json").unwrap()["archived_as"], "processed/intent-a.3.json");
    env.script("*: exit=1");
    for replicas in 1..=2 {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&[]).expect(8);
    }
    let want = ["intent-a.5.json", "intent-a.5.json.error.log", "intent-a.json", "intent-a.json.error.log"];
    assert_eq!(env.names("failed"), want);
}
