//! From the kernel's event to the first instruction of porch: which threads of an idle daemon are woken.

use crate::env;
use conductor_testkit::{Running, flat, has, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// Threads that work by the clock, or beside the way of an intent.
const BESIDE: [&str; 4] = ["log", "lookout", "backups", "sync"];

/// The names of the threads that make a call between the event that announces the file and the start of porch.
fn woken(trace: &str, file: &str) -> BTreeSet<String> {
    let lines: Vec<(&str, &str)> = trace.lines().filter_map(|line| line.split_once(' ')).collect();
    let named: BTreeMap<&str, &str> = lines
        .iter()
        .filter_map(|(thread, call)| Some((*thread, call.trim().strip_prefix("prctl(PR_SET_NAME, \"")?)))
        .filter_map(|(thread, rest)| Some((thread, rest.split_once('"')?.0)))
        .collect();
    let is_read = |call: &str| call.starts_with("read(") || call.starts_with("<... read resumed");
    let is_event = |call: &str| is_read(call.trim()) && call.contains(file);
    let event = lines.iter().position(|(_, call)| is_event(call)).expect("the event was read");
    let is_start = |call: &str| call.trim().starts_with("clone(") && call.contains("CLONE_VFORK");
    let start =
        event + lines[event..].iter().position(|(_, call)| is_start(call)).expect("porch was started");
    let name = |(thread, _): &(&str, &str)| named.get(thread).copied().unwrap_or("loop").to_owned();
    lines[event..=start].iter().map(name).filter(|name| !BESIDE.contains(&name.as_str())).collect()
}

/// Whether both workers are there, and no thread of the process does anything.
fn sleeps(process: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let stats: Vec<String> =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok()).collect();
    let is_there = |name: &str| stats.iter().any(|stat| stat.contains(name));
    is_there("(worker-0)")
        && is_there("(worker-1)")
        && stats.iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')))
}

#[test]
fn from_the_event_to_porch_an_idle_daemon_wakes_the_loop_the_writer_and_one_worker() {
    if !has("strace") {
        return eprintln!("NOT TESTED: threads are told apart by strace");
    }
    let env = env();
    let inner = env.command(&["-workers", "2", "-debounce", "0", "-confine", "off"]);
    let mut command = Command::new("strace");
    // One reading may have several events, and their names are long.
    command.args(["-f", "-qq", "-s", "1024", "-o"]).arg(env.path("trace")).arg(inner.get_program());
    command.args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap());
    let daemon = Running::start(command);
    daemon.wait_log("\"ready\"");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", daemon.pid())).unwrap();
    let child: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    for name in ["a", "b"] {
        wait_until("every thread has begun and sleeps", || sleeps(child));
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        assert_eq!(env.wait_status(&format!("intent-{name}.json"))["status"], "success");
    }
    kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
    daemon.wait().expect(0);
    let trace = String::from_utf8_lossy(&fs::read(env.path("trace")).unwrap()).into_owned();
    for file in ["intent-a.json", "intent-b.json"] {
        let woken: Vec<String> = woken(&trace, file).into_iter().collect();
        let [one, worker, writer] = &woken[..] else { panic!("{file}: {woken:?}") };
        assert_eq!((one.as_str(), writer.as_str()), ("loop", "writer"), "{file}");
        assert!(worker.starts_with("worker-"), "{file}: {worker}");
    }
}
