//! Environment variables that are not text, unknown, empty, or name a setting not built yet.

use crate::env;
use conductor_testkit::{Finished, Running, TestEnv};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn with(env: &TestEnv, name: &[u8], value: &[u8], words: &[&str]) -> Finished {
    let mut command = if words.is_empty() { env.command(&["-once"]) } else { env.bare_command() };
    command.args(words).env(OsStr::from_bytes(name), OsStr::from_bytes(value));
    Running::start(command).wait()
}

#[test]
fn a_variable_that_is_not_text_is_refused_by_name() {
    let env = env();
    for name in ["CONDUCTOR_TOKEN_FILE", "CONDUCTOR_RETENTION", "CONDUCTOR_CONFIG", "CONDUCTOR_WHATEVER"] {
        for words in [&[][..], &["config", "show"], &["doctor"], &["status"], &["submit", "intent-a.json"]] {
            let refused = with(&env, name.as_bytes(), b"/x/tok\xff", words).expect(2);
            assert!(refused.stderr.contains("E501") && refused.stderr.contains(name), "{}", refused.stderr);
        }
    }
    let refused = with(&env, b"CONDUCTOR_\xfe", b"x", &[]).expect(2);
    assert!(refused.stderr.contains("E501") && refused.stderr.contains("CONDUCTOR_"), "{}", refused.stderr);
    with(&env, b"OTHER", b"\xff", &[]).expect(0);
}

#[test]
fn an_unknown_variable_warns_at_the_start_and_when_looked_at() {
    let env = env();
    let handoff = env.path("handoff").display().to_string();
    let doctor = ["doctor", "-handoff", &handoff, "-porch", "builtin"];
    for words in [&[][..], &["config", "show"], &doctor] {
        let shown = with(&env, b"CONDUCTOR_WORKERS", b"9", words).expect(0);
        let said = shown.stdout + &shown.stderr;
        assert!(said.contains("CONDUCTOR_WORKERS"), "{words:?}: {said}");
        assert!(said.contains("CONDUCTOR_MAX_WORKERS"), "{words:?}: {said}");
    }
}

#[test]
fn what_is_not_built_yet_refuses_the_start_and_is_never_silent() {
    let env = env();
    let handoff = env.path("handoff").display().to_string();
    let name = "CONDUCTOR_CHROOT_ENABLED";
    let set = |value: &str, words: &[&str]| with(&env, name.as_bytes(), value.as_bytes(), words);
    let refused = set("true", &[]).expect(2).stderr;
    assert!(refused.contains("E508") && refused.contains("not built yet"), "{refused}");
    let shown = set("true", &["config", "show"]).expect(2);
    let row = shown.stdout.lines().find(|row| row.ends_with(&format!("environment {name}")));
    assert!(row.is_some_and(|row| row.contains("true")), "{}", shown.stdout);
    let doctor = set("true", &["doctor", "-handoff", &handoff, "-porch", "builtin"]).expect(1);
    assert!(doctor.stdout.contains("E508"), "{}", doctor.stdout);
    for words in [&[][..], &["config", "show"]] {
        let nonsense = set("nonsense", words).expect(2).stderr;
        assert!(nonsense.contains("E501") && nonsense.contains(name), "{nonsense}");
    }
    set("", &[]).expect(0);
    set("false", &[]).expect(0);
    // Commands that only look, or hand an intent in, still work.
    set("true", &["schema"]).expect(0);
}

#[test]
fn every_variable_may_be_empty() {
    let env = env();
    let mut command = env.bare_command();
    // The one that every test sets.
    command.env_remove("CONDUCTOR_PORCH_WRITE");
    let shown = Running::start(command_with(command, &["config", "show", "--json"])).wait().expect(0).stdout;
    let mut command = env.bare_command();
    for setting in conductor_loop::config::SETTINGS {
        command.envs(setting.environment.map(|name| (name, "")));
    }
    let empty = Running::start(command_with(command, &["config", "show", "--json"])).wait().expect(0);
    assert_eq!(empty.stdout, shown);
    assert_eq!(empty.stderr, "");
}

fn command_with(mut command: std::process::Command, words: &[&str]) -> std::process::Command {
    command.args(words);
    command
}
