//! Files of one outcome are never overwritten or removed for another: names that collide, files that were moved, a
//! restored older state, and clocks that are wrong.

use crate::env;
use conductor_testkit::{Finished, Running, TestEnv, flat, has, wait_until};
use std::fs;
use std::process::Command;

/// Drops an intent and waits for its status; returns the archived file.
fn hand_in(env: &TestEnv, name: &str, content: &str) -> String {
    let seq = |env: &TestEnv| env.status(name).map(|status| status["seq"].clone());
    let before = seq(env);
    env.drop_file(name, content);
    wait_until(&format!("another status of {name}"), || seq(env) != before);
    env.status(name).unwrap()["archived_as"].as_str().unwrap().to_owned()
}

#[test]
fn no_archived_file_is_overwritten_whatever_names_are_chosen() {
    let env = env();
    let mut daemon = env.start_ready(&[]);
    let mut wanted = Vec::new();
    let mut hand_in = |name: &str| {
        let content = flat("web", u32::try_from(wanted.len()).unwrap() + 1);
        wanted.push((hand_in(&env, name, &content), content));
    };
    // The third takes the number 3, and its numbered name is the first's own.
    for name in ["intent-a.3.json", "intent-a.json", "intent-a.json"] {
        hand_in(name);
    }
    // Repeated as often as a supervisor restarts before it gives up.
    for round in 0..5 {
        let next = 4 + round * 4;
        hand_in(&format!("intent-a.{}.json", next + 3));
        hand_in(&format!("intent-a.{}.2.json", next + 3));
        hand_in("intent-b.json");
        hand_in("intent-a.json");
    }
    assert!(daemon.is_running());
    assert_eq!(wanted[2].0, "processed/intent-a.3.2.json");
    assert_eq!(wanted[6].0, "processed/intent-a.7.3.json");
    let check = || {
        for (path, content) in &wanted {
            assert_eq!(env.read(path), *content, "{path}");
        }
        assert_eq!(env.names("processed").len(), wanted.len());
    };
    check();
    daemon.kill();
    env.once(&[]).expect(0);
    check();
}

#[test]
fn what_is_planted_in_archive_and_status_stops_nothing_and_stays() {
    let env = env();
    env.once(&[]).expect(0);
    fs::create_dir_all(env.handoff("processed/intent-a.json/full")).unwrap();
    fs::write(env.handoff("processed/intent-a.1.json"), "somebody's").unwrap();
    fs::create_dir_all(env.handoff("status/intent-a.json.status/full")).unwrap();
    fs::create_dir(env.handoff("failed/intent-bad.json.error.log")).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-bad.json", flat("a", 500));
    let finished = env.once(&["-workers", "1"]).expect(8);
    let numbered = |name: &str| {
        let status = env.status(name).unwrap();
        (status["seq"].as_u64().unwrap(), status["archived_as"].as_str().unwrap().to_owned())
    };
    let (seq, at) = numbered("intent-a.json");
    assert_eq!(at, if seq == 1 { "processed/intent-a.1.2.json" } else { "processed/intent-a.2.json" });
    assert_eq!(env.read(&at), flat("a", 3));
    let (seq, at) = numbered("intent-bad.json");
    assert_eq!(at, format!("failed/intent-bad.{seq}.json"));
    assert!(env.read(&format!("{at}.error.log")).contains("E215"));
    assert!(env.handoff("processed/intent-a.json/full").exists());
    assert!(env.handoff("status/intent-a.json.status.aside/full").exists());
    assert_eq!(env.read("processed/intent-a.1.json"), "somebody's");
    assert!(finished.stderr.contains("a directory stood where a status belongs"));
}

#[test]
fn a_purge_removes_nothing_of_a_later_run_of_the_name() {
    let env = env();
    env.script("a: exit=1\n*: exit=0");
    let daemon = env.start_ready(&[]);
    hand_in(&env, "intent-a.json", &flat("a", 3));
    let log = env.read("failed/intent-a.json.error.log");
    let between = jiff_now();
    // The operator retries it, and it fails again.
    fs::rename(env.handoff("failed/intent-a.json"), env.handoff("intent-a.json")).unwrap();
    wait_until("the second failure", || env.status("intent-a.json").is_some_and(|status| status["seq"] == 2));
    assert_eq!(env.status("intent-a.json").unwrap()["archived_as"], "failed/intent-a.2.json");
    assert_eq!(env.read("failed/intent-a.json.error.log"), log, "that of the first");
    wait_until("both are durable", || env.operate_json(&["purge", "--older-than", "0s"]).0["outcomes"] == 2);
    env.operate(&["purge", "--older-than", &between, "--yes"]).expect(0);
    wait_until("the first is gone", || env.operate(&["show", "1"]).code() != 0);
    assert_eq!(env.names("failed"), ["intent-a.2.json", "intent-a.2.json.error.log"]);
    assert_eq!(env.status("intent-a.json").unwrap()["seq"], 2);
    env.script("*: exit=0");
    env.operate(&["retry", "2", "--wait"]).expect(0);
    let status = env.status("intent-a.json").unwrap();
    assert_eq!(env.read(status["archived_as"].as_str().unwrap()), flat("a", 3));
    daemon.stop().expect(0);
}

/// The current time in the commands' format.
fn jiff_now() -> String {
    let text = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%3NZ"]).output().unwrap().stdout;
    String::from_utf8(text).unwrap().trim().to_owned()
}

#[test]
fn a_state_of_an_earlier_day_costs_no_archived_file() {
    let env = env();
    let state = |words: &[&str]| env.operate(&[&["state"], words].concat()).expect(0);
    env.drop_file("intent-a.json", flat("a", 1));
    env.once(&[]).expect(0);
    let export = env.path("export.jsonl");
    state(&["export", export.to_str().unwrap()]);
    for replicas in 2..5 {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&[]).expect(0);
    }
    let archived = |env: &TestEnv| {
        let names = env.names("processed").into_iter();
        names.map(|name| (env.read(&format!("processed/{name}")), name)).collect::<Vec<_>>()
    };
    let before = archived(&env);
    assert_eq!(before.len(), 4);
    fs::remove_dir_all(env.handoff(".conductor/state")).unwrap();
    fs::remove_file(env.handoff(".conductor-state.json")).unwrap();
    state(&["import", export.to_str().unwrap()]);
    for replicas in 5..8 {
        env.drop_file("intent-a.json", flat("a", replicas));
        env.once(&[]).expect(0);
        let status = env.status("intent-a.json").unwrap();
        assert_eq!(env.read(status["archived_as"].as_str().unwrap()), flat("a", replicas));
    }
    let after = archived(&env);
    assert!(after.len() == 7 && before.iter().all(|one| after.contains(one)), "{after:?}");
}

/// Runs to the end under another clock; `None` if none can be set.
fn once_at(env: &TestEnv, clock: &str) -> Option<Finished> {
    if !has("faketime") {
        return None;
    }
    let plain = env.command(&["-once"]);
    let mut command = Command::new("faketime");
    command.args(["-f", clock]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(env.path("")).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(Running::start(command).wait().expect(0))
}

#[test]
fn what_was_decided_before_the_clock_was_set_is_kept() {
    for behind in ["-3650d", "-30d"] {
        let env = env();
        env.drop_file("intent-a.json", flat("a", 3));
        if once_at(&env, behind).is_none() {
            return;
        }
        let finished = env.once(&[]).expect(0);
        assert!(finished.stderr.contains("the clock went forward"), "{}", finished.stderr);
        assert_eq!(env.names("processed"), ["intent-a.json"], "{behind}");
        assert!(env.status("intent-a.json").is_some());
        once_at(&env, "+6d");
        assert_eq!(env.names("processed").len(), 1, "{behind}");
        once_at(&env, "+8d");
        assert_eq!((env.names("processed").len(), env.names("status").len()), (0, 0), "one retention later");
    }
}

#[test]
fn one_outcome_from_the_future_ends_no_retention() {
    for clocks in [["+3650d", "+0d", "+0d"], ["-30d", "+3650d", "-30d"]] {
        let env = env();
        for (number, clock) in clocks.into_iter().enumerate() {
            env.drop_file(&format!("intent-{clock}{number}.json").replace('+', "p"), flat("a", 3));
            if once_at(&env, clock).is_none() {
                return;
            }
        }
        assert_eq!(env.names("processed").len(), 3, "nothing young goes");
        once_at(&env, if clocks[2] == "+0d" { "+30d" } else { "+0d" });
        let left = env.names("processed");
        assert!(left.len() == 1 && left[0].contains("p3650d"), "{left:?}");
    }
}
