//! Backups: made beside a running daemon or without one, opened by whom they are for, restored where the state was lost.

use crate::endpoints::{get, listening};
use crate::env;
use conductor_testkit::{TestEnv, flat, has, trail, wait_until};
use std::fs;
use std::process::Command;

/// A pair as `age-keygen` makes it.
pub(crate) const SECRET: &str = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6";
pub(crate) const PUBLIC: &str = "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn";

fn dir(env: &TestEnv) -> String {
    env.path("backups").display().to_string()
}

fn names(env: &TestEnv) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(env.path("backups"))
        .map(|all| all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.retain(|name| name.ends_with(".tar.age"));
    names.sort_unstable();
    names
}

/// A command on the backups of this directory.
fn backup(env: &TestEnv, words: &[&str]) -> conductor_testkit::Finished {
    let dir = dir(env);
    env.operate(&[&["backup"], words, &["--backup-dir", &dir]].concat())
}

#[test]
fn a_backup_made_beside_the_daemon_is_restored_and_what_is_newer_is_not_run_again() {
    let env = env();
    let dir = dir(&env);
    let daemon = env.start_ready(&["-backup-dir", &dir, "-backup-interval", "off"]);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    assert_eq!(env.operate(&["hold", "n/held"]).code(), 0);
    let made = env.operate(&["backup", "now"]).expect(0).stdout;
    assert!(made.contains("restored on trial"), "{made}");
    assert_eq!(names(&env).len(), 1);
    assert!(backup(&env, &["list"]).expect(0).stdout.starts_with(&names(&env)[0]));
    let verified = backup(&env, &["verify"]).expect(0).stdout;
    assert!(verified.contains("processed    1\n") && verified.contains("last number  1\n"), "{verified}");
    env.drop_file("intent-b.json", flat("b", 3));
    env.wait_status("intent-b.json");
    let refused = backup(&env, &["restore"]).expect(1).stderr;
    assert!(refused.contains("E402"), "a directory in use: {refused}");
    daemon.stop().expect(0);
    let entries = trail::entries(&env);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let noted = entries.iter().find(|entry| entry.event == "sys_backup").unwrap();
    assert_eq!(
        (noted.actor.as_str(), &noted.detail["file"]),
        (uid.as_str(), &names(&env)[0].as_str().into())
    );
    // The store is lost; the key is not.
    fs::remove_file(env.handoff(".conductor/state/ledger.redb")).unwrap();
    let said = backup(&env, &["restore"]).expect(0).stdout;
    assert!(
        said.contains(
            "newer        1 intents, taken over from the state that was here and from the statuses\n"
        ),
        "{said}"
    );
    assert!(said.contains("audit trail  the one that is here goes on\n"), "{said}");
    let calls = env.calls().len();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("b", 3));
    env.drop_file("intent-c.json", flat("c", 3));
    env.once(&[]).expect(0);
    assert_eq!(env.calls().len(), calls + 1, "what was finished is not run again");
    let numbers: Vec<u64> = ["a", "b", "c"]
        .iter()
        .map(|name| env.status(&format!("intent-{name}.json")).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert!(numbers.iter().all(|number| *number > 2), "no number is used twice: {numbers:?}");
    env.operate(&["verify"]).expect(0);
    env.operate(&["audit", "verify"]).expect(0);
    assert_eq!(env.operate_json(&["status"]).0["held"][0]["target"], "n/held");
    let done = trail::entries(&env).into_iter().filter(|entry| entry.event == "authz_admin");
    let actions: Vec<_> = done.map(|entry| entry.detail["action"].clone()).collect();
    assert_eq!(actions, ["hold", "restore"]);
}

#[test]
fn a_recipient_opens_a_backup_without_the_root_key_and_nobody_else_reads_a_word_of_it() {
    let env = env();
    env.drop_file("intent-secret-name.json", flat("secret-target", 3));
    env.once(&[]).expect(0);
    backup(&env, &["now", "--backup-recipient", PUBLIC]).expect(0);
    let path = env.path("backups").join(&names(&env)[0]);
    let text = fs::read(&path).unwrap();
    for word in ["secret-name", "secret-target", "intent_filed", "ledger.redb"] {
        assert!(!text.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    let left: Vec<String> = fs::read_dir(env.path("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, names(&env), "nothing else is left there");
    // Another machine: no state, no root key, only the identity.
    let other = crate::env();
    let identity = other.path("identity");
    fs::write(&identity, format!("# created: today\n{SECRET}\n")).unwrap();
    let (path, identity) = (path.display().to_string(), identity.display().to_string());
    let refused = other.operate(&["backup", "verify", &path]).expect(1).stderr;
    assert!(refused.contains("E415"), "{refused}");
    other.operate(&["backup", "verify", &path, "--identity", &identity]).expect(0);
    let said = other.operate(&["backup", "restore", &path, "--identity", &identity]).expect(0).stdout;
    assert!(
        said.contains("newer        nothing is known\n") && said.contains("audit trail  restored\n"),
        "{said}"
    );
    other.once(&[]).expect(0);
    let shown = other.operate(&["show", "1"]).expect(0).stdout;
    assert!(shown.contains("secret-target"), "{shown}");
    assert!(
        other.operate_json(&["state", "show"]).0["sealed_by"].is_string(),
        "sealed by the key of that place"
    );
    let found = trail::entries(&other);
    assert_eq!(found.iter().filter(|entry| entry.event == "intent_filed").count(), 1);
    other.operate(&["audit", "verify"]).expect(0);
    if !["age", "tar"].into_iter().all(has) {
        eprintln!("NOT TESTED: that age and tar open a backup, because one of them is missing");
        return;
    }
    let unpacked = format!("age -d -i {identity} {path} | tar tf -");
    let listed = Command::new("sh").args(["-c", &unpacked]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let wanted = ["backup.json", "ledger.redb", "audit/", "public-keys.pem", "settings.txt"];
    assert!(wanted.iter().all(|name| listed.contains(name)), "{listed}");
}

#[test]
fn a_backup_that_was_changed_or_cut_off_anywhere_is_refused_and_changes_nothing() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    backup(&env, &["now"]).expect(0);
    let path = env.path("backups").join(&names(&env)[0]);
    let whole = fs::read(&path).unwrap();
    let store = fs::read(env.handoff(".conductor/state/ledger.redb")).unwrap();
    for at in [0, 30, whole.len() / 3, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        for broken in [&changed, &whole[..at].to_vec()] {
            fs::write(&path, broken).unwrap();
            for word in ["verify", "restore"] {
                let refused = backup(&env, &[word]).expect(1).stderr;
                assert!(refused.contains("E415"), "{word} {at}: {refused}");
            }
        }
    }
    assert_eq!(fs::read(env.handoff(".conductor/state/ledger.redb")).unwrap(), store);
    fs::write(&path, &whole).unwrap();
    backup(&env, &["verify"]).expect(0);
    let said = backup(&env, &["restore"]).expect(0).stdout;
    assert!(said.contains("set aside    ledger.redb.replaced-"), "the store that is here is kept: {said}");
    env.operate(&["verify"]).expect(0);
}

#[test]
fn backups_are_made_by_themselves_and_only_the_newest_are_kept() {
    let env = env();
    let dir = dir(&env);
    let daemon = env.start_ready(&["-backup-dir", &dir, "-backup-keep", "2"]);
    wait_until("the first backup", || !names(&env).is_empty());
    daemon.wait_log("a backup was made and restored on trial");
    let first = names(&env).remove(0);
    for _ in 0..3 {
        env.operate(&["backup", "now"]).expect(0);
    }
    let kept = names(&env);
    assert!(kept.len() == 2 && !kept.contains(&first), "{kept:?}");
    daemon.stop().expect(0);
    // The newest is young: a start makes none.
    let daemon = env.start_ready(&["-backup-dir", &dir, "-backup-keep", "2"]);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
    assert_eq!(names(&env), kept);
}

#[test]
fn a_backup_that_fails_is_told_by_log_trail_metric_and_command_and_the_daemon_goes_on() {
    let env = env();
    fs::write(env.path("backups"), "a file").unwrap();
    let (daemon, address) = listening(&env, &["-backup-dir", &dir(&env), "-backup-interval", "off"]);
    let refused = env.operate(&["backup", "now"]).expect(1).stderr;
    assert!(refused.contains("E415"), "{refused}");
    daemon.wait_log("E415");
    assert!(get(address, "/metrics").1.contains("\nconductor_backup_failures_total 1\n"));
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
    let noted = trail::entries(&env).into_iter().find(|entry| entry.event == "sys_backup").unwrap();
    assert!(noted.detail["reason"].as_str().unwrap().contains("backups"), "{noted:?}");
    let without = env.operate(&["backup", "now"]).expect(1).stderr;
    assert!(without.contains("--backup-dir"), "{without}");
    let wrong = backup(&env, &["now", "--backup-recipient", "age1wrong"]).expect(2).stderr;
    assert!(wrong.contains("'age1wrong' is no recipient of age"), "{wrong}");
}
