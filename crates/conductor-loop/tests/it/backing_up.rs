//! The life of backups: whose they are, where they may lie, what ends or fails while one is made.

use crate::backups::{PUBLIC, SECRET};
use crate::endpoints::{get, listening};
use crate::{env, is_root};
use conductor_evidence::entry::Result as EntryResult;
use conductor_testkit::{Finished, Running, TestEnv, TestUser, flat, has, trail, wait_until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const NOBODY: u32 = 65534;

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The names in a directory.
fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Makes a backup where no daemon runs.
fn now(env: &TestEnv, dir: &str, words: &[&str]) -> Finished {
    env.operate(&[&["backup", "now", "--backup-dir", dir], words].concat())
}

/// An environment in which a daemon has run.
fn used() -> TestEnv {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    env
}

/// The value of a metric that is a whole number.
fn metric(address: std::net::SocketAddr, name: &str) -> u64 {
    let text = get(address, "/metrics").1;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

#[test]
fn daemons_that_share_a_directory_count_and_remove_their_own_backups_alone() {
    let (one, other) = (used(), used());
    let place = one.path("backups");
    let dir = shown(&place);
    now(&one, &dir, &[]).expect(0);
    fs::write(place.join("conductor-mine.tar.age"), "an operator's").unwrap();
    fs::write(place.join("conductor-20260101T000000000Z.tar.age"), "an operator's too").unwrap();
    fs::create_dir(place.join("conductor-20260102T000000000Z-0123abcd.tar.age")).unwrap();
    let foreign = entries(&place);
    for _ in 0..3 {
        now(&other, &dir, &["--backup-keep", "2"]).expect(0);
    }
    let mut all = entries(&place);
    assert!(foreign.iter().all(|name| all.contains(name)), "{all:?}");
    all.retain(|name| !foreign.contains(name));
    assert_eq!(all.len(), 2, "{all:?}");
    let listed = other.operate(&["backup", "list", "--backup-dir", &dir]).expect(0).stdout;
    let of_another = listed.lines().filter(|line| line.ends_with("  of another state")).count();
    assert_eq!((listed.lines().count(), of_another), (3, 1), "{listed}");
    let (listed, _) = other.operate_json(&["backup", "list", "--backup-dir", &dir]);
    let own = |at: usize| listed[at]["own"].as_bool().unwrap();
    assert_eq!([own(0), own(1), own(2)], [false, true, true], "{listed}");
    // What is newest is asked for of the own ones.
    let newest = other.operate(&["backup", "verify", "--backup-dir", &dir]).expect(0).stdout;
    assert!(newest.contains(all.last().unwrap()), "{newest}");
    let oldest = one.operate(&["backup", "verify", "--backup-dir", &dir]).expect(0).stdout;
    assert!(!all.iter().any(|name| oldest.contains(name)), "{oldest}");
    let stranger = env();
    let several = stranger.operate(&["backup", "verify", "--backup-dir", &dir]).expect(1).stderr;
    assert!(several.contains("of several states") && several.contains("Name the file"), "{several}");
}

#[test]
fn who_has_not_the_key_of_a_backup_is_told_how_to_name_one() {
    let (one, other) = (used(), used());
    let dir = shown(&one.path("backups"));
    now(&one, &dir, &[]).expect(0);
    let refused = other.operate(&["backup", "verify", "--backup-dir", &dir]).expect(1).stderr;
    assert!(refused.contains("E415") && refused.contains("--identity FILE"), "{refused}");
}

#[test]
fn doctor_says_what_keeps_backups_from_being_made() {
    let env = used();
    let said = |dir: &str| {
        let finished = env.operate(&["doctor", "--backup-dir", dir]);
        let line = finished.stdout.lines().find(|line| line[8..].trim_start().starts_with("backups"));
        line.unwrap_or_else(|| panic!("{}", finished.stdout)).to_owned()
    };
    let (place, disk) = (env.path("backups"), env.path("disk/backups"));
    let (dir, missing) = (shown(&place), shown(&disk));
    assert!(said(&dir).starts_with("good") && said(&dir).ends_with("is made for the first backup"));
    assert!(said(&missing).starts_with("warning"), "{}", said(&missing));
    now(&env, &dir, &[]).expect(0);
    assert!(said(&dir).contains("the newest of this state is of 2"), "{}", said(&dir));
    fs::rename(&place, env.path("unmounted")).unwrap();
    assert!(said(&dir).starts_with("warning"), "{}", said(&dir));
}

#[test]
fn a_state_that_was_restored_elsewhere_under_another_key_makes_backups_and_removes_none_of_the_first() {
    let first = used();
    let dir = shown(&first.path("backups"));
    now(&first, &dir, &["--backup-recipient", PUBLIC]).expect(0);
    let other = used();
    let (identity, public) = (other.path("identity"), other.path("public.pem"));
    fs::write(&identity, SECRET).unwrap();
    fs::write(&public, first.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let (identity, public) = (shown(&identity), shown(&public));
    let trusting = ["--identity", &identity, "--public", &public];
    other.operate(&[&["backup", "restore", "--backup-dir", &dir], &trusting[..]].concat()).expect(0);
    for _ in 0..2 {
        now(&other, &dir, &["--backup-keep", "1"]).expect(0);
        other.operate(&["backup", "verify", "--backup-dir", &dir]).expect(0);
    }
    assert_eq!(entries(&first.path("backups")).len(), 2);
    first.operate(&["backup", "verify", "--backup-dir", &dir]).expect(0);
}

#[test]
fn a_daemon_stops_while_a_backup_is_under_way_and_giving_it_up_is_no_failure() {
    let env = env();
    let place = env.path("backups");
    let dir = shown(&place);
    let daemon = env.start_ready(&["-backup-dir", &dir, "-backup-interval", "off"]);
    env.operate(&["backup", "now"]).expect(0);
    let series = fs::read_to_string(env.handoff(".conductor/state/backups.id")).unwrap();
    // Another process that works on backups of this series, and does not end.
    let scratch = place.join(format!(".conductor-backup-{}", series.trim()));
    fs::create_dir(&scratch).unwrap();
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o700)).unwrap();
    let lock = fs::File::create(scratch.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::write(scratch.join("precious"), "").unwrap();
    let ask = || {
        let mut asking = env.bare_command();
        asking.args(["backup", "now", "-handoff", &shown(&env.path("handoff"))]);
        Running::start(asking)
    };
    let asking = RefCell::new([ask(), ask()]);
    wait_until("one waits, and the other is told so", || {
        asking.borrow_mut().iter_mut().any(|one| !one.is_running())
    });
    daemon.stop().expect(0);
    assert!(asking.into_inner().into_iter().all(|one| one.wait().code() != 0));
    assert!(scratch.join("precious").exists(), "what another process uses is left alone");
    drop(lock);
    let noted = trail::entries(&env).into_iter().filter(|entry| entry.event == "sys_backup");
    assert_eq!(noted.map(|entry| entry.outcome).collect::<Vec<_>>(), [EntryResult::Success]);
    now(&env, &dir, &[]).expect(0);
    assert_eq!(entries(&place).len(), 2, "what the other has left is gone: {:?}", entries(&place));
}

#[test]
fn a_backup_is_verified_without_writing_beside_it_and_what_a_kill_has_left_goes_at_the_next_start() {
    let env = used();
    let place = env.path("backups");
    let dir = shown(&place);
    now(&env, &dir, &[]).expect(0);
    let state = env.handoff(".conductor/state");
    let before = (entries(&place), entries(&state));
    let changed = fs::metadata(&place).unwrap().mtime_nsec();
    env.operate(&["backup", "verify", "--backup-dir", &dir]).expect(0);
    assert_eq!(fs::metadata(&place).unwrap().mtime_nsec(), changed);
    for left in [".conductor-backup", ".conductor-backup-verify-1"] {
        fs::create_dir_all(state.join(left).join("audit")).unwrap();
        fs::write(state.join(left).join("audit/0000000000000000.jsonl"), "left").unwrap();
    }
    env.once(&[]).expect(0);
    assert_eq!((entries(&place), entries(&state)), before);
}

#[test]
fn backups_lie_apart_from_what_they_are_of() {
    let env = used();
    fs::write(env.path("c.toml"), "[[route]]\nrepository = \"r\"\n[repository.r]\ngit = \"repository\"\n")
        .unwrap();
    let places = [
        "handoff",
        "handoff/backups",
        "handoff/processed",
        "out",
        "out/backups",
        "state",
        "state/b",
        "repository",
        ".",
    ];
    for place in places {
        let dir = shown(&env.path(place));
        let state = shown(&env.path("state"));
        let config = shown(&env.path("c.toml"));
        let before = entries(&env.path("handoff"));
        let refused = env
            .once(&["-backup-dir", &dir, "-state-dir", &state, "-config", &config, "-porch", "builtin"])
            .expect(1)
            .stderr;
        assert!(refused.contains("E509") && refused.contains("--backup-dir"), "{place}: {refused}");
        assert_eq!(entries(&env.path("handoff")), before);
    }
    let inside = now(&env, &shown(&env.path("handoff/backups")), &[]).expect(1).stderr;
    assert!(inside.contains("E509"), "{inside}");
    let doctor = env.operate(&["doctor", "--backup-dir", &shown(&env.path("handoff/backups"))]);
    assert!(doctor.code() != 0 && (doctor.stdout + &doctor.stderr).contains("E509"));
}

#[test]
fn where_a_disk_is_not_mounted_no_backup_is_made_and_the_daemon_goes_on() {
    let env = env();
    let disk = env.path("disk");
    let dir = shown(&disk.join("backups"));
    let daemon = env.start_ready(&["-backup-dir", &dir, "-backup-interval", "off"]);
    let refused = env.operate(&["backup", "now"]).expect(1).stderr;
    assert!(refused.contains("E415") && refused.contains("last part alone"), "{refused}");
    assert!(!disk.exists());
    fs::create_dir(&disk).unwrap();
    env.operate(&["backup", "now"]).expect(0);
    assert_eq!(fs::metadata(disk.join("backups")).unwrap().mode() & 0o777, 0o700);
    // The disk is gone, and what is below is not the place of backups.
    fs::rename(disk.join("backups"), env.path("unmounted")).unwrap();
    let refused = env.operate(&["backup", "now"]).expect(1).stderr;
    assert!(refused.contains("E415") && refused.contains("mount its disk"), "{refused}");
    assert!(!disk.join("backups").exists());
    daemon.stop().expect(0);
}

#[test]
fn where_no_daemon_has_run_there_is_nothing_to_back_up_and_nothing_is_made() {
    let env = env();
    let refused = now(&env, &shown(&env.path("backups")), &[]).expect(1).stderr;
    assert!(refused.contains("no daemon has run on") && refused.contains("-handoff DIR"), "{refused}");
    assert!(!env.path("backups").exists() && entries(&env.path("handoff")).is_empty());
    // A state that was there and is gone is another matter.
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    fs::remove_file(env.handoff(".conductor/state/ledger.redb")).unwrap();
    let lost = now(&env, &shown(&env.path("backups")), &[]).expect(1).stderr;
    assert!(lost.contains("E404"), "{lost}");
}

#[test]
fn a_start_says_how_old_the_newest_backup_is_and_how_often_one_is_made() {
    let env = used();
    let dir = shown(&env.path("backups"));
    let (last, interval) = ("conductor_backup_timestamp_seconds", "conductor_backup_interval_seconds");
    let (daemon, address) = listening(&env, &[]);
    assert_eq!((metric(address, last), metric(address, interval)), (0, 0));
    daemon.stop().expect(0);
    now(&env, &dir, &[]).expect(0);
    let foreign = env.path("backups/conductor-20260102T000000000Z-0123abcd.tar.age");
    fs::write(foreign, "").unwrap();
    let (daemon, address) = listening(&env, &["-backup-dir", &dir, "-backup-interval", "2h"]);
    wait_until("the newest backup is known", || metric(address, last) > 1_700_000_000);
    assert_eq!(metric(address, interval), 7_200);
    daemon.stop().expect(0);
    let made = trail::entries(&env).iter().filter(|entry| entry.event == "sys_backup").count();
    assert_eq!(made, 1, "the one that was made without a daemon");
}

#[test]
fn a_backup_has_the_settings_as_a_reload_has_left_them() {
    if !["age", "tar"].into_iter().all(has) {
        eprintln!("NOT TESTED: the settings in a backup, because age or tar is missing");
        return;
    }
    let env = env();
    let (dir, config, identity) = (shown(&env.path("backups")), env.path("c.toml"), env.path("identity"));
    fs::write(&identity, SECRET).unwrap();
    fs::write(&config, "retention = '3h'\n").unwrap();
    let flags = ["-config", &shown(&config), "-backup-dir", &dir, "-backup-interval", "off"];
    let daemon = env.start_ready(&[&flags[..], &["-backup-recipient", PUBLIC]].concat());
    fs::write(&config, "retention = '5h'\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_log("retention");
    env.operate(&["backup", "now"]).expect(0);
    daemon.stop().expect(0);
    let unpacked =
        format!("age -d -i {} {dir}/conductor-*.tar.age | tar xOf - settings.txt", identity.display());
    let settings = Command::new("sh").args(["-c", &unpacked]).output().unwrap();
    let settings = String::from_utf8(settings.stdout).unwrap();
    assert!(settings.contains("\nretention=5h\n"), "{settings}");
}

#[test]
fn a_backup_is_made_although_older_ones_cannot_be_removed() {
    if !is_root() {
        eprintln!("NOT TESTED: not root, so no file can be given to another user");
        return;
    }
    let env = env().as_user(TestUser::Nobody);
    let place = env.path("backups");
    let flags = ["-backup-dir", &shown(&place), "-backup-interval", "off", "-backup-keep", "1"];
    let (daemon, address) = listening(&env, &flags);
    env.operate(&["backup", "now"]).expect(0);
    // In a directory such as /tmp nobody removes what another user owns.
    chown(&place, Some(0), Some(0)).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o1777)).unwrap();
    chown(place.join(&entries(&place)[0]), Some(0), Some(0)).unwrap();
    env.operate(&["backup", "now"]).expect(0);
    daemon.wait_log("the oldest backups stay");
    assert_eq!((entries(&place).len(), metric(address, "conductor_backup_failures_total")), (2, 0));
    daemon.stop().expect(0);
    let noted = trail::entries(&env).into_iter().filter(|entry| entry.event == "sys_backup");
    assert!(noted.map(|entry| entry.outcome).eq([EntryResult::Success; 2]));
}

#[test]
fn a_start_as_root_gives_the_directory_of_backups_to_the_user() {
    if !is_root() {
        eprintln!("NOT TESTED: not root, so nobody else can be become");
        return;
    }
    let env = env().as_user(TestUser::Nobody);
    chown(env.path(""), Some(0), Some(0)).unwrap();
    let place = env.path("backups");
    let dir = shown(&place);
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    let missing = shown(&env.path("disk/backups"));
    for dir in [&missing, &dir] {
        let ordinary = env.command(&["-user", "65534", "-backup-dir", dir, "-once"]);
        let mut command = Command::new(env.program());
        command.args(ordinary.get_args()).current_dir(env.path("")).env_clear();
        command.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Running::start(command).wait().expect(0);
    }
    assert!(!env.path("disk").exists());
    let made = fs::metadata(&place).unwrap();
    assert_eq!((made.uid(), made.mode() & 0o777), (NOBODY, 0o700));
    now(&env, &dir, &[]).expect(0);
}

#[test]
fn a_state_is_restored_in_directories_as_the_job_of_kubernetes_has_them() {
    let env = env();
    let at = |name: &str| shown(&env.path(name));
    let places = |command: &mut Command| {
        command
            .current_dir(env.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CONDUCTOR_HANDOFF_DIR", env.path("handoff")).env("CONDUCTOR_OUT_DIR", env.path("out"));
        command.env("CONDUCTOR_STATE_DIR", env.path("state/conductor-loop"));
        command.env("CONDUCTOR_BACKUP_DIR", env.path("volume/conductor-loop"));
    };
    let run = |words: &[&str]| {
        let mut command = Command::new(env.program());
        places(command.args(words));
        Running::start(command).wait()
    };
    for volume in ["state", "volume"] {
        fs::create_dir(env.path(volume)).unwrap();
    }
    env.drop_file("intent-a.json", flat("a", 3));
    run(&["-once", "-porch", "builtin", "-debounce", "0"]).expect(0);
    run(&["backup", "now", "--backup-recipient", PUBLIC]).expect(0);
    // A Secret's files are links into a directory that is exchanged.
    fs::create_dir_all(env.path("identity/..data")).unwrap();
    fs::write(env.path("identity/..data/identity"), SECRET).unwrap();
    fs::write(env.path("identity/..data/public.pem"), run(&["keys", "export-public"]).expect(0).stdout)
        .unwrap();
    for file in ["identity", "public.pem"] {
        symlink(format!("..data/{file}"), env.path("identity").join(file)).unwrap();
    }
    // New claims, and the volume of the backups.
    for lost in ["state", "handoff"] {
        fs::remove_dir_all(env.path(lost)).unwrap();
        fs::create_dir(env.path(lost)).unwrap();
    }
    let job = fs::read_to_string("../../deploy/kubernetes/overlays/restore/job.yaml").unwrap();
    let args = job.lines().find_map(|line| line.trim().strip_prefix("args: [")?.strip_suffix(']')).unwrap();
    let args: Vec<String> =
        args.split(", ").map(|word| word.replace("/identity/", &at("identity/"))).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    run(&words).expect(0);
    run(&["-once", "-porch", "builtin"]).expect(0);
    let listed = run(&["list"]).expect(0).stdout;
    assert!(listed.contains("intent-a.json"), "{listed}");
    run(&["backup", "now"]).expect(0);
}
