//! Secrets printed by porch, or contained in an intent, appear in no file or answer of the daemon.

use crate::endpoints::{get, listening};
use crate::env;
use conductor_testkit::{TestEnv, flat};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const CORPUS: &str = include_str!("../../../core/tests/scrub/secret.txt");

/// The corpus without its marks, and the secrets that cannot occur in a text by chance.
fn corpus() -> (String, Vec<String>) {
    let cases = CORPUS.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    let cases: Vec<String> = cases.map(|line| line.replace('⏎', "\n")).collect();
    let marked =
        cases.iter().flat_map(|case| case.split('«').skip(1).filter_map(|part| part.split_once('»')));
    let secrets = marked.map(|(secret, _)| secret.to_owned()).filter(|secret| secret.len() >= 7);
    // Each case by itself: a block without an end hides the text after it.
    let text = cases.iter().filter(|case| !case.contains("-----")).map(|case| format!("{case}\n\n"));
    (text.collect::<String>().replace(['«', '»'], ""), secrets.collect())
}

/// A porch that is a script. A helper copies it: a file that this process writes may still be open in another thread's child.
fn script(env: &TestEnv, text: &str) -> String {
    let (draft, program) = (env.path("bin/draft"), env.path("bin/loud"));
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg(&draft).arg(&program).status().unwrap().success());
    program.to_str().unwrap().to_owned()
}

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

#[track_caller]
fn assert_none(secrets: &[String], place: &str, bytes: &[u8]) {
    for secret in secrets {
        let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around =
            at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())]));
        assert_eq!(around, None, "'{secret}' in {place}");
    }
}

#[test]
fn no_secret_of_porch_or_intent_is_written_or_answered() {
    let env = env();
    let (text, mut secrets) = corpus();
    fs::write(env.path("corpus"), text).unwrap();
    let loud =
        script(&env, &format!("#!/bin/sh\ncat {0}\ncat {0} >&2\nexit 3\n", env.path("corpus").display()));
    let (daemon, address) = listening(&env, &["-porch", &loud, "-log-level", "debug"]);
    let reason = r#""reason": "line\npassword=zanzibar77 mysql -pzanzibar77\n{\"token\":\"zanzibar77\"}", "source": "user""#;
    env.drop_file("intent-x.json", flat("x", 3).replacen('}', &format!(", {reason}}}"), 1));
    let refused = r#""reason": "x", "source": "token=zanzibar77", "metadata": {"password": "zanzibar77"}"#;
    env.drop_file("intent-no.json", flat("y", 3).replacen('}', &format!(", {refused}}}"), 1));
    for name in ["intent-x.json", "intent-no.json"] {
        assert_eq!(env.wait_status(name)["status"], "failed");
    }
    secrets.push("zanzibar77".to_owned());
    for of in ["1", "2"] {
        for command in ["show", "explain"] {
            assert_none(&secrets, command, env.operate(&[command, of]).stdout.as_bytes());
            assert_none(&secrets, command, env.operate(&[command, of, "--json"]).stdout.as_bytes());
        }
        for path in [format!("/api/v1/intents/{of}"), format!("/api/v1/explain?of={of}")] {
            assert_none(&secrets, &path, get(address, &path).1.as_bytes());
        }
    }
    for words in [&["list"][..], &["list", "--json"], &["logs"], &["status", "--json"]] {
        assert_none(&secrets, words[0], env.operate(words).stdout.as_bytes());
    }
    for path in ["/api/v1/intents", "/api/v1/status"] {
        assert_none(&secrets, path, get(address, path).1.as_bytes());
    }
    assert_none(&secrets, "log", daemon.stop().stderr.as_bytes());
    assert_none(&secrets, "export", env.operate(&["state", "export"]).stdout.as_bytes());
    let mut found = Vec::new();
    files(&env.path("handoff"), &mut found);
    assert!(found.len() >= 7, "{found:?}");
    // The producer's own files are kept byte for byte.
    let own = ["intent-x.json", "intent-no.json"].map(|name| env.handoff("failed").join(name));
    for path in found.iter().filter(|path| !own.contains(path)) {
        // The store held their exact bytes while they were unfinished, and its freed pages keep their content.
        let is_store = path.ends_with("ledger.redb");
        let secrets = if is_store { &secrets[..secrets.len() - 1] } else { &secrets[..] };
        assert_none(secrets, &path.display().to_string(), &fs::read(path).unwrap());
    }
    assert!(env.read("failed/intent-x.json").contains("zanzibar77"));
    let log = env.read("failed/intent-x.json.error.log");
    assert!(log.contains("[masked]") && log.contains("login failed"), "{log}");
}

#[test]
fn a_secret_across_the_cut_of_a_stream_does_not_show_its_rest() {
    let env = env();
    // 32 KiB of the beginning are kept, and as many of the end: the secret crosses both edges.
    let begin = format!("{}password=zanz", "x".repeat(32_768 - 14));
    fs::write(env.path("whole"), format!("{begin}ibar77secret tail\nlast line\n")).unwrap();
    let end = format!("ibar77secret tail\n{}last line\n", "w\n".repeat(16_370));
    assert!(end.len() <= 32_768, "the tail begins within the secret or before it");
    let cut = "z".repeat(32_768 - end.len());
    fs::write(env.path("long"), format!("{}password={cut}{end}", "y\n".repeat(20_000))).unwrap();
    for file in ["whole", "long"] {
        let loud = script(&env, &format!("#!/bin/sh\ncat {}\nexit 3\n", env.path(file).display()));
        let name = format!("intent-{file}.json");
        env.drop_file(&name, flat(file, 3));
        env.once(&["-porch", &loud]).expect(8);
        let text = env.read(&format!("failed/{name}.error.log"));
        assert!(!text.contains("ibar77") && text.contains("last line"), "{file}");
    }
}
