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
