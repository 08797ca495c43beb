//! `show` and the API report files that were changed, moved or replaced after they were filed: a warning, and none of
//! their content.

use crate::env;
use conductor_testkit::{TestEnv, flat};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn warnings(env: &TestEnv, of: &str) -> (Vec<String>, serde_json::Value) {
    let (shown, _) = env.operate_json(&["show", of]);
    let told = shown["not_as_filed"].as_array().unwrap();
    (told.iter().map(|one| one.as_str().unwrap().to_owned()).collect(), shown)
}

#[test]
fn a_file_that_is_not_what_was_archived_is_told_and_not_shown() {
    type Change = fn(&Path);
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    let (told, shown) = warnings(&env, "intent-a.json");
    assert!(told.is_empty() && shown["content"].as_str().unwrap().contains("\"a\""), "{shown}");
    let filed = env.handoff("processed/intent-a.json");
    assert_eq!(flat("b", 3).len(), flat("a", 3).len());
    let changes: [(Change, &str); 5] = [
        (|path| fs::write(path, flat("b", 3)).unwrap(), "SHA-256 differs"),
        (|path| fs::write(path, "short").unwrap(), "size differs"),
        (|_| {}, "is gone"),
        (|path| fs::create_dir(path).unwrap(), "it is a directory"),
        (|path| symlink("/etc/hostname", path).unwrap(), "it is a symbolic link"),
    ];
    for (change, needle) in changes {
        fs::remove_file(&filed).or_else(|_| fs::remove_dir(&filed)).unwrap_or_default();
        change(&filed);
        let (told, shown) = warnings(&env, "intent-a.json");
        assert!(told.len() == 1 && told[0].contains(needle), "{needle}: {told:?}");
        assert!(told[0].starts_with("processed/intent-a.json"), "{told:?}");
        assert!(shown["content"].is_null(), "{needle}: nothing of it is printed as the intent: {shown}");
        let text = env.operate(&["show", "intent-a.json"]).expect(0).stdout;
        assert!(
            text.contains("WARNING") && text.contains(needle) && !text.contains("--- intent ---"),
            "{text}"
        );
    }
}

#[test]
fn a_changed_status_or_error_log_is_told() {
    let env = env();
    env.script("*: exit=3");
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(8);
    let (told, shown) = warnings(&env, "intent-a.json");
    assert!(told.is_empty() && shown["error_log"].is_string(), "{shown}");
    let status = env.handoff("status/intent-a.json.status");
    let text = fs::read_to_string(&status).unwrap();
    fs::write(&status, text.replace("\"failed\"", "\"success\"")).unwrap();
    let (told, _) = warnings(&env, "intent-a.json");
    assert!(told.len() == 1 && told[0].starts_with("status/intent-a.json.status is not"), "{told:?}");
    fs::remove_file(&status).unwrap();
    fs::write(env.handoff("failed/intent-a.json.error.log"), "Sequence: 77\nall is well").unwrap();
    let (told, shown) = warnings(&env, "1");
    assert!(told.len() == 2 && told[0].contains("not the error log of number 1"), "{told:?}");
    assert!(told[1].contains("is gone") && shown["error_log"].is_null(), "{told:?}");
    // A status of a later intent of the same name gives no warning.
    env.drop_file("intent-a.json", flat("a", 4));
    env.once(&[]).expect(8);
    let (told, _) = warnings(&env, "1");
    assert!(told.len() == 1 && told[0].contains("error log"), "{told:?}");
    assert!(warnings(&env, "2").0.is_empty());
}

#[test]
fn what_was_refused_unread_is_shown_without_a_warning() {
    let env = env();
    symlink("/etc/hostname", env.handoff("intent-link.json")).unwrap();
    env.drop_file("intent-large.json", " ".repeat(2_000));
    env.once(&["-max-file-size", "1024"]).expect(8);
    for name in ["intent-link.json", "intent-large.json"] {
        assert!(warnings(&env, name).0.is_empty(), "{name}: {:?}", warnings(&env, name));
    }
}
