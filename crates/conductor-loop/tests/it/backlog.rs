//! A target with an endless backlog, held or slow, beside targets with little work.

use crate::env;
use conductor_testkit::{TestEnv, flat, wait_until};

/// Far more than the daemon keeps of one target in memory.
const FLOOD: usize = 4_500;

fn flood(env: &TestEnv) {
    for i in 0..FLOOD {
        let name = format!("intent-flood-{i:05}.json");
        std::fs::write(env.handoff(&name), flat("flood", 1 + u32::try_from(i % 9).unwrap())).unwrap();
    }
}

#[test]
fn a_target_with_a_backlog_keeps_no_other_waiting_across_restarts() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin"]);
    env.operate(&["hold", "test/flood"]).expect(0);
    flood(&env);
    wait_until("the backlog is taken", || env.names("").iter().all(|name| !name.starts_with("intent-")));
    env.drop_file("intent-other.json", flat("other", 3));
    env.wait_status("intent-other.json");
    let last = format!("intent-flood-{:05}.json", FLOOD - 1);
    let explained = env.operate(&["explain", &last]).expect(0).stdout;
    assert!(explained.contains("held"), "{explained}");
    let listed = env.operate(&["list", "--state", "waiting", "--limit", "3", "--json"]).expect(0).stdout;
    assert!(listed.contains("intent-flood-"), "{listed}");
    daemon.kill();

    let daemon = env.start_ready(&["-porch", "builtin"]);
    env.drop_file("intent-other-2.json", flat("other", 4));
    env.wait_status("intent-other-2.json");
    let explained = env.operate(&["explain", &last]).expect(0).stdout;
    assert!(explained.contains("held"), "{explained}");
    // Of those in the store alone, too.
    env.operate(&["cancel", &last]).expect(0);
    assert_eq!(env.status(&last).unwrap()["error_code"], "E315");
    env.operate(&["release", "test/flood"]).expect(0);
    wait_until("some of it is done", || env.names("processed").len() > 300);
    daemon.stop().expect(0);
    assert_in_order(&env);
}

/// The finished part of the flood is its beginning: no intent was overtaken.
fn assert_in_order(env: &TestEnv) {
    let mut done: Vec<u64> = env
        .names("status")
        .iter()
        .filter(|name| name.starts_with("intent-flood-"))
        .map(|name| env.status(name.strip_suffix(".status").unwrap()).unwrap())
        .filter(|status| status["status"] == "success")
        .map(|status| status["seq"].as_u64().unwrap())
        .collect();
    done.sort_unstable();
    let unbroken = done.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    // The other target's intent has a sequence number after them.
    assert_eq!(unbroken, 0, "{done:?}");
}

/// Most of it waits parked: the loop knows its numbers and targets, and only the store the rest.
#[test]
fn what_waits_beyond_what_is_in_memory_is_listed_found_and_not_handed_in_again() {
    let env = env();
    env.script("one: exit=3\n*: exit=0");
    let (daemon, address) = crate::endpoints::listening(&env, &[]);
    env.drop_file("intent-one-00199.json", flat("one", 2));
    assert_eq!(env.wait_status("intent-one-00199.json")["status"], "failed");
    env.operate(&["hold", "--all"]).expect(0);
    for (target, count) in [("flood", FLOOD + 1_200), ("one", 200), ("two", 200), ("three", 200)] {
        for i in 0..count {
            let name = format!("intent-{target}-{i:05}.json");
            std::fs::write(env.handoff(&name), flat(target, 1 + u32::try_from(i % 9).unwrap())).unwrap();
        }
    }
    wait_until("all are taken", || env.names("").iter().all(|name| !name.starts_with("intent-")));
    let ask = |query: &str| {
        let (_, body) = crate::endpoints::get(address, &format!("/api/v1/intents?state=waiting&{query}"));
        let listing: serde_json::Value = serde_json::from_str(&body).unwrap();
        (listing["intents"].as_array().unwrap().len(), listing["more"].as_bool().unwrap())
    };
    for target in ["one", "two", "three", "test/three"] {
        assert_eq!(ask(&format!("target={target}&limit=1000")), (200, false), "{target}");
        assert_eq!(ask(&format!("target={target}&limit=150")), (150, true), "{target}");
    }
    assert_eq!(ask("text=three-00199"), (1, false));
    assert_eq!(ask("text=flood-05&since=2026-01-01T00:00:00Z&limit=1000"), (FLOOD + 1_200 - 5_000, false));
    assert_eq!(ask("text=flood-0&limit=1000"), (1_000, true));
    assert_eq!(ask("since=2100-01-01T00:00:00Z"), (0, false));
    let retried = env.operate(&["retry", "--failed", "--dry-run"]).expect(0).stdout;
    assert_eq!(retried, "nothing to retry\n", "a newer intent of that name waits");
    daemon.stop().expect(0);
}

/// What hinders a name need not be of the selection: the newer intent was taken, or refused, before that time.
#[test]
fn a_name_is_not_handed_in_again_whose_newer_intent_is_not_of_the_selection() {
    let env = env();
    env.script("*: wait=go exit=3");
    let daemon = env.start_ready(&["-workers", "3"]);
    for target in ["alone", "waits", "ended"] {
        env.drop_file(&format!("intent-{target}.json"), flat(target, 1));
    }
    wait_until("they run", || env.calls().len() == 3);
    env.operate(&["hold", "--all"]).expect(0);
    env.drop_file("intent-waits.json", flat("waits", 2));
    env.drop_file("intent-ended.json", "{}");
    wait_until("one is taken, and one refused", || {
        let status = env.operate_json(&["status"]).0;
        status["last_seq"] == 5 && status["failed"] == 1
    });
    let since = jiff::Timestamp::now().to_string();
    env.release("go");
    wait_until("they failed", || env.operate_json(&["status"]).0["failed"] == 4);
    let retried =
        env.operate(&["retry", "--failed", "--since", &since, "--dry-run", "--json"]).expect(0).stdout;
    let files: Vec<&str> = retried.split("intent-").skip(1).collect();
    assert!(matches!(files[..], [one] if one.starts_with("alone.json")), "{retried}");
    daemon.stop().expect(0);
}
