//! The embedded engine in the daemon: routes, repositories, refusals, retries, and the state after kills.

use crate::env;
use conductor_testkit::{TestEnv, flat, has, wait_until};
use std::fs;
use std::process::Command;

/// The number of intents of the killed daemon.
const INTENTS: usize = 200;

fn git(env: &TestEnv, dir: &str, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-C"]).arg(env.path(dir));
    let output = command.args(words).env("HOME", env.path(".")).output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn package(env: &TestEnv, file: &str) -> String {
    fs::read_to_string(env.path("out").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Runs all dropped intents with the embedded engine.
fn settle(env: &TestEnv, flags: &[&str], code: i32) {
    env.once(&[&["-porch", "builtin"], flags].concat()).expect(code);
}

fn code(env: &TestEnv, name: &str) -> String {
    env.status(name).unwrap()["error_code"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn the_status_says_that_a_package_is_a_partial_one() {
    let env = env();
    fs::create_dir_all(env.path("out/test/b")).unwrap();
    let whole = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: b\nspec:\n  replicas: 1\n";
    fs::write(env.path("out/test/b/deployment.yaml"), whole).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-b.json", flat("b", 3));
    settle(&env, &[], 0);
    let note = |name: &str| env.status(name).unwrap()["note"].as_str().map(str::to_owned);
    assert!(note("intent-a.json").is_some_and(|note| note.contains("only a part")));
    assert_eq!(note("intent-b.json"), None);
    assert!(package(&env, "test/b/deployment.yaml").ends_with("replicas: 3\n"));
}

#[test]
fn routes_lead_intents_to_packages_and_repositories() {
    let env = env();
    if !has("git") {
        return;
    }
    fs::create_dir(env.path("core")).unwrap();
    git(&env, "core", &["init", "-q", "-b", "main"]);
    let table = format!(
        "[repository.core]\ngit = \"{}\"\ndirectory = \"functions\"\n\
         [[route]]\nnamespace = \"core-*\"\nrepository = \"core\"\npackage = \"{{target}}\"\nmax-replicas = 6\n\
         [[route]]\nnamespace = \"edge\"\npackage = \"edge/{{target}}-package\"\n",
        env.path("core").display()
    );
    fs::write(env.path("c.toml"), table).unwrap();
    let intent = |namespace: &str, replicas: u32| {
        flat("upf", replicas).replace("\"test\"", &format!("\"{namespace}\""))
    };
    env.drop_file("intent-core.json", intent("core-1", 3));
    env.drop_file("intent-edge.json", intent("edge", 4));
    env.drop_file("intent-lost.json", intent("elsewhere", 4));
    env.drop_file("intent-much.json", intent("core-2", 7));
    settle(&env, &["-config", env.path("c.toml").to_str().unwrap()], 8);
    assert_eq!(git(&env, "core", &["ls-tree", "--name-only", "main", "functions/"]), "functions/upf");
    let trailer =
        |name: &str| git(&env, "core", &["log", "-1", &format!("--format=%(trailers:key={name},valueonly)")]);
    let status = env.status("intent-core.json").unwrap();
    assert_eq!(Some(trailer("Intent-SHA256").trim()), status["sha256"].as_str());
    assert_eq!(trailer("Intent-Seq").trim(), status["seq"].to_string());
    let deployment = package(&env, "edge/upf-package/deployment.yaml");
    assert!(deployment.ends_with("replicas: 4\n"), "{deployment}");
    assert_eq!(
        (code(&env, "intent-lost.json"), code(&env, "intent-much.json")),
        ("E309".into(), "E309".into())
    );
    assert_eq!(env.status("intent-lost.json").unwrap()["attempts"], 1);
    let log = env.names("failed").into_iter().find(|name| name.starts_with("intent-much.json.")).unwrap();
    assert!(env.read(&format!("failed/{log}")).contains("allows 0 to 6 replicas, not 7"));
    env.assert_clean();
}

#[test]
fn a_package_that_cannot_be_edited_fails_at_once_with_its_reason() {
    let env = env();
    fs::create_dir_all(env.path("out/test/web")).unwrap();
    let odd = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: '2'\n";
    fs::write(env.path("out/test/web/web.yaml"), odd).unwrap();
    env.drop_file("intent-web.json", flat("web", 3));
    settle(&env, &[], 8);
    assert_eq!(
        (code(&env, "intent-web.json"), env.status("intent-web.json").unwrap()["attempts"].as_u64()),
        ("E310".into(), Some(1))
    );
    assert_eq!(package(&env, "test/web/web.yaml"), odd);
}

#[test]
fn a_package_somebody_else_works_on_is_tried_again() {
    let env = env();
    env.drop_file("intent-one.json", flat("web", 2));
    settle(&env, &[], 0);
    let held = fs::File::open(env.path("out/test/web-scaling")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let daemon = env.start_ready(&["-porch", "builtin", "-timeout", "100ms"]);
    env.drop_file("intent-two.json", flat("web", 3));
    let waits = || env.operate(&["explain", "intent-two.json"]).stdout.contains("package-busy");
    wait_until("it waits for whoever holds it", waits);
    drop(held);
    let status = env.wait_status("intent-two.json");
    daemon.stop().expect(0);
    assert_eq!(status["status"], "success", "{status}");
    assert_eq!(status["attempts"], 1, "waiting is no attempt: {status}");
    assert!(package(&env, "test/web-scaling/deployment.yaml").ends_with("replicas: 3\n"));
}

#[test]
fn killed_again_and_again_each_package_ends_as_its_last_intent_says() {
    let env = env();
    let wanted = |number: usize| u32::try_from(1 + number % 60).unwrap();
    for number in 0..INTENTS {
        env.drop_file(&format!("intent-{number:03}.json"), flat(&format!("t{}", number % 5), wanted(number)));
    }
    let done = || env.names("status").len();
    for killed in 0..8 {
        let daemon = env.start(&["-porch", "builtin", "-workers", "3", "-max-attempts", "100"]);
        let goal = (done() + 5 + 3 * killed).min(INTENTS);
        wait_until("some progress", || done() >= goal);
        daemon.kill();
    }
    settle(&env, &["-max-attempts", "100"], 0);
    assert_eq!((env.names("processed").len(), done()), (INTENTS, INTENTS));
    for target in 0..5 {
        let text = package(&env, &format!("test/t{target}-scaling/deployment.yaml"));
        let last = wanted(INTENTS - 5 + target);
        assert!(text.ends_with(&format!("replicas: {last}\n")), "t{target}: {text}");
        assert!(!env.path(&format!("out/test/t{target}-scaling/.porch-tmp")).exists());
    }
    env.assert_clean();
}
