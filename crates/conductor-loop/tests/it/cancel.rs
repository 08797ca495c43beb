//! `cancel`: what waits is filed as a failure instead of being run, and nothing is lost on the way.

use crate::env;
use conductor_core::Seq;
use conductor_testkit::{TestEnv, flat, trail, wait_until};
use serde_json::Value;
use std::fs;
use std::io::Write;

fn take(env: &TestEnv, names: &[&str], target: &str) {
    for name in names {
        env.drop_file(name, flat(target, 3));
        wait_until("it waits", || env.operate_json(&["list"]).0.to_string().contains(*name));
        wait_until("it is taken", || !env.handoff(name).exists());
    }
}

fn code(env: &TestEnv, name: &str) -> Value {
    env.status(name).unwrap()["error_code"].clone()
}

#[test]
fn what_waits_is_cancelled_filed_and_audited_with_the_user() {
    let env = env();
    env.script("busy: wait=go\n*: exit=0");
    let daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/web"]).expect(0);
    take(&env, &["intent-a.json", "intent-b.json", "intent-c.json", "intent-d.json"], "web");
    let told = env.operate(&["cancel", "intent-b.json", "1"]).expect(0).stdout;
    assert!(
        told.contains("intent-b.json (number 2) is cancelled, and filed as failed/intent-b.json"),
        "{told}"
    );
    assert!(told.contains("intent-a.json (number 1)"), "{told}");
    let uid = rustix::process::geteuid().as_raw();
    for name in ["intent-a.json", "intent-b.json"] {
        let status = env.status(name).unwrap();
        let said = format!("cancelled by user {uid} while it waited");
        assert_eq!((&status["status"], &status["error_code"]), (&"failed".into(), &"E315".into()));
        assert_eq!((&status["message"], &status["attempts"]), (&said.into(), &0.into()));
        assert_eq!(env.read(&format!("failed/{name}")), flat("web", 3), "byte for byte");
        assert!(env.read(&format!("failed/{name}.error.log")).contains("E315 cancelled"));
    }
    let explained = env.operate(&["explain", "intent-a.json"]).expect(0).stdout;
    assert!(
        explained.contains("E315 cancelled") && explained.contains("conductor-loop retry"),
        "{explained}"
    );
    // The others go on in their order, and a cancelled one runs only when it is handed in again.
    env.operate(&["release", "test/web"]).expect(0);
    env.wait_status("intent-d.json");
    assert_eq!(env.calls().len(), 2);
    assert_eq!(env.operate(&["retry", "--failed"]).expect(0).stdout, "nothing to retry\n");
    env.operate(&["retry", "--wait", "intent-a.json"]).expect(0);
    daemon.stop().expect(0);
    let admin = |entry: &conductor_evidence::entry::Entry| {
        entry.event == "authz_admin" && entry.detail["action"] == "cancel"
    };
    let entries: Vec<_> = trail::entries(&env).into_iter().filter(admin).collect();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.actor == format!("uid:{uid}")), "{entries:?}");
    assert_eq!(entries.iter().filter_map(|entry| entry.intent).collect::<Vec<_>>(), [2, 1].map(Seq));
    trail::check(&env, &[1, 2, 3, 4, 5]).unwrap();
}

#[test]
fn only_what_waits_is_cancelled_and_everything_else_says_why_not() {
    let env = env();
    env.script("busy: wait=go\n*: exit=0");
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-done.json", flat("done", 3));
    env.wait_status("intent-done.json");
    env.drop_file("intent-busy.json", flat("busy", 3));
    wait_until("it runs", || env.calls().len() == 2);
    env.operate(&["hold", "test/web"]).expect(0);
    take(&env, &["intent-same.json", "intent-same.json"], "web");
    wait_until("both are taken", || env.operate_json(&["status"]).0["last_seq"] == 4);
    fs::create_dir(env.handoff("intent-dir.json")).unwrap();
    wait_until("it is left", || env.operate_json(&["status"]).0["left"] == 1);
    for (of, why) in [
        ("intent-done.json", "is done, and only what waits can be cancelled"),
        ("1", "is done"),
        ("intent-busy.json", "runs, and a run is not taken back"),
        ("4", "is also the name of intent 3, which comes first"),
        ("intent-dir.json", "is not taken yet"),
        ("99", "not-found"),
        ("test/web", "neither a number nor a file"),
    ] {
        let refused = env.operate(&["cancel", of]).expect(1).stderr;
        assert!(refused.contains(why), "{of}: {refused}");
    }
    // One that cannot be cancelled keeps no other from it; of one name the first is meant.
    let mixed = env.operate(&["cancel", "99", "intent-same.json"]).expect(1).stdout;
    assert!(mixed.contains("99 is not cancelled") && mixed.contains("(number 3) is cancelled"), "{mixed}");
    env.operate(&["cancel", "intent-same.json"]).expect(0);
    assert_eq!(env.status("intent-same.json").unwrap()["seq"], 4);
    fs::remove_dir(env.handoff("intent-dir.json")).unwrap();
    env.release("go");
    env.wait_status("intent-busy.json");
    daemon.stop().expect(0);
    let without = env.operate(&["cancel", "1"]).expect(1).stderr;
    assert!(without.contains("not-running"), "{without}");
}

#[test]
fn a_pause_between_two_starts_is_cancelled_and_the_next_of_the_target_runs() {
    let env = env();
    env.script("again: err=not-yet exit=75\n*: exit=0");
    let daemon = env.start_ready(&["-max-attempts", "100"]);
    take(&env, &["intent-again.json", "intent-next.json"], "again");
    let runs_of = |seq: u64| env.calls().iter().filter(|call| call.record["seq"] == seq).count();
    wait_until("it pauses", || {
        let pauses = env.operate_json(&["explain", "intent-again.json"]).0["reason"]["word"] == "retry-pause";
        pauses && {
            // The advice of a pause is to look at the output.
            let shown = env.operate_json(&["show", "intent-again.json"]).0["output"].clone();
            assert_eq!(runs_of(2), 0, "one of a target after the other");
            shown == "not-yet\n" && env.operate(&["cancel", "intent-again.json"]).code() == 0
        }
    });
    let status = env.status("intent-again.json").unwrap();
    assert_eq!(status["error_code"], "E315");
    assert!(status["attempts"].as_u64().unwrap() >= 1, "what ran is counted: {status}");
    let log = env.read("failed/intent-again.json.error.log");
    assert!(log.ends_with("--- the beginning of what the last run wrote ---\nnot-yet\n"), "{log}");
    assert_eq!(env.operate_json(&["show", "1"]).0["output"], "not-yet\n");
    let runs = runs_of(1);
    wait_until("the next one of the target runs", || runs_of(2) > 0);
    env.script("*: exit=0");
    assert_eq!(env.wait_status("intent-next.json")["status"], "success");
    assert_eq!(runs_of(1), runs, "what is cancelled does not start again");
    daemon.stop().expect(0);
}

#[test]
fn what_is_not_durable_yet_cannot_be_cancelled_at_this_moment_and_says_why() {
    let env = env();
    // The writer is waited for ten debounce times: longer than the questions take on a busy machine.
    let daemon = env.start_ready(&["-period", "100ms", "-debounce", "3s"]);
    let mut writer = fs::File::create(env.handoff("intent-w.json")).unwrap();
    writer.write_all(b"{").unwrap();
    let word = || env.operate_json(&["explain", "intent-w.json"]).0["reason"]["word"].clone();
    wait_until("it is taken", || word() == "writer-open");
    for of in ["intent-w.json", "1"] {
        let refused = env.operate(&["cancel", of]).expect(1).stderr;
        assert!(
            refused.contains("busy: intent-w.json (number 1) cannot be cancelled at this moment"),
            "{refused}"
        );
        assert!(refused.contains("another process has it open for writing"), "{refused}");
    }
    drop(writer);
    env.wait_status("intent-w.json");
    daemon.stop().expect(0);
}

#[test]
fn what_was_cancelled_is_told_before_the_next_is_asked_for() {
    let env = env();
    let daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/web"]).expect(0);
    take(&env, &["intent-a.json", "intent-b.json"], "web");
    let mut command = env.bare_command();
    command.args(["cancel", "intent-a.json", "intent-b.json", "-handoff"]).arg(env.path("handoff"));
    // Nobody can be told of the first one, so that the second is not asked for.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = command.stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(code(&env, "intent-a.json"), "E315");
    assert_eq!(env.operate_json(&["list"]).0["intents"][0]["file"], "intent-b.json");
    daemon.stop().expect(0);
}

#[test]
fn what_was_cancelled_stays_so_through_kills_and_each_intent_has_one_outcome() {
    let env = env();
    let names: Vec<String> = (0..12).map(|number| format!("intent-{number:02}.json")).collect();
    let mut daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/web"]).expect(0);
    for name in &names {
        env.drop_file(name, flat("web", 3));
    }
    wait_until("all are taken", || env.operate_json(&["status"]).0["waiting"] == 12);
    let claimed = |name: &String| env.operate_json(&["explain", name]).0["reason"]["word"] == "held";
    wait_until("and their claims are durable", || names.iter().all(claimed));
    let mut sure = Vec::new();
    for round in 0..3 {
        let [answered, asked] = [4 * round, 4 * round + 1];
        env.operate(&["cancel", &names[answered]]).expect(0);
        sure.push(answered);
        // Killed at any moment of another one: after the answer it is durable, before it either way is right.
        let mut command = env.bare_command();
        command.args(["cancel", &names[asked], "-handoff", env.path("handoff").to_str().unwrap()]);
        let child = std::cell::RefCell::new(
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap(),
        );
        if round > 0 {
            wait_until("it is asked or answered", || {
                child.borrow_mut().try_wait().unwrap().is_some() || env.status(&names[asked]).is_some()
            });
        }
        daemon.kill();
        if child.into_inner().wait().unwrap().success() {
            sure.push(asked);
        }
        daemon = env.start_ready(&[]);
        for number in &sure {
            env.wait_status(&names[*number]);
            assert_eq!(code(&env, &names[*number]), "E315", "{number}");
        }
    }
    env.operate(&["release", "test/web"]).expect(0);
    for name in &names {
        env.wait_status(name);
    }
    daemon.stop().expect(0);
    let cancelled = names.iter().filter(|name| code(&env, name) == "E315").count();
    assert_eq!(env.names("processed").len() + cancelled, names.len());
    assert_eq!(env.calls().len(), names.len() - cancelled, "none of them ran");
    assert!(
        names.iter().all(|name| ["processed", "failed"]
            .iter()
            .any(|at| env.handoff(&format!("{at}/{name}")).exists()))
    );
    trail::check(&env, &(1..=12).collect::<Vec<_>>()).unwrap();
}
