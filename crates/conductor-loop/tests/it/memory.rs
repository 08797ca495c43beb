//! Memory: what intents of any number and size may take of it, on the way in, waiting, refused and after a restart.

use crate::env;
use conductor_testkit::{Running, TestEnv, flat, memory_kb, wait_until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;

const LARGE: usize = 3_000_000;
/// What docs/ARCHITECTURE.md states: 64 MiB, and the largest file, of which one may be read while others are on their way.
const STATED_KB: u64 = (64 << 10) + 10 * 1_024;

/// A daemon that is given little more address space than its threads reserve.
fn limited(env: &TestEnv, flags: &[&str]) -> Running {
    let daemon = env.start(flags);
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let limit = Rlimit { current: Some(900 << 20), maximum: None };
    prlimit(pid, Resource::As, limit).expect("our child");
    daemon
}

#[track_caller]
fn assert_small(daemon: &Running, when: &str) {
    let most = memory_kb(daemon.pid(), "VmHWM:").expect("it runs");
    assert!(most < STATED_KB, "{when}: {} MiB", most >> 10);
}

fn large(content: &str) -> String {
    format!("{content}{}", " ".repeat(LARGE))
}

#[test]
fn large_intents_that_wait_take_little_memory_also_after_a_restart() {
    const COUNT: usize = 330;
    let env = env();
    let daemon = limited(&env, &["-workers", "2"]);
    daemon.wait_log("ready");
    env.operate(&["hold", "test/web"]).expect(0);
    for number in 0..COUNT {
        env.drop_file(&format!("intent-{number:03}.json"), large(&flat("web", 3)));
    }
    let waiting = |wanted: u64| env.operate_json(&["status"]).0["waiting"] == wanted;
    wait_until("all to be taken", || env.names(".conductor/taken").is_empty() && waiting(COUNT as u64));
    assert_small(&daemon, "330 x 3 MB came at once and wait");
    daemon.stop().expect(0);

    let daemon = limited(&env, &["-workers", "2"]);
    daemon.wait_log("ready");
    assert_small(&daemon, "after a restart");
    env.operate(&["release", "test/web"]).expect(0);
    wait_until("some to run", || env.names("status").len() >= 20);
    assert_small(&daemon, "while they run");
    assert_eq!(env.read("processed/intent-000.json"), large(&flat("web", 3)));
}

#[test]
fn large_refused_files_take_little_memory() {
    const COUNT: usize = 200;
    let env = env();
    for number in 0..COUNT {
        env.drop_file(&format!("intent-{number:03}.json"), large("{"));
    }
    let daemon = limited(&env, &[]);
    wait_until("all to be refused", || env.names("status").len() == COUNT);
    assert_small(&daemon, "200 x 3 MB were refused at once");
    assert_eq!(env.read("failed/intent-007.json"), large("{"));
    // Killed before anything is known to be durable: all of it is published again.
    daemon.kill();
    let lost = env.handoff("failed/intent-007.json");
    fs::remove_file(&lost).unwrap();
    let daemon = limited(&env, &[]);
    wait_until("it to be there again", || lost.exists());
    assert_small(&daemon, "while they are published again");
    daemon.stop().expect(8);
    assert_eq!(env.read("failed/intent-007.json"), large("{"));
}
