//! A control group for each run, where the daemon was given one for itself: nothing that a run starts outlives it, and the limit
//! that its processes reach together is named.

use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, TestUser, flat, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of the next group.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A control group for one daemon after the other.
struct Given(PathBuf);

impl Given {
    /// Makes it; `None`: that takes root and a mount of version 2.
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let of_version_2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let at = of_version_2.and_then(|line| line.split(' ').nth(4));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("conductor-test-{}-{number}", std::process::id());
        let group = at.map(|at| Path::new(at).join(name)).filter(|_| is_root());
        let made = group.filter(|group| fs::create_dir(group).is_ok());
        let made = made.filter(|group| group.join("cgroup.kill").exists()).map(Self);
        if made.is_none() {
            eprintln!("NOT TESTED: no control group of version 2 can be made here");
        }
        made
    }

    /// Starts a daemon in the group. What a daemon before has passed on to its groups is taken back first: the kernel lets no process
    /// into a group whose controllers are those of the groups below.
    fn start(&self, env: &TestEnv, flags: &[&str]) -> Running {
        let ordinary = env.command(flags);
        let mut command = Command::new("/bin/sh");
        let group = self.0.join("cgroup.procs");
        let enter = "passed=${0%procs}subtree_control\n\
            for one in $(cat \"$passed\"); do echo \"-$one\" > \"$passed\" || exit; done\n\
            echo $$ > \"$0\" && exec \"$@\"";
        command.args(["-c", enter]).arg(group).arg(env.program());
        command.args(ordinary.get_args()).current_dir(env.path("")).env_clear();
        command.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Running::start(command)
    }

    fn processes(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name).join("cgroup.procs")).unwrap_or_default()
    }

    /// The names of the groups of runs.
    fn runs(&self) -> Vec<String> {
        let names =
            fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("run-")).collect()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..500 {
            for below in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(below.path());
            }
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn script(env: &TestEnv, name: &str, text: &str) -> String {
    let path = env.path("bin").join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A porch for the target `bad` that leaves processes which start themselves again and again, each in a session of its own and
/// without environment; it ends, or hangs, when `go` of them have been seen.
fn hostile(env: &TestEnv, then: &str) -> String {
    let seen = env.path("bin/seen").display().to_string();
    let hop =
        script(env, "hop", &format!("echo x >> {seen}\nsetsid env -i PATH=/usr/bin:/bin /bin/sh \"$0\" &"));
    let wait = format!("until [ \"$(wc -l < {seen})\" -gt 30 ]; do sleep .01; done");
    let bad = format!(
        "(setsid env -i PATH=/usr/bin:/bin /bin/sh {hop} &); (setsid /bin/sh {hop} &)\n{wait}; {then}"
    );
    script(
        env,
        "hostile",
        &format!(
            "export PATH=/usr/bin:/bin; : >> {seen}\ncase \"$2\" in *bad*) {bad};;\n\
             *slow*) echo x > \"$4/slow\"; until [ -e \"$4/go\" ]; do sleep .05; done;; esac"
        ),
    )
}

/// How many processes live that were started by `hop`.
fn hops(env: &TestEnv) -> usize {
    let name = env.path("bin/hop").display().to_string();
    let lines = fs::read_dir("/proc").unwrap().flatten().map(|entry| fs::read(entry.path().join("cmdline")));
    lines.flatten().filter(|line| String::from_utf8_lossy(line).split('\0').any(|word| word == name)).count()
}

#[test]
fn b03_what_starts_itself_again_and_again_ends_with_its_run_and_with_no_other() {
    let Some(given) = Given::new() else { return };
    for confine in ["auto", "off"] {
        let env = env();
        let porch = hostile(&env, "exit 0");
        let daemon = given.start(&env, &["-porch", &porch, "-workers", "2", "-confine", confine]);
        daemon.wait_log("ready");
        // An orphan without a mark could be this one's as well, so only its group tells whose it is.
        env.drop_file("intent-slow.json", flat("slow", 3));
        wait_until("the slow run is in progress", || env.path("out/slow").exists());
        env.drop_file("intent-bad.json", flat("bad", 3));
        assert_eq!(env.wait_status("intent-bad.json")["status"], "success");
        assert_eq!(hops(&env), 0, "{confine}: none outlived the run");
        let runs = given.runs();
        assert_eq!(runs.len(), 1, "{confine}: that of the slow run: {runs:?}");
        assert!(!given.processes(&runs[0]).is_empty());
        assert!(given.processes("daemon").contains(&daemon.pid().to_string()));
        assert!(env.status("intent-slow.json").is_none());
        fs::write(env.path("out/go"), "").unwrap();
        assert_eq!(env.wait_status("intent-slow.json")["status"], "success", "the other run is left alone");
        env.drop_file("intent-good.json", flat("good", 3));
        assert_eq!(env.wait_status("intent-good.json")["status"], "success", "and so are the next ones");
        let log = daemon.stop().expect(0).stderr;
        assert!(log.contains("each run has a control group") && log.contains("left_over"), "{log}");
    }
}

#[test]
fn what_a_killed_daemon_left_starting_itself_again_is_ended_by_the_next() {
    let Some(given) = Given::new() else { return };
    let env = env();
    let porch = hostile(&env, "exec sleep 600");
    let daemon = given.start(&env, &["-porch", &porch, "-workers", "1"]);
    env.drop_file("intent-bad.json", flat("bad", 3));
    let seen = || fs::read_to_string(env.path("bin/seen")).map_or(0, |text| text.lines().count());
    wait_until("porch has left its processes", || seen() > 30);
    daemon.kill();
    let porch = script(&env, "harmless", "exit 0");
    let next = given.start(&env, &["-once", "-porch", &porch, "-workers", "1"]).wait().expect(0);
    assert_eq!((given.runs().len(), hops(&env)), (0, 0));
    assert!(next.stderr.contains("were ended by their control group"), "{}", next.stderr);
    assert_eq!(env.wait_status("intent-bad.json")["attempts"], 2);
}

#[test]
fn no_porch_leaves_its_group_whatever_user_and_root_it_has() {
    let Some(given) = Given::new() else { return };
    let may = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    let mut ways = vec![vec![], vec!["-porch-user", "41234"]];
    if may {
        ways.push(vec!["-chroot-enabled"]);
    }
    for more in ways {
        let env = env().as_user(TestUser::Nobody);
        chown(env.path(""), Some(0), Some(0)).unwrap();
        fs::remove_dir_all(env.path("out")).unwrap();
        let group = given.0.display();
        let leaves =
            format!("for at in {group} {group}/daemon; do (echo 0 > $at/cgroup.procs) 2>/dev/null; done");
        let porch = script(&env, "tells", &format!("{leaves}\ncat /proc/self/cgroup > \"$4/group\""));
        env.drop_file("intent-x.json", flat("x", 3));
        let flags = [&["-once", "-porch", &porch, "-user", "65534", "-workers", "1"][..], &more].concat();
        given.start(&env, &flags).wait().expect(0);
        let group = fs::read_to_string(env.path("out/group")).unwrap();
        assert!(
            group.lines().any(|line| line.starts_with("0::") && line.contains("/run-")),
            "{more:?} {group}"
        );
        // The next daemon is given it by root again.
        for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(given.0.join(name), Some(0), Some(0)).unwrap();
        }
    }
}

#[test]
fn each_run_has_a_group_of_its_own_that_ends_with_it() {
    let Some(given) = Given::new() else { return };
    let env = env();
    // With confinement off a porch of root makes groups in its group; it leaves a process there.
    let below = format!(
        "own={}/$(sed -n 's,^0::.*/,,p' /proc/self/cgroup); echo $own >> \"$4/groups\"\n\
         mkdir -p $own/below/deeper && (setsid sleep 600 & echo $! > $own/below/deeper/cgroup.procs)",
        given.0.display()
    );
    let porch = script(&env, "nests", &below);
    let daemon = given.start(&env, &["-porch", &porch, "-workers", "2", "-confine", "off"]);
    for target in ["a", "b", "c"] {
        env.drop_file(&format!("intent-{target}.json"), flat(target, 3));
    }
    for target in ["a", "b", "c"] {
        let status = env.wait_status(&format!("intent-{target}.json"));
        assert_eq!(status["status"], "success");
    }
    let groups = fs::read_to_string(env.path("out/groups")).unwrap();
    let mut groups: Vec<&str> = groups.lines().collect();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups.len(), 3, "{groups:?}");
    assert_eq!(given.runs(), Vec::<String>::new());
    let log = daemon.stop().expect(0).stderr;
    assert_eq!(
        log.matches("processes outlived porch").count(),
        3,
        "each of them is named with its run: {log}"
    );
}

#[test]
fn a_run_waits_while_its_group_cannot_be_made_and_says_why() {
    let Some(given) = Given::new() else { return };
    let env = env().as_user(TestUser::Nobody);
    chown(env.path(""), Some(0), Some(0)).unwrap();
    fs::remove_dir_all(env.path("out")).unwrap();
    let porch = script(&env, "harmless", "exit 0");
    let daemon = given.start(&env, &["-porch", &porch, "-user", "65534", "-workers", "1"]);
    daemon.wait_log("ready");
    chown(&given.0, Some(0), Some(0)).unwrap();
    env.drop_file("intent-x.json", flat("x", 3));
    daemon.wait_log("the control group of its run cannot be made: not permitted: mkdir");
    let explained = env.operate(&["explain", "intent-x.json"]).stdout;
    assert!(explained.contains("cannot be confined any more"), "{explained}");
    chown(&given.0, Some(65534), Some(65534)).unwrap();
    let status = env.wait_status("intent-x.json");
    assert_eq!(
        (status["status"].as_str(), status["attempts"].as_u64()),
        (Some("success"), Some(1)),
        "{status}"
    );
    let log = daemon.stop().expect(0).stderr;
    assert_eq!(log.matches("a run could not begin").count(), 1, "not with each try: {log}");
}

#[test]
fn a_group_is_told_by_log_status_doctor_and_trail() {
    let Some(given) = Given::new() else { return };
    let env = env();
    let part = |env: &TestEnv| {
        let (status, _) = env.operate_json(&["status"]);
        let parts = status["confinement"].as_array().unwrap();
        let part = parts.iter().find(|one| one["part"] == "cgroup").unwrap();
        (part["standing"].as_str().unwrap().to_owned(), part["reason"].as_str().unwrap().to_owned())
    };
    let daemon = given.start(&env, &["-confine", "off"]);
    daemon.wait_log("ready");
    assert_eq!(part(&env), ("active".to_owned(), String::new()));
    daemon.stop().expect(0);
    let shown = env.operate(&["audit", "show", "--event", "sys_startup", "--json"]).expect(0).stdout;
    assert!(shown.contains(r#""confined": "cgroup""#), "{shown}");
    let embedded = given.start(&env, &["-porch", "builtin"]);
    embedded.wait_log("ready");
    let (standing, reason) = part(&env);
    assert!(standing == "off" && reason.contains("embedded engine"), "{reason}");
    embedded.stop().expect(0);
    let without = env.start_ready(&[]);
    let (standing, reason) = part(&env);
    assert!(standing == "off" && !reason.is_empty(), "{reason}");
    without.stop().expect(0);
    let doctor = env.operate(&["doctor"]).stdout;
    let row = doctor.lines().find(|row| row.contains(" confinement ")).unwrap();
    assert!(row.ends_with(" cgroup"), "{row}");
}

/// A file of a test in memory, removed with it.
struct InMemory(PathBuf);

impl Drop for InMemory {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether the group came with controllers for memory and processes; if not, that is said.
fn is_limited(given: &Given) -> bool {
    let controllers = fs::read_to_string(given.0.join("cgroup.controllers")).unwrap();
    let has = |name: &str| controllers.split_whitespace().any(|has| has == name);
    let is_limited = has("memory") && has("pids") && Path::new("/dev/shm").is_dir();
    if !is_limited {
        eprintln!("NOT TESTED: no controllers of version 2, or no /dev/shm: {controllers}");
    }
    is_limited
}

#[test]
fn what_runs_leave_in_memory_is_not_charged_to_the_next_and_what_they_reached_is_not_told_of_it() {
    let Some(given) = Given::new() else { return };
    if !is_limited(&given) {
        return;
    }
    let env = env();
    let leaves = InMemory(Path::new("/dev/shm").join(given.0.file_name().unwrap()));
    // Files in memory stay charged to the group in which they were written.
    let text = format!(
        "case \"$2\" in *fails*) exit 1;; *greedy*) head -c 99000000 /dev/zero | tail -n 1 | wc -c; exit 1;; esac\n\
         dd if=/dev/zero of={} bs=1M count=20 oflag=append conv=notrunc 2>/dev/null",
        leaves.0.display()
    );
    let porch = script(&env, "leaves", &text);
    let daemon =
        given.start(&env, &["-porch", &porch, "-workers", "1", "-confine", "off", "-limit-memory", "48MB"]);
    for target in ["a", "b", "c", "d"] {
        let name = format!("intent-{target}.json");
        env.drop_file(&name, flat(target, 3));
        assert_eq!(env.wait_status(&name)["status"], "success", "{target}");
    }
    assert_eq!(fs::metadata(&leaves.0).unwrap().len(), 80 << 20);
    let failed = |target: &str| {
        let name = format!("intent-{target}.json");
        env.drop_file(&name, flat(target, 3));
        let status = env.wait_status(&name);
        assert_eq!(status["status"], "failed", "{status}");
        status["note"].as_str().unwrap_or_default().to_owned()
    };
    assert!(failed("greedy").contains("reached the limit on memory"));
    assert_eq!(failed("fails"), "", "the limit was another run's");
    daemon.stop().expect(0);
}

#[test]
fn a_limit_that_the_processes_of_a_run_reach_together_is_named_in_status_and_error_log() {
    let Some(given) = Given::new() else { return };
    if !is_limited(&given) {
        return;
    }
    let env = env();
    let file = InMemory(Path::new("/dev/shm").join(given.0.file_name().unwrap()));
    // What a file system in memory takes is the run's, and no process has taken it for itself.
    let takes = format!("dd if=/dev/zero of={} bs=1M count=200 2>/dev/null; exit 1", file.0.display());
    let forks = "i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); done; exit 1".to_owned();
    for (target, text, flags, named) in [
        ("memory", takes, ["-limit-memory", "32MB"], "--limit-memory"),
        ("processes", forks, ["-limit-processes", "20"], "--limit-processes"),
    ] {
        let porch = script(&env, target, &text);
        let name = format!("intent-{target}.json");
        env.drop_file(&name, flat(target, 3));
        let usual = ["-once", "-porch", &porch, "-confine", "off", "-max-attempts", "1"];
        given.start(&env, &[&usual[..], &flags].concat()).wait();
        let note = env.wait_status(&name)["note"].as_str().unwrap_or_default().to_owned();
        let log = env.read(&format!("failed/{name}.error.log"));
        for text in [note, log] {
            assert!(text.contains("together") && text.contains(named), "{target}: {text}");
        }
    }
}
