//! From the kernel's event to the first instruction of porch: which threads of an idle daemon are woken.

use crate::env;
use conductor_testkit::{Running, flat, has};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// Threads that work by the clock, or beside the way of an intent.
const BESIDE: [&str; 3] = ["log", "lookout", "backups"];

/// The names of the threads that make a call between the event that announces the file and the start of porch.
fn woken(trace: &str, file: &str) -> BTreeSet<String> {
    let lines: Vec<(&str, &str)> = trace.lines().filter_map(|line| line.split_once(' ')).collect();
    let named: BTreeMap<&str, &str> = lines
        .iter()
        .filter_map(|(thread, call)| Some((*thread, call.trim().strip_prefix("prctl(PR_SET_NAME, \"")?)))
        .filter_map(|(thread, rest)| Some((thread, rest.split_once('"')?.0)))
        .collect();
    let is_event = |call: &str| call.trim().starts_with("read(") && call.contains(file);
    let event = lines.iter().position(|(_, call)| is_event(call)).expect("the event was read");
    let is_start = |call: &str| call.trim().starts_with("clone(") && call.contains("CLONE_VFORK");
    let start =
        event + lines[event..].iter().position(|(_, call)| is_start(call)).expect("porch was started");
    let name = |(thread, _): &(&str, &str)| named.get(thread).copied().unwrap_or("loop").to_owned();
    lines[event..=start].iter().map(name).filter(|name| !BESIDE.contains(&name.as_str())).collect()
}

#[test]
fn from_the_event_to_porch_an_idle_daemon_wakes_the_loop_the_writer_and_one_worker() {
    if !has("strace") {
        return eprintln!("NOT TESTED: threads are told apart by strace");
    }
    let env = env();
    let inner = env.command(&["-workers", "2", "-debounce", "0", "-confine", "off"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "96", "-o"]).arg(env.path("trace")).arg(inner.get_program());
    command.args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap());
    let daemon = Running::start(command);
    daemon.wait_log("\"ready\"");
    // The first one finds an idle daemon, and so does the second.
    for name in ["a", "b"] {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        assert_eq!(env.wait_status(&format!("intent-{name}.json"))["status"], "success");
    }
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", daemon.pid())).unwrap();
    let child = children.split_whitespace().next().unwrap().parse().unwrap();
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
