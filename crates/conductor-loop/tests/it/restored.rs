//! Backups are restored with everything that is known besides, wherever a key of theirs is known.

use crate::backups::{PUBLIC, SECRET};
use crate::env;
use conductor_testkit::{Finished, TestEnv, flat, trail, wait_until};
use std::fs;
use std::path::Path;

/// The backup that is made now, for the recipient.
fn made(env: &TestEnv) -> String {
    let dir = env.path("backups").display().to_string();
    let told = env.operate(&["backup", "now", "--backup-dir", &dir, "--backup-recipient", PUBLIC]).expect(0);
    told.stdout.split_once(',').unwrap().0.to_owned()
}

fn identity(env: &TestEnv) -> String {
    let path = env.path("identity");
    fs::write(&path, SECRET).unwrap();
    path.display().to_string()
}

fn restore(env: &TestEnv, backup: &str, words: &[&str]) -> Finished {
    let identity = identity(env);
    env.operate(&[&["backup", "restore", backup, "--identity", &identity], words].concat())
}

fn state(env: &TestEnv, name: &str) -> std::path::PathBuf {
    env.handoff(&format!(".conductor/state/{name}"))
}

/// The segments of the trail.
fn segments(env: &TestEnv) -> Vec<String> {
    let mut names = env.names(trail::PLACE);
    names.retain(|name| name.contains(".jsonl"));
    names
}

/// A backup in which an intent waits, alone.
fn made_while_one_waits(env: &TestEnv, flags: &[&str]) -> String {
    let daemon = env.start_ready(flags);
    env.operate(&["hold", "--all"]).expect(0);
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("it waits", || unfinished(env) == 1);
    daemon.stop().expect(0);
    made(env)
}

/// How many intents are unfinished, running ones included.
fn unfinished(env: &TestEnv) -> usize {
    let (listed, _) = env.operate_json(&["list"]);
    let rows = listed["intents"].as_array().unwrap();
    rows.iter().filter(|row| row["state"] == "waiting" || row["state"] == "running").count()
}

fn run(env: &TestEnv, names: &[&str]) -> usize {
    let before = env.calls().len();
    for name in names {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
    }
    env.once(&[]).expect(0);
    env.calls().len() - before
}

#[test]
fn what_happened_after_the_backup_is_taken_over_from_the_state_that_is_here() {
    let env = env();
    assert_eq!(run(&env, &["a"]), 1);
    let backup = made(&env);
    assert_eq!(run(&env, &["b"]), 1);
    let daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/c"]).expect(0);
    env.drop_file("intent-c.json", flat("c", 3));
    wait_until("c waits", || env.operate_json(&["explain", "intent-c.json"]).0["reason"]["word"] == "held");
    daemon.stop().expect(0);
    // Neither status nor trail tells of it: the state that is here alone does.
    fs::remove_file(env.handoff("status/intent-b.json.status")).unwrap();
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    let newer = "newer        2 intents, taken over from the state that was here and from the statuses\n";
    assert!(said.contains(newer), "{said}");
    assert!(said.contains("set aside    ledger.redb.replaced-"), "{said}");
    let (status, _) = env.operate_json(&["status"]);
    assert_eq!(status["held"][0]["target"], "test/c", "{status}");
    env.drop_file("intent-b.json", flat("b", 3));
    let daemon = env.start_ready(&[]);
    let again = env.wait_status("intent-b.json");
    assert_eq!(again["duplicate_of"], 2, "{again}");
    env.operate(&["release", "test/c"]).expect(0);
    assert_eq!(env.wait_status("intent-c.json")["status"], "success");
    daemon.stop().expect(0);
    env.operate(&["verify"]).expect(0);
    env.operate(&["audit", "verify"]).expect(0);
}

#[test]
fn an_intent_waits_behind_an_earlier_one_of_its_name_also_after_a_restore() {
    let env = env();
    let backup = made_while_one_waits(&env, &[]);
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-a.json", flat("a", 7));
    wait_until("no. 2 waits", || unfinished(&env) == 2);
    daemon.stop().expect(0);
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    assert!(said.contains("newer        1 intents, taken over") && !said.contains("left out"), "{said}");
    assert_eq!(unfinished(&env), 2);
    let daemon = env.start_ready(&[]);
    env.operate(&["release", "--all"]).expect(0);
    wait_until("both are done", || unfinished(&env) == 0);
    assert_eq!(env.calls().len(), 2);
    daemon.stop().expect(0);
    env.operate(&["verify"]).expect(0);
}

#[test]
fn what_is_left_out_by_a_restore_is_not_said_to_be_taken_over() {
    let (one, other) = (env(), env());
    let backup = made_while_one_waits(&one, &[]);
    // Another state, whose intents have the same name and in part the same number.
    let daemon = other.start_ready(&[]);
    other.operate(&["hold", "--all"]).expect(0);
    for (replicas, waiting) in [(5, 1), (7, 2)] {
        other.drop_file("intent-a.json", flat("a", replicas));
        wait_until("it waits", || unfinished(&other) == waiting);
    }
    daemon.stop().expect(0);
    let public = other.path("public.pem");
    fs::write(&public, one.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let said = restore(&other, &backup, &["--public", &public.display().to_string()]).expect(0).stdout;
    assert!(said.contains("left out     2 of the state that was here"), "{said}");
    assert!(said.contains("newer        0 intents, taken over"), "{said}");
}

/// Does as much as makes any state here come further than one that a backup was made of which has accepted one intent.
fn come_further(env: &TestEnv) {
    for round in 0..6 {
        let names = [format!("x{round}"), format!("y{round}")];
        assert_eq!(run(env, &names.each_ref().map(String::as_str)), 2);
    }
}

#[test]
fn a_store_that_does_not_go_on_from_the_one_that_was_backed_up_ends_and_releases_nothing_of_it() {
    type Way = fn(&TestEnv, &str);
    let ways: [(&str, Way); 3] = [
        ("begun anew", |env, _| {
            fs::remove_file(state(env, "ledger.redb")).unwrap();
            let said = env.operate(&["state", "rebuild"]).expect(0).stdout;
            assert!(said.contains("begun anew"), "{said}");
        }),
        ("an older copy", |env, _| {
            fs::rename(env.path("older"), state(env, "ledger.redb")).unwrap();
            let said = env.operate(&["state", "rebuild"]).expect(0).stdout;
            assert!(said.contains("kept all its records"), "{said}");
        }),
        ("an older backup", |env, older| {
            fs::remove_file(state(env, "ledger.redb")).unwrap();
            restore(env, older, &[]).expect(0);
        }),
    ];
    for (way, begin) in ways {
        let env = env();
        env.once(&[]).expect(0);
        fs::copy(state(&env, "ledger.redb"), env.path("older")).unwrap();
        let older = made(&env);
        let backup = made_while_one_waits(&env, &[]);
        begin(&env, &older);
        come_further(&env);
        let said = restore(&env, &backup, &[]).expect(0).stdout;
        assert!(!said.contains("ended        ") && !said.contains("held         nothing"), "{way}: {said}");
        assert_eq!(unfinished(&env), 1, "{way}");
        let daemon = env.start_ready(&[]);
        assert_eq!(env.operate_json(&["explain", "1"]).0["reason"]["word"], "held", "{way}");
        env.operate(&["release", "--all"]).expect(0);
        assert_eq!(env.wait_status("intent-a.json")["status"], "success", "{way}");
        daemon.stop().expect(0);
    }
}

/// An intent that waits in the backup that is returned is done and purged, and the state is restored: what was said.
fn restored_after_a_purge(env: &TestEnv, flags: &[&str]) -> String {
    let backup = made_while_one_waits(env, flags);
    let daemon = env.start_ready(flags);
    env.operate(&["release", "--all"]).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
    let daemon = env.start_ready(flags);
    env.operate(&["purge", "--older-than", "0s", "--yes"]).expect(0);
    wait_until("it is gone", || {
        let (listed, _) = env.operate_json(&["list"]);
        env.names("status").is_empty() && listed["intents"].as_array().unwrap().is_empty()
    });
    daemon.stop().expect(0);
    restore(env, &backup, flags).expect(0).stdout
}

#[test]
fn an_intent_that_was_done_and_purged_does_not_run_again_after_a_restore() {
    // The trail tells of it, or the state that was here alone does, by having lost what the backup has.
    for flags in [&[][..], &["--audit-enabled=false"]] {
        let env = env();
        let said = restored_after_a_purge(&env, flags);
        assert!(said.contains("ended        1 unfinished in the backup, "), "{flags:?}: {said}");
        let daemon = env.start_ready(flags);
        env.operate(&["release", "--all"]);
        env.drop_file("intent-b.json", flat("b", 3));
        env.wait_status("intent-b.json");
        let shown = env.operate(&["show", "1"]).expect(0).stdout;
        assert!(shown.contains("removed since"), "{flags:?}: {shown}");
        daemon.stop().expect(0);
        assert_eq!(env.calls().len(), 2, "{flags:?}: a and b ran once");
    }
}

#[test]
fn the_trail_that_is_here_ends_what_waits_in_a_backup_also_without_a_store() {
    let env = env();
    let backup = made_while_one_waits(&env, &[]);
    let daemon = env.start_ready(&[]);
    env.operate(&["release", "--all"]).expect(0);
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
    fs::remove_file(state(&env, "ledger.redb")).unwrap();
    fs::remove_file(env.handoff("status/intent-a.json.status")).unwrap();
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    assert!(said.contains("ended        1 unfinished in the backup, "), "{said}");
    let entries = trail::entries(&env);
    let of_restore =
        entries.iter().rfind(|entry| entry.detail.get("action").is_some_and(|it| it == "restore"));
    assert_eq!(of_restore.unwrap().detail["ended"], 1);
    let daemon = env.start_ready(&[]);
    env.operate(&["release", "--all"]).expect(0);
    env.drop_file("intent-b.json", flat("b", 3));
    env.wait_status("intent-b.json");
    daemon.stop().expect(0);
    assert_eq!(env.calls().len(), 2, "a and b ran once");
    env.operate(&["verify"]).expect(0);
}

#[test]
fn a_target_that_was_released_since_the_backup_is_not_held_after_a_restore() {
    let env = env();
    let daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/a"]).expect(0);
    env.operate(&["hold", "test/b"]).expect(0);
    daemon.stop().expect(0);
    let backup = made(&env);
    let daemon = env.start_ready(&[]);
    env.operate(&["release", "test/a"]).expect(0);
    env.operate(&["hold", "test/c"]).expect(0);
    daemon.stop().expect(0);
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    assert!(said.contains("held         test/b, test/c\n"), "{said}");
    let (status, _) = env.operate_json(&["status"]);
    let held: Vec<_> = status["held"].as_array().unwrap().iter().map(|held| held["target"].clone()).collect();
    assert_eq!(held, ["test/b", "test/c"]);
    // Of a state that is gone the holds of the backup are all that is known.
    fs::remove_file(state(&env, "ledger.redb")).unwrap();
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    assert!(said.contains("held         test/a, test/b\n"), "{said}");
}

#[test]
fn a_state_whose_root_key_is_lost_is_restored_with_a_recipients_identity() {
    let env = env();
    assert_eq!(run(&env, &["a"]), 1);
    let backup = made(&env);
    assert_eq!(run(&env, &["b"]), 1);
    fs::remove_file(state(&env, "root.key")).unwrap();
    let store = fs::read(state(&env, "ledger.redb")).unwrap();
    let lost = env.operate(&["backup", "restore", &backup]).expect(1).stderr;
    assert!(lost.contains("root.key"), "{lost}");
    assert!(restore(&env, "/dev/null", &[]).code() == 1 && !state(&env, "root.key").exists());
    assert_eq!(fs::read(state(&env, "ledger.redb")).unwrap(), store, "what is refused changes nothing");
    let said = restore(&env, &backup, &[]).expect(0).stdout;
    assert!(said.contains(", unread, with all that it alone knows: "), "{said}");
    assert_eq!(run(&env, &["a", "b", "c"]), 1, "the status tells of b");
    env.operate(&["verify"]).expect(0);
    env.operate(&["audit", "verify"]).expect(0);
    made(&env);
}

#[test]
fn a_backup_is_restored_where_another_key_has_signed_if_the_operator_names_its_own() {
    let (one, other) = (env(), env());
    assert_eq!(run(&one, &["a"]), 1);
    let backup = made(&one);
    // Its daemon has run there once, and was handed in a file of the same number.
    assert_eq!(run(&other, &["z"]), 1);
    let store = fs::read(state(&other, "ledger.redb")).unwrap();
    let refused = restore(&other, &backup, &[]).expect(1).stderr;
    assert!(refused.contains("E415") && refused.contains("not trusted here"), "{refused}");
    assert_eq!(fs::read(state(&other, "ledger.redb")).unwrap(), store, "what is refused changes nothing");
    let public = other.path("public.pem");
    fs::write(&public, one.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let said = restore(&other, &backup, &["--public", &public.display().to_string()]).expect(0).stdout;
    assert!(said.contains("left out     1 of the state that was here"), "{said}");
    let shown = other.operate(&["show", "1"]).expect(0).stdout;
    assert!(shown.contains("intent-a.json"), "{shown}");
    assert_eq!(run(&other, &["b"]), 1);
    made(&other);
    let daemon = other.start_ready(&[]);
    daemon.stop().expect(0);
    other.operate(&["verify"]).expect(0);
}

#[test]
fn a_backup_of_who_has_no_key_of_ours_is_told_to_be_unknown_or_refused() {
    let (ours, theirs, fresh) = (env(), env(), env());
    assert_eq!(run(&theirs, &["forged"]), 1);
    // Whoever knows the recipient can encrypt to it.
    let forged = made(&theirs);
    assert_eq!(run(&ours, &["a"]), 1);
    for word in ["verify", "restore"] {
        let identity = identity(&ours);
        let refused = ours.operate(&["backup", word, &forged, "--identity", &identity]).expect(1).stderr;
        assert!(refused.contains("not trusted here"), "{word}: {refused}");
    }
    let verified = fresh.operate(&["backup", "verify", &forged, "--identity", &identity(&fresh)]).expect(0);
    assert!(verified.stdout.contains("(no key is known here: --public FILE"), "{}", verified.stdout);
    let public = fresh.path("public.pem");
    fs::write(&public, ours.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let refused = restore(&fresh, &forged, &["--public", &public.display().to_string()]).expect(1).stderr;
    assert!(refused.contains("not trusted here"), "{refused}");
    assert!(!Path::new(&state(&fresh, "ledger.redb")).exists());
}

#[test]
fn a_key_that_the_operator_gave_is_known_before_anything_was_signed_with_it() {
    let (theirs, ours) = (env(), env());
    assert_eq!(run(&theirs, &["forged"]), 1);
    let forged = made(&theirs);
    let key = ours.path("key");
    fs::copy(state(&env_with_state(), "root.key"), &key).unwrap();
    let refused = restore(&ours, &forged, &["--state-key-file", &key.display().to_string()]).expect(1).stderr;
    assert!(refused.contains("not trusted here"), "{refused}");
}

/// A daemon that has run once.
fn env_with_state() -> TestEnv {
    let env = env();
    env.once(&[]).expect(0);
    env
}

#[test]
fn a_backup_that_was_renamed_is_not_taken_for_the_newest() {
    let env = env();
    assert_eq!(run(&env, &["a"]), 1);
    let dir = env.path("backups").display().to_string();
    let verify = || env.operate(&["backup", "verify", "--backup-dir", &dir]);
    let old = made(&env);
    assert_eq!(run(&env, &["b"]), 1);
    made(&env);
    let (place, series) = old.rsplit_once('-').unwrap();
    let place = place.rsplit_once("conductor-").unwrap().0;
    let renamed = format!("{place}conductor-20990101T000000000Z-{series}");
    fs::rename(&old, &renamed).unwrap();
    let told = verify().expect(0).stdout;
    assert!(told.contains("processed    2\n"), "{told}");
    let in_between = format!("{place}conductor-20260101T000000000Z-{series}");
    fs::remove_dir_all(env.path("backups")).unwrap();
    fs::create_dir(env.path("backups")).unwrap();
    let alone = made(&env);
    fs::rename(&alone, &in_between).unwrap();
    let refused = verify().expect(1).stderr;
    assert!(refused.contains("somebody has renamed it"), "{refused}");
    env.operate(&["backup", "verify", &in_between]).expect(0);
}

#[test]
fn a_trail_is_restored_whole_or_not_at_all() {
    let (one, other) = (env(), env());
    assert_eq!(run(&one, &["a"]), 1);
    let backup = made(&one);
    restore(&other, "/dev/null", &[]).expect(1);
    // What a restore left that was killed while it copied the trail.
    let draft = other.handoff(".conductor/audit.restored");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join(conductor_evidence::segment::name(1)), "half").unwrap();
    let said = restore(&other, &backup, &[]).expect(0).stdout;
    assert!(said.contains("audit trail  restored\n") && !draft.exists(), "{said}");
    assert_eq!(segments(&other), segments(&one));
    assert_eq!(run(&other, &["b"]), 1);
    other.operate(&["audit", "verify"]).expect(0);
    assert_eq!(trail::entries(&other).iter().filter(|entry| entry.event == "intent_filed").count(), 2);
}

#[test]
fn memory_of_a_restore_does_not_grow_with_what_is_known() {
    // 48 MB of messages, and a limit of private memory that does not hold them beside what the program needs by itself.
    const INTENTS: u64 = 4_000;
    const MESSAGE: usize = 12_000;
    const LIMIT: u64 = 64 << 20;
    let env = env();
    assert_eq!(run(&env, &["a"]), 1);
    let export = env.operate(&["state", "export"]).expect(0).stdout;
    let (header, line) = export.split_once('\n').unwrap();
    let mut outcome: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut text = format!("{header}\n");
    for seq in 2..INTENTS {
        outcome["seq"] = seq.into();
        outcome["name"] = format!("intent-{seq}.json").into();
        outcome["archived_as"] = "".into();
        outcome["message"] = "m".repeat(MESSAGE).into();
        text += &outcome.to_string();
        text.push('\n');
    }
    let file = env.path("export");
    fs::write(&file, text).unwrap();
    env.operate(&["state", "import", file.to_str().unwrap()]).expect(0);
    let backup = made(&env);
    let mut command = std::process::Command::new("prlimit");
    command.arg(format!("--data={LIMIT}")).arg(env.program()).args([
        "backup",
        "restore",
        &backup,
        "--identity",
        &identity(&env),
    ]);
    command.args(["-handoff", env.handoff("").to_str().unwrap()]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
