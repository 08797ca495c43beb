//! A volume whose mount gives everything in it to a group, as Kubernetes does for `fsGroup`: private directories are
//! closed again, and entries that a member of the group has put there meanwhile are refused.

use crate::{env, is_root};
use conductor_testkit::{TestEnv, flat};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

const STRANGER: u32 = 65_533;

/// The kubelet's change at a mount: adds group permissions and, for directories, the setgid bit to everything.
fn mount_with_fs_group(path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_symlink() {
        return;
    }
    let added = if meta.is_dir() { 0o2770 } else { 0o660 };
    fs::set_permissions(path, fs::Permissions::from_mode(meta.mode() | added)).unwrap();
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            mount_with_fs_group(&entry.unwrap().path());
        }
    }
}

fn group_bits(env: &TestEnv, part: &str) -> u32 {
    fs::symlink_metadata(env.handoff(part)).unwrap().mode() & 0o077
}

const PRIVATE: [&str; 8] = [
    ".conductor",
    ".conductor/state",
    ".conductor/state/ledger.redb",
    ".conductor/state/ledger.mark",
    ".conductor/running",
    ".conductor/taken",
    ".conductor/drafts",
    ".conductor/staging",
];

#[test]
fn what_a_mount_opened_for_a_group_is_closed_and_used() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    fs::create_dir_all(env.handoff(".conductor/staging/0")).unwrap();
    mount_with_fs_group(&env.path("handoff"));
    env.operate(&["doctor"]);
    assert_eq!(group_bits(&env, ".conductor"), 0o070, "doctor changes nothing");
    let state = env.operate(&["state", "show"]).expect(0);
    assert!(state.stdout.contains("last number  1"), "{}", state.stdout);
    env.drop_file("intent-b.json", flat("b", 3));
    let finished = env.once(&[]).expect(0);
    assert!(finished.stderr.contains("fsGroup"), "{}", finished.stderr);
    for part in PRIVATE {
        assert_eq!(group_bits(&env, part), 0, "{part}");
    }
    assert_eq!(group_bits(&env, ".conductor/staging/0"), 0, "slots too");
    assert_eq!(env.status("intent-b.json").unwrap()["seq"], 2);
    assert!(!env.once(&[]).expect(0).stderr.contains("fsGroup"), "once for each mount");
    // The same after a second mount under a daemon that was killed while it worked.
    env.script("*: wait=go");
    env.drop_file("intent-c.json", flat("c", 3));
    let daemon = env.start(&[]);
    conductor_testkit::wait_until("it runs", || env.calls().len() == 3);
    daemon.kill();
    mount_with_fs_group(&env.path("handoff"));
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    assert_eq!(env.status("intent-c.json").unwrap()["status"], "success");
}

#[test]
fn doctor_finds_nothing_wrong_with_a_mount_for_a_group() {
    let env = env();
    env.once(&[]).expect(0);
    mount_with_fs_group(&env.path("handoff"));
    let told = env.operate(&["doctor"]);
    assert!(!told.stdout.contains("E413"), "{}", told.stdout);
}

#[test]
fn what_the_group_put_there_before_the_start_is_refused() {
    if !is_root() {
        eprintln!("NOT TESTED: it needs root to make files of another user");
        return;
    }
    for part in [
        ".conductor/planted",
        ".conductor/running",
        ".conductor/state/ledger.redb",
        ".conductor/state/planted",
        ".conductor/drafts/1.draft",
        ".conductor/staging/0",
    ] {
        let env = env();
        env.once(&[]).expect(0);
        mount_with_fs_group(&env.path("handoff"));
        let path = env.handoff(part);
        if part.ends_with("/0") {
            if !path.exists() {
                fs::create_dir(&path).unwrap();
            }
        } else {
            fs::write(&path, "planted").unwrap();
        }
        chown(&path, Some(STRANGER), None).unwrap();
        env.drop_file("intent-a.json", flat("a", 3));
        let finished = env.once(&[]).expect(1);
        assert!(finished.stderr.contains("E413") && finished.stderr.contains(part), "{}", finished.stderr);
        assert!(env.handoff("intent-a.json").exists() && env.calls().is_empty(), "{part}");
        // It stays refused, however often it is retried.
        assert!(env.once(&[]).expect(1).stderr.contains("E413"), "{part}");
    }
}

#[test]
fn taken_files_of_any_owner_are_judged_again() {
    if !is_root() {
        eprintln!("NOT TESTED: it needs root to make files of another user");
        return;
    }
    let env = env();
    env.once(&[]).expect(0);
    mount_with_fs_group(&env.path("handoff"));
    for (number, name, content) in
        [(7, "intent-good.json", flat("a", 3)), (8, "intent-bad.json", "{}".to_owned())]
    {
        let path = env.handoff(&format!(".conductor/taken/{number}.{name}"));
        fs::write(&path, content).unwrap();
        chown(&path, Some(STRANGER), None).unwrap();
    }
    env.once(&[]);
    assert_eq!(env.status("intent-good.json").unwrap()["status"], "success");
    assert_eq!(env.status("intent-bad.json").unwrap()["status"], "failed", "nothing of it is believed");
    assert_eq!(env.calls().len(), 1);
}
