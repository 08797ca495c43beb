//! Leftovers of a porch in its working directory harm neither the next run nor the next start.

use crate::{env, is_root};
use conductor_testkit::{Finished, TestEnv, TestUser, flat, has};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A porch that is a shell script.
fn porch(env: &TestEnv, script: &str) -> String {
    let path = env.path("bin/porch.sh");
    let draft = env.path("bin/draft.sh");
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).unwrap();
    fs::rename(&draft, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn once(env: &TestEnv, porch: &str, name: &str) -> Finished {
    env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
    if env.is_other_user() {
        let file = env.handoff(&format!("intent-{name}.json"));
        std::os::unix::fs::chown(file, Some(65534), Some(65534)).unwrap();
    }
    let finished = env.once(&["-porch", porch]).expect(0);
    let status = env.status(&format!("intent-{name}.json")).unwrap();
    assert_eq!(status["status"], "success", "{status}");
    finished
}

/// One daemon: the hostile run, then two ordinary ones. Then another daemon.
fn survives(env: &TestEnv, hostile: &str) -> Vec<Finished> {
    let script = format!("[ -e {0}/done ] || {{ : >{0}/done; {hostile}\n}}", env.path("bin/calls").display());
    let porch = porch(env, &script);
    ["first", "second", "third"].map(|name| once(env, &porch, name)).into()
}

fn as_nobody() -> Option<TestEnv> {
    if !is_root() {
        eprintln!("NOT TESTED: not root, so no daemon of another user can be run");
        return None;
    }
    Some(env().unconfined().as_user(TestUser::Nobody))
}

fn staged(env: &TestEnv) -> Vec<String> {
    env.names(".conductor/staging")
}

#[test]
fn read_only_trees_of_a_run_are_removed_for_an_ordinary_user() {
    let Some(env) = as_nobody() else { return };
    survives(&env, "mkdir -p mod/pkg; touch mod/pkg/f mod/g; chmod 555 mod/pkg mod");
    env.assert_clean();
}

#[test]
fn a_run_may_close_any_directory_of_ours_to_us() {
    for closed in [".", "..", "../..", "../.. .. ."] {
        let Some(env) = as_nobody() else { return };
        survives(&env, &format!("mkdir a; touch a/b; chmod 000 a; chmod 000 {closed}"));
        env.assert_clean();
    }
}

#[test]
fn a_nest_of_three_thousand_directories_is_removed() {
    let env = env().unconfined();
    // Levels beyond the longest path, made from outside: each nest is moved into the next.
    let levels = "d/".repeat(900);
    let nest =
        format!("mkdir -p {levels}; for i in 1 2 3; do mkdir -p n/{levels}; mv d n/{levels}; mv n/d d; done");
    let porch = porch(&env, &format!("case $2 in *first*) {nest};; esac"));
    env.drop_file("intent-first.json", flat("first", 3));
    let mut command = Command::new("sh");
    let daemon = env.command(&["-once", "-porch", &porch]);
    command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]).arg(daemon.get_program()).args(daemon.get_args());
    conductor_testkit::Running::start(command).wait().expect(0);
    env.assert_clean();
    // The same without a sweep: killed while porch ran.
    let mut top = env.handoff(".conductor/staging/0");
    for _ in 0..20 {
        top.push("d".repeat(150));
    }
    fs::create_dir_all(&top).unwrap();
    once(&env, &porch, "second");
    env.assert_clean();
}

#[test]
fn whatever_takes_the_place_of_a_slot_is_replaced_and_followed_nowhere() {
    for place in ["ln -s \"$v\" $d", "mkfifo $d", ": >$d", "ln -s /nowhere $d", "true"] {
        let env = env().unconfined();
        let victim = env.path("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "untouched").unwrap();
        survives(&env, &format!("v={}; d=$PWD; cd ..; rm -rf $d; {place}", victim.display()));
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{place}");
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "untouched", "{place}");
    }
}

#[test]
fn a_slot_that_was_replaced_costs_no_intent_of_the_same_daemon() {
    let env = env().unconfined();
    let porch = porch(&env, "case $2 in *first*) d=$PWD; cd ..; rm -rf $d; ln -s /etc $d;; esac");
    let daemon = env.start_ready(&["-porch", &porch, "-workers", "1"]);
    for name in ["first", "second", "third"] {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        let status = env.wait_status(&format!("intent-{name}.json"));
        assert_eq!((&status["status"], &status["attempts"]), (&"success".into(), &1.into()), "{status}");
    }
    daemon.stop().expect(0);
}

#[test]
fn what_cannot_be_removed_is_set_aside_and_tried_again() {
    let env = env().unconfined();
    if !is_root() || !has("chattr") {
        return eprintln!("NOT TESTED: needs root and chattr");
    }
    let finished = survives(&env, "mkdir a; touch a/f; chattr +i a/f || : >$PWD/unsupported");
    if finished.iter().all(|one| !one.stderr.contains("broken.0")) {
        return eprintln!("NOT TESTED: this file system has no immutable files");
    }
    assert!(staged(&env).contains(&"broken.0".to_owned()), "{:?}", staged(&env));
    let doctor = env.operate(&["doctor"]);
    assert!(doctor.stdout.contains("broken.0"), "{}", doctor.stdout);
    let file = env.handoff(".conductor/staging/broken.0/a/f");
    assert!(Command::new("chattr").arg("-i").arg(file).status().unwrap().success());
    once(&env, env.path("bin/porch.sh").to_str().unwrap(), "fourth");
    assert!(!staged(&env).contains(&"broken.0".to_owned()), "{:?}", staged(&env));
}

#[test]
fn a_slot_that_can_neither_be_emptied_nor_renamed_gets_another_name() {
    let env = env().unconfined();
    if !is_root() || !has("chattr") {
        return eprintln!("NOT TESTED: needs root and chattr");
    }
    survives(&env, "touch f; chattr +i . || true");
    let slots: Vec<PathBuf> =
        staged(&env).iter().map(|name| env.handoff(".conductor/staging").join(name)).collect();
    for slot in slots {
        assert!(Command::new("chattr").arg("-i").arg(slot).status().is_ok());
    }
}

#[test]
fn a_mount_inside_a_slot_is_set_aside_and_left_alone() {
    let env = env().unconfined();
    if !is_root() || !has("mount") {
        return eprintln!("NOT TESTED: needs root and mount");
    }
    let finished = survives(&env, "mkdir m; mount -t tmpfs none m && echo kept >m/file");
    let umount = |place: &str| {
        let place = env.handoff(".conductor/staging").join(place);
        Command::new("umount").arg(place).status().is_ok_and(|status| status.success())
    };
    let places: Vec<String> = staged(&env).into_iter().map(|name| format!("{name}/m")).collect();
    let mounted = places.iter().filter(|place| umount(place)).count();
    if mounted == 0 {
        return eprintln!("NOT TESTED: nothing can be mounted here: {}", finished[0].stderr);
    }
    once(&env, env.path("bin/porch.sh").to_str().unwrap(), "fourth");
    env.assert_clean();
}

#[test]
fn a_staging_directory_that_a_run_replaced_is_made_again() {
    for place in ["ln -s /etc staging", ": >staging", "true", "mkdir staging; mkdir staging/0"] {
        let env = env().unconfined();
        survives(&env, &format!("cd ../..; rm -rf staging; {place}"));
        env.assert_clean();
    }
}
