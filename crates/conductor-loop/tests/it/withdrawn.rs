//! Resources of the daemon are withdrawn while it runs: permissions of the output directory, parts of the handoff
//! directory, its private directories. Intents wait meanwhile; none fails and none is lost.

use crate::{env, is_root};
use conductor_testkit::{TestEnv, TestUser, flat, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn not_ready(env: &TestEnv) -> String {
    env.operate_json(&["status"]).0["not_ready"].to_string()
}

#[test]
fn an_output_that_is_closed_to_us_is_waited_for() {
    let env = if is_root() { env().as_user(TestUser::Nobody) } else { env() };
    env.script("*: exit=1");
    for (porch, starts) in [(env.path("bin/porch").display().to_string(), 9), ("builtin".to_owned(), 1)] {
        let daemon = env.start_ready(&["-debounce", "0", "-porch", &porch]);
        fs::set_permissions(env.path("out"), fs::Permissions::from_mode(0o500)).unwrap();
        // Within a second; the actions of an external porch before that are its own.
        wait_until("it is noticed", || not_ready(&env) == r#"["out-read-only"]"#);
        let name = format!("intent-{starts}.json");
        env.drop_file(&name, flat("a", 3));
        wait_until("the reason is given", || {
            env.operate(&["explain", &name]).stdout.contains("out-read-only")
        });
        assert_eq!(env.names("failed"), [""; 0]);
        env.script("*: exit=0");
        fs::set_permissions(env.path("out"), fs::Permissions::from_mode(0o755)).unwrap();
        let status = env.wait_status(&name);
        assert_eq!(status["status"], "success", "{status}");
        assert!(status["attempts"].as_u64().unwrap() <= starts, "{status}");
        daemon.stop().expect(0);
    }
}

#[test]
fn a_replaced_part_is_noticed_between_two_scans() {
    let env = env();
    let daemon = env.start_ready(&["-debounce", "0", "-porch", "builtin", "-period", "1h"]);
    fs::rename(env.handoff("processed"), env.handoff("away")).unwrap();
    fs::create_dir(env.handoff("processed")).unwrap();
    wait_until("it is noticed", || not_ready(&env) == r#"["directory-replaced"]"#);
    env.drop_file("intent-a.json", flat("a", 3));
    fs::remove_dir(env.handoff("processed")).unwrap();
    fs::rename(env.handoff("away"), env.handoff("processed")).unwrap();
    assert_eq!(env.wait_status("intent-a.json")["archived_as"], "processed/intent-a.json");
    assert_eq!(env.names("processed"), ["intent-a.json"]);
    daemon.stop().expect(0);
}
