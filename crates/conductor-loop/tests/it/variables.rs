//! Environment variables that are not text, unknown or empty.

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
