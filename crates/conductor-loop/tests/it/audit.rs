//! The audit trail of a real daemon: what is in it, in which order, by whom; and what a crash, tampering or a full disk does to it.

use crate::env;
use crate::lifecycle::Mounted;
use conductor_core::Seq;
use conductor_evidence::entry::Entry;
use conductor_testkit::{TestEnv, flat, trail, wait_until};
use std::fs;

fn events<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<&'e str> {
    entries.into_iter().map(|entry| entry.event.as_str()).collect()
}

fn segment(env: &TestEnv) -> std::path::PathBuf {
    env.handoff(&format!("{}/{}", trail::PLACE, conductor_evidence::segment::name(0)))
}

#[test]
fn an_intent_has_its_entries_in_order_with_owner_number_and_correlation_id() {
    let env = env();
    env.drop_file(
        "intent-a.json",
        r#"{"intent_type": "scaling", "target": "a", "namespace": "n", "replicas": 3, "correlation_id": "scale-1"}"#,
    );
    env.once(&[]).expect(0);
    env.drop_file("intent-bad.json", "{");
    env.once(&[]).expect(8);
    let entries = trail::entries(&env);
    let of = |id: &str| -> Vec<&Entry> {
        entries.iter().filter(|entry| entry.correlation_id.as_deref() == Some(id)).collect()
    };
    let good = of("scale-1");
    assert_eq!(
        events(good.iter().copied()),
        ["intent_taken", "intent_started", "intent_ended", "intent_filed"]
    );
    assert!(
        good.iter()
            .all(|entry| entry.intent == Some(Seq(1)) && entry.file.as_deref() == Some("intent-a.json"))
    );
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    assert_eq!((good[0].actor.as_str(), good[1].actor.as_str()), (uid.as_str(), "daemon"));
    assert_eq!(good[0].detail["sha256"], good[3].detail["sha256"]);
    assert_eq!(good[3].detail["exit_code"], 0);
    assert_eq!(events(of("cl-2")), ["input_validation_fail", "intent_filed"]);
    assert_eq!(of("cl-2")[1].detail["code"], "E204");
    let life = |event: &str| entries.iter().filter(|entry| entry.event == event).count();
    assert_eq!((life("sys_startup"), life("sys_shutdown")), (2, 2));
    assert!(entries.windows(2).all(|pair| pair[0].time <= pair[1].time));
    trail::check(&env, &[1, 2]).unwrap();
    assert_eq!(trail::judged(&env).epochs, 2, "a start begins an epoch");
}

#[test]
fn without_a_trail_no_file_is_left_and_the_log_says_so_once() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    let run = env.once(&["-audit-enabled=false"]).expect(0);
    assert!(!env.handoff(trail::PLACE).exists());
    assert_eq!(run.stderr.matches("no audit trail").count(), 1, "{}", run.stderr);
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
}

#[test]
fn what_an_operator_does_is_recorded_with_the_user() {
    let env = env();
    let daemon = env.start_ready(&[]);
    assert_eq!(env.operate(&["hold", "n/t", "--note", "for now"]).code(), 0);
    assert_eq!(env.operate(&["release", "n/t"]).code(), 0);
    assert_eq!(env.operate(&["purge", "--older-than", "1h", "--yes"]).code(), 0);
    daemon.stop().expect(0);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let entries = trail::entries(&env);
    let done: Vec<&Entry> = entries.iter().filter(|entry| entry.event == "authz_admin").collect();
    let actions: Vec<&str> = done.iter().map(|entry| entry.detail["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["hold", "release", "purge"]);
    assert!(done.iter().all(|entry| entry.actor == uid), "{done:?}");
    assert_eq!((&done[0].detail["target"], &done[0].detail["note"]), (&"n/t".into(), &"for now".into()));
}

#[test]
fn entries_that_a_crash_took_are_made_again_once_and_marked() {
    let env = env();
    env.script("b: wait=go");
    let daemon = env.start_ready(&["-workers", "2"]);
    wait_until("the first checkpoint", || {
        env.names(trail::PLACE).len() > 1 && fs::read_to_string(segment(&env)).unwrap().ends_with("\"}\n")
    });
    let begin = fs::read(segment(&env)).unwrap().len();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("b", 3));
    env.wait_status("intent-a.json");
    wait_until("b runs", || env.calls().len() == 2);
    daemon.kill();
    // As a power cut leaves the trail: what was not synced yet is gone.
    let text = fs::read_to_string(segment(&env)).unwrap();
    assert!(text[begin..].contains("intent_filed") && !text[..begin].contains("intent_"));
    fs::write(segment(&env), &text[..begin]).unwrap();
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    let entries = trail::entries(&env);
    let recovered: Vec<&Entry> = entries.iter().filter(|entry| entry.recovered).collect();
    let filed = recovered.iter().filter(|entry| entry.event == "intent_filed").count();
    let taken = recovered.iter().filter(|entry| entry.event == "intent_taken").count();
    assert_eq!((filed, taken), (1, 2), "{recovered:?}");
    let mut numbers: Vec<Seq> = entries
        .iter()
        .filter(|entry| entry.event == "intent_filed")
        .map(|entry| entry.intent.unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2].map(Seq));
    trail::check(&env, &[1, 2]).unwrap();
}

#[test]
fn a_trail_that_was_changed_refuses_the_start_and_stays_as_it_is() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    let path = segment(&env);
    let changed = fs::read_to_string(&path).unwrap().replacen("\"size\": ", "\"size\": 1", 1);
    fs::write(&path, &changed).unwrap();
    let refused = env.once(&[]).expect(1);
    assert!(refused.stderr.contains("E414"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    // The way out that the message names.
    fs::rename(env.handoff(trail::PLACE), env.path("kept")).unwrap();
    env.drop_file("intent-b.json", flat("b", 3));
    env.once(&[]).expect(0);
    trail::check(&env, &[2]).unwrap();
}

#[test]
fn on_a_disk_without_a_byte_intents_wait_and_none_runs_unaudited() {
    let env = env();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("handoff"), "size=16m,mode=755") else { return };
    env.script("*: wait=go");
    fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
    fs::write(env.handoff("later"), flat("b", 3)).unwrap();
    let daemon = env.start(&[]);
    wait_until("porch runs", || env.calls().len() == 1);
    let mut ballast = fs::File::create(env.handoff("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    env.release("go");
    daemon.wait_log("E408");
    // Another one comes, for which no byte is needed until it is taken.
    fs::rename(env.handoff("later"), env.handoff("intent-b.json")).unwrap();
    let trail_then = fs::read(segment(&env)).unwrap();
    env.operate(&["hold", "n/other"]);
    assert_eq!(env.calls().len(), 1, "nothing runs unaudited");
    assert!(env.status("intent-a.json").is_none() && env.status("intent-b.json").is_none());
    assert_eq!(fs::read(segment(&env)).unwrap(), trail_then, "there was no byte for it");
    drop(ballast);
    fs::remove_file(env.handoff("ballast")).unwrap();
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    assert_eq!(env.wait_status("intent-b.json")["status"], "success");
    daemon.stop().expect(0);
    trail::check(&env, &[1, 2]).unwrap();
}

/// Two intents filed, one after the other, by a daemon that has stopped.
fn two_filed() -> TestEnv {
    let env = env();
    for name in ["a", "b"] {
        let content = format!(
            r#"{{"intent_type": "scaling", "target": "{name}", "namespace": "n", "replicas": 3, "correlation_id": "id-{name}"}}"#
        );
        env.drop_file(&format!("intent-{name}.json"), content);
        env.once(&[]).expect(0);
    }
    env
}

#[test]
fn entries_are_shown_selected_traced_and_exported_as_they_stand_in_the_trail() {
    let env = two_filed();
    let written = fs::read_to_string(segment(&env)).unwrap();
    assert_eq!(env.operate(&["audit", "export"]).stdout, written);
    let shown = env.operate(&["audit", "show", "--event", "intent_filed", "--json"]).stdout;
    assert_eq!(shown.lines().count(), 2);
    assert!(shown.lines().all(|line| written.lines().any(|other| other == line)));
    let traced = env.operate(&["trace", "id-b"]).expect(0).stdout;
    let order = ["intent_taken", "intent_started", "intent_ended", "intent_filed"];
    assert_eq!(traced.lines().count(), 4, "{traced}");
    assert!(traced.lines().zip(order).all(|(line, event)| line.contains(event)), "{traced}");
    let id = env.operate(&["audit", "show", "--correlation-id", "id-b"]).stdout;
    assert_eq!(id, traced);
    assert_eq!(env.operate(&["audit", "show", "--since", "2099-01-01T00:00:00Z"]).expect(0).stdout, "");
    let unknown = env.operate(&["audit", "show", "--event", "nothing"]).expect(2);
    assert!(unknown.stderr.contains("intent_filed"), "{}", unknown.stderr);
}

#[test]
fn a_proof_of_an_entry_is_checked_without_the_trail() {
    use conductor_evidence::{checkpoint::Note, tree};
    let env = two_filed();
    let written = fs::read_to_string(segment(&env)).unwrap();
    for number in [0, 3, 7] {
        let proof = env.operate(&["audit", "proof", &number.to_string()]).expect(0).stdout;
        let (hashes, note) = proof.split_once("\n\n").unwrap();
        let mut lines = hashes.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        assert_eq!(lines.next(), Some(format!("index {number}").as_str()));
        let hash =
            |line| conductor_core::Digest(conductor_crypto::from_base64(line).unwrap().try_into().unwrap());
        let hashes: Vec<_> = lines.map(hash).collect();
        let leaf = tree::leaf(written.lines().nth(number).unwrap().as_bytes());
        let at = Note::parse(note).unwrap().checkpoint;
        assert!(tree::includes(leaf, number as u64, at.size, &hashes, &at.root), "{proof}");
    }
    env.operate(&["audit", "proof", "100000"]).expect(1);
}

#[test]
fn a_trail_is_verified_where_it_is_on_a_copy_and_beside_a_daemon() {
    let env = two_filed();
    let clean = env.operate(&["audit", "verify"]).expect(0).stdout;
    assert!(clean.contains("which is the end that was known"), "{clean}");
    let copy = env.path("copy").display().to_string();
    fs::create_dir_all(env.path("copy/.conductor")).unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-r", &env.handoff(trail::PLACE).display().to_string()])
        .arg(env.path("copy/.conductor"))
        .status()
        .unwrap();
    assert!(copied.success());
    env.run(&["audit", "verify", &copy]).expect(2);
    let public = env.path("public.pem");
    fs::write(&public, env.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let public = public.display().to_string();
    let on_copy = env.run(&["audit", "verify", &copy, "--public", &public]).expect(0).stdout;
    assert!(on_copy.contains("end unknown"), "{on_copy}");
    let stranger = env.path("stranger.pem");
    fs::write(&stranger, conductor_crypto::SigningKey::from_seed(&[1; 32]).public().to_pem()).unwrap();
    env.run(&["audit", "verify", &copy, "--public", &stranger.display().to_string()]).expect(1);
    env.run(&["audit", "verify", &env.path("nowhere").display().to_string()]).expect(2);
    let daemon = env.start_ready(&[]);
    for number in 0..20 {
        env.drop_file(&format!("intent-{number}.json"), flat("a", number + 1));
        env.operate(&["audit", "verify"]).expect(0);
    }
    daemon.stop().expect(0);
    let (report, code) = env.operate_json(&["audit", "verify"]);
    assert_eq!(
        (code, report["findings"].as_array().unwrap().len(), &report["end_known"]),
        (0, 0, &true.into()),
        "{report}"
    );
}

#[test]
fn tampering_is_found_with_the_number_of_the_entry_also_by_the_shell_script() {
    let env = two_filed();
    let path = segment(&env);
    let whole = fs::read_to_string(&path).unwrap();
    let public = env.path("public.pem");
    fs::write(&public, env.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let tools = ["openssl", "jq"].into_iter().all(conductor_testkit::has);
    if !tools {
        eprintln!("NOT TESTED: the shell script, because openssl or jq is missing");
    }
    let by_script = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify-audit.sh");
        let mut command = std::process::Command::new("bash");
        let ran = command.arg(script).arg(&public).arg(env.handoff(trail::PLACE)).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap() + &String::from_utf8_lossy(&ran.stderr))
    };
    let lines: Vec<&str> = whole.lines().collect();
    let taken = lines.iter().position(|line| line.contains("intent_taken")).unwrap();
    let since = env.path("since");
    fs::write(&since, env.operate_json(&["audit", "verify"]).0["checkpoint"].as_str().unwrap()).unwrap();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let mut without = lines.clone();
    without.remove(taken);
    let mut swapped = lines.clone();
    swapped.swap(taken, taken + 1);
    let mut twice = lines.clone();
    twice.insert(taken, lines[taken]);
    let changed = whole.replacen("\"intent\": 1,", "\"intent\": 2,", 1);
    let before = &lines[..lines.len() - 1];
    let end = before.iter().rposition(|line| line.contains("audit_checkpoint")).unwrap() + 1;
    let unsigned = joined(&lines[..lines.len() - 1]);
    for (name, text, entry) in [
        ("changed", changed, taken),
        ("a zero byte", whole.replacen("\"intent\": 1,", "\"intent\":\0 1,", 1), taken),
        ("deleted", joined(&without), taken),
        ("swapped", joined(&swapped), taken),
        ("twice", joined(&twice), taken),
        ("last line cut off", unsigned, end),
    ] {
        fs::write(&path, text).unwrap();
        let found = env.operate(&["audit", "verify"]).expect(1).stdout;
        let first = found.lines().next().unwrap();
        assert!(first.contains(&format!(" {entry}")), "{name}: {found}, not {entry}");
        let (code, said) = if tools { by_script() } else { (Some(1), String::new()) };
        assert_eq!(code, Some(1), "{name}: {said}");
    }
    // Back to an earlier checkpoint: nothing inside tells, but the public head and who kept a checkpoint do.
    fs::write(&path, joined(&lines[..end])).unwrap();
    let found = env.operate(&["audit", "verify"]).expect(1).stdout;
    assert!(found.starts_with("entr") && found.contains(&format!(" {end}")), "{found}");
    fs::remove_file(env.handoff(".conductor-state.json")).unwrap();
    assert!(env.operate(&["audit", "verify"]).expect(0).stdout.contains("end unknown"));
    env.operate(&["audit", "verify", "--since", &since.display().to_string()]).expect(1);
    fs::write(&path, &whole).unwrap();
    env.operate(&["audit", "verify", "--since", &since.display().to_string()]).expect(0);
    if tools {
        let (code, said) = by_script();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("2 epochs"), "{said}");
    }
}

#[test]
fn a_trail_that_is_shorter_than_the_public_head_says_tells_so() {
    let env = two_filed();
    let head: serde_json::Value = serde_json::from_str(&env.read(".conductor-state.json")).unwrap();
    let size = head["audit"]["size"].as_u64().unwrap();
    fs::remove_dir_all(env.handoff(trail::PLACE)).unwrap();
    let run = env.once(&[]).expect(0);
    assert!(run.stderr.contains("shorter than it was"), "{}", run.stderr);
    let lost: Vec<Entry> =
        trail::entries(&env).into_iter().filter(|entry| entry.event == "audit_lost").collect();
    assert_eq!(lost.len(), 1);
    assert_eq!((&lost[0].detail["had"], &lost[0].detail["has"]), (&size.into(), &0.into()));
    assert!(env.operate(&["audit", "verify"]).expect(0).stdout.contains("audit_lost"));
    env.once(&[]).expect(0);
    assert_eq!(trail::entries(&env).iter().filter(|entry| entry.event == "audit_lost").count(), 1, "once");
}

#[test]
fn what_an_operator_did_is_in_the_trail_soon_after_the_answer_whatever_ends_the_daemon() {
    let env = env();
    let daemon = env.start_ready(&[]);
    assert_eq!(env.operate(&["hold", "n/t"]).code(), 0);
    // Its entry is there before the answer.
    let held = |entry: &Entry| entry.event == "authz_admin" && entry.detail["action"] == "hold";
    assert_eq!(trail::entries(&env).iter().filter(|entry| held(entry)).count(), 1);
    daemon.kill();
    env.once(&[]).expect(0);
    assert_eq!(trail::entries(&env).iter().filter(|entry| held(entry)).count(), 1);
    trail::check(&env, &[]).unwrap();
}

#[test]
fn a_segment_that_is_removed_while_the_daemon_runs_ends_it() {
    let env = env();
    let daemon = env.start_ready(&[]);
    wait_until("the first entries", || env.names(trail::PLACE).len() > 1);
    fs::remove_file(segment(&env)).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    let ended = daemon.wait().expect(3);
    assert!(ended.stderr.contains("was removed or replaced while it was appended to"), "{}", ended.stderr);
    assert!(ended.stderr.contains("E414"), "{}", ended.stderr);
}

#[test]
fn a_daemon_without_a_trail_does_not_forget_how_long_it_was() {
    let env = two_filed();
    env.once(&["-audit-enabled=false"]).expect(0);
    fs::remove_dir_all(env.handoff(trail::PLACE)).unwrap();
    let run = env.once(&[]).expect(0);
    assert!(run.stderr.contains("shorter than it was"), "{}", run.stderr);
}

#[test]
fn no_proof_is_made_of_what_the_checkpoint_does_not_cover() {
    let env = two_filed();
    let path = segment(&env);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replacen("\"intent\": 1,", "\"intent\": 2,", 1)).unwrap();
    let refused = env.operate(&["audit", "proof", "0"]).expect(1);
    assert!(refused.stderr.contains("some were changed"), "{}", refused.stderr);
}

#[test]
fn an_import_is_in_the_trail_with_the_user() {
    let env = two_filed();
    let export = env.path("export").display().to_string();
    env.operate(&["state", "export", &export]).expect(0);
    env.operate(&["state", "import", &export]).expect(0);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let entries = trail::entries(&env);
    let imported: Vec<&Entry> = entries.iter().filter(|entry| entry.event == "sensitive_create").collect();
    assert_eq!((imported.len(), imported[0].actor.as_str()), (1, uid.as_str()));
    assert!(imported[0].detail["imported"].is_u64(), "{imported:?}");
    env.once(&[]).expect(0);
    trail::check(&env, &[1, 2]).unwrap();
}

#[test]
fn a_rebuild_is_in_the_trail_with_the_user() {
    let env = two_filed();
    fs::remove_file(env.handoff(".conductor/state/ledger.redb")).unwrap();
    env.operate(&["state", "rebuild"]).expect(0);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let entries = trail::entries(&env);
    let rebuilt: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.detail.get("action").is_some_and(|action| action == "rebuild"))
        .collect();
    assert_eq!((rebuilt.len(), rebuilt[0].actor.as_str()), (1, uid.as_str()), "{entries:?}");
    let detail = &rebuilt[0].detail;
    assert_eq!((detail["from_status"].as_u64(), detail["up_to"].as_u64()), (Some(2), Some(2)), "{detail:?}");
    env.once(&[]).expect(0);
    trail::check(&env, &[1, 2]).unwrap();
}
