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
    let both = env
        .run(&["submit", "intent-good.json", "intent-bad.json", "--no-check", "--wait", "--handoff", handoff])
        .expect(8);
    assert_eq!(both.stdout.lines().count(), 2);
    assert!(both.stdout.contains("E213"), "{}", both.stdout);
    daemon.stop().expect(0);
    assert!(env.names("").iter().all(|name| !name.starts_with(".submit")));
}

#[test]
fn check_judges_without_handing_in() {
    let env = env();
    fs::write(env.path("intent-good.json"), flat("good", 3)).unwrap();
    fs::write(env.path("intent-bad.json"), flat("bad", 500)).unwrap();
    fs::write(env.path("other.json"), flat("good", 3)).unwrap();
    let good = env.run(&["check", "intent-good.json"]).expect(0).stdout;
    assert_eq!(good, "intent-good.json: accepted: scaling test/good to 3\n");
    let both =
        env.run(&["check", "intent-good.json", "intent-bad.json", "other.json", "nowhere.json"]).expect(8);
    assert!(
        both.stdout.contains("intent-bad.json: E215 out-of-range at /replicas: found 500;"),
        "{}",
        both.stdout
    );
    assert!(both.stdout.contains("other.json: E101 ") && both.stdout.contains("nowhere.json: E101 "));
    assert!(both.stdout.contains("what to do: Choose a number"), "{}", both.stdout);
    let lines = env.run(&["check", "--json", "intent-good.json", "intent-bad.json"]).expect(8).stdout;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["verdict"].as_str(), lines[0]["target"].as_str()), (Some("accepted"), Some("good")));
    assert_eq!((lines[1]["code"].as_str(), lines[1]["field"].as_str()), (Some("E215"), Some("/replicas")));
    fs::write(env.path("intent-zero.json"), flat("zero", 0)).unwrap();
    env.run(&["check", "intent-zero.json"]).expect(8);
    env.run(&["check", "intent-zero.json", "-allow-scale-to-zero"]).expect(0);
    env.run(&["check", "intent-good.json", "-max-file-size", "10"]).expect(8);
    assert!(env.names("").is_empty(), "nothing was handed in");
}

#[test]
fn plan_shows_the_change_and_makes_none() {
    let env = env();
    fs::write(env.path("intent-web.json"), flat("web", 5)).unwrap();
    let package =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2 # two\n";
    fs::create_dir_all(env.path("out/test/web")).unwrap();
    fs::write(env.path("out/test/web/web.yaml"), package).unwrap();
    let diff = env.run(&["plan", "intent-web.json", "-out", "out"]).expect(0).stdout;
    assert!(diff.contains("-  replicas: 2 # two\n+  replicas: 5 # two\n"), "{diff}");
    let line = env.run(&["plan", "--json", "intent-web.json", "-out", "out"]).expect(0).stdout;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((line["replicas"]["from"].as_u64(), line["dry_run"].as_bool()), (Some(2), Some(true)));
    assert_eq!(fs::read_to_string(env.path("out/test/web/web.yaml")).unwrap(), package);
    fs::write(env.path("intent-same.json"), flat("web", 2)).unwrap();
    let same = env.run(&["plan", "intent-same.json", "-out", "out"]).expect(0).stdout;
    assert_eq!(same, "intent-same.json: nothing to change in out/test/web\n");
    fs::write(env.path("out/test/web/web.yaml"), package.replace("2 #", "'2' #")).unwrap();
    let refused = env.run(&["plan", "intent-web.json", "-out", "out"]).expect(8).stdout;
    assert!(refused.contains("E310") && refused.contains("what to do: "), "{refused}");
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do_about_it() {
    use std::os::unix::fs::PermissionsExt;
    let env = env();
    let handoff = env.path("handoff");
    let porch = env.path("bin/porch");
    let doctor = |flags: &[&str]| {
        let always = ["doctor", "--json", "-allow-unsafe-porch", "-handoff", handoff.to_str().unwrap()];
        let finished = env.run(&[&always, flags].concat());
        let lines =
            finished.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let found: std::collections::BTreeMap<String, serde_json::Value> =
            lines.map(|line| (line["subject"].as_str().unwrap().to_owned(), line)).collect();
        (finished.code(), found)
    };
    let with_porch = ["-porch", porch.to_str().unwrap()];
    let (code, found) = doctor(&with_porch);
    assert_eq!((code, found.len()), (0, 21), "{found:?}");
    let wrong = |found: &std::collections::BTreeMap<String, serde_json::Value>| -> Vec<String> {
        let bad = found.iter().filter(|(_, line)| line["verdict"] == "bad");
        bad.map(|(subject, _)| subject.clone()).collect()
    };
    assert!(wrong(&found).is_empty(), "{found:?}");
    // Each obstacle to a daemon, by itself.
    let (code, found) = doctor(&["-porch", "/nowhere/porch"]);
    assert_eq!((code, wrong(&found)), (1, vec!["porch".to_owned()]), "{found:?}");
    assert!(found["porch"]["fix"].as_str().unwrap().contains("--porch builtin"));
    fs::write(env.path("file"), "").unwrap();
    let (code, found) = doctor(&["-porch", "builtin", "-out", "file"]);
    assert_eq!((code, wrong(&found)), (1, vec!["packages".to_owned()]), "{found:?}");
    fs::set_permissions(&handoff, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, found) = doctor(&with_porch);
    assert_eq!((code, wrong(&found)), (1, vec!["handoff".to_owned()]), "{found:?}");
    let (code, found) = doctor(&["-allow-unsafe-handoff", "-porch", "builtin"]);
    assert_eq!((code, found["handoff"]["verdict"].as_str()), (0, Some("warning")), "as the daemon takes it");
    fs::set_permissions(&handoff, fs::Permissions::from_mode(0o755)).unwrap();
    env.once(&[]).expect(0);
    fs::write(env.handoff(".conductor/state/ledger.redb"), "no store").unwrap();
    let (code, found) = doctor(&with_porch);
    assert_eq!((code, wrong(&found)), (1, vec!["state".to_owned()]), "{found:?}");
    let told =
        env.run(&["doctor", "-handoff", handoff.to_str().unwrap(), "-porch", "builtin"]).expect(1).stdout;
    assert!(told.contains("bad      state ") && told.contains("what to do: "), "{told}");
}

#[test]
fn doctor_works_beside_a_daemon_and_before_there_is_anything() {
    let env = env();
    let nowhere =
        env.run(&["doctor", "-handoff", "nowhere", "-out", "nor-here", "-porch", "builtin"]).expect(0);
    assert!(nowhere.stdout.contains("the daemon makes it"), "{}", nowhere.stdout);
    assert!(!env.path("nowhere").exists() && !env.path("nor-here").exists(), "it changes nothing");
    let daemon = env.start_ready(&[]);
    let handoff = env.path("handoff").display().to_string();
    let beside = env.run(&["doctor", "-handoff", &handoff, "-out", "out", "-porch", "builtin"]).expect(0);
    assert!(beside.stdout.contains("a daemon runs here"), "{}", beside.stdout);
    daemon.stop().expect(0);
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

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_of_the_command() {
    let env = env();
    let program = env.program().display().to_string();
    for words in ["--version", "--help", "schema", "config show", "doctor"] {
        let command = format!("{program} {words} >/dev/full");
        let output = std::process::Command::new("sh")
            .args(["-c", &command])
            .current_dir(env.path("."))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() != Some(0) && said.contains("No space left on device"),
            "{words}: {said}"
        );
        let command = format!("{{ {program} {words}; echo $? >status; }} | true");
        std::process::Command::new("sh").args(["-c", &command]).current_dir(env.path(".")).output().unwrap();
        assert_eq!(
            fs::read_to_string(env.path("status")).unwrap().trim(),
            "0",
            "a reader that went away: {words}"
        );
    }
}

#[test]
fn an_argument_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let env = env();
    let mut command = std::process::Command::new(env.program());
    command
        .args(["-once", "-handoff"])
        .arg(std::ffi::OsStr::from_bytes(b"in\xff"))
        .current_dir(env.path("."));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not UTF-8: --handoff 'in\u{fffd}'"), "{said}");
}
