//! Each scan looks anew: an entry that could not be taken, seen or waited for is retried, and a condition that passes
//! needs no restart.

use crate::{env, is_root};
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, Running, TestEnv, TestUser, at_call, flat, has, wait_until};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, Instant};

const FLAGS: [&str; 4] = ["-porch", "builtin", "-period", "100ms"];

fn reason(env: &TestEnv, name: &str) -> String {
    let (answer, _) = env.operate_json(&["explain", name]);
    let code = &answer["intent"]["error_code"];
    format!("{} {code} {}", answer["reason"]["word"].as_str().unwrap_or("-"), answer["reason"]["text"])
}

fn is_left(env: &TestEnv, name: &str, why: &str) {
    wait_until("it is left", || reason(env, name).starts_with("left"));
    assert!(reason(env, name).contains(why), "{}", reason(env, name));
    let (listed, _) = env.operate_json(&["list"]);
    let rows = listed["intents"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["file"] == name && row["reason"]["word"] == "left"), "{listed}");
    assert!(env.operate_json(&["status"]).0["left"].as_u64() > Some(0));
}

/// Sets the descriptors of a process beyond which the system refuses it one: `""` takes none away.
fn limit_descriptors(pid: u32, limit: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid.to_string(), &format!("--nofile={limit}:")]);
    assert!(prlimit.status().unwrap().success());
}

/// Starts a daemon whose porch then ends while no file of its intent can be made; `None` without a program that limits it.
fn without_descriptors(env: &TestEnv, flags: &[&str]) -> Option<Running> {
    if !has("prlimit") {
        eprintln!("NOT TESTED: a limit on descriptors is set by prlimit");
        return None;
    }
    env.script("*: wait=go");
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = env.start(flags);
    wait_until("porch runs", || env.calls().len() == 1);
    limit_descriptors(daemon.pid(), "3");
    env.release("go");
    daemon.wait_log("tried again until it succeeds");
    Some(daemon)
}

fn is_done_by_the_next_start(env: &TestEnv) {
    assert!(!env.handoff("processed/intent-a.json").exists());
    env.once(&[]).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    assert_eq!(env.calls().len(), 1, "porch ran once");
    env.assert_clean();
}

#[test]
fn a_stop_does_not_wait_for_files_that_cannot_be_made() {
    let env = env();
    let Some(daemon) = without_descriptors(&env, &["-grace-period", "1s"]) else { return };
    daemon.stop().expect(0);
    is_done_by_the_next_start(&env);
}

#[test]
fn a_run_with_an_end_ends_where_files_cannot_be_made() {
    let env = env();
    let Some(daemon) = without_descriptors(&env, &["-once"]) else { return };
    let finished = daemon.wait().expect(1);
    let said = "E406 1 intent waits: filing-waits; it is kept, and the next start goes on\n  hint: Raise the service's limits";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    is_done_by_the_next_start(&env);
}

#[test]
fn while_files_cannot_be_made_nothing_is_taken_and_it_says_so() {
    let env = env();
    let Some(daemon) = without_descriptors(&env, &[]) else { return };
    daemon.wait_log("nothing is taken or started until it succeeds");
    env.drop_file("intent-b.json", flat("b", 3));
    limit_descriptors(daemon.pid(), "1024");
    daemon.wait_log("files of ended intents are made again");
    for name in ["intent-a.json", "intent-b.json"] {
        assert_eq!(env.wait_status(name)["status"], "success", "{name}");
    }
    daemon.stop().expect(0);
}

#[test]
fn while_a_taken_file_cannot_be_looked_at_it_says_so() {
    if !has("prlimit") {
        return eprintln!("NOT TESTED: a limit on descriptors is set by prlimit");
    }
    let env = env();
    let daemon = env.start_ready(&[]);
    limit_descriptors(daemon.pid(), "3");
    env.drop_file("intent-a.json", flat("a", 3));
    daemon.wait_log("a taken file cannot be looked at");
    limit_descriptors(daemon.pid(), "1024");
    daemon.wait_log("taken files are looked at again");
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    wait_until("it is ready", || env.operate_json(&["status"]).0["ready"] == true);
    daemon.stop().expect(0);
}

#[test]
fn a_run_with_an_end_ends_where_a_taken_file_cannot_be_looked_at() {
    if !has("prlimit") {
        return eprintln!("NOT TESTED: a limit on descriptors is set by prlimit");
    }
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = env.start(&["-once", "-debounce", "2s"]);
    daemon.wait_log("\"ready\"");
    limit_descriptors(daemon.pid(), "3");
    let finished = daemon.wait().expect(1);
    assert!(finished.stderr.contains("E401 nothing is taken: intake-failing"), "{}", finished.stderr);
    env.once(&[]).expect(0);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
}

/// A directory with an intent's name goes, and files with its name and its inode number come.
#[test]
fn what_could_not_be_taken_is_taken_when_the_reason_is_gone() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    fs::create_dir(env.handoff("intent-d.json")).unwrap();
    daemon.wait_log("E107");
    is_left(&env, "intent-d.json", "E107");
    let inode = fs::metadata(env.handoff("intent-d.json")).unwrap().ino();
    fs::remove_dir(env.handoff("intent-d.json")).unwrap();
    let mut names = vec!["intent-d.json".to_owned()];
    for number in 0..20 {
        let name = format!("intent-{number}.json");
        fs::write(env.handoff(".new"), flat(&name[7..8], 3)).unwrap();
        let same = fs::metadata(env.handoff(".new")).unwrap().ino() == inode;
        fs::rename(env.handoff(".new"), env.handoff(&name)).unwrap();
        names.push(name);
        if same {
            break;
        }
    }
    env.drop_file("intent-d.json", flat("d", 3));
    for name in names {
        assert_eq!(env.wait_status(&name)["status"], "success", "{name}");
    }
    wait_until("nothing is left", || env.operate_json(&["status"]).0["left"] == 0);
    daemon.stop().expect(0);
}

#[test]
fn a_file_that_was_immutable_is_taken_afterwards() {
    let env = env();
    let chattr = |flag: &str| {
        let changed = Command::new("chattr").arg(flag).arg(env.handoff("intent-i.json")).output();
        changed.is_ok_and(|output| output.status.success())
    };
    fs::write(env.handoff("intent-i.json"), flat("i", 3)).unwrap();
    if !chattr("+i") {
        return eprintln!("NOT TESTED: no immutable files for this user or file system");
    }
    let daemon = env.start_ready(&FLAGS);
    daemon.wait_log("E108");
    is_left(&env, "intent-i.json", "E108");
    assert!(chattr("-i"));
    assert_eq!(env.wait_status("intent-i.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn a_directory_that_was_read_only_for_a_moment_loses_nothing() {
    let env = env().as_user(if is_root() { TestUser::Nobody } else { TestUser::Current });
    let daemon = env.start_ready(&FLAGS);
    let mode = |mode| fs::set_permissions(env.handoff(""), Permissions::from_mode(mode)).unwrap();
    fs::write(env.handoff(".new"), flat("a", 3)).unwrap();
    fs::set_permissions(env.handoff(".new"), Permissions::from_mode(0o644)).unwrap();
    if is_root() {
        fs::rename(env.handoff(".new"), env.handoff(".draft")).unwrap();
        mode(0o555);
        fs::rename(env.handoff(".draft"), env.handoff("intent-a.json")).unwrap();
    } else {
        return eprintln!("NOT TESTED: only root can put a file into a directory that nobody may write");
    }
    daemon.wait_log("E108");
    mode(0o755);
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

/// The line about each later directory proves that there was another scan.
#[test]
fn an_entry_that_is_left_is_said_once_until_it_changes() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    let said = |name: &str| {
        let all = daemon.logged_values(
            "left in the handoff directory, tried again at each scan: Remove or rename the directory.",
            "file",
        );
        all.iter().filter(|file| *file == name).count()
    };
    for number in 0..4 {
        let name = format!("intent-{number}.json");
        fs::create_dir(env.handoff(&name)).unwrap();
        wait_until("it is said", || said(&name) == 1);
    }
    assert_eq!(said("intent-0.json"), 1);
    fs::create_dir(env.handoff("intent-0.json/in-it")).unwrap();
    wait_until("it has changed", || said("intent-0.json") == 2);
    assert_eq!(said("intent-1.json"), 1);
    daemon.stop().expect(0);
}

/// A missing private directory must not look as if every file had vanished.
#[test]
fn files_that_find_no_place_to_go_are_left_and_named() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    fs::remove_dir(env.handoff(".conductor/taken")).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    daemon.wait_log("E108");
    is_left(&env, "intent-a.json", "No such file");
    daemon.stop().expect(0);
}

/// A sequence number whose file is already in taken/ is never given again, and does not stop the taking either.
#[test]
fn a_number_that_is_taken_already_is_passed_over() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    for number in 1..=3 {
        let planted = env.handoff(".conductor/taken").join(format!("{number}-intent-a.json"));
        fs::write(planted, "somebody else's").unwrap();
    }
    env.drop_file("intent-a.json", flat("a", 3));
    let status = env.wait_status("intent-a.json");
    assert!(status["status"] == "success" && status["seq"].as_u64() > Some(0), "{status}");
    daemon.stop().expect(0);
}

#[test]
fn a_part_that_is_replaced_stops_taking_until_it_is_back() {
    let env = env();
    let daemon = env.start_ready(&FLAGS);
    let reasons = || env.operate_json(&["status"]).0["not_ready"].to_string();
    for part in ["processed", "status"] {
        fs::rename(env.handoff(part), env.handoff("away")).unwrap();
        fs::create_dir(env.handoff(part)).unwrap();
        wait_until("it is noticed", || reasons() == r#"["directory-replaced"]"#);
        let name = format!("intent-{part}.json");
        env.drop_file(&name, flat("a", 3));
        wait_until("it waits", || {
            reason(&env, &name).contains("directory-replaced") || reason(&env, &name).starts_with("unseen")
        });
        assert!(env.handoff(&name).exists(), "not taken");
        fs::remove_dir(env.handoff(part)).unwrap();
        fs::rename(env.handoff("away"), env.handoff(part)).unwrap();
        assert_eq!(env.wait_status(&name)["status"], "success");
        assert_eq!(reasons(), "[]");
    }
    daemon.stop().expect(0);
}

/// Lets each call of this name fail once, each second one where there are many, in a run of its own. Returns how often a run went on.
fn an_intent_waits_and_succeeds(call: &str, errno: i32, flags: &[&str]) -> Option<usize> {
    let mut went_on = 0;
    for at in (1..12).chain((12..).step_by(2)) {
        let env = env();
        env.drop_file("intent-a.json", flat("a", 3));
        let command = env.command(&[flags, &["-once"]].concat());
        let fault = (Class::Named(&[call]), Action::Fail(errno), at);
        let Some(report) = at_call(&command, fault, 60, &env.path(".")) else {
            eprintln!("NOT TESTED: tracing is not permitted here");
            return None;
        };
        if report.at.is_none() {
            break;
        }
        // A start that cannot go on ends with its reason; the next one does.
        if report.exit == Some(0) {
            went_on += 1;
        } else {
            env.once(flags).expect(0);
        }
        let status = env.wait_status("intent-a.json");
        let (ended, attempts) = (&status["status"], &status["attempts"]);
        assert!(ended == "success" && *attempts == 1, "{call} {at}: {status} {}", report.stderr);
    }
    Some(went_on)
}

#[test]
fn an_intent_whose_engine_finds_no_descriptor_waits_and_succeeds() {
    let went_on = an_intent_waits_and_succeeds("openat2", 24, &["-porch", "builtin"]);
    assert!(went_on.is_none_or(|runs| runs > 0), "no call of the engine was met");
}

#[test]
fn a_look_at_a_taken_file_that_a_signal_interrupts_refuses_nothing() {
    let went_on = an_intent_waits_and_succeeds("openat2", 4, &[]);
    assert!(went_on.is_none_or(|runs| runs > 0), "no look was met");
}

/// What the operator lists for porch lies around the handoff directory, so its entries are listed.
#[test]
fn where_a_listing_finds_no_memory_porch_is_not_shut_out_of_what_is_listed_for_it() {
    let went_on = an_intent_waits_and_succeeds("getdents64", 12, &[]);
    assert!(went_on.is_none_or(|runs| runs > 0), "no listing of a run was met");
}

#[test]
fn a_daemon_that_may_start_no_further_thread_ends_or_goes_on_without_it() {
    for at in 1.. {
        let env = env();
        env.drop_file("intent-a.json", flat("a", 3));
        let command = env.command(&["-porch", "builtin", "-once"]);
        let fault = (Class::Named(&["clone", "clone3"]), Action::Fail(11), at);
        let Some(report) = at_call(&command, fault, 50, &env.path(".")) else {
            return eprintln!("NOT TESTED: tracing is not permitted here");
        };
        if report.at.is_none() {
            return assert!(at > 5, "only {at} threads");
        }
        let said = report.exit == Some(0) || report.stderr.contains("ERROR: E");
        assert!(report.signal.is_none() && said, "{at}: {:?} {}", report.signal, report.stderr);
    }
}

/// From the first call on, every wait fails; the clock still works.
#[test]
fn a_poll_that_keeps_failing_costs_neither_intents_nor_the_daemon() {
    for (errno, name) in [(12, "ENOMEM"), (4, "EINTR")] {
        let env = env();
        let command = env.command(&["-porch", "builtin"]);
        let report = std::thread::scope(|scope| {
            let calls: &[&str] = &["ppoll"];
            let scratch = env.path(".");
            let run = scope.spawn(move || {
                at_call(&command, (Class::Named(calls), Action::FailOn(errno), 1), 4, &scratch)
            });
            wait_until("it runs, or cannot", || {
                env.handoff(".conductor/running").exists() || run.is_finished()
            });
            for number in 0..5 {
                env.drop_file(&format!("intent-{number}.json"), flat("a", 3));
            }
            run.join().unwrap()
        });
        let Some(report) = report else { return eprintln!("NOT TESTED: tracing is not permitted here") };
        assert_eq!(report.exit, Some(0), "{name}: {}", report.stderr);
        let said = |text: &str| report.stderr.lines().filter(|line| line.contains(text)).count();
        assert_eq!(said("starting over"), 0, "{name}: {}", report.stderr);
        assert_eq!(said("goes on by the clock"), 1, "{name}: {}", report.stderr);
        assert_eq!(env.names("processed").len(), 5, "{name}: {}", report.stderr);
    }
}

/// In a namespace of its own, whose limit of inotify instances is zero and is raised later.
#[test]
fn without_events_files_are_found_in_seconds_and_it_is_said() {
    let env = env();
    if !has("unshare") {
        return;
    }
    let limit = "/proc/sys/user/max_inotify_instances";
    let permitted = Command::new("unshare").args(["-Ur", "sh", "-c", &format!("echo 0 > {limit}")]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return eprintln!("NOT TESTED: user namespaces are not permitted here");
    }
    let daemon = env.command(&["-porch", "builtin"]);
    let script = format!(
        r#"echo 0 > {limit}; (while [ ! -e raise ]; do sleep 0.05; done; echo 9 > {limit}) >/dev/null 2>&1 & exec "$@""#
    );
    let mut command = Command::new("unshare");
    command.args(["-Ur", "sh", "-c", &script, "sh"]).arg(daemon.get_program()).args(daemon.get_args());
    let daemon = Running::start({
        command.current_dir(env.path(""));
        command
    });
    daemon.wait_log("ready");
    daemon.wait_log("fs.inotify.max_user_instances");
    daemon.wait_log(r#""events":false"#);
    for number in 0..2 {
        let begin = Instant::now();
        env.drop_file(&format!("intent-{number}.json"), flat("a", 3));
        env.wait_status(&format!("intent-{number}.json"));
        assert!(begin.elapsed() < Duration::from_secs(8), "every 2 s, not every 10");
    }
    let status = env.operate(&["status"]);
    assert!(status.stdout.contains("max_user_instances"), "{}{}", status.stdout, status.stderr);
    let told = env.operate(&["doctor"]).stdout;
    let line = told.lines().find(|line| line.contains(" daemon ")).unwrap();
    assert!(line.starts_with("warning") && line.contains("max_user_instances"), "{told}");
    fs::write(env.path("raise"), "").unwrap();
    daemon.wait_log("events work\"");
    wait_until("status says so", || env.operate_json(&["status"]).0["no_events"].is_null());
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait().expect(0);
}

/// Runs take descriptors by fits and starts, and leave the writer none for a file at some moment.
#[test]
fn what_finds_no_descriptor_for_its_files_is_filed_as_soon_as_there_is_one() {
    if !has("prlimit") {
        return eprintln!("NOT TESTED: a limit on descriptors is set by prlimit");
    }
    let env = env();
    for number in 0..200 {
        env.drop_file(
            &format!("intent-{number:03}.json"),
            flat(&format!("t{}", number % 20), 2 + number / 20),
        );
    }
    // By flag: prlimit is started without the variables of the command.
    let root = env.path("").display().to_string();
    let inner = env.command(&["-once", "-workers", "2", "-porch-write", &root]);
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=48:48").arg(inner.get_program()).args(inner.get_args());
    let output = limited.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains("Too many open files"), "{log}");
    assert_eq!(env.names("processed").len(), 200);
    // Private copies that could not be removed meanwhile are removed by the next start.
    env.once(&[]).expect(0);
    env.assert_clean();
}
