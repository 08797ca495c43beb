//! The durable state: head, show, export, import, refusals, retention.

use crate::env;
use conductor_testkit::{TestEnv, flat};
use std::fs;

fn state(env: &TestEnv, words: &[&str]) -> conductor_testkit::Finished {
    let handoff = env.path("handoff");
    let all: Vec<&str> = ["state"]
        .into_iter()
        .chain(words.iter().copied())
        .chain(["--handoff", handoff.to_str().unwrap()])
        .collect();
    env.run(&all)
}

#[test]
fn the_head_is_small_public_json() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    let head: serde_json::Value = serde_json::from_str(&env.read(".conductor-state.json")).unwrap();
    assert_eq!(head["counts"]["processed"], 1);
    assert_eq!(
        (head["last_seq"].as_u64(), head["sealed"].as_bool(), head["ready"].as_bool()),
        (Some(1), Some(true), Some(false))
    );
    assert!(head["store"].as_str().unwrap().ends_with(".conductor/state/ledger.redb"));
}

#[test]
fn the_head_says_ready_while_the_daemon_is() {
    let env = env();
    let daemon = env.start_ready(&[]);
    conductor_testkit::wait_until("a ready head", || {
        env.handoff(".conductor-state.json").exists()
            && env.read(".conductor-state.json").contains("\"ready\": true")
    });
    let shown = state(&env, &["show", "--json"]).expect(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((shown["daemon_running"].as_bool(), shown["ready"].as_bool()), (Some(true), Some(true)));
    daemon.stop().expect(0);
}

#[test]
fn an_export_beside_the_daemon_is_the_one_without() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    // More than one part.
    for number in 0..230 {
        env.drop_file(&format!("intent-{number}.json"), flat(&format!("t{number}"), 3));
    }
    env.drop_file("intent-bad.json", flat("bad", 500));
    conductor_testkit::wait_until("all are done", || env.names("status").len() == 231);
    let beside = state(&env, &["export"]).expect(0).stdout;
    let file = env.path("export.jsonl");
    let told = state(&env, &["export", file.to_str().unwrap()]).expect(0).stdout;
    assert!(told.starts_with("231 outcomes exported"), "{told}");
    daemon.stop().expect(0);
    let without = state(&env, &["export"]).expect(0).stdout;
    let but_the_time = |text: &str| -> Vec<String> {
        let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
        let mut lines: Vec<serde_json::Value> = lines.map(Result::unwrap).collect();
        lines[0]["exported_at"].take();
        lines.iter().map(ToString::to_string).collect()
    };
    assert_eq!(but_the_time(&beside), but_the_time(&without));
    assert_eq!(but_the_time(&fs::read_to_string(&file).unwrap()), but_the_time(&without));
    let new = crate::env();
    let imported = state(&new, &["import", file.to_str().unwrap()]).expect(0);
    assert!(imported.stdout.starts_with("231 imported"), "{}", imported.stdout);
}

#[test]
fn an_export_that_is_refused_leaves_no_file() {
    let env = env();
    let file = env.path("export.jsonl");
    let refused = state(&env, &["export", file.to_str().unwrap()]).expect(1);
    assert!(!file.exists(), "{}", refused.stderr);
    // One that is there is another's.
    fs::write(&file, "mine").unwrap();
    env.once(&[]).expect(0);
    state(&env, &["export", file.to_str().unwrap()]).expect(1);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn export_and_import_move_the_duplicate_memory() {
    let old = env();
    old.drop_file("intent-a.json", flat("a", 3));
    old.once(&[]).expect(0);
    let file = old.path("export.jsonl");
    state(&old, &["export", file.to_str().unwrap()]).expect(0);
    let lines = fs::read_to_string(&file).unwrap();
    assert!(
        lines.lines().count() == 2
            && lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    let new = env();
    let imported = state(&new, &["import", file.to_str().unwrap()]).expect(0);
    assert!(imported.stdout.starts_with("1 imported"), "{}", imported.stdout);
    new.drop_file("intent-a.json", flat("a", 3));
    new.once(&[]).expect(0);
    assert_eq!(new.calls().len(), 0, "known from the import");
    assert_eq!(new.status("intent-a.json").unwrap()["duplicate_of"], 1);
}

#[test]
fn the_go_state_file_is_taken_over_once_and_kept() {
    let env = env();
    let content = flat("a", 3);
    let sha = sha256_of(&content);
    let go = format!(
        r#"{{"version": "1.0", "saved_at": "2025-01-01T00:00:00Z", "states": {{"/h/intent-a.json":
        {{"file_path": "/h/intent-a.json", "sha256": "{sha}", "size": {}, "processed_at": "{}", "status": "processed"}}}}}}"#,
        content.len(),
        jiff::Timestamp::now()
    );
    fs::write(env.handoff(".conductor-state.json"), &go).unwrap();
    env.drop_file("intent-a.json", &content);
    env.once(&[]).expect(0);
    assert_eq!(env.calls().len(), 0, "processed by the Go version with the same name and bytes");
    assert_eq!(env.read(".conductor-state.json.imported"), go);
    // Another file is kept beside it: the first may be the only copy of its outcomes.
    let another = go.replace("intent-a", "intent-b");
    fs::write(env.handoff(".conductor-state.json"), &another).unwrap();
    env.once(&[]).expect(0);
    assert_eq!(env.read(".conductor-state.json.imported"), go);
    assert_eq!(env.read(".conductor-state.json.imported.2"), another);
    env.drop_file("intent-a.json", flat("a", 4));
    env.once(&[]).expect(0);
    assert_eq!(env.calls().len(), 1);
}

fn sha256_of(text: &str) -> String {
    conductor_crypto::sha256(text.as_bytes()).to_string()
}

#[test]
fn damaged_missing_and_foreign_stores_refuse_to_start() {
    type BreakIt = fn(&TestEnv);
    let damage: [(&str, BreakIt); 4] = [
        ("E404", |env| fs::write(env.handoff(".conductor/state/ledger.redb"), "x".repeat(100_000)).unwrap()),
        ("E404", |env| fs::write(env.handoff(".conductor/state/ledger.redb"), "").unwrap()),
        ("E404", |env| fs::remove_file(env.handoff(".conductor/state/ledger.redb")).unwrap()),
        ("E410", |env| {
            fs::remove_file(env.handoff(".conductor/state/ledger.redb")).unwrap();
            fs::write(env.handoff(".conductor-state.json"), "{\"version\": \"1.0\", \"sta").unwrap();
        }),
    ];
    for (code, break_it) in damage {
        let env = env();
        env.once(&[]).expect(0);
        break_it(&env);
        env.drop_file("intent-a.json", flat("a", 3));
        let finished = env.once(&[]).expect(1);
        assert!(finished.stderr.contains(code) && finished.stderr.contains("hint:"), "{}", finished.stderr);
        assert!(env.handoff("intent-a.json").exists(), "nothing was taken");
    }
}

#[test]
fn a_state_directory_elsewhere() {
    let env = env();
    let place = env.path("state");
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&["-state-dir", place.to_str().unwrap()]).expect(0);
    assert!(place.join("ledger.redb").exists() && !env.handoff(".conductor/state/ledger.redb").exists());
}

#[test]
fn retention_removes_what_is_old_by_our_own_record() {
    let env = env();
    // An imported outcome of long ago, with its files.
    let line = |seq: u64, at: &str| {
        format!(
            r#"{{"v": 1, "seq": {seq}, "name": "intent-{seq}.json", "status": "success", "message": "", "finished_at": "{at}", "mode": "direct", "porch_path": "p", "size": 1, "correlation_id": "c", "attempts": 1, "archived_as": "processed/intent-{seq}.json"}}"#
        )
    };
    let now = jiff::Timestamp::now().to_string();
    let export = format!(
        "{{\"format\": \"conductor-loop state\", \"version\": 1, \"exported_at\": \"{now}\", \"last_seq\": 2}}\n{}\n{}\n",
        line(1, "2020-01-01T00:00:00Z"),
        line(2, &now)
    );
    fs::write(env.path("export"), export).unwrap();
    state(&env, &["import", env.path("export").to_str().unwrap()]).expect(0);
    fs::create_dir_all(env.handoff("processed")).unwrap();
    for seq in 1..=2 {
        fs::write(env.handoff(&format!("processed/intent-{seq}.json")), "x").unwrap();
    }
    let daemon = env.start_ready(&[]);
    daemon.wait_log("removed old outcomes");
    daemon.stop().expect(0);
    assert_eq!(env.names("processed"), ["intent-2.json"]);
    let shown = state(&env, &["show", "--json"]).expect(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((shown["remembered"].as_u64(), shown["last_seq"].as_u64()), (Some(1), Some(2)));
}

#[test]
fn an_export_that_finds_no_room_says_so_of_its_file_and_not_of_the_store() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    let full = || {
        let mut command = env.bare_command();
        command.args(["state", "export", "-handoff", env.path("handoff").to_str().unwrap()]);
        let done = command.stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(text.starts_with("ERROR: cannot write the answer: No space left on device"), "{text}");
    };
    full();
    let daemon = env.start_ready(&[]);
    full();
    daemon.stop().expect(0);
    let place = env.path("small");
    fs::create_dir(&place).unwrap();
    let Some(_small) = crate::lifecycle::Mounted::new("tmpfs", place.clone(), "size=4k,mode=777") else {
        return eprintln!("NOT TESTED: mounting needs root");
    };
    fs::write(place.join("fill"), [0; 4096]).unwrap();
    let file = place.join("export.jsonl");
    let told = state(&env, &["export", file.to_str().unwrap()]).expect(1).stderr;
    let text = format!("ERROR: cannot write {}: No space left on device", file.display());
    assert!(told.starts_with(&text) && !file.exists(), "{told}");
}
