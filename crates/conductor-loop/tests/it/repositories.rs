//! Repositories that are slow, full, gone or whose remote hangs: only their own intents wait, and none of them fails.

use crate::endpoints::{get, listening};
use crate::env;
use crate::lifecycle::Mounted;
use conductor_testkit::{Running, TestEnv, flat, has, wait_until, without_set_id};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn git(env: &TestEnv, dir: &str, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-C"]).arg(env.path(dir));
    let output = command.args(words).env("HOME", env.path(".")).output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two repositories with a commit each, one route to each by namespace. `None` if git is not installed.
pub(crate) fn two_repositories(env: &TestEnv, push: &str) -> Option<String> {
    if !has("git") {
        eprintln!("NOT TESTED: repositories (git is not installed)");
        return None;
    }
    let mut table = Vec::new();
    for (name, push) in [("far", push), ("near", "")] {
        fs::create_dir_all(env.path(name)).unwrap();
        git(env, name, &["init", "-q", "-b", "main"]);
        git(env, name, &["commit", "-q", "--allow-empty", "-m", "begin"]);
        table.push(format!(
            "[repository.{name}]\ngit = \"{}\"\n{push}\n[[route]]\nnamespace = \"{name}\"\nrepository = \"{name}\"\n",
            env.path(name).display()
        ));
    }
    fs::write(env.path("c.toml"), table.concat()).unwrap();
    Some(env.path("c.toml").display().to_string())
}

pub(crate) fn drop_intents(env: &TestEnv, namespace: &str, count: usize) {
    for n in 0..count {
        let text = flat(&format!("t{n}"), 3).replace("\"test\"", &format!("\"{namespace}\""));
        env.drop_file(&format!("intent-{namespace}{n}.json"), text);
    }
}

pub(crate) fn all_succeed(env: &TestEnv, namespace: &str, count: usize) {
    for n in 0..count {
        let status = env.wait_status(&format!("intent-{namespace}{n}.json"));
        assert_eq!((&status["status"], &status["attempts"]), (&"success".into(), &1.into()), "{status}");
    }
}

fn explained(env: &TestEnv, file: &str, word: &str) {
    wait_until(&format!("{file} waits for {word}"), || env.operate(&["explain", file]).stdout.contains(word));
}

#[test]
fn a_remote_that_never_answers_keeps_only_its_own_waiting() {
    let env = env();
    let Some(config) = two_repositories(&env, "push = \"origin\"") else { return };
    // The system accepts connections, and no server ever answers on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = format!("git://{}/far", silent.local_addr().unwrap());
    git(&env, "far", &["remote", "add", "origin", &remote]);
    let flags = ["-porch", "builtin", "-config", &config, "-workers", "2", "-timeout", "4s"];
    let (daemon, address) = listening(&env, &flags);
    drop_intents(&env, "far", 6);
    wait_until("an intent runs into the remote", || {
        silent.set_nonblocking(true).is_ok() && silent.accept().is_ok()
    });
    drop_intents(&env, "near", 3);
    all_succeed(&env, "near", 3);
    assert_eq!(env.names("status").len(), 3, "nothing else was decided");
    wait_until("readiness names it", || get(address, "/readyz").1.contains("remote-unreachable"));
    explained(&env, "intent-far0.json", "remote-unreachable");
    assert_eq!((env.names("failed").len(), env.names("status").len()), (0, 3));
    daemon.stop().expect(0);
}

#[test]
fn a_remote_with_a_slow_hook_gets_every_intent_at_its_first_start() {
    let env = env();
    let Some(config) = two_repositories(&env, "push = \"origin\"") else { return };
    fs::create_dir(env.path("remote.git")).unwrap();
    git(&env, "remote.git", &["init", "-q", "--bare", "-b", "main"]);
    git(&env, "far", &["remote", "add", "origin", env.path("remote.git").to_str().unwrap()]);
    git(&env, "far", &["push", "-q", "origin", "main"]);
    let hook = env.path("remote.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    // Longer than a worker waits for a repository.
    fs::write(&hook, "#!/bin/sh\nsleep .4\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = env.start_ready(&["-porch", "builtin", "-config", &config, "-workers", "4"]);
    drop_intents(&env, "far", 12);
    all_succeed(&env, "far", 12);
    daemon.stop().expect(0);
}

#[test]
fn a_repository_that_is_gone_keeps_only_its_own_waiting() {
    let env = env();
    let Some(config) = two_repositories(&env, "") else { return };
    let daemon = env.start_ready(&["-porch", "builtin", "-config", &config]);
    fs::rename(env.path("far"), env.path("away")).unwrap();
    drop_intents(&env, "far", 3);
    explained(&env, "intent-far0.json", "out-gone");
    drop_intents(&env, "near", 3);
    all_succeed(&env, "near", 3);
    assert_eq!((env.names("failed").len(), env.names("status").len()), (0, 3));
    fs::rename(env.path("away"), env.path("far")).unwrap();
    all_succeed(&env, "far", 3);
    daemon.stop().expect(0);
}

#[test]
fn an_empty_directory_in_place_of_a_repository_is_waited_for() {
    let env = env();
    let Some(config) = two_repositories(&env, "") else { return };
    // A repository around everything, in which git would work instead.
    git(&env, ".", &["init", "-q", "-b", "main"]);
    let daemon = env.start_ready(&["-porch", "builtin", "-config", &config]);
    fs::rename(env.path("far"), env.path("away")).unwrap();
    // As the bare mount point of an unmounted file system.
    fs::create_dir(env.path("far")).unwrap();
    drop_intents(&env, "far", 2);
    explained(&env, "intent-far0.json", "out-gone");
    assert!(!env.path(".git/refs/heads/main").exists(), "nothing is committed around it");
    assert_eq!(fs::read_dir(env.path("far")).unwrap().count(), 0, "nothing is written into it");
    fs::remove_dir(env.path("far")).unwrap();
    fs::rename(env.path("away"), env.path("far")).unwrap();
    all_succeed(&env, "far", 2);
    daemon.stop().expect(0);
}

#[test]
fn a_linked_work_tree_that_is_gone_is_waited_for() {
    let env = env();
    let Some(config) = two_repositories(&env, "") else { return };
    git(&env, "far", &["checkout", "-q", "-b", "other"]);
    let tree = env.path("tree").display().to_string();
    git(&env, "far", &["worktree", "add", "-q", &tree, "main"]);
    let table = fs::read_to_string(&config).unwrap();
    let far = format!("git = \"{}\"", env.path("far").display());
    fs::write(&config, table.replace(&far, &format!("git = \"{tree}\""))).unwrap();
    let daemon = env.start_ready(&["-porch", "builtin", "-config", &config]);
    fs::rename(env.path("tree"), env.path("away")).unwrap();
    drop_intents(&env, "far", 2);
    explained(&env, "intent-far0.json", "out-gone");
    drop_intents(&env, "near", 1);
    all_succeed(&env, "near", 1);
    fs::rename(env.path("away"), env.path("tree")).unwrap();
    all_succeed(&env, "far", 2);
    daemon.stop().expect(0);
}

#[test]
fn a_full_repository_keeps_only_its_own_waiting() {
    let env = env();
    fs::create_dir(env.path("far")).unwrap();
    let Some(mounted) = Mounted::new("tmpfs", env.path("far"), "size=4m,mode=755") else { return };
    let Some(config) = two_repositories(&env, "") else { return };
    let ballast = env.path("far/.git/ballast");
    assert!(fs::write(&ballast, vec![0; 8 << 20]).is_err(), "it is full");
    let daemon = env.start_ready(&["-porch", "builtin", "-config", &config]);
    drop_intents(&env, "far", 3);
    explained(&env, "intent-far0.json", "out-full");
    drop_intents(&env, "near", 3);
    all_succeed(&env, "near", 3);
    assert_eq!((env.names("failed").len(), env.names("status").len()), (0, 3));
    fs::remove_file(ballast).unwrap();
    all_succeed(&env, "far", 3);
    daemon.stop().expect(0);
    drop(mounted);
}

#[test]
fn what_a_repository_lacks_is_said_by_doctor_and_at_the_start() {
    let env = env();
    let Some(_) = two_repositories(&env, "") else { return };
    fs::create_dir_all(env.path("shop")).unwrap();
    git(&env, "shop", &["init", "-q", "-b", "main"]);
    git(&env, "shop", &["commit", "-q", "--allow-empty", "-m", "begin"]);
    git(&env, "shop", &["remote", "add", "origin", "https://user:secret@git.example.org/shop.git"]);
    git(&env, "shop", &["config", "http.proxy", "http://proxy.example.org:3128"]);
    git(&env, "shop", &["config", "remote.odd.url", "ssh://git.example.org/odd.git"]);
    fs::create_dir_all(env.path("empty")).unwrap();
    let config = env.path("c.toml").display().to_string();
    let both = |repository: &str, more: &str| {
        let table = format!(
            "[repository.shop]\ngit = \"{}\"\n{more}\n[[route]]\nrepository = \"shop\"\n",
            env.path(repository).display()
        );
        fs::write(&config, table).unwrap();
        let mut command = env.bare_command();
        command.args(["doctor", "-porch", "builtin", "-config", &config]);
        let doctor = Running::start(command).wait();
        let line = doctor.stdout.split("\nbad ").chain(doctor.stdout.split("\ngood "));
        let line =
            line.map(ToOwned::to_owned).find(|line| line.trim_start().starts_with("repositories")).unwrap();
        let mut command = env.bare_command();
        command.args(["-once", "-debounce", "0", "-porch", "builtin", "-config", &config]);
        (doctor.code(), line, Running::start(command).wait().stderr)
    };
    for (repository, more, reason) in [
        ("nowhere", "", "cannot change to"),
        ("empty", "", "it is an empty directory"),
        ("shop", "branch = \"mian\"", "there is no branch mian (there is: main)"),
        ("shop", "push = \"upstream\"", "the repository has no remote upstream"),
        ("shop", "signing-key = \"/nowhere/key\"", "the signing key /nowhere/key cannot be read"),
    ] {
        let (code, line, said) = both(repository, more);
        assert!(code == 1 && line.contains(reason), "{reason}: {line}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let (code, line, said) = both("shop", "push = \"origin\"");
    assert_eq!(code, 0, "{line}");
    assert!(line.contains("pushes go to https://***@git.example.org/shop.git"), "{line}");
    assert!(line.contains("by the repository's own configuration: http.proxy"), "{line}");
    assert!(!line.contains("secret") && !said.contains("\"repository\""), "{line} {said}");
    git(&env, "shop", &["config", "core.sshCommand", "./theirs"]);
    let (code, line, said) = both("shop", "push = \"odd\"");
    assert!(
        code == 1 && line.contains("core.sshcommand") && said.contains("core.sshcommand"),
        "{line} {said}"
    );
}

#[test]
fn a_shared_repository_where_set_group_id_is_forbidden_is_named() {
    let env = env();
    let Some(config) = two_repositories(&env, "") else { return };
    git(&env, "far", &["config", "core.sharedRepository", "group"]);
    let Some(mut command) = without_set_id(env.program()) else { return };
    command
        .args(["doctor", "-handoff"])
        .arg(env.path("handoff"))
        .args(["-porch", "builtin", "-config", &config]);
    let output = command.current_dir(env.path(".")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("far: the repository is shared by a group, and set-group-id cannot be set"),
        "{said}"
    );
    assert!(said.contains("Remove RestrictSUIDSGID= from the unit"), "{said}");
}

#[test]
fn routes_into_repositories_without_git_are_named_at_the_start() {
    let env = env();
    let Some(config) = two_repositories(&env, "") else { return };
    let run = |words: &[&str]| {
        let mut command = env.bare_command();
        command.args(words).args(["-porch", "builtin", "-config", &config]).env("PATH", "/nowhere");
        Running::start(command).wait()
    };
    let doctor = run(&["doctor"]);
    assert!(doctor.code() == 1 && doctor.stdout.contains("git is not on PATH"));
    assert!(run(&["-once", "-debounce", "0"]).stderr.contains("the git program is not installed"));
}
