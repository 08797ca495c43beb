//! Changes that a run of porch, which has the daemon's user, makes in the private directory harm neither the next intents
//! nor the next start.

use crate::{env, is_root};
use conductor_testkit::{TestEnv, TestUser, flat, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A porch that runs `leaving` in the private directory at the first intent; `$x` is a directory outside the daemon's.
fn porch(env: &TestEnv, leaving: &str) -> String {
    let path = env.path("bin/porch.sh");
    let victim = env.path("victim");
    if !victim.exists() {
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "untouched").unwrap();
        fs::set_permissions(&victim, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let script = format!(
        "#!/bin/sh\nx={}\ncase $2 in *first*) cd ../..; {leaving};; esac\nexit 0\n",
        victim.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Drops a producer's file that the daemon's user owns from the beginning.
fn hand_in(env: &TestEnv, file: &str, content: String) {
    let draft = env.path("handed-in");
    fs::write(&draft, content).unwrap();
    if env.is_other_user() {
        std::os::unix::fs::chown(&draft, Some(65_534), Some(65_534)).unwrap();
    }
    fs::rename(draft, env.handoff(file)).unwrap();
}

fn works_off(env: &TestEnv, name: &str, row: &str) {
    let file = format!("intent-{name}.json");
    hand_in(env, &file, flat(name, 3));
    let status = env.wait_status(&file);
    assert_eq!(status["status"], "success", "{row}: {status}");
}

/// One daemon for the run that leaves something, then another for one more intent.
#[track_caller]
fn next_start_works(env: &TestEnv, leaving: &str) {
    let porch = porch(env, leaving);
    for name in ["first", "second", "third"] {
        let daemon = env.start_ready(&["-porch", &porch]);
        works_off(env, name, leaving);
        daemon.stop().expect(0);
    }
    let victim = env.path("victim");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{leaving}: nothing is made elsewhere");
    assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "untouched", "{leaving}");
}

const LEAVINGS: [&str; 25] = [
    "rm -f control; mkdir control control/full",
    "rm -rf drafts",
    "rm -rf drafts; ln -s $x drafts",
    "rm -rf drafts; ln -s /nowhere drafts",
    "rm -rf drafts; touch drafts",
    "rm -rf drafts; mkfifo drafts",
    "rm -rf taken",
    "rm -rf taken; touch taken",
    "rm -rf taken; ln -s $x taken",
    "rm -rf taken; mkfifo taken",
    "rm lock; mkdir lock",
    "rm lock; mkdir lock lock/full",
    "rm lock; ln -s $x/file lock",
    "rm lock; ln $x/file lock",
    "rm lock; mkfifo lock",
    "rm running; mkdir running",
    "rm running; mkdir running running/full",
    "rm running; ln -s $x/file running",
    "rm running; ln $x/file running",
    "rm running; mkfifo running",
    "touch extra; chmod 666 extra",
    "mkdir -m 777 extra2",
    "ln -s /etc extra3; mkfifo -m 666 extra4",
    "mkdir staging.aside drafts.aside lock.aside; rm -rf drafts; mkdir drafts drafts/1.draft drafts/1.draft/full",
    "touch extra; rm -rf drafts; touch drafts; rm -r running lock; mkdir running lock",
];

#[test]
fn what_a_run_leaves_in_the_private_directory_is_no_start_s_end() {
    let half = LEAVINGS.len() / 2;
    std::thread::scope(|scope| {
        for rows in [&LEAVINGS[..half], &LEAVINGS[half..]] {
            scope.spawn(move || rows.iter().for_each(|row| next_start_works(&env().unconfined(), row)));
        }
    });
}

#[test]
fn a_part_that_a_run_closed_to_an_ordinary_user_is_opened_again() {
    if !is_root() {
        return eprintln!("NOT TESTED: not root, so no daemon of another user can be run");
    }
    for row in ["chmod 000 lock running", "chmod 000 drafts", "chmod 000 drafts taken lock running"] {
        next_start_works(&env().unconfined().as_user(TestUser::Nobody), row);
    }
}

#[test]
fn drafts_that_a_run_took_away_are_made_again_by_the_same_daemon() {
    for leaving in [
        "rm -rf drafts",
        "rm -rf drafts; ln -s $x drafts",
        "rm -rf drafts; touch drafts",
        "rm -rf drafts; mkfifo drafts",
    ] {
        let env = env().unconfined();
        let daemon = env.start_ready(&["-porch", &porch(&env, leaving)]);
        works_off(&env, "first", leaving);
        works_off(&env, "second", leaving);
        daemon.stop().expect(0);
        assert_eq!(fs::read_dir(env.path("victim")).unwrap().count(), 1, "{leaving}");
    }
}

#[test]
fn a_status_that_could_not_be_written_comes_without_a_start() {
    if !is_root() {
        return eprintln!("NOT TESTED: not root, so no daemon of another user can be run");
    }
    let env = env().unconfined().as_user(TestUser::Nobody);
    let daemon = env.start_ready(&["-porch", &porch(&env, ":")]);
    works_off(&env, "before", "open");
    let close = |mode| fs::set_permissions(env.handoff("status"), PermissionsExt::from_mode(mode)).unwrap();
    close(0o555);
    for name in ["a", "b"] {
        hand_in(&env, &format!("intent-{name}.json"), flat(name, 3));
    }
    wait_until("both are archived", || env.names("processed").len() == 3);
    daemon.wait_log("tried again every two seconds");
    close(0o755);
    for name in ["a", "b"] {
        assert_eq!(env.wait_status(&format!("intent-{name}.json"))["status"], "success");
    }
    daemon.stop().expect(0);
}

#[test]
fn a_lock_that_a_living_daemon_holds_is_respected() {
    let env = env().unconfined();
    let daemon = env.start_ready(&[]);
    fs::hard_link(env.handoff(".conductor/lock"), env.path("second-name")).unwrap();
    let finished = env.once(&[]).expect(1);
    assert!(finished.stderr.contains("another daemon"), "{}", finished.stderr);
    works_off(&env, "first", "held");
    daemon.stop().expect(0);
    fs::write(env.handoff(".conductor/control"), "").unwrap();
    let log = env.once(&[]).expect(0).stderr;
    assert!(!log.contains("that this program does not use"), "all is ours: {log}");
}
