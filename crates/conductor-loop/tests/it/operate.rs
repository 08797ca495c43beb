//! An operator's commands: status, list, show, explain, retry, hold, release, purge, logs, top, health.

use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, TestUser, flat, wait_until};
use serde_json::Value;
use std::fs;
use std::io::BufRead;
use std::process::{Command, Stdio};

/// The word of the reason in the row of this file.
fn word(listing: &Value, file: &str) -> String {
    let rows = listing["intents"].as_array().unwrap();
    let row = rows.iter().find(|row| row["file"] == file).unwrap_or_else(|| panic!("no {file} in {listing}"));
    format!("{} {}", row["state"].as_str().unwrap(), row["reason"]["word"].as_str().unwrap())
}

fn list(env: &TestEnv) -> Value {
    env.operate_json(&["list"]).0
}

/// One intent of each ending: `a` succeeded, `b` failed, `bad` was refused.
fn some_of_each(env: &TestEnv) {
    env.script("b: err=password=hunter2 exit=3\n*: out=hello exit=0");
    for (name, content) in [("a", flat("a", 3)), ("b", flat("b", 3)), ("bad", flat("c", 500))] {
        env.drop_file(&format!("intent-{name}.json"), content);
    }
    env.once(&[]).expect(8);
}

#[test]
fn every_unfinished_intent_has_one_named_reason() {
    let env = env();
    env.script("busy: wait=go\nflaky: busy-until=99\n*: exit=0");
    env.drop_file("intent-busy-1.json", flat("busy", 3));
    let patient = env.start_ready(&["-debounce", "1h"]);
    wait_until("the file is seen", || word(&list(&env), "intent-busy-1.json") == "waiting settling");
    patient.stop().expect(0);
    let daemon = env.start_ready(&["-workers", "1"]);
    wait_until("porch runs", || env.calls().len() == 1);
    for name in ["busy-2", "later-1"] {
        let target = name.split('-').next().unwrap();
        env.drop_file(&format!("intent-{name}.json"), flat(target, 3));
    }
    wait_until("they are taken", || env.names("").iter().all(|name| !name.starts_with("intent-")));
    wait_until("both are claimed", || word(&list(&env), "intent-later-1.json") == "waiting no-worker");
    let listing = list(&env);
    assert_eq!(word(&listing, "intent-busy-1.json"), "running running");
    assert_eq!(word(&listing, "intent-busy-2.json"), "waiting behind");
    let (explained, _) = env.operate_json(&["explain", "test/busy"]);
    assert_eq!(
        (&explained["intent"]["file"], &explained["waiting_behind"]),
        (&"intent-busy-1.json".into(), &1.into())
    );
    let (explained, _) = env.operate_json(&["explain", "intent-busy-2.json"]);
    assert_eq!(explained["waiting_behind"], 0, "the last of its target");
    let text = env.operate(&["explain", "intent-busy-2.json"]).expect(0).stdout;
    assert!(
        text.contains("is waiting\nreason       behind: intent 1 of the same target comes first"),
        "{text}"
    );
    let (status, code) = env.operate_json(&["status"]);
    assert_eq!((code, &status["active"], &status["waiting"]), (0, &1.into(), &2.into()));
    assert!(status["ready"] == true && status["oldest_waiting_s"].is_number(), "{status}");
    env.release("go");
    env.wait_status("intent-busy-2.json");
    env.drop_file("intent-flaky.json", flat("flaky", 3));
    wait_until("it pauses", || {
        let listing = list(&env);
        listing["intents"][0]["file"] == "intent-flaky.json"
            && word(&listing, "intent-flaky.json") == "waiting retry-pause"
    });
    let (shown, _) = env.operate_json(&["show", "intent-flaky.json"]);
    assert_eq!(shown["runs"][0]["ending"], "porch exited with status 75");
    daemon.stop().expect(0);
    assert_eq!(word(&list(&env), "intent-flaky.json"), "waiting not-running");
}

#[test]
fn a_rate_is_a_reason_and_says_how_long() {
    let env = env();
    let daemon = env.start_ready(&["-rate", "0.01"]);
    for number in 0..3 {
        env.drop_file(&format!("intent-{number}.json"), flat(&format!("t{number}"), 3));
    }
    let waiting = || {
        let rows = list(&env);
        let row = rows["intents"].as_array().unwrap().iter().find(|row| row["reason"]["word"] == "rate")?;
        Some(row["reason"]["text"].as_str().unwrap().to_owned())
    };
    wait_until("the rate is used up", || waiting().is_some());
    let text = waiting().unwrap();
    assert!(text.starts_with("--rate lets the next one start in 1m"), "{text}");
    daemon.stop().expect(0);
}

#[test]
fn what_is_finished_is_told_alike_with_and_without_a_daemon() {
    let env = env();
    some_of_each(&env);
    let ask = || {
        let texts = [
            &["list"][..],
            &["list", "--state", "failed"],
            &["show", "intent-b.json"],
            &["show", "1"],
            &["explain", "test/b"],
        ];
        // Ages go on between the two; times do not.
        let wide = |words: &[&str]| if words[0] == "list" { &["-o", "wide"][..] } else { &[] };
        texts.map(|words| {
            let text = env.operate(&[words, wide(words)].concat()).expect(0).stdout;
            (text, env.operate_json(words).0)
        })
    };
    let without = ask();
    let daemon = env.start_ready(&[]);
    assert_eq!(ask(), without);
    daemon.stop().expect(0);
    let [(all, listing), (failed, _), (shown, b), (_, a), (explained, _)] = without;
    assert_eq!(word(&listing, "intent-a.json"), "done success");
    assert_eq!(word(&listing, "intent-bad.json"), "failed out-of-range");
    assert!(
        all.starts_with("NUMBER  STATE") && all.contains("E301 porch-failed: porch exited with status 3"),
        "{all}"
    );
    assert!(!failed.contains("intent-a.json") && failed.contains("intent-b.json"), "{failed}");
    assert!(
        explained.contains("reason       E301 porch-failed:") && explained.contains("what to do   "),
        "{explained}"
    );
    for part in [
        "--- timeline ---",
        "taken: ",
        "start 1 of porch, by worker",
        "porch exited with status 3 (",
        "--- error log ---",
        "--- intent ---",
    ] {
        assert!(shown.contains(part), "'{part}' in {shown}");
    }
    assert!(!shown.contains("hunter2"), "secrets are masked: {shown}");
    assert_eq!((&b["asked"]["replicas"], &b["intent"]["error_code"]), (&3.into(), &"E301".into()));
    assert_eq!(a["output"], "hello\n");
    assert_eq!(a["content"], flat("a", 3));
}

#[test]
fn the_change_of_the_package_stays_with_the_outcome() {
    let env = env();
    for replicas in [2, 5] {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&["-porch", "builtin"]).expect(0);
    }
    let (shown, _) = env.operate_json(&["show", "intent-a.json"]);
    let diff = shown["diff"].as_str().unwrap();
    assert!(diff.contains("\n-  replicas: 2\n+  replicas: 5\n"), "{diff}");
    assert_eq!(shown["same_name"][0]["seq"], 1);
    let text = env.operate(&["show", "2"]).stdout;
    assert!(text.contains("--- change of the package ---"), "{text}");
    assert!(text.contains("start 1 of the embedded engine, by worker"), "{text}");
    assert!(text.contains("the embedded engine exited with status 0 ("), "{text}");
}

#[test]
fn lists_are_selected_limited_and_paged() {
    let env = env();
    some_of_each(&env);
    let files = |words: &[&str]| -> Vec<String> {
        let (listing, _) = env.operate_json(&[&["list"], words].concat());
        let rows = listing["intents"].as_array().unwrap().clone();
        rows.iter().map(|row| row["file"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(files(&["--target", "b"]), ["intent-b.json"]);
    assert_eq!(files(&["--code", "E215"]), ["intent-bad.json"]);
    assert_eq!(files(&["--code", "porch-failed", "--since", "1h"]), ["intent-b.json"]);
    assert_eq!(files(&["--since", "2099-01-01T00:00:00Z"]), [""; 0]);
    let (first, _) = env.operate_json(&["list", "--limit", "1"]);
    assert_eq!((&first["more"], &first["next_before"]), (&true.into(), &3.into()));
    for (words, hint) in [
        (&["list", "--state", "lost"][..], "waiting, running, done, failed"),
        (&["list", "--code", "E999"], "E301"),
        (&["list", "--since", "noon"], "24h"),
        (&["list", "--limit", "0"], "1 to 1000"),
        (&["retry"], "--failed"),
        (&["purge", "--older-than", "x"], "24h"),
    ] {
        let refused = env.operate(words).expect(2);
        assert!(refused.stderr.contains(hint), "{words:?}: {}", refused.stderr);
    }
    let unknown = env.operate(&["show", "intent-nobody.json"]).expect(1);
    assert!(unknown.stderr.contains("not-found") && unknown.stderr.contains("hint: "), "{}", unknown.stderr);
    fs::write(env.handoff("other.json"), "{}").unwrap();
    let (explained, _) = env.operate_json(&["explain", "other.json"]);
    assert_eq!(explained["reason"]["word"], "other-name");
}

#[test]
fn retry_hands_in_the_very_bytes_and_only_what_makes_sense() {
    let env = env();
    some_of_each(&env);
    let dry = env.operate(&["retry", "--failed", "--dry-run"]).expect(0).stdout;
    assert_eq!(dry, "intent-b.json (number 2, E301) would be handed in again\n");
    assert_eq!(env.operate(&["retry", "1"]).expect(1).stdout, "", "what succeeded is not failed");
    env.script("*: exit=0");
    // Without a daemon: the file waits for the next one.
    let (told, _) = env.operate_json(&["retry", "--failed"]);
    assert_eq!(
        (&told["file"], &told["was"], &told["result"]),
        (&"intent-b.json".into(), &2.into(), &"handed in again".into())
    );
    let (shown, _) = env.operate_json(&["show", "2"]);
    assert_eq!(fs::read_to_string(env.handoff("intent-b.json")).unwrap(), shown["content"]);
    assert_eq!(
        env.operate(&["retry", "--failed"]).expect(0).stdout,
        "nothing to retry\n",
        "the newest run waits"
    );
    let twice = env.operate(&["retry", "2"]).expect(1).stdout;
    assert!(twice.contains("not retried") && twice.contains("still waiting there"), "{twice}");
    let daemon = env.start_ready(&[]);
    wait_until("it succeeded", || env.status("intent-b.json").unwrap()["status"] == "success");
    // A refused file is refused again, and only on demand.
    let again = env.operate(&["retry", "--failed", "--code", "E215", "--wait"]).expect(8).stdout;
    assert!(again.contains("\"error_code\": \"E215\""), "{again}");
    // An archived file that was changed is not the content that ran.
    fs::write(env.handoff("failed/intent-bad.json"), "{}").unwrap();
    let changed = env.operate(&["retry", "3"]).expect(1).stdout;
    assert!(changed.contains("SHA-256 differs"), "{changed}");
    daemon.stop().expect(0);
}

#[test]
fn a_held_target_waits_across_restarts_and_the_others_go_on() {
    let env = env();
    let daemon = env.start_ready(&[]);
    let held = env.operate(&["hold", "test/web", "--note", "maintenance"]).expect(0).stdout;
    assert!(held.contains("test/web is held"), "{held}");
    assert_eq!(env.operate_json(&["explain", "test/web"]).0["reason"]["word"], "held");
    env.drop_file("intent-web.json", flat("web", 3));
    env.drop_file("intent-db.json", flat("db", 3));
    env.wait_status("intent-db.json");
    wait_until("it waits", || word(&list(&env), "intent-web.json") == "waiting held");
    daemon.kill();
    // Neither a kill nor a complete run makes it start; the run ends all the same.
    env.once(&[]).expect(0);
    let (status, _) = env.operate_json(&["status"]);
    assert_eq!(
        (&status["held"][0]["target"], &status["held"][0]["note"]),
        (&"test/web".into(), &"maintenance".into())
    );
    assert_eq!((&status["running"], &status["waiting"]), (&false.into(), &1.into()));
    let refused = env.operate(&["release", "web"]).expect(1);
    assert!(refused.stderr.contains("not-running"), "{}", refused.stderr);
    let daemon = env.start_ready(&[]);
    assert_eq!(word(&list(&env), "intent-web.json"), "waiting held");
    env.operate(&["release", "web"]).expect(0);
    assert_eq!(env.wait_status("intent-web.json")["status"], "success");
    for (words, hint) in [(&["release", "web"][..], "not held"), (&["hold", "nobody"], "NAMESPACE/TARGET")] {
        let refused = env.operate(words).expect(1);
        assert!(refused.stderr.contains(hint), "{words:?}: {}", refused.stderr);
    }
    // A name in two namespaces is ambiguous.
    env.drop_file("intent-other.json", flat("web", 3).replace("test", "elsewhere"));
    env.wait_status("intent-other.json");
    let ambiguous = env.operate(&["hold", "web"]).expect(1);
    assert!(ambiguous.stderr.contains("elsewhere/web, test/web"), "{}", ambiguous.stderr);
    daemon.stop().expect(0);
}

#[test]
fn everything_is_held_across_restarts_and_single_holds_stay() {
    let env = env();
    let daemon = env.start_ready(&[]);
    env.operate(&["hold", "test/web"]).expect(0);
    let held = env.operate(&["hold", "--all", "--note", "migration"]).expect(0).stdout;
    assert!(held.contains("everything is held") && held.contains("release --all"), "{held}");
    env.drop_file("intent-web.json", flat("web", 3));
    env.drop_file("intent-db.json", flat("db", 3));
    for name in ["intent-web.json", "intent-db.json"] {
        wait_until("it waits", || word(&list(&env), name) == "waiting held");
    }
    let explained = env.operate(&["explain", "intent-db.json"]).expect(0).stdout;
    assert!(explained.contains("an operator holds everything") && explained.contains("release --all"));
    env.operate(&["hold", "test/lone"]).expect(0);
    let of_targets = || {
        for (target, advice) in
            [("test/lone", "release TARGET"), ("lone", "release TARGET"), ("test/new", "release --all")]
        {
            let explained = env.operate(&["explain", target]).expect(0).stdout;
            assert!(explained.contains("held:") && explained.contains(advice), "{target}: {explained}");
        }
        env.operate(&["explain", "nothing-of-this-name"]).expect(1);
    };
    assert_eq!(daemon.logged_value("an operator holds everything", "target").as_deref(), Some("everything"));
    daemon.kill();
    env.once(&[]).expect(0);
    assert_eq!(env.calls().len(), 0, "a run to the end starts nothing either");
    of_targets();
    let status = env.operate(&["status"]).expect(0).stdout;
    assert!(status.contains("everything since") && status.contains("migration"), "{status}");
    let daemon = env.start_ready(&[]);
    assert_eq!(word(&list(&env), "intent-db.json"), "waiting held");
    of_targets();
    env.operate(&["release", "--all"]).expect(0);
    env.wait_status("intent-db.json");
    assert_eq!(word(&list(&env), "intent-web.json"), "waiting held");
    let twice = env.operate(&["release", "--all"]).expect(1).stderr;
    assert!(twice.contains("there is no hold of everything"), "{twice}");
    env.operate(&["release", "web"]).expect(0);
    env.wait_status("intent-web.json");
    for words in [&["hold"][..], &["release"], &["hold", "--all", "test/web"]] {
        env.operate(words).expect(2);
    }
    daemon.stop().expect(0);
}

#[test]
fn purge_says_first_what_it_would_remove() {
    let env = env();
    some_of_each(&env);
    let dry = env.operate(&["purge", "--older-than", "0s"]).expect(0).stdout;
    assert!(dry.starts_with("3 outcomes would be removed") && dry.contains("2 of them failures"), "{dry}");
    assert_eq!(env.operate_json(&["purge", "--older-than", "1h"]).0["outcomes"], 0);
    assert!(env.operate(&["purge", "--older-than", "0s", "--yes"]).expect(1).stderr.contains("not-running"));
    let daemon = env.start_ready(&[]);
    env.operate(&["purge", "--older-than", "0s", "--yes"]).expect(0);
    wait_until("everything is gone", || {
        list(&env)["intents"].as_array().unwrap().is_empty()
            && env.names("status").is_empty()
            && env.names("failed").is_empty()
    });
    assert!(daemon.logged("an operator purges old outcomes"));
    // Numbers are never used again, and totals stay.
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["seq"], 4);
    assert_eq!(env.operate_json(&["status"]).0["failed"], 2);
    daemon.stop().expect(0);
}

#[test]
fn logs_are_those_of_standard_error() {
    let env = env();
    let daemon = env.start_ready(&[]);
    let mut following = env.bare_command();
    following
        .args(["logs", "--follow", "--of", "intent-b.json", "-handoff", "handoff"])
        .stdout(Stdio::piped());
    let mut following = following.spawn().unwrap();
    for name in ["a", "b"] {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        env.wait_status(&format!("intent-{name}.json"));
    }
    let line = || env.operate(&["logs", "--lines", "1", "--of", "intent-b.json"]).expect(0).stdout;
    wait_until("the line", || line().contains("Processed by worker"));
    assert_eq!(env.operate(&["logs", "--lines", "2"]).stdout.lines().count(), 2);
    assert_eq!(env.operate_json(&["logs", "--lines", "2"]).0["lines"].as_array().unwrap().len(), 2);
    let of_b = line();
    let followed = std::io::BufReader::new(following.stdout.take().unwrap()).lines();
    let followed: Vec<String> = followed.take(2).map(|line| line.unwrap() + "\n").collect();
    assert!(followed.iter().all(|line| line.contains("intent-b.json")), "{followed:?}");
    assert_eq!(followed[1], of_b, "the first two that it says, so nothing of the other file");
    let log = daemon.stop().expect(0).stderr;
    assert!(log.contains(&of_b));
    assert!(following.wait().unwrap().success(), "the follower ends with the daemon");
    assert!(env.operate(&["logs"]).expect(1).stderr.contains("journalctl"));
}

#[test]
fn top_prints_where_there_is_no_terminal() {
    let env = env();
    some_of_each(&env);
    let daemon = env.start_ready(&[]);
    let printed = env.operate(&["top"]).expect(0).stdout;
    assert!(
        printed.contains("daemon       running, ready") && printed.contains("intent-b.json"),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'));
    let (drawn, _) = env.operate_json(&["top"]);
    assert_eq!((&drawn["status"]["failed"], &drawn["intents"][0]["seq"]), (&2.into(), &3.into()));
    daemon.stop().expect(0);
}

#[test]
fn looking_while_no_daemon_runs_changes_nothing_and_keeps_none_from_starting() {
    let env = env();
    some_of_each(&env);
    let store = env.handoff(".conductor/state/ledger.redb");
    let before = fs::read(&store).unwrap();
    for words in [&["list"][..], &["show", "1"], &["explain", "test/b"], &["status"], &["top"]] {
        env.operate(words).expect(0);
    }
    assert!(fs::read(&store).unwrap() == before, "the store is only read");
    // A command that has the store open at the moment of a start.
    let handoff =
        std::sync::Arc::new(conductor_os::dir::Dir::open(&env.handoff(".conductor/state")).unwrap());
    let sealing = conductor_loop::store::Sealing::On(crate::ring(&env));
    let looking = conductor_loop::store::Store::open(handoff, &sealing, false).unwrap();
    let daemon = env.start(&[]);
    wait_until("it takes the lock", || {
        fs::read_to_string(env.handoff(".conductor/lock"))
            .is_ok_and(|pid| pid.trim() == daemon.pid().to_string())
    });
    drop(looking);
    daemon.wait_log("\"ready\"");
    daemon.stop().expect(0);
}

#[test]
fn health_is_an_exit_status() {
    let env = env();
    env.script("*: wait=go");
    assert_eq!(env.operate(&["health"]).expect(1).stdout, "not ready: not-running\n");
    let daemon = env.start_ready(&[]);
    assert_eq!(env.operate(&["health"]).expect(0).stdout, "ready\n");
    assert_eq!(env.operate_json(&["health"]), (serde_json::json!({"ready": true, "reasons": []}), 0));
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_log("stopping");
    assert_eq!(env.operate(&["health"]).expect(1).stdout, "not ready: stopping\n");
    env.release("go");
    daemon.wait().expect(0);
    let missing = env.run(&["health", "-handoff", "nowhere"]).expect(1);
    assert!(missing.stderr.contains("E401") && missing.stderr.contains("-handoff DIR"), "{}", missing.stderr);
    fs::create_dir(env.path("fresh")).unwrap();
    let fresh = env.run(&["status", "-handoff", "fresh"]).expect(1);
    assert!(fresh.stderr.contains("no daemon has run on"), "{}", fresh.stderr);
}

#[test]
fn only_the_daemon_s_user_and_root_may_ask() {
    if !is_root() {
        return eprintln!("NOT TESTED: other users, because the tests do not run as root");
    }
    let env = env().as_user(TestUser::Nobody);
    let daemon = env.start_ready(&[]);
    assert_eq!(env.operate(&["health"]).expect(0).stdout, "ready\n");
    let as_user = |uid: u32| {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(env.program());
        command.args(["status", "-handoff"]).arg(env.path("handoff")).uid(uid).gid(uid);
        Running::start(command).wait()
    };
    as_user(0).expect(0);
    let refused = as_user(65_533).expect(1);
    assert!(
        refused.stderr.contains("ermission denied") && refused.stderr.contains("daemon's user"),
        "{}",
        refused.stderr
    );
    daemon.stop().expect(0);
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_alive_and_stopping() {
    let env = env();
    let path = env.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let next = |wanted: &str| {
        let mut bytes = [0; 512];
        loop {
            let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    let mut command = env.command(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let daemon = Running::start(command);
    next("STATUS=ready");
    next("READY=1");
    // An idle loop keeps sending watchdog messages.
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    daemon.signal(rustix::process::Signal::HUP);
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    daemon.signal(rustix::process::Signal::TERM);
    next("STOPPING=1");
    daemon.wait().expect(0);
    // None of these variables reaches porch.
    env.drop_file("intent-a.json", flat("a", 3));
    let mut command = env.command(&["-once"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    Running::start(command).wait().expect(0);
    assert!(env.calls()[0].record["env"].get("NOTIFY_SOCKET").is_none());
}

#[test]
fn a_service_manager_behind_an_abstract_name_is_told_too() {
    use std::os::linux::net::SocketAddrExt;
    let env = env();
    let name = format!("conductor-loop-{}", env.path("").display());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut command = env.command(&[]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let daemon = Running::start(command);
    let mut bytes = [0; 512];
    while !bytes.starts_with(b"READY=1") {
        socket.recv(&mut bytes).expect("it is told");
    }
    daemon.stop().expect(0);
}

#[test]
fn what_list_shows_of_a_name_opens_it_whatever_its_bytes() {
    let env = env();
    let (daemon, address) = crate::endpoints::listening(&env, &[]);
    fs::create_dir(env.handoff("intent-\u{fc}.json")).unwrap();
    fs::create_dir(env.handoff("intent-a b.json")).unwrap();
    wait_until("both are left", || list(&env)["intents"].as_array().unwrap().len() == 2);
    for (name, part) in
        [("intent-\\xc3\\xbc.json", "intent-%5Cxc3%5Cxbc.json"), ("intent-a b.json", "intent-a%20b.json")]
    {
        assert_eq!(env.operate_json(&["explain", name]).0["reason"]["word"], "left", "{name}");
        let (code, body) = crate::endpoints::get(address, &format!("/api/v1/intents/{part}"));
        assert_eq!(code, 200, "{body}");
    }
    daemon.stop().expect(0);
    fs::create_dir(env.handoff("other-\u{fc}.json")).unwrap();
    let explained = env.operate_json(&["explain", "other-\\xc3\\xbc.json"]).0;
    assert_eq!(explained["reason"]["word"], "other-name", "{explained}");
}
