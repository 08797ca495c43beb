//! The bytes of an intent: either the judged bytes run and are archived, or nothing is; unreadable bytes are waited for;
//! a file counts as another's only if its content says so.

use crate::lifecycle::Mounted;
use crate::recovery::after_a_reboot;
use crate::{env, make_plain};
use conductor_testkit::{TestEnv, flat, wait_until};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, futimens, linkat};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;

/// The same intent, larger by this many bytes.
pub(crate) fn padded(text: &str, by: usize) -> String {
    format!("{text}{}", " ".repeat(by))
}

/// An intent whose content identifies it.
fn told(target: &str, note: &str) -> String {
    format!(
        r#"{{"intent_type": "scaling", "target": "{target}", "namespace": "test", "replicas": 3, "reason": "{note}"}}"#
    )
}

/// Flips one bit of the store at each occurrence of this text.
fn flip(env: &TestEnv, text: &str) {
    let store = OpenOptions::new().read(true).write(true).open(env.handoff(".conductor/state/ledger.redb"));
    let store = store.unwrap();
    let mut bytes = vec![0; usize::try_from(store.metadata().unwrap().len()).unwrap()];
    store.read_exact_at(&mut bytes, 0).unwrap();
    let found: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!found.is_empty(), "'{text}' is in the store");
    for at in found {
        store.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
    }
}

/// A daemon killed while these intents waited for porch; the last one's file is as if it had not been removed.
fn killed_with_one_waiting(env: &TestEnv) {
    env.script("*: wait=go");
    env.drop_file("intent-first.json", flat("web", 1));
    let daemon = env.start(&[]);
    wait_until("porch runs", || !env.porches().is_empty());
    env.drop_file("intent-a.json", told("web", "note 11"));
    // In this order: between its name and its claim the file is in taken/.
    wait_until("it to be taken", || !env.handoff("intent-a.json").exists());
    wait_until("it to be claimed", || env.names(".conductor/taken").is_empty());
    daemon.kill();
    env.script("*: exit=0");
}

#[test]
fn a_store_with_other_bytes_than_were_claimed_starts_nothing_and_removes_nothing() {
    let env = env();
    killed_with_one_waiting(&env);
    let taken = env.handoff(".conductor/taken/2.intent-a.json");
    fs::write(&taken, told("web", "note 11")).unwrap();
    make_plain(&env);
    flip(&env, "note 11");
    let finished = env.once(&[]).expect(1);
    assert!(finished.stderr.contains("E404"), "{}", finished.stderr);
    assert_eq!(env.calls().len(), 1, "nothing ran");
    assert!(env.names("status").is_empty() && taken.exists());
}

#[test]
fn bytes_that_change_in_the_store_while_they_wait_never_run() {
    let env = env();
    let daemon = env.start_ready(&["-encryption-enabled=false"]);
    env.operate(&["hold", "test/web"]).expect(0);
    // Enough that neither memory nor the store's cache holds the first of them.
    for number in 0..15 {
        env.drop_file(
            &format!("intent-{number:02}.json"),
            padded(&told("web", &format!("note {number:02}")), 2_000_000),
        );
    }
    let waiting = || env.operate_json(&["status"]).0["waiting"] == 15;
    wait_until("all to be claimed", || env.names(".conductor/taken").is_empty() && waiting());
    daemon.stop().expect(0);
    let daemon = env.start_ready(&["-encryption-enabled=false"]);
    flip(&env, "note ");
    env.operate(&["release", "test/web"]).expect(0);
    let finished = daemon.wait().expect(3);
    assert!(finished.stderr.contains("E404"), "{}", finished.stderr);
    // Intents whose bytes the store still had in its cache ran unchanged.
    for name in env.names("processed") {
        assert!(env.read(&format!("processed/{name}")).contains("note "), "{name}");
    }
    assert!(env.names("status").len() < 15 && env.names("failed").is_empty());
}

#[test]
fn a_state_directory_without_space_is_waited_for_and_everything_goes_on() {
    let env = env();
    fs::create_dir(env.path("state")).unwrap();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("state"), "size=48m,mode=700") else { return };
    env.script("*: wait=go");
    let state = env.path("state");
    let daemon = env.start_ready(&["-state-dir", state.to_str().unwrap(), "-period", "200ms"]);
    for number in 0..150 {
        let content = padded(&flat(&format!("t{number}"), 3), 400_000);
        env.drop_file(&format!("intent-{number:03}.json"), content);
    }
    daemon.wait_log("E408");
    assert!(daemon.logged(state.to_str().unwrap()), "the message names the place");
    // The free workers now want bytes that memory does not have.
    env.release("go");
    daemon.wait_log("could not be read back");
    let status = env.operate(&["status", "--json"]);
    assert!(!status.stdout.contains(r#""ready": true"#), "{}", status.stdout);
    let more = Command::new("mount").args(["-o", "remount,size=1g"]).arg(&state).status().unwrap();
    assert!(more.success());
    wait_until("all to come to their end", || env.names("status").len() == 150);
    wait_until("it to be ready", || env.operate_json(&["status"]).0["ready"] == true);
    daemon.stop().expect(0);
    env.assert_clean();
}

#[test]
fn a_state_directory_without_space_keeps_no_stop_waiting() {
    let env = env();
    fs::create_dir(env.path("state")).unwrap();
    let Some(_mounted) = Mounted::new("tmpfs", env.path("state"), "size=24m,mode=700") else { return };
    env.script("*: sleep=20");
    let state = env.path("state");
    let daemon = env.start_ready(&["-state-dir", state.to_str().unwrap(), "-grace-period", "100ms"]);
    let ballast = fs::write(state.join("ballast"), vec![0; 16 << 20]);
    assert!(ballast.is_ok());
    for number in 0..60 {
        let content = padded(&flat(&format!("t{number}"), 3), 400_000);
        env.drop_file(&format!("intent-{number:03}.json"), content);
    }
    daemon.wait_log("E408");
    assert!(daemon.logged(state.to_str().unwrap()), "the message names the place");
    let finished = daemon.stop();
    assert!([0, 3].contains(&finished.code()), "{}", finished.stderr);
    fs::remove_file(state.join("ballast")).unwrap();
    assert!(Command::new("mount").args(["-o", "remount,size=1g"]).arg(&state).status().unwrap().success());
    env.once(&["-state-dir", state.to_str().unwrap()]).expect(0);
    assert_eq!(env.names("status").len(), 60);
    env.assert_clean();
}

/// Makes a file with the name, inode number, time and size of a claimed one, but other content. Returns false if that is
/// impossible.
fn lookalike(env: &TestEnv, kept: &File) -> bool {
    let text = told("web", "note 12");
    let before = kept.metadata().unwrap();
    assert_eq!(before.len(), text.len() as u64);
    kept.write_all_at(text.as_bytes(), 0).unwrap();
    let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    futimens(kept, &Timestamps { last_access: time, last_modification: time }).unwrap();
    let path = format!("/proc/self/fd/{}", kept.as_raw_fd());
    let linked = linkat(CWD, path, CWD, env.handoff("intent-a.json"), AtFlags::SYMLINK_FOLLOW);
    if linked.is_err() {
        eprintln!("NOT TESTED: an unlinked file cannot be linked again here");
    }
    linked.is_ok()
}

#[test]
fn a_file_is_a_returned_one_only_by_content_and_after_a_reboot() {
    for reboot in [false, true] {
        let env = env();
        let daemon = env.start_ready(&[]);
        env.operate(&["hold", "test/web"]).expect(0);
        let draft = env.handoff(".draft-a");
        fs::write(&draft, told("web", "note 11")).unwrap();
        let kept = OpenOptions::new().read(true).write(true).open(&draft).unwrap();
        let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
        futimens(&kept, &Timestamps { last_access: time, last_modification: time }).unwrap();
        // Opened for writing, it would be waited for.
        let kept_path = env.path("kept");
        fs::hard_link(&draft, &kept_path).unwrap();
        drop(kept);
        fs::remove_file(&kept_path).unwrap();
        let kept = File::open(&draft).unwrap();
        fs::rename(&draft, env.handoff("intent-a.json")).unwrap();
        wait_until("it to be claimed", || {
            env.operate_json(&["status"]).0["waiting"] == 1 && env.names(".conductor/taken").is_empty()
        });
        daemon.stop().expect(0);
        let writable =
            OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", kept.as_raw_fd()));
        if !writable.is_ok_and(|writable| lookalike(&env, &writable)) {
            return;
        }
        drop(kept);
        if reboot {
            after_a_reboot(&env);
        }
        let daemon = env.start_ready(&[]);
        env.operate(&["release", "test/web"]).expect(0);
        wait_until("both to be done", || env.names("processed").len() == 2);
        daemon.stop().expect(0);
        let mut archived: Vec<String> =
            env.names("processed").iter().map(|name| env.read(&format!("processed/{name}"))).collect();
        archived.sort();
        assert_eq!(archived, [told("web", "note 11"), told("web", "note 12")], "reboot: {reboot}");
    }
}

#[test]
fn a_taken_file_under_the_number_of_another_is_an_intent_of_its_own() {
    let env = env();
    env.drop_file("intent-a.json", flat("web", 3));
    env.once(&[]).expect(0);
    // As after a restored store, whose numbers begin again; and a leftover file.
    fs::write(env.handoff(".conductor/taken/1.intent-b.json"), flat("web", 4)).unwrap();
    env.once(&[]).expect(0);
    assert_eq!(env.names("processed"), ["intent-a.json", "intent-b.json"]);
    assert_eq!(env.read("processed/intent-b.json"), flat("web", 4));
    fs::write(env.handoff(".conductor/taken/1.intent-a.json"), flat("web", 3)).unwrap();
    env.once(&[]).expect(0);
    assert_eq!((env.names("processed").len(), env.calls().len()), (2, 2), "it was the first one");
    env.assert_clean();

    // The same beside a claim that has not run yet.
    killed_with_one_waiting(&env);
    fs::write(env.handoff(".conductor/taken/4.intent-c.json"), flat("web", 5)).unwrap();
    env.once(&[]).expect(0);
    assert_eq!(env.read("processed/intent-c.json"), flat("web", 5));
    env.assert_clean();
}
