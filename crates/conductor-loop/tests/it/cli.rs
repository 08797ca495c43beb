//! Flags, environment, file, subcommands, logs.

use crate::env;
use conductor_testkit::{Running, flat};
use std::fs;

#[test]
fn unknown_flags_and_leftovers_suggest_the_nearest() {
    let env = env();
    for (words, hint) in [
        (&["-handof", "x"][..], "--handoff"),
        (&["--porch-url", "x"], "--porch"),
        (&["leftover"], "leftover"),
        (&["stat", "show"], "state"),
    ] {
        let finished = env.run(words).expect(2);
        assert!(finished.stderr.contains(hint), "{}", finished.stderr);
    }
}

#[test]
fn environment_and_file_are_layers_with_origins() {
    let env = env();
    fs::write(env.path("c.toml"), "mode = \"structured\"\nworkers = 3\n").unwrap();
    let mut command = env.bare_command();
    command.args(["config", "show", "-config", "c.toml", "-debounce=1s"]).env("CONDUCTOR_MAX_WORKERS", "4");
    let shown = Running::start(command).wait().expect(0).stdout;
    let row = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("mode"), "structured file c.toml");
    assert_eq!(row("workers"), "4 environment CONDUCTOR_MAX_WORKERS");
    assert_eq!(row("debounce"), "1s flag");
    assert_eq!(row("grace-period"), "5s default");
    let json = env.run(&["config", "show", "--json"]).expect(0).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["mode"]["origin"], "default");
    fs::write(env.path("bad.toml"), "debouce = 1\n").unwrap();
    let refused = env.run(&["-config", "bad.toml"]).expect(2);
    assert!(
        refused.stderr.contains("E502") && refused.stderr.contains("did you mean 'debounce'"),
        "{}",
        refused.stderr
    );
}

#[test]
fn submit_hands_in_and_waits_for_the_outcome() {
    let env = env();
    let handoff = env.path("handoff");
    let handoff = handoff.to_str().unwrap();
    fs::write(env.path("intent-good.json"), flat("good", 3)).unwrap();
    fs::write(env.path("intent-bad.json"), "{}").unwrap();
    fs::write(env.path("other.json"), "{}").unwrap();
    env.run(&["submit", "other.json", "--handoff", handoff]).expect(2);
    env.run(&["submit", "intent-missing.json", "--handoff", handoff]).expect(1);
    let waited = env
        .run(&["submit", "intent-good.json", "--wait", "--timeout", "50ms", "--handoff", handoff])
        .expect(1);
    assert!(waited.stderr.contains("no status of intent-good.json"), "{}", waited.stderr);
    let twice = env.run(&["submit", "intent-good.json", "--handoff", handoff]).expect(1);
    assert!(twice.stderr.contains("still waiting"), "{}", twice.stderr);
    let daemon = env.start_ready(&[]);
    env.wait_status("intent-good.json");
    let good = env.run(&["submit", "intent-good.json", "--wait", "--handoff", handoff]).expect(0);
    assert!(good.stdout.contains("\"duplicate_of\": 1"), "the status of this submission: {}", good.stdout);
    let both =
        env.run(&["submit", "intent-good.json", "intent-bad.json", "--wait", "--handoff", handoff]).expect(8);
    assert_eq!(both.stdout.lines().count(), 2);
    assert!(both.stdout.contains("E213"), "{}", both.stdout);
    daemon.stop().expect(0);
    assert!(env.names("").iter().all(|name| !name.starts_with(".submit")));
}

#[test]
fn schema_is_printed_and_is_the_committed_one() {
    let printed = env().run(&["schema"]).expect(0).stdout;
    assert_eq!(printed, include_str!("../../../core/schema/intent.schema.json"));
}

#[test]
fn log_lines_are_json_with_fixed_keys() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3).replace('}', ", \"correlation_id\": \"scale-1\"}"));
    env.drop_file("intent-b.json", "{\"correlation_id\": \"mine\"}");
    let log = env.once(&["-log-level", "debug"]).expect(8).log();
    let of = |text: &str| log.iter().find(|line| line["archived_as"] == text).unwrap().clone();
    let good = of("processed/intent-a.json");
    assert_eq!(
        (good["correlation_id"].as_str(), good["target"].as_str(), good["level"].as_str()),
        (Some("scale-1"), Some("test/a"), Some("INFO"))
    );
    assert!(good["seq"].is_u64() && good["duration_ms"].is_u64() && good["file"] == "intent-a.json");
    assert_eq!(of("failed/intent-b.json")["code"], "E213");
    assert!(log.iter().any(|line| line["level"] == "DEBUG" && line["message"] == "starting porch"));
    let quiet = env.once(&["-log-level", "error"]).expect(0);
    assert_eq!(quiet.stderr, "");
    let text = env.once(&["-log-format", "text"]).expect(0);
    assert!(text.stderr.contains(" INFO ready handoff="), "{}", text.stderr);
}

#[test]
fn version_and_help() {
    let env = env();
    assert!(env.run(&["--version"]).expect(0).stdout.starts_with("conductor-loop "));
    assert!(env.run(&["-help"]).expect(0).stdout.contains("Exit status:"));
    for words in [&["config"][..], &["state"], &["submit"]] {
        env.run(words).expect(2);
    }
}

#[test]
fn once_on_a_terminal_shows_progress_and_a_table() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", "{");
    let inner = env.command(&["-once", "-porch", "builtin", "-log-level", "warn"]);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    // script(1) gives the program a terminal.
    let mut command = std::process::Command::new("script");
    command.args(["-q", "-e", "-c", &words.join(" "), "/dev/null"]).current_dir(env.path(""));
    if std::process::Command::new("script").arg("--version").output().is_err() {
        return eprintln!("note: script(1) is not installed, so there is no terminal; nothing was tested");
    }
    let shown = Running::start(command).wait().expect(8).stdout;
    for row in [
        "outcome",
        "processed                           1",
        "failed                              1",
        "E204 incomplete",
    ] {
        assert!(shown.contains(row), "{row}: {shown}");
    }
    assert!(shown.contains("WARN") && !shown.contains("{\"timestamp\""), "text on a terminal: {shown}");
}
