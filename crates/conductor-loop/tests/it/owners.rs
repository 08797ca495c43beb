//! Owners of the private directories: entries of other users, or that they may change, are refused before any use; a
//! handoff directory that comes back unusable is waited for.

use crate::lifecycle::Mounted;
use crate::{env, is_root};
use conductor_testkit::{TestEnv, TestUser, flat, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

const STRANGER: u32 = 65_533;

fn not_root() -> bool {
    if is_root() {
        return false;
    }
    eprintln!("NOT TESTED: it needs root to make files of another user");
    true
}

#[track_caller]
fn refused(env: &TestEnv, flags: &[&str], part: &str, command: &str) {
    let finished = env.once(flags).expect(1);
    for needle in ["E413", part, command] {
        assert!(finished.stderr.contains(needle), "{part}: no {needle} in {}", finished.stderr);
    }
    let doctor: Vec<&str> = ["doctor"].into_iter().chain(flags.iter().copied()).collect();
    let told = env.operate(&doctor).expect(1);
    assert!(told.stdout.contains("E413"), "doctor says the same: {}", told.stdout);
}

#[test]
fn parts_that_somebody_else_put_there_are_refused_until_they_are_owned() {
    if not_root() {
        return;
    }
    for part in [
        ".conductor",
        ".conductor/staging",
        ".conductor/taken",
        ".conductor/drafts",
        ".conductor/state",
        ".conductor/state/ledger.redb",
        ".conductor/running",
        "processed",
        "failed",
        "status",
        ".conductor-state.json",
    ] {
        let env = env();
        env.once(&[]).expect(0);
        let path = env.handoff(part);
        chown(&path, Some(STRANGER), Some(STRANGER)).unwrap();
        env.drop_file("intent-a.json", flat("a", 3));
        refused(&env, &[], part, &format!("chown -R 0 {}", path.display()));
        assert!(env.handoff("intent-a.json").exists(), "{part}: nothing was taken");
        let owned = Command::new("chown").args(["-R", "0"]).arg(&path).status();
        assert!(owned.unwrap().success());
        env.once(&[]).expect(0);
    }
}

#[test]
fn what_is_planted_before_the_first_start_is_not_used() {
    if not_root() {
        return;
    }
    let env = env();
    for dir in
        [".conductor", ".conductor/staging", ".conductor/state", ".conductor/taken", ".conductor/drafts"]
    {
        fs::create_dir(env.handoff(dir)).unwrap();
        fs::set_permissions(env.handoff(dir), fs::Permissions::from_mode(0o777)).unwrap();
        chown(env.handoff(dir), Some(STRANGER), None).unwrap();
    }
    env.drop_file("intent-a.json", flat("a", 3));
    refused(&env, &[], ".conductor", "chown");
    refused(&env, &["-allow-unsafe-handoff"], ".conductor", "chown");
    assert!(env.names(".conductor").len() == 4 && env.calls().is_empty(), "nothing was made or run");
    let state = env.path("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(STRANGER), None).unwrap();
    fs::remove_dir_all(env.handoff(".conductor")).unwrap();
    refused(&env, &["-state-dir", state.to_str().unwrap()], "state", "chown");
}

#[test]
fn parts_that_others_may_change_are_refused_until_they_may_not() {
    for (part, mode) in [
        (".conductor", 0o770),
        (".conductor/taken", 0o702),
        (".conductor/drafts", 0o720),
        (".conductor/state", 0o777),
        (".conductor/state/ledger.redb", 0o666),
        ("status", 0o757),
        ("processed", 0o777),
    ] {
        let env = env();
        env.once(&[]).expect(0);
        let path = env.handoff(part);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refused(&env, &[], part, &format!("chmod go-w {}", path.display()));
        assert!(Command::new("chmod").arg("go-w").arg(&path).status().unwrap().success());
        env.once(&[]).expect(0);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        env.once(&["-allow-unsafe-handoff"]).expect(0);
    }
}

#[test]
fn a_link_in_place_of_a_private_directory_is_refused() {
    for part in [".conductor", ".conductor/state"] {
        let env = env();
        env.once(&[]).expect(0);
        fs::rename(env.handoff(part), env.path("elsewhere")).unwrap();
        symlink(env.path("elsewhere"), env.handoff(part)).unwrap();
        refused(&env, &[], part, "symbolic link");
    }
}

#[test]
fn a_group_s_sticky_handoff_and_a_state_elsewhere_start_as_ever() {
    let env = env();
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o3770)).unwrap();
    let state = env.path("deep/state");
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&["-state-dir", state.to_str().unwrap()]).expect(0);
    env.once(&["-state-dir", state.to_str().unwrap()]).expect(0);
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
}

#[test]
fn a_handoff_that_comes_back_unusable_is_waited_for() {
    if not_root() {
        return;
    }
    let env = env().as_user(TestUser::Nobody);
    let daemon = env.start_ready(&[]);
    fs::rename(env.path("handoff"), env.path("aside")).unwrap();
    daemon.wait_log("not ready");
    fs::create_dir(env.path("handoff")).unwrap();
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o700)).unwrap();
    daemon.wait_log("cannot be used yet");
    fs::remove_dir(env.path("handoff")).unwrap();
    fs::rename(env.path("aside"), env.path("handoff")).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    let finished = daemon.stop().expect(0);
    let said = finished.stderr.matches("cannot be used yet").count();
    assert!(said <= 2, "once for each reason, not {said} times: {}", finished.stderr);
}

#[test]
fn below_a_mount_that_is_missing_no_new_store_is_made() {
    let env = env();
    let volume = env.path("volume");
    fs::create_dir(&volume).unwrap();
    let Some(_mounted) = Mounted::new("tmpfs", volume.clone(), "size=16m") else { return };
    fs::create_dir(volume.join("h")).unwrap();
    let handoff = env.path("handoff");
    let bind = || Command::new("mount").arg("--bind").arg(volume.join("h")).arg(&handoff).status();
    let unbind = || Command::new("umount").arg("-l").arg(&handoff).status();
    assert!(bind().unwrap().success());
    let daemon = env.start_ready(&[]);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    assert!(unbind().unwrap().success());
    daemon.wait_log("something is not mounted");
    assert_eq!(env.names(""), Vec::<String>::new(), "nothing is made in the bare directory");
    assert!(bind().unwrap().success());
    wait_until("work goes on", || {
        let _ = env.try_drop_file("intent-b.json", flat("b", 3));
        env.status("intent-b.json").is_some()
    });
    assert!(env.status("intent-b.json").unwrap()["seq"].as_u64() >= Some(2), "in the store that was there");
    daemon.stop().expect(0);
    assert!(unbind().unwrap().success());
}

#[test]
fn a_daemon_that_waits_for_its_directory_is_stopped_by_a_signal() {
    let env = env();
    let daemon = env.start_ready(&[]);
    fs::rename(env.path("handoff"), env.path("aside")).unwrap();
    daemon.wait_log("not ready");
    fs::create_dir(env.path("handoff")).unwrap();
    symlink("elsewhere", env.handoff(".conductor")).unwrap();
    daemon.wait_log("cannot be used yet");
    daemon.stop().expect(0);
}
