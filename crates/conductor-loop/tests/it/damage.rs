//! A store that is damaged, lost, older than its work or taken away: refused or noticed, and restored in the documented
//! ways, with no intent run a second time and no number used twice.

use crate::{env, make_plain};
use conductor_testkit::{Finished, TestEnv, flat, wait_until};
use std::fs;
use std::path::Path;

const STORE: &str = ".conductor/state/ledger.redb";

/// Drops an intent, runs the daemon, and returns the status.
fn work_off(env: &TestEnv, name: &str, replicas: u32) -> serde_json::Value {
    env.drop_file(name, flat(name, replicas));
    env.once(&[]).expect(0);
    env.status(name).unwrap()
}

/// Checks that the start is refused with this code, and that the store stays unchanged.
#[track_caller]
fn refused(env: &TestEnv, code: &str) -> Finished {
    let before = fs::read(env.handoff(STORE)).ok();
    let finished = env.once(&[]).expect(1);
    assert!(finished.stderr.contains(code) && finished.stderr.contains("hint:"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(fs::read(env.handoff(STORE)).ok() == before, "a refused store is not changed");
    finished
}

fn copy_dir(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Flips one bit of the store at each occurrence of this text.
fn flip(env: &TestEnv, text: &str) {
    make_plain(env);
    let mut bytes = fs::read(env.handoff(STORE)).unwrap();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(env.handoff(STORE), bytes).unwrap();
}

#[test]
fn a_damaged_store_is_refused_everywhere_and_made_again() {
    let env = env();
    work_off(&env, "intent-a.json", 3);
    work_off(&env, "intent-b.json", 3);
    let last = work_off(&env, "intent-b.json", 4)["seq"].as_u64().unwrap();
    flip(&env, "intent-a.json");
    env.drop_file("intent-c.json", flat("c", 3));
    let finished = refused(&env, "E404");
    assert!(finished.stderr.contains("state rebuild"), "{}", finished.stderr);
    for words in [&["state", "export"][..], &["state", "show"], &["list"], &["doctor"]] {
        let told = env.operate(words).expect(1);
        assert!(
            format!("{}{}", told.stdout, told.stderr).contains("E404"),
            "{words:?}: {}{}",
            told.stdout,
            told.stderr
        );
    }
    let told = env.operate(&["state", "rebuild"]).expect(0);
    assert!(told.stdout.contains(&format!("last number  {last}")), "{}", told.stdout);
    assert!(env.names(".conductor/state").iter().any(|name| name.starts_with("ledger.redb.damaged-")));
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-c.json").unwrap()["seq"], last + 1, "numbers go on");
    let calls = env.calls().len();
    let again = work_off(&env, "intent-b.json", 4);
    assert_eq!((again["duplicate_of"].as_u64(), env.calls().len()), (Some(last), calls), "it is remembered");
    env.operate(&["doctor"]);
    env.operate(&["state", "export"]).expect(0);
}

#[test]
fn unfinished_intents_are_read_of_a_damaged_store() {
    let env = env();
    env.script("*: wait=go");
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("b", 3));
    let daemon = env.start(&["-grace-period", "10ms"]);
    wait_until("both run", || env.calls().len() == 2);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait().expect(0);
    flip(&env, "\"target\":\"b\"");
    refused(&env, "E404");
    let told = env.operate(&["state", "rebuild"]).expect(0);
    assert!(told.stdout.contains("unfinished   1"), "{}", told.stdout);
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["attempts"], 2, "its start is remembered");
    assert_eq!(env.read("processed/intent-a.json"), flat("a", 3));
}

#[test]
fn an_older_copy_of_the_state_is_refused_and_brought_up_to_date() {
    let env = env();
    work_off(&env, "intent-a.json", 3);
    copy_dir(&env.handoff(".conductor/state"), &env.path("older"));
    let last = work_off(&env, "intent-b.json", 3)["seq"].as_u64().unwrap();
    fs::remove_dir_all(env.handoff(".conductor/state")).unwrap();
    copy_dir(&env.path("older"), &env.handoff(".conductor/state"));
    let finished = refused(&env, "E404");
    assert!(finished.stderr.contains("behind .conductor-state.json"), "{}", finished.stderr);
    env.operate(&["state", "rebuild"]).expect(0);
    env.drop_file("intent-b.json", flat("intent-b.json", 3));
    env.once(&[]).expect(0);
    let again = env.status("intent-b.json").unwrap();
    assert_eq!((again["duplicate_of"].as_u64(), again["seq"].as_u64()), (Some(last), Some(last + 1)));
    assert_eq!(env.calls().len(), 2);
}

#[test]
fn a_finished_intent_never_runs_again_from_an_older_copy() {
    let env = env();
    env.script("*: wait=go");
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = env.start(&[]);
    wait_until("it runs", || env.calls().len() == 1);
    copy_dir(&env.handoff(".conductor/state"), &env.path("older"));
    env.release("go");
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
    fs::remove_dir_all(env.handoff(".conductor/state")).unwrap();
    copy_dir(&env.path("older"), &env.handoff(".conductor/state"));
    fs::remove_file(env.handoff(".conductor-state.json")).unwrap();
    let finished = refused(&env, "E404");
    assert!(finished.stderr.contains("behind status/intent-a.json.status"), "{}", finished.stderr);
    env.operate(&["state", "rebuild"]).expect(0);
    env.once(&[]).expect(0);
    assert_eq!(env.calls().len(), 1, "it was finished");
    assert_eq!(env.names("processed"), ["intent-a.json"]);
}

#[test]
fn a_lost_store_is_imported_again_and_no_number_is_used_twice() {
    let env = env();
    let export = env.path("export.jsonl");
    work_off(&env, "intent-a.json", 3);
    env.operate(&["state", "export", export.to_str().unwrap()]).expect(0);
    let last = work_off(&env, "intent-b.json", 3)["seq"].as_u64().unwrap();
    fs::rename(env.handoff(".conductor/state"), env.path("aside")).unwrap();
    refused(&env, "E404");
    let bad = env.path("bad");
    fs::write(&bad, "nonsense").unwrap();
    env.operate(&["state", "import", bad.to_str().unwrap()]).expect(1);
    assert!(!env.handoff(STORE).exists(), "nothing was made for a file that cannot be used");
    env.operate(&["state", "import", export.to_str().unwrap()]).expect(0);
    assert_eq!(
        work_off(&env, "intent-b.json", 5)["seq"],
        last + 1,
        "the statuses and the head say which were used"
    );
    // Without the export, the head and the statuses, an import still knows the last number at its export.
    let purged = r#"{"format": "conductor-loop state", "version": 1, "exported_at": "2026-11-25T00:00:00Z", "last_seq": 41}"#;
    fs::write(&export, purged).unwrap();
    let other = self::env();
    other.operate(&["state", "import", export.to_str().unwrap()]).expect(0);
    assert_eq!(work_off(&other, "intent-a.json", 3)["seq"], 42);
    other.operate(&["state", "import", env.path("export.jsonl").to_str().unwrap()]).expect(0);
    assert_eq!(work_off(&other, "intent-b.json", 3)["seq"], 43, "an older import lowers nothing");
}

#[test]
fn without_any_export_a_lost_store_is_made_again_from_the_statuses() {
    let env = env();
    let last = work_off(&env, "intent-a.json", 3)["seq"].as_u64().unwrap();
    fs::remove_dir_all(env.handoff(".conductor")).unwrap();
    refused(&env, "E404");
    let told = env.operate(&["state", "rebuild"]).expect(0);
    assert!(told.stdout.contains("from status  1"), "{}", told.stdout);
    let again = work_off(&env, "intent-a.json", 3);
    assert_eq!((again["duplicate_of"].as_u64(), again["seq"].as_u64()), (Some(last), Some(last + 1)));
    // The private directory and the head are gone: a new store numbers from the statuses on.
    fs::remove_dir_all(env.handoff(".conductor")).unwrap();
    fs::remove_file(env.handoff(".conductor-state.json")).unwrap();
    assert_eq!(work_off(&env, "intent-c.json", 3)["seq"], last + 2);
}

#[test]
fn a_store_of_another_version_is_moved_aside_and_imported() {
    let env = env();
    work_off(&env, "intent-a.json", 3);
    let export = env.path("export.jsonl");
    env.operate(&["state", "export", export.to_str().unwrap()]).expect(0);
    make_plain(&env);
    let database = redb::Database::open(env.handoff(STORE)).unwrap();
    let txn = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    txn.open_table(meta).unwrap().insert("version", b"\x019".as_slice()).unwrap();
    txn.commit().unwrap();
    drop(database);
    refused(&env, "E405");
    env.operate(&["state", "rebuild"]).expect(1);
    fs::rename(env.handoff(".conductor/state"), env.path("aside")).unwrap();
    env.operate(&["state", "import", export.to_str().unwrap()]).expect(0);
    assert_eq!(work_off(&env, "intent-b.json", 3)["seq"], 2);
}

#[test]
fn a_store_that_is_removed_while_it_is_used_is_put_back() {
    type Remove = fn(&TestEnv);
    let ways: [Remove; 4] = [
        |env| fs::remove_file(env.handoff(".conductor/state/root.key")).unwrap(),
        |env| fs::remove_file(env.handoff(STORE)).unwrap(),
        |env| fs::remove_dir_all(env.handoff(".conductor/state")).unwrap(),
        |env| fs::remove_dir_all(env.handoff(".conductor")).unwrap(),
    ];
    for remove in ways {
        let env = env();
        let daemon = env.start_ready(&[]);
        env.drop_file("intent-a.json", flat("a", 3));
        env.wait_status("intent-a.json");
        remove(&env);
        let finished = daemon.wait().expect(3);
        assert!(
            finished.stderr.contains("E404") && finished.stderr.contains("put back"),
            "{}",
            finished.stderr
        );
        env.drop_file("intent-a.json", flat("a", 3));
        env.once(&[]).expect(0);
        assert_eq!(env.status("intent-a.json").unwrap()["duplicate_of"], 1, "nothing was forgotten");
    }
}

#[test]
fn a_store_that_is_replaced_while_it_is_used_ends_the_daemon() {
    let env = env();
    let daemon = env.start_ready(&[]);
    fs::rename(env.handoff(".conductor"), env.path("aside")).unwrap();
    fs::create_dir(env.handoff(".conductor")).unwrap();
    let finished = daemon.wait().expect(3);
    assert!(finished.stderr.contains("replaced by another"), "{}", finished.stderr);
    assert_eq!(env.names(".conductor"), Vec::<String>::new(), "what is there now is left alone");
}
