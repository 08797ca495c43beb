//! Memory: the bounds for intents of any number and size, on the way in, waiting, refused and after a restart.

use crate::env;
use conductor_testkit::{Running, TestEnv, flat, memory_kb, wait_until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;

const LARGE: usize = 3_000_000;
/// The bound in docs/ARCHITECTURE.md: 64 MiB, and the largest file, one of which may be read while others are on their way.
const STATED_KB: u64 = (64 << 10) + 10 * 1_024;

/// A daemon with little more address space than its threads reserve.
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

/// Waits as long as there is progress: the disk decides the speed.
#[track_caller]
fn wait_for(count: usize, what: &str, done: impl Fn() -> usize) {
    let mut before = done();
    while before < count {
        wait_until(what, || done() > before);
        before = done();
    }
}

fn large(content: &str) -> String {
    format!("{content}{}", " ".repeat(LARGE))
}

#[test]
fn large_intents_that_wait_take_little_memory_also_after_a_restart() {
    const COUNT: usize = 120;
    let env = env();
    let daemon = limited(&env, &["-workers", "2"]);
    daemon.wait_log("ready");
    env.operate(&["hold", "test/web"]).expect(0);
    for number in 0..COUNT {
        env.drop_file(&format!("intent-{number:03}.json"), large(&flat("web", 3)));
    }
    let waiting =
        || env.operate_json(&["status"]).0["waiting"].as_u64().and_then(|n| usize::try_from(n).ok());
    wait_for(COUNT, "all to be taken", || waiting().unwrap_or(0));
    wait_until("all to be claimed", || env.names(".conductor/taken").is_empty());
    assert_small(&daemon, "360 MB came at once and wait");
    daemon.stop().expect(0);

    let daemon = limited(&env, &["-workers", "2"]);
    daemon.wait_log("ready");
    assert_small(&daemon, "after a restart");
    env.operate(&["release", "test/web"]).expect(0);
    wait_for(10, "some to run", || env.names("status").len());
    assert_small(&daemon, "while they run");
    assert_eq!(env.read("processed/intent-000.json"), large(&flat("web", 3)));
}

#[test]
fn large_refused_files_take_little_memory() {
    const COUNT: usize = 120;
    let env = env();
    for number in 0..COUNT {
        env.drop_file(&format!("intent-{number:03}.json"), large("{"));
    }
    let daemon = limited(&env, &[]);
    wait_for(COUNT, "all to be refused", || env.names("status").len());
    assert_small(&daemon, "360 MB were refused at once");
    assert_eq!(env.read("failed/intent-007.json"), large("{"));
    // Killed before anything is known to be durable: everything is published again.
    daemon.kill();
    // The last one, which the store certainly has.
    let lost = env
        .handoff("failed")
        .join(env.names("failed").into_iter().rfind(|name| !name.ends_with(".error.log")).unwrap());
    fs::remove_file(&lost).unwrap();
    let daemon = limited(&env, &[]);
    wait_until("it to be there again", || lost.exists());
    assert_small(&daemon, "while they are published again");
    daemon.stop().expect(0);
    assert_eq!(fs::read_to_string(lost).unwrap(), large("{"));
}

/// The memory limit of the container in deploy/kubernetes/base, in MiB.
fn of_the_manifest() -> u64 {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes/base/deployment.yaml");
    let text = fs::read_to_string(manifest).unwrap();
    let all: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("memory: ")?.strip_suffix("Mi")).collect();
    assert!(all.len() == 2 && all[0] == all[1], "requested and limited: {all:?}");
    all[0].parse().unwrap()
}

/// Two namespaces of 25 packages each, and in each namespace 3 MB of definitions beside them that mention a target, so that the
/// engine parses them for each edit there.
fn put_packages(env: &TestEnv) {
    let web = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/packages/web/deployment.yaml");
    let web = fs::read_to_string(web).unwrap();
    for space in 0..2 {
        for app in 0..25 {
            let package = env.path(&format!("out/ns{space}/app{app}"));
            fs::create_dir_all(&package).unwrap();
            let text = web.replace("namespace: shop", &format!("namespace: ns{space}"));
            fs::write(package.join("deployment.yaml"), text.replace("web", &format!("app{app}"))).unwrap();
        }
        let mut text =
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: \
                        x.example.org}\nspec:\n"
                .to_owned();
        for field in 0..25_000 {
            use std::fmt::Write;
            writeln!(text, "  field{field}:\n    type: object\n    description: what the field number {field} of such an object of app3 means to its controllers").unwrap();
        }
        fs::write(env.path(&format!("out/ns{space}/definitions.yaml")), text).unwrap();
    }
}

#[test]
fn the_embedded_engine_stays_within_the_memory_of_the_manifest() {
    let env = env();
    put_packages(&env);
    let daemon = env.start_ready(&["-porch", "builtin", "-workers", "2"]);
    let mut count = 0;
    for space in 0..2 {
        for target in ["app1", "app2", "app3", "app4", "new1", "new2"] {
            let text = format!(
                r#"{{"intent_type": "scaling", "target": "{target}", "namespace": "ns{space}", "replicas": 7}}"#
            );
            env.drop_file(&format!("intent-{count:03}.json"), text);
            count += 1;
        }
    }
    wait_for(count, "every intent to be done", || env.names("status").len());
    assert_eq!(env.names("processed").len(), count, "all were carried out");
    let most = memory_kb(daemon.pid(), "VmHWM:").unwrap() >> 10;
    eprintln!("the daemon with the embedded engine: {most} MiB at the most");
    let limit = of_the_manifest();
    // Room for what a cgroup counts besides: what the kernel keeps for the process, and pages of files that are being written.
    assert!(most + 32 <= limit, "{most} MiB of {limit}");
    daemon.stop().expect(0);
}
