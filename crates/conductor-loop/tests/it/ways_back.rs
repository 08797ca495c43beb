//! The remedies of docs/ERRORS.md for storage and set-up, from the refusal to the working daemon: each case provokes the
//! refusal, applies the remedy, and sees an intent run. Numbers continue: none is used twice.
//!
//! Codes whose remedy another module tests: E404, E405 (damage), E408 (lifecycle), E409 (owners, lifecycle), E412
//! (surroundings), E406 (calls), E413 (owners, `fs_group`). E411 ends a process that a restart recovers (recovery).

use crate::env;
use crate::lifecycle::Mounted;
use conductor_testkit::{Finished, TestEnv, flat};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn chmod(word: &str, path: &Path) {
    assert!(Command::new("chmod").arg(word).arg(path).status().unwrap().success());
}

/// The start with these flags and variables.
fn start(env: &TestEnv, flags: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut command = env.command(&[&["-once"], flags].concat());
    command.envs(variables.iter().copied());
    conductor_testkit::Running::start(command).wait()
}

/// One case: the flags and variables of the refused start, those of the start after the remedy, and the remedy.
struct Way {
    code: &'static str,
    refused: fn(&TestEnv) -> Vec<String>,
    remedy: fn(&TestEnv) -> Vec<String>,
}

fn flags(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn path(env: &TestEnv, below: &str) -> String {
    env.path(below).display().to_string()
}

const WAYS: &[Way] = &[
    Way {
        code: "E401",
        refused: |env| {
            fs::write(env.path("file"), "").unwrap();
            flags(&["-state-dir", &path(env, "file/state")])
        },
        remedy: |_| Vec::new(),
    },
    Way {
        code: "E407",
        refused: |env| {
            set_mode(&env.path("handoff"), 0o777);
            Vec::new()
        },
        remedy: |env| {
            chmod("o-w", &env.path("handoff"));
            Vec::new()
        },
    },
    Way {
        code: "E407",
        refused: |env| {
            set_mode(&env.path("handoff"), 0o777);
            Vec::new()
        },
        remedy: |env| {
            chmod("+t", &env.path("handoff"));
            Vec::new()
        },
    },
    Way {
        code: "E407",
        refused: |env| {
            set_mode(&env.path("handoff"), 0o777);
            Vec::new()
        },
        remedy: |_| flags(&["-allow-unsafe-handoff"]),
    },
    Way {
        code: "E410",
        refused: |env| {
            fs::remove_dir_all(env.handoff(".conductor")).unwrap();
            fs::write(env.handoff(".conductor-state.json"), "nobody's").unwrap();
            Vec::new()
        },
        remedy: |env| {
            fs::rename(env.handoff(".conductor-state.json"), env.path("aside")).unwrap();
            Vec::new()
        },
    },
    Way { code: "E501", refused: |_| flags(&["-rate", "many"]), remedy: |_| flags(&["-rate", "5"]) },
    Way {
        code: "E502",
        refused: |env| {
            fs::write(env.path("c.toml"), "wrkers = 3\n").unwrap();
            flags(&["-config", &path(env, "c.toml")])
        },
        remedy: |env| {
            fs::write(env.path("c.toml"), "workers = 3\n").unwrap();
            flags(&["-config", &path(env, "c.toml")])
        },
    },
    Way {
        code: "E503",
        refused: |env| {
            fs::write(env.path("c.toml"), "workers = = 3\n").unwrap();
            flags(&["-config", &path(env, "c.toml")])
        },
        remedy: |env| {
            fs::write(env.path("c.toml"), "workers = 3\n").unwrap();
            flags(&["-config", &path(env, "c.toml")])
        },
    },
    Way {
        code: "E504",
        refused: |env| flags(&["-porch", &path(env, "bin/none")]),
        remedy: |env| flags(&["-porch", &path(env, "bin/porch")]),
    },
    Way {
        code: "E504",
        refused: |env| flags(&["-porch", &path(env, "bin/none")]),
        remedy: |_| flags(&["-porch", "builtin"]),
    },
    Way {
        code: "E505",
        refused: |env| {
            fs::write(env.path("bin/plain"), "#!/bin/sh\nexit 0\n").unwrap();
            flags(&["-porch", &path(env, "bin/plain")])
        },
        remedy: |env| {
            chmod("755", &env.path("bin/plain"));
            flags(&["-porch", &path(env, "bin/plain")])
        },
    },
    Way {
        code: "E507",
        refused: |env| {
            fs::write(env.path("token"), "short").unwrap();
            flags(&["-listen", "127.0.0.1:0", "-token-file", &path(env, "token")])
        },
        remedy: |env| {
            fs::write(env.path("token"), "f00dfeedf00dfeedf00d").unwrap();
            set_mode(&env.path("token"), 0o600);
            flags(&["-listen", "127.0.0.1:0", "-token-file", &path(env, "token")])
        },
    },
    Way {
        code: "E509",
        refused: |env| flags(&["-state-dir", &path(env, "handoff/processed/state")]),
        remedy: |_| Vec::new(),
    },
];

#[test]
fn each_remedy_leads_from_the_refusal_to_a_working_daemon() {
    for Way { code, refused, remedy } in WAYS {
        let env = env();
        env.drop_file("intent-a.json", flat("a", 3));
        env.once(&[]).expect(0);
        let told = refused(&env);
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        env.drop_file("intent-b.json", flat("b", 3));
        let finished = start(&env, &told, &[]);
        assert!(matches!(finished.code(), 1 | 2), "{code}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(code) && finished.stderr.contains("hint:"),
            "{code}: {}",
            finished.stderr
        );
        assert!(env.handoff("intent-b.json").exists(), "{code}: a refused start takes nothing");
        let flags = remedy(&env);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let finished = start(&env, &flags, &[]);
        assert_eq!(finished.code(), 0, "{code}: {}", finished.stderr);
        let status = env.status("intent-b.json").unwrap();
        assert_eq!(
            (status["status"].as_str(), status["seq"].as_u64() > Some(1)),
            (Some("success"), true),
            "{code}: {status}"
        );
    }
}

#[test]
fn a_held_lock_is_waited_out_or_another_directory_used() {
    let env = env();
    let daemon = env.start_ready(&[]);
    let refused = env.once(&[]).expect(1);
    assert!(refused.stderr.contains("E402") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    let mut own = env.bare_command();
    own.args(["-once", "-handoff", "own", "-out", "own-out", "-porch", "builtin"]);
    conductor_testkit::Running::start(own).wait().expect(0);
    daemon.stop().expect(0);
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
}

#[test]
fn parts_brought_onto_one_volume_are_used() {
    let env = env();
    let part: PathBuf = env.handoff("processed");
    fs::create_dir(&part).unwrap();
    let Some(mounted) = Mounted::new("tmpfs", part, "size=16m,mode=750") else { return };
    env.drop_file("intent-a.json", flat("a", 3));
    let refused = env.once(&[]).expect(1);
    assert!(refused.stderr.contains("E403") && env.handoff("intent-a.json").exists(), "{}", refused.stderr);
    drop(mounted);
    env.once(&[]).expect(0);
    assert_eq!(env.names("processed"), ["intent-a.json"]);
}

#[test]
fn a_taken_port_is_exchanged_for_a_free_one() {
    let env = env();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let refused = env.once(&["-listen", &taken]).expect(1);
    assert!(refused.stderr.contains("E506"), "{}", refused.stderr);
    env.once(&["-listen", "127.0.0.1:0"]).expect(0);
    drop(listener);
    env.once(&["-listen", &taken]).expect(0);
}
