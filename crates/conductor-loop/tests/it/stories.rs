//! All sources agree: why the daemon is not ready, why an entry is in the handoff directory, who owns a directory.

use crate::endpoints::{get, listening};
use crate::{env, is_root};
use conductor_testkit::{Finished, TestEnv, TestUser, flat, wait_until};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

fn doctor(env: &TestEnv, flags: &[&str]) -> Finished {
    env.operate(&[&["doctor"], flags].concat())
}

/// Checks that endpoints, commands and the metric report this reason with its remedy.
fn all_tell(env: &TestEnv, address: SocketAddr, reason: &str, flags: &[&str]) {
    wait_until(&format!("/readyz says {reason}"), || {
        let (code, body) = get(address, "/readyz");
        code == 503 && body.contains(&format!("[\"{reason}\"]"))
    });
    assert!(get(address, "/metrics").1.contains("\nconductor_ready 0\n"), "{reason}");
    let (status, _) = env.operate_json(&["status"]);
    assert_eq!((&status["ready"], &status["not_ready"][0]), (&false.into(), &reason.into()), "{status}");
    let since = status["not_ready_since"].as_str().unwrap().to_owned();
    let text = env.operate(&["status"]).expect(0).stdout;
    assert!(text.contains(&format!("not ready: {reason} since {}", &since[..19])), "{text}");
    assert!(text.contains("what to do   "), "{text}");
    assert_eq!(env.operate(&["health"]).expect(1).stdout, format!("not ready: {reason}\n"));
    let told = doctor(env, flags);
    let line = told.stdout.lines().find(|line| line.contains(" daemon ")).unwrap();
    assert!(line.starts_with("bad") && line.contains(reason) && line.contains(&since[..19]), "{line}");
    assert_eq!(told.code(), 1);
}

fn all_are_content(env: &TestEnv, address: SocketAddr) {
    wait_until("ready", || get(address, "/readyz").0 == 200);
    assert!(get(address, "/metrics").1.contains("\nconductor_ready 1\n"));
    let (status, _) = env.operate_json(&["status"]);
    assert!(status["not_ready_since"].is_null() && status["ready"] == true, "{status}");
    let told = doctor(env, &[]).stdout;
    assert!(told.lines().any(|line| line.starts_with("good") && line.contains("running, ready")), "{told}");
}

#[test]
fn every_place_tells_the_same_of_why_it_is_not_ready() {
    let env = env();
    let porch = env.path("p.sh");
    let program = |path: &std::path::Path| {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    };
    program(&porch);
    let flags = ["-porch", porch.to_str().unwrap()];
    let (daemon, address) = listening(&env, &flags);
    all_are_content(&env, address);
    let part = (env.handoff("status"), env.handoff("away"));
    let places = [
        ("porch-missing", porch.clone(), env.path("q.sh"), "Put porch back"),
        ("directory-replaced", part.0, part.1, "Put back the part"),
    ];
    for (number, (reason, path, away, way_out)) in places.iter().enumerate() {
        fs::rename(path, away).unwrap();
        all_tell(&env, address, reason, &flags);
        let name = format!("intent-{number}.json");
        env.drop_file(&name, flat(&number.to_string(), 3));
        wait_until("its wait is explained", || {
            let told = env.operate(&["explain", &name]).stdout;
            told.contains(&format!("not-taking: nothing new is taken at the moment: {reason}"))
                && told.contains(way_out)
                || told.contains("unseen:") && *reason == "directory-replaced"
        });
        fs::rename(away, path).unwrap();
        assert_eq!(env.wait_status(&name)["status"], "success");
        all_are_content(&env, address);
    }
    daemon.stop().expect(0);
}

/// With and without events, with the usual period: no scan is near.
#[test]
fn a_part_that_is_replaced_is_noticed_before_the_next_scan() {
    let env = env();
    let daemon = env.start_ready(&["-porch", "builtin", "-period", "1h"]);
    fs::rename(env.handoff("status"), env.handoff("away")).unwrap();
    wait_until("it is noticed", || env.operate_json(&["status"]).0["not_ready"][0] == "directory-replaced");
    fs::rename(env.handoff("away"), env.handoff("status")).unwrap();
    wait_until("it is back", || env.operate_json(&["status"]).0["ready"] == true);
    daemon.stop().expect(0);
}

/// Word, code and advice for an entry from `explain`; checks that `list` agrees.
fn story(env: &TestEnv, name: &str) -> (String, String, String) {
    let (told, _) = env.operate_json(&["explain", name]);
    let (listed, _) = env.operate_json(&["list"]);
    let rows = listed["intents"].as_array().unwrap();
    let row = rows.iter().find(|row| row["file"] == name).unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((&row["reason"], &row["error_code"]), (&told["reason"], &told["intent"]["error_code"]));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    (text(&told["reason"]["word"]), text(&row["error_code"]), text(&told["reason"]["advice"]))
}

#[test]
fn an_entry_is_explained_alike_with_and_without_a_daemon() {
    let env = env().as_user(if is_root() { TestUser::Nobody } else { TestUser::Current });
    env.once(&["-porch", "builtin"]).expect(0);
    fs::create_dir(env.handoff("intent-dir.json")).unwrap();
    fs::write(env.handoff("intent-fixed.json"), flat("f", 3)).unwrap();
    fs::write(env.handoff("intent-shut.json"), flat("s", 3)).unwrap();
    fs::write(env.handoff("other.txt"), "").unwrap();
    let chattr = |flag: &str| {
        let run = Command::new("chattr").arg(flag).arg(env.handoff("intent-fixed.json")).output();
        run.is_ok_and(|output| output.status.success())
    };
    let fixed = chattr("+i");
    if !fixed {
        eprintln!("NOT TESTED: no immutable files for this user or file system");
    }
    fs::set_permissions(env.handoff(""), Permissions::from_mode(0o555)).unwrap();
    let stories = |env: &TestEnv| {
        let all = ["intent-dir.json", "intent-fixed.json", "intent-shut.json"].map(|name| story(env, name));
        let [dir, immutable, shut] = &all;
        assert_eq!((dir.0.as_str(), dir.1.as_str()), ("left", "E107"));
        assert_eq!((shut.0.as_str(), shut.1.as_str()), ("left", "E108"));
        assert_eq!(immutable.1, "E108");
        let other = env.operate(&["explain", "other.txt"]).expect(0).stdout;
        assert!(other.contains("other-name") && other.contains("Rename it"), "{other}");
        let none = env.operate(&["explain", "intent-none.json"]).expect(1).stderr;
        assert!(none.contains("no such entry lies in the handoff directory"), "{none}");
        all
    };
    let without = stories(&env);
    let daemon = env.start_ready(&["-porch", "builtin", "-period", "100ms"]);
    wait_until("all three are left", || env.operate_json(&["status"]).0["left"] == 3);
    assert_eq!(stories(&env), without);
    daemon.stop().expect(0);
    fs::set_permissions(env.handoff(""), Permissions::from_mode(0o755)).unwrap();
    if fixed {
        assert_eq!(story(&env, "intent-fixed.json").1, "E108", "the attribute alone");
        assert!(chattr("-i"));
    }
    assert_eq!(story(&env, "intent-shut.json").0, "not-running", "nothing is in its way any more");
}

#[test]
fn a_handoff_of_another_user_is_refused_with_whose_it_is() {
    if !is_root() {
        return eprintln!("NOT TESTED: directories of other users, because the tests do not run as root");
    }
    let env = env().as_user(TestUser::Nobody);
    fs::create_dir_all(env.handoff("")).unwrap();
    fs::set_permissions(env.handoff(""), Permissions::from_mode(0o755)).unwrap();
    chown(env.handoff(""), Some(1000), Some(1000)).unwrap();
    let told = env.once(&["-porch", "builtin"]).expect(1).stderr;
    assert!(told.contains("E401") && told.contains("belongs to user 1000 (mode 0755)"), "{told}");
    assert!(told.contains("--user UID:GID"), "{told}");
}

#[test]
fn doctor_beside_a_daemon_says_how_it_is() {
    let env = env();
    let line = || {
        let told = doctor(&env, &[]).stdout;
        told.lines().find(|line| line.contains(" daemon ")).unwrap().to_owned()
    };
    assert!(line().ends_with("none runs here"), "{}", line());
    let daemon = env.start_ready(&["-porch", "builtin"]);
    assert!(line().starts_with("good") && line().contains("running, ready"), "{}", line());
    daemon.stop().expect(0);
    assert!(line().ends_with("none runs here"), "{}", line());
}
