//! The user of a daemon that root starts: who it becomes, what is handed over to it, and what refuses the start.

use crate::{env, is_root};
use conductor_testkit::{Finished, Running, TestEnv, TestUser, flat};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

const NOBODY: u32 = 65534;

/// An environment that another user can reach, in which only root makes anything.
pub(crate) fn reachable() -> Option<TestEnv> {
    if !is_root() {
        eprintln!("NOT TESTED: not root, so nobody else can be become");
        return None;
    }
    let env = env().as_user(TestUser::Nobody);
    chown(env.path(""), Some(0), Some(0)).unwrap();
    Some(env)
}

/// The daemon of this environment, started by root, to its end.
pub(crate) fn by_root(env: &TestEnv, flags: &[&str]) -> Finished {
    start_by_root(env, &[&["-once"], flags].concat()).wait()
}

/// The same, running.
pub(crate) fn start_by_root(env: &TestEnv, flags: &[&str]) -> Running {
    let ordinary = env.command(flags);
    let mut command = Command::new(env.program());
    command.args(ordinary.get_args()).current_dir(env.path("")).env_clear();
    command.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Running::start(command)
}

fn owner(env: &TestEnv, below: &str) -> u32 {
    fs::metadata(env.path(below)).unwrap().uid()
}

#[test]
fn a_start_as_root_becomes_the_user_before_it_opens_anything() {
    let Some(env) = reachable() else { return };
    let porch = env.path("bin/seen");
    let script = "#!/bin/sh -e\ncat /proc/self/status > \"$4/status\"\ncat /proc/$PPID/status > \"$4/daemon\"\n\
        cat /proc/$PPID/comm > \"$4/name\"\necho \"$HOME\" > \"$4/home\"\n";
    fs::write(&porch, script).unwrap();
    fs::set_permissions(&porch, fs::Permissions::from_mode(0o755)).unwrap();
    for made in ["handoff", "out"] {
        fs::remove_dir_all(env.path(made)).unwrap();
    }
    let state = env.path("state").display().to_string();
    let flags = ["-user", "65534", "-porch", porch.to_str().unwrap(), "-state-dir", &state];
    by_root(&env, &flags).expect(0);
    for made in ["handoff", "out", "state", "handoff/processed"] {
        assert_eq!(owner(&env, made), NOBODY, "{made}");
    }
    env.drop_file("intent-x.json", flat("x", 3));
    let finished = by_root(&env, &flags).expect(0);
    assert!(!finished.stderr.contains("running as root"), "{}", finished.stderr);
    for made in ["handoff/processed/intent-x.json", "handoff/status/intent-x.json.status", "out/status"] {
        assert_eq!(owner(&env, made), NOBODY, "{made}");
    }
    let read = |name: &str| fs::read_to_string(env.path("out").join(name)).unwrap();
    for (name, status) in [("porch", read("status")), ("daemon", read("daemon"))] {
        let field =
            |field: &str| status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned();
        assert_eq!(field("Uid:"), "65534\t65534\t65534\t65534", "{name}");
        assert_eq!(field("Gid:"), "65534\t65534\t65534\t65534", "{name}");
        for line in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(line).trim_start_matches('0'), "", "{name} {line}");
        }
        let groups = field("Groups:");
        assert!(groups.split_whitespace().all(|group| group != "0"), "{name} {groups}");
    }
    assert_eq!(read("name"), "conductor-loop\n");
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let home = users
        .lines()
        .find(|line| line.split(':').nth(2) == Some("65534"))
        .and_then(|line| line.split(':').nth(5));
    assert_eq!(read("home").trim(), home.unwrap_or("/"));
}

#[test]
fn what_the_user_may_not_write_refuses_the_start_with_the_command() {
    let Some(env) = reachable() else { return };
    chown(env.path("handoff"), Some(0), Some(0)).unwrap();
    env.drop_file("intent-x.json", flat("x", 3));
    let refused = by_root(&env, &["-user", "65534:65534"]).expect(1).stderr;
    let command = format!("chown -R 65534:65534 {}", env.path("handoff").display());
    assert!(refused.contains("E513") && refused.contains(&command), "{refused}");
    assert_eq!(owner(&env, "handoff"), 0, "what is not empty is somebody's");
    assert!(env.handoff("intent-x.json").exists() && !env.handoff(".conductor").exists());
    // The command is the way on.
    let (_, words) = refused.split_once("chown ").unwrap();
    let words: Vec<&str> = words.split_whitespace().take(3).collect();
    assert!(Command::new("chown").args(&words).status().unwrap().success());
    by_root(&env, &["-user", "65534:65534"]).expect(0);
}

#[test]
fn a_directory_behind_a_link_is_not_given_away() {
    let Some(env) = reachable() else { return };
    fs::remove_dir_all(env.path("out")).unwrap();
    fs::create_dir(env.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(env.path("elsewhere"), env.path("out")).unwrap();
    let refused = by_root(&env, &["-user", "65534"]).expect(1).stderr;
    assert!(refused.contains("E513") && refused.contains("chown -R"), "{refused}");
    assert_eq!(owner(&env, "elsewhere"), 0);
}

#[test]
fn only_root_becomes_another_user_and_only_one_that_exists() {
    let env = env();
    let unknown = env.once(&["-user", "nobody-of-this-name"]).expect(1).stderr;
    assert!(unknown.contains("E513") && unknown.contains("no user 'nobody-of-this-name'"), "{unknown}");
    assert!(!env.handoff(".conductor").exists());
    if !is_root() {
        let other = env.once(&["-user", "0"]).expect(1).stderr;
        assert!(other.contains("only root may become '0'"), "{other}");
        return;
    }
    env.once(&["-user", "root"]).expect(0);
    let env = env.as_user(TestUser::Nobody);
    let other = env.once(&["-user", "12345"]).expect(1).stderr;
    assert!(other.contains("E513") && other.contains("only root may become '12345'"), "{other}");
    let env = crate::env().as_user(TestUser::Nobody);
    env.once(&["-user", "65534"]).expect(0);
}
