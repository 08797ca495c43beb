//! `doctor` predicts the result of a start, and leaves nothing behind.

use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, TestUser};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

/// The exit statuses of doctor and of a start with these flags, and doctor's output.
fn both(env: &TestEnv, flags: &[&str]) -> (i32, i32, String) {
    let always = ["-porch", "builtin", "-debounce", "0"];
    let run = |first: &str| {
        let mut command = env.bare_command();
        command.arg(first).args(always).args(flags);
        Running::start(command).wait()
    };
    let before = listing(env);
    let doctor = run("doctor");
    assert_eq!(listing(env), before, "doctor leaves nothing behind");
    (doctor.code(), run("-once").code(), doctor.stdout)
}

/// Everything below the environment, by name.
fn listing(env: &TestEnv) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![env.path("")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            names.push(entry.path().display().to_string());
            open.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
        }
    }
    names.sort();
    names
}

#[test]
fn doctor_fails_where_the_start_would_fail() {
    let env = env();
    fs::write(env.path("file"), "").unwrap();
    fs::write(env.path("short"), "short").unwrap();
    fs::write(env.path("token"), "0123456789abcdef").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (flags, word) in [
        (&["-handoff", "file/below"][..], "handoff"),
        (&["-handoff", "file"], "handoff"),
        (&["-out", "file/below"], "packages"),
        (&["-out", "handoff/processed"], "places"),
        (&["-state-dir", "file/below"], "state"),
        (&["-listen", &taken], "endpoints"),
        (&["-listen", "127.0.0.1:0", "-token-file", "nowhere"], "endpoints"),
        (&["-listen", "127.0.0.1:0", "-token-file", "short"], "endpoints"),
        (&["-listen", "127.0.0.1:0", "-tls-cert", "file", "-tls-key", "file"], "endpoints"),
    ] {
        let (doctor, start, said) = both(&env, flags);
        assert_eq!((doctor, start), (1, 1), "{flags:?}: {said}");
        assert!(said.lines().any(|line| line.starts_with("bad") && line.contains(word)), "{flags:?}: {said}");
    }
    let (doctor, start, said) = both(&env, &["-listen", "127.0.0.1:0", "-token-file", "token"]);
    assert_eq!((doctor, start), (0, 0), "{said}");
}

#[test]
fn doctor_judges_as_the_user_who_asks() {
    if !is_root() {
        return eprintln!("NOT TESTED: directories of other users, because the tests do not run as root");
    }
    let env = env().as_user(TestUser::Nobody);
    fs::create_dir(env.path("roots")).unwrap();
    fs::set_permissions(env.path("roots"), fs::Permissions::from_mode(0o755)).unwrap();
    for (flags, word) in [
        (&["-handoff", "roots/handoff"][..], "handoff"),
        (&["-handoff", "roots"], "handoff"),
        (&["-out", "roots/out"], "packages"),
        (&["-out", "roots"], "packages"),
        (&["-state-dir", "roots/state"], "state"),
    ] {
        let (doctor, start, said) = both(&env, flags);
        // An existing output directory is written by runs, not by the start.
        assert!(doctor == 1 && (start == 1 || flags == ["-out", "roots"]), "{flags:?}: {start} {said}");
        assert!(said.lines().any(|line| line.starts_with("bad") && line.contains(word)), "{flags:?}: {said}");
    }
    let (doctor, start, said) = both(&env, &[]);
    assert_eq!((doctor, start), (0, 0), "{said}");
    fs::set_permissions(env.handoff("processed"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(env.handoff("processed"), Some(0), Some(0)).unwrap();
    let (doctor, _, said) = both(&env, &[]);
    assert!(doctor == 1 && said.contains("processed cannot be written"), "{said}");
}
