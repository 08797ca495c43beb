//! What an operator is told without asking: of names that are ignored, of each intent in the log, of where to look.

use crate::env;
use conductor_testkit::{TestUser, flat, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_name_that_looks_like_an_intents_and_is_none_is_told_once_and_listed() {
    let env = env();
    let others = |listing: &Value| -> Vec<String> {
        let rows = listing["intents"].as_array().unwrap().iter();
        let others = rows.filter(|row| row["reason"]["word"] == "other-name");
        others.map(|row| row["file"].as_str().unwrap().to_owned()).collect()
    };
    for name in ["intent.json", "Scale.JSON", "intent-a.yaml", "notes.txt", ".hidden.json"] {
        fs::write(env.handoff(name), "{}").unwrap();
    }
    let told = ["Scale.JSON", "intent-a.yaml", "intent.json"];
    env.once(&[]).expect(0);
    assert_eq!(others(&env.operate_json(&["list"]).0), told, "without a daemon");
    let daemon = env.start_ready(&["-period", "100ms"]);
    wait_until("they are listed", || others(&env.operate_json(&["list"]).0) == told);
    // One that comes later is told by its event, and one that goes is forgotten.
    fs::write(env.handoff("late.json"), "{}").unwrap();
    daemon.wait_log("late.json");
    fs::remove_file(env.handoff("intent.json")).unwrap();
    wait_until("it is gone", || {
        others(&env.operate_json(&["list"]).0) == ["Scale.JSON", "intent-a.yaml", "late.json"]
    });
    let message =
        "ignored: its name matches neither intent-*.json nor a --pattern; rename it if it is an intent";
    let mut said = daemon.logged_values(message, "file");
    said.sort();
    assert_eq!(said, ["Scale.JSON", "intent-a.yaml", "intent.json", "late.json"], "each once");
    daemon.stop().expect(0);
}

#[test]
fn a_pattern_widens_what_is_taken_and_every_command_agrees() {
    let env = env();
    let any = ["-pattern", "*.json"];
    for name in ["x.json.tmp", "x.json~", "x.tmp.json", ".x.json", "x.yaml", "-x.json", "Scale.JSON"] {
        fs::write(env.handoff(name), flat("never", 3)).unwrap();
    }
    let daemon = env.start_ready(&[&any[..], &["-period", "100ms"]].concat());
    fs::write(env.path("order.json"), flat("web", 3)).unwrap();
    let (order, order_path) = ("order.json", env.path("order.json").display().to_string());
    env.run(&["check", &order_path]).expect(8);
    env.run(&[&["check", &order_path], &any[..]].concat()).expect(0);
    env.operate(&["submit", &order_path]).expect(2);
    env.operate(&[&["submit", &order_path], &any[..]].concat()).expect(0);
    assert_eq!(env.wait_status(order)["archived_as"], "processed/order.json");
    // What is taken goes on whatever the next start takes.
    env.operate(&["hold", "test/held"]).expect(0);
    env.drop_file("held.json", flat("held", 3));
    wait_until("it is held", || env.operate(&["explain", "held.json"]).stdout.contains("held:"));
    daemon.kill();
    fs::write(env.handoff("late.json"), flat("late", 3)).unwrap();
    let word = |flags: &[&str]| {
        let listed = env.operate_json(&[&["list"], flags].concat()).0;
        let rows = listed["intents"].as_array().unwrap().iter();
        let late = rows.filter(|row| row["file"] == "late.json").map(|row| row["reason"]["word"].clone());
        let explained = env.operate_json(&[&["explain", "late.json"], flags].concat()).0;
        (late.collect::<Vec<_>>(), explained["reason"]["word"].clone())
    };
    assert_eq!(word(&[]), (vec!["other-name".into()], "other-name".into()));
    assert_eq!(word(&any), (vec!["not-running".into()], "not-running".into()));
    let daemon = env.start_ready(&[]);
    env.operate(&["release", "test/held"]).expect(0);
    assert_eq!(env.wait_status("held.json")["status"], "success");
    wait_until("it is listed as ignored", || word(&[]).0 == ["other-name"]);
    daemon.stop().expect(0);
    env.once(&any).expect(0);
    assert_eq!(env.wait_status("late.json")["status"], "success");
    let left: Vec<String> =
        env.names("").into_iter().filter(|name| name.contains('x') || name == "Scale.JSON").collect();
    assert_eq!(left, ["-x.json", ".x.json", "Scale.JSON", "x.json.tmp", "x.json~", "x.tmp.json", "x.yaml"]);
    for command in [&["doctor"][..], &["-once"], &["list"]] {
        let refused = env.operate(&[command, &["-pattern", "*"]].concat()).expect(2).stderr;
        assert!(refused.contains("'*' is no pattern") && refused.contains(".json"), "{refused}");
    }
}

#[test]
fn what_would_not_be_taken_is_not_handed_in_again() {
    let env = env();
    for name in ["intent-a b.json", "order.json"] {
        fs::write(env.handoff(name), flat("web", 3).replace('3', "500")).unwrap();
    }
    env.once(&["-pattern", "*.json"]).expect(8);
    let failed = env.names("failed");
    let refused: Vec<&String> = failed.iter().filter(|name| !name.contains(".error")).collect();
    assert_eq!(refused.len(), 2, "{failed:?}");
    for name in refused {
        for flags in [&["--dry-run"][..], &[]] {
            let told = env.operate(&[&["retry", name], flags].concat()).expect(1).stdout;
            assert!(told.contains("not retried: its name is not intent-"), "{told}");
        }
    }
    let lying =
        || -> Vec<String> { env.names("").into_iter().filter(|name| failed.contains(name)).collect() };
    assert_eq!(lying(), [""; 0]);
    env.operate(&["retry", "order.json", "-pattern", "*.json"]).expect(0);
    assert_eq!(lying(), ["order.json"]);
}

#[test]
fn the_log_says_taken_and_done_of_each_intent_and_at_debug_its_whole_way() {
    for (level, steps) in [
        ("info", &["taken", "Processed by worker 0 in"][..]),
        (
            "debug",
            &["taken", "starting porch", "porch was started", "a run ended", "Processed by worker 0 in"],
        ),
    ] {
        let env = env();
        let daemon = env.start_ready(&["-log-level", level, "-workers", "1"]);
        env.drop_file("intent-a.json", flat("a", 3).replace('}', ", \"correlation_id\": \"id-1\"}"));
        daemon.wait_log("Processed by");
        let finished = daemon.stop().expect(0);
        let last = finished.log().pop().unwrap();
        assert_eq!((&last["message"], &last["processed"]), (&"stopped".into(), &1.into()), "{last}");
        let lines = finished.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_it: Vec<Value> = lines.filter(|line| line["seq"] == 1).collect();
        assert_eq!(of_it.len(), steps.len(), "{level}: {of_it:#?}");
        for (line, step) in of_it.iter().zip(steps) {
            assert!(line["message"].as_str().unwrap().starts_with(step), "{line}");
            assert_eq!((&line["file"], &line["correlation_id"]), (&"intent-a.json".into(), &"id-1".into()));
        }
    }
}

#[test]
fn the_address_that_is_served_is_said_as_a_link() {
    let env = env();
    let daemon = env.start_ready(&["-listen", "localhost:0"]);
    let url = daemon.logged_value("listening", "url").unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(env.operate_json(&["status"]).0["endpoints"], serde_json::json!([url]));
    let status = env.operate(&["status"]).expect(0).stdout;
    assert!(status.contains(&format!("listening    {url}\n")), "{status}");
    daemon.stop().expect(0);
}

#[test]
fn who_may_not_open_the_handoff_directory_is_told_how_others_are_let_in() {
    let env = if crate::is_root() { env().as_user(TestUser::Nobody) } else { env() };
    env.once(&[]).expect(0);
    fs::write(env.path("intent-a.json"), flat("a", 3)).unwrap();
    let file = env.path("intent-a.json").display().to_string();
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o000)).unwrap();
    for words in [&["list"][..], &["status"], &["submit", &file]] {
        let told = env.operate(words).expect(1).stderr;
        assert!(told.contains("Permission denied") && told.contains("chmod 3770"), "{words:?}: {told}");
        assert!(!told.contains("CONDUCTOR_HANDOFF_DIR"), "{words:?}: {told}");
    }
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn each_hint_fits_its_case() {
    let env = env();
    fs::write(env.path("a-file"), "").unwrap();
    fs::write(env.path("intent-zero.json"), flat("a", 0)).unwrap();
    fs::write(env.path("intent-many.json"), flat("a", 101)).unwrap();
    fs::create_dir(env.path("a-directory")).unwrap();
    fs::write(env.path("a-word"), "short").unwrap();
    fs::write(env.path("c.toml"), "workers = 3\ndebounce = []\n").unwrap();
    let cases: [(Vec<&str>, &[&str], &[&str]); 10] = [
        (vec!["check", "intent-zero.json"], &["0 needs --allow-scale-to-zero"], &[]),
        (vec!["check", "intent-many.json"], &["from 1 to 100, for every daemon"], &["allow-scale"]),
        (
            vec!["-handoff", "a-file", "-porch", "builtin"],
            &["is no directory", "Name a directory"],
            &["File exists", "chown"],
        ),
        (vec!["-handoff", "h", "-porch", "./a-directory"], &["is not a regular file"], &["--allow-unsafe"]),
        (
            vec!["-handoff", "h", "-porch", "builtin", "-listen", "127.0.0.1:0", "-token-file", "a-word"],
            &["a token is one word of 16 characters or more"],
            &[],
        ),
        (vec!["config", "show", "-config", "c.toml"], &["c.toml:2", "an array cannot be the value"], &[]),
        (vec!["-handoff", "a-file/below", "-porch", "builtin"], &["a part of the path is no directory"], &[]),
        (
            vec!["-handoff", "h", "-porch", "builtin", "-out", "a-file"],
            &["failed to create output directory a-file", "Name a directory"],
            &["chown"],
        ),
        (
            vec!["-handoff", "h", "-porch", "builtin", "-out", "a-file/below"],
            &["a-file/below", "Name a directory"],
            &["chown"],
        ),
        (
            vec!["-handoff", "h", "-porch", "./a-file"],
            &["chmod +x", "is not executable"],
            &["--allow-unsafe-porch", "go-w"],
        ),
    ];
    for (words, said, unsaid) in cases {
        let finished = env.run(&words);
        let text = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.iter().all(|part| text.contains(part)), "{words:?}: {text}");
        assert!(!unsaid.iter().any(|part| text.contains(part)), "{words:?}: {text}");
    }
}
