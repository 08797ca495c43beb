//! The groups on a directory with the files that the kernel would make.

use super::*;
use run::Reached;
use std::fs;

/// A directory with the files of a group.
fn group(at: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(at).unwrap();
    let usual = [("cgroup.procs", ""), ("cgroup.kill", ""), ("cgroup.events", "populated 0\nfrozen 0\n")];
    for (name, text) in usual.iter().chain(files) {
        fs::write(at.join(name), text).unwrap();
    }
}

/// A directory like a group that was given to a daemon, with these controllers.
fn given(controllers: &str) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    group(temp.path(), &[("cgroup.controllers", controllers), ("cgroup.subtree_control", "")]);
    group(&temp.path().join("daemon"), &[]);
    temp
}

const LIMITS: Limits = Limits { memory: Some(1 << 20), processes: Some(77) };

#[test]
fn limits_are_set_where_their_controllers_are_given_and_what_reached_them_is_counted() {
    let temp = given("cpu memory pids\n");
    let at = |name: &str| temp.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    let groups = Groups::make(temp.path(), LIMITS).unwrap();
    assert_eq!(groups.limits, LIMITS);
    assert_eq!(read("daemon/cgroup.procs"), "0");
    assert!(read("cgroup.subtree_control").starts_with('+'));
    let limits_of = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max"];
    group(&at("run-0"), &limits_of.map(|name| (name, "")));
    let run = RunGroup::open(&groups, "run-0".to_owned()).unwrap();
    run.limit(LIMITS).unwrap();
    assert_eq!(limits_of.map(|name| read(&format!("run-0/{name}"))), ["1048576", "0", "1", "77"]);
    let counted = |local: &str, all: &str, pids: &str, peak: &str| {
        let files = [
            ("memory.events.local", local),
            ("memory.events", all),
            ("pids.events", pids),
            ("pids.peak", peak),
        ];
        group(&at("run-0"), &files);
        run.reached()
    };
    let nothing = Reached::default();
    assert_eq!(counted("max 3\noom 0\n", "oom_kill 0\n", "max 0\n", "77\n"), nothing);
    let memory = Reached { memory: true, ..nothing };
    assert_eq!(counted("oom 2\n", "oom_kill 1\n", "max 0\n", "3\n"), memory);
    let elsewhere = Reached { memory_elsewhere: true, ..nothing };
    assert_eq!(counted("oom 0\n", "oom_kill 1\n", "max 0\n", "3\n"), elsewhere, "a limit above");
    let processes = Reached { processes: true, ..nothing };
    assert_eq!(counted("oom 0\n", "oom_kill 0\n", "max 3\n", "77\n"), processes);
    assert_eq!(counted("oom 0\n", "oom_kill 0\n", "max 3\n", "12\n"), nothing, "a limit above");
    fs::write(at("cgroup.controllers"), "cpu\n").unwrap();
    fs::write(at("daemon/cgroup.procs"), "").unwrap();
    fs::remove_dir_all(at("run-0")).unwrap();
    let without = Groups::make(temp.path(), LIMITS).unwrap();
    assert_eq!(without.limits, Limits::default());
    group(&at("run-0"), &[("memory.events", "oom_kill 1\n"), ("pids.events", "max 3\n")]);
    assert_eq!(RunGroup::open(&without, "run-0".to_owned()).unwrap().reached(), nothing);
}

#[test]
fn a_group_with_another_daemon_or_without_its_files_is_no_group_of_ours() {
    let temp = given("");
    let processes = temp.path().join("daemon/cgroup.procs");
    fs::write(&processes, "4711\n").unwrap();
    let busy = Groups::make(temp.path(), LIMITS).unwrap_err();
    assert_eq!(busy, NoGroup::NotGiven("another daemon is in it".to_owned()));
    fs::remove_file(processes).unwrap();
    assert!(matches!(Groups::make(temp.path(), LIMITS), Err(NoGroup::Refused(_))));
}

#[test]
fn one_old_group_that_cannot_be_removed_costs_neither_the_others_nor_the_next() {
    let temp = given("");
    // Not empty, and so not removed; without its list of processes, and so not ended.
    for old in ["run-0", "run-3"] {
        fs::create_dir(temp.path().join(old)).unwrap();
    }
    fs::write(temp.path().join("run-3/stays"), "").unwrap();
    let groups = Groups::make(temp.path(), Limits::default()).unwrap();
    let kept = groups.kept();
    assert!(!temp.path().join("run-0").exists());
    assert!(kept.len() == 1 && kept[0].0 == "run-3" && kept[0].1.contains("rmdir(run-3)"), "{kept:?}");
    // A new group here has no files, so nothing begins in it; its number is a free one all the same.
    groups.next.store(3, Ordering::Relaxed);
    let error = groups.for_a_run(&mut Command::new("true")).unwrap_err();
    assert_eq!(groups.next.load(Ordering::Relaxed), 5, "{error}");
    assert!(error.to_string().contains("open(cgroup.kill)"), "{error}");
    assert!(!temp.path().join("run-4").exists(), "it is removed with the refusal");
    fs::remove_file(temp.path().join("run-3/stays")).unwrap();
    groups.for_a_run(&mut Command::new("true")).unwrap_err();
    assert!(!temp.path().join("run-3").exists() && groups.kept().is_empty(), "it is tried again");
}
