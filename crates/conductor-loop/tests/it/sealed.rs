//! The state is sealed: what it holds is read with its key alone.

use crate::bytes::padded;
use crate::{env, make_plain};
use conductor_testkit::{TestEnv, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const REASON: &str = "FIND-ME-7731";
const TARGET: &str = "find-me-target";

fn told(replicas: u32) -> String {
    format!(
        r#"{{"intent_type": "scaling", "target": "{TARGET}", "namespace": "test", "replicas": {replicas}, "reason": "{REASON}"}}"#
    )
}

/// The files of the private directory that hold one of these words.
fn holding(dir: &Path, words: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            holding(&entry.path(), words, found);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            let holds = |word: &&str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
            if words.iter().any(holds) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

fn private(env: &TestEnv) -> Vec<String> {
    let mut found = Vec::new();
    holding(&env.handoff(".conductor/state"), &[REASON, TARGET, "intent-a.json"], &mut found);
    found
}

#[test]
fn the_state_tells_nothing_while_it_is_used_after_it_was_closed_or_killed() {
    let env = env();
    env.script("*: wait=go");
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-a.json", padded(&told(3), 100_000));
    wait_until("porch runs", || !env.porches().is_empty());
    assert_eq!(private(&env), [""; 0], "while it waits");
    daemon.kill();
    assert_eq!(private(&env), [""; 0], "killed");
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["attempts"], 2);
    assert_eq!(private(&env), [""; 0], "closed");
    assert!(env.operate(&["list"]).expect(0).stdout.contains(TARGET), "with the key it is read");
    // That the search finds something where it is.
    make_plain(&env);
    assert_eq!(private(&env).len(), 1);
}

#[test]
fn a_plain_state_is_sealed_at_the_next_start_and_plain_again_where_that_is_asked_for() {
    let env = env();
    let plain = ["-encryption-enabled=false"];
    env.drop_file("intent-a.json", told(3));
    env.once(&plain).expect(0);
    assert_eq!(private(&env).len(), 1);
    for (flags, files) in [(&[][..], 0), (&plain[..], 1), (&[][..], 0)] {
        env.drop_file("intent-a.json", told(3));
        env.once(flags).expect(0);
        assert_eq!(env.status("intent-a.json").unwrap()["duplicate_of"], 1, "nothing is forgotten");
        assert_eq!(private(&env).len(), files, "{flags:?}");
        let head: serde_json::Value = serde_json::from_str(&env.read(".conductor-state.json")).unwrap();
        assert_eq!(head["sealed"], files == 0, "the head says which");
        let (shown, doctor) = (env.operate_json(&["state", "show"]).0, env.operate(&["doctor"]).stdout);
        assert_eq!(
            (shown["sealed_by"].is_string(), doctor.contains("sealed by the root key")),
            (files == 0, files == 0)
        );
    }
}

#[test]
fn a_plain_state_in_the_place_of_a_sealed_one_is_refused_with_the_way_out() {
    let env = env();
    let plain = ["-encryption-enabled=false"];
    env.drop_file("intent-a.json", told(3));
    env.once(&plain).expect(0);
    let state = env.handoff(".conductor/state/ledger.redb");
    let copy = fs::read(&state).unwrap();
    // The next start seals it, and somebody puts the plain one back, and removes the mark that knows it to be older.
    env.once(&[]).expect(0);
    fs::write(&state, &copy).unwrap();
    fs::remove_file(env.handoff(".conductor/state/ledger.mark")).unwrap();
    let command = |words: &[&str]| env.operate(words);
    let show = [command(&["list"]), command(&["state", "show"]), command(&["state", "export"])];
    for refused in show.into_iter().chain([env.once(&[]), command(&["state", "rebuild"])]) {
        assert_ne!(refused.code(), 0);
        assert!(refused.stderr.contains("E404") && refused.stderr.contains("is plain"), "{}", refused.stderr);
    }
    assert_eq!(fs::read(&state).unwrap(), copy, "unchanged");
    // Whoever says that it is theirs goes on.
    env.once(&plain).expect(0);
    env.once(&[]).expect(0);
    assert_eq!(private(&env).len(), 0);
}

#[test]
fn after_a_rotation_the_state_is_sealed_by_the_new_key_alone() {
    let env = env();
    env.drop_file("intent-a.json", told(3));
    env.once(&[]).expect(0);
    let key = env.handoff(".conductor/state/root.key");
    let old = fs::read_to_string(&key).unwrap();
    env.operate(&["keys", "rotate"]).expect(0);
    env.drop_file("intent-a.json", told(3));
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["duplicate_of"], 1);
    let both = fs::read_to_string(&key).unwrap();
    let put = |text: &str| {
        fs::remove_file(&key).unwrap();
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    };
    put(&old);
    let refused = env.once(&[]).expect(1).stderr;
    assert!(refused.contains("E511") && refused.contains("sealed by the root key"), "{refused}");
    // The new key alone opens it; what the old one has signed is still verified.
    put(both.lines().last().unwrap());
    env.once(&[]).expect(0);
    env.operate(&["verify"]).expect(0);
}
