//! The command line as people know it from other tools: where flags may stand, forms of an answer, standard input, waiting.

use crate::env;
use conductor_testkit::{flat, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn settings_stand_before_or_behind_the_command() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    let behind = env.run(&["list", "-o", "name", "-handoff", "handoff"]).expect(0).stdout;
    assert_eq!(behind, "intent-a.json\n");
    for words in [
        &["-handoff", "handoff", "list", "-o", "name"][..],
        &["--handoff=handoff", "-o", "name", "list"],
        &["-n", "5", "-handoff", "handoff", "list", "-o=name", "--since", "yesterday", "--state", "done"],
    ] {
        assert_eq!(env.run(words).expect(0).stdout, behind, "{words:?}");
    }
    let shown = env.run(&["-handoff", "handoff", "state", "show", "--json"]).expect(0).stdout;
    assert!(serde_json::from_str::<Value>(&shown).is_ok(), "{shown}");
    let refused = env.run(&["-workers", "3", "list"]).expect(2).stderr;
    assert!(refused.contains("--workers"), "{refused}");
    assert!(env.run(&["help", "list"]).expect(0).stdout.contains("--since"));
    assert!(env.run(&["help"]).expect(0).stdout.contains("Commands:"));
    assert!(env.run(&["version"]).expect(0).stdout.starts_with("conductor-loop "));
}

#[test]
fn an_answer_has_the_form_that_is_asked_for() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-bad.json", flat("b", 500));
    env.once(&[]).expect(8);
    let list = |words: &[&str]| env.operate(&[&["list"], words].concat()).expect(0).stdout;
    let text = list(&[]);
    assert!(text.starts_with("NUMBER  STATE   AGE"), "{text}");
    assert!(text.contains("E215 out-of-range at /replicas: found 500"), "said once: {text}");
    assert!(list(&["-o", "wide"]).contains("TIME                  TARGET"));
    assert_eq!(list(&["--json"]), list(&["-o", "json"]));
    let yaml = list(&["-o", "yaml"]);
    assert!(
        yaml.starts_with("---\nintents:\n- seq: ") && yaml.contains("\n  file: intent-a.json\n"),
        "{yaml}"
    );
    assert_eq!(list(&["-o", "name"]).lines().count(), 2);
    env.operate(&["list", "-o", "xml"]).expect(2);
    env.operate(&["list", "-o", "yaml", "--json"]).expect(2);
    for words in [&["status"][..], &["show", "1"], &["explain", "1"], &["health"]] {
        let yaml = env.operate(&[words, &["-o", "yaml"]].concat()).stdout;
        assert!(yaml.starts_with("---\n"), "{words:?}: {yaml}");
    }
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let env = env();
    env.drop_file("intent-bad.json", flat("b", 500));
    env.once(&[]).expect(8);
    let coloured =
        |words: &[&str]| env.operate(&[&["list"], words].concat()).expect(0).stdout.contains('\x1b');
    assert!(!coloured(&[]) && !coloured(&["--color", "never"]));
    assert!(coloured(&["--color", "always"]) && coloured(&["--color=always"]));
}

#[test]
fn an_intent_on_standard_input_is_judged_named_and_handed_in() {
    let env = env();
    let submit = |words: &[&str], content: &str| {
        let mut command = env.bare_command();
        command.args(["-handoff", "handoff", "submit"]).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, told, _) = submit(&["-"], &flat("a", 3));
    assert!(code == 0 && told.starts_with("submitted intent-") && told.ends_with(".json\n"), "{told}");
    let (code, _, error) = submit(&["-"], &flat("a", 3));
    assert!(code == 1 && error.contains("still waiting"), "the same bytes have the same name: {error}");
    let (code, told, _) = submit(&["-", "--as", "intent-b.json"], &flat("b", 3));
    assert_eq!((code, told.as_str()), (0, "submitted intent-b.json\n"));
    let (code, told, error) = submit(&["-"], "{\"intent_type\":");
    assert!(code == 8 && told.is_empty() && error.contains("E204"), "{error}");
    assert!(error.contains("standard input was not handed in"), "{error}");
    let (code, _, error) = submit(&["-", "--as", "other.txt"], &flat("c", 3));
    assert!(code == 2 && error.contains("E101"), "{error}");
    // What only some daemons refuse is handed in.
    assert_eq!(submit(&["-", "--as", "intent-zero.json"], &flat("zero", 0)).0, 0);
    fs::write(env.path("y.json"), flat("y", 3)).unwrap();
    let unnamed = env.operate(&["submit", "y.json"]).expect(2).stderr;
    assert!(unnamed.contains("--as intent-y.json"), "{unnamed}");
    assert_eq!(
        env.operate(&["submit", "y.json", "--as", "intent-y.json"]).expect(0).stdout,
        "submitted intent-y.json\n"
    );
    env.operate(&["submit", "y.json", "y.json", "--as", "intent-y.json"]).expect(2);
    env.operate(&["submit", "-", "--as", "intent-none.json"]).expect(8);
    fs::create_dir(env.path("a")).unwrap();
    for file in ["intent-two.json", "a/intent-two.json"] {
        fs::write(env.path(file), flat("two", 3)).unwrap();
    }
    let twice = env.operate(&["submit", "intent-two.json", "a/intent-two.json"]).expect(2).stderr;
    assert!(twice.contains("two of the files are named intent-two.json"), "{twice}");
    assert_eq!(env.names("").iter().filter(|name| name.starts_with("intent-")).count(), 4);
}

#[test]
fn waiting_ends_when_all_are_done_or_failed() {
    let env = env();
    env.script("busy: wait=go\n*: exit=0");
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-busy.json", flat("busy", 3));
    env.drop_file("intent-bad.json", flat("bad", 500));
    env.wait_status("intent-bad.json");
    wait_until("the first is known", || env.operate(&["show", "intent-busy.json"]).code() == 0);
    let late = env.operate(&["wait", "intent-bad.json", "intent-busy.json", "--timeout", "100ms"]).expect(1);
    assert!(
        late.stdout.contains("intent-bad.json (number ") && late.stdout.contains("E215"),
        "{}",
        late.stdout
    );
    assert!(late.stderr.contains("after 100ms intent-busy.json is running"), "{}", late.stderr);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| env.operate(&["wait", "intent-busy.json", "--json"]).expect(0));
        env.release("go");
        waiting.join().unwrap()
    });
    let row: Value = serde_json::from_str(&waiting.stdout).unwrap();
    assert_eq!((&row["file"], &row["state"]), (&"intent-busy.json".into(), &"done".into()));
    env.operate(&["wait", "intent-bad.json", "intent-busy.json"]).expect(8);
    let unknown = env.operate(&["wait", "intent-nobody.json"]).expect(1);
    assert!(unknown.stderr.contains("not-found"), "{}", unknown.stderr);
    daemon.stop().expect(0);
}

#[test]
fn waiting_outlives_a_state_that_is_busy_for_a_moment() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    // As a daemon that is just starting or stopping has it.
    let state = fs::File::open(env.handoff(".conductor/state/ledger.redb")).unwrap();
    state.lock().unwrap();
    let begin = std::time::Instant::now();
    let late = env.operate(&["wait", "intent-a.json", "--timeout", "700ms"]).expect(1);
    assert!(late.stderr.contains("busy") && begin.elapsed().as_millis() >= 700, "{}", late.stderr);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| env.operate(&["wait", "intent-a.json"]));
        assert!(env.operate(&["list"]).expect(1).stderr.contains("busy: a daemon is just starting"));
        state.unlock().unwrap();
        waiting.join().unwrap().expect(0);
    });
}

#[test]
fn watching_shows_what_changes_and_ends_with_its_reader() {
    let env = env();
    let daemon = env.start_ready(&[]);
    let mut command = env.bare_command();
    command.args(["-handoff", "handoff", "list", "--watch", "--json"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"intents": [], "more": false, "next_before": null}"#);
    env.drop_file("intent-a.json", flat("a", 3));
    let done = lines.find(|line| line.as_ref().unwrap().contains(r#""state": "done""#));
    assert!(done.is_some());
    drop(lines);
    // Though nothing changes any more.
    assert!(child.wait().unwrap().success());
    daemon.stop().expect(0);
}
