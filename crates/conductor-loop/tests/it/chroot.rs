//! A root directory of its own (`--chroot-enabled`): what daemon and porch see in it, that nothing of it is left on the machine,
//! and what refuses the start.

use crate::repositories::{all_succeed, drop_intents, two_repositories};
use crate::{env, is_root};
use conductor_testkit::{Finished, Running, TestEnv, TestUser, flat, has, wait_until, with_call_answered};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::{Duration, Instant};

/// An environment whose daemons may have a root of their own.
pub(crate) fn rooted() -> Option<TestEnv> {
    // A container may have taken the right from root.
    let may = is_root()
        && Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("NOT TESTED: mounts take CAP_SYS_ADMIN");
    }
    may.then(env)
}

/// The daemon's command with a root of its own, which shows nothing that only the tests need.
fn command(env: &TestEnv, flags: &[&str]) -> Command {
    let mut command = env.command(&[&["--chroot-enabled"], flags].concat());
    command.env("PATH", "/usr/bin:/bin").env_remove("CONDUCTOR_PORCH_WRITE");
    command
}

fn once(env: &TestEnv, flags: &[&str]) -> Finished {
    Running::start(command(env, &[&["-once"], flags].concat())).wait()
}

pub(crate) fn start_ready(env: &TestEnv, flags: &[&str]) -> Running {
    let daemon = Running::start(command(env, flags));
    daemon.wait_log("ready");
    daemon
}

/// Writes a porch of the shell, and returns its path.
fn script(env: &TestEnv, text: &str) -> String {
    let porch = env.path("bin/script");
    fs::write(&porch, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&porch, fs::Permissions::from_mode(0o755)).unwrap();
    porch.display().to_string()
}

/// A porch that lists the root into its output, and needs no file but itself; `None`: no compiler makes one here.
fn static_porch(env: &TestEnv) -> Option<String> {
    let source = env.path("porch.c");
    let text = r#"#include <dirent.h>
#include <stdio.h>
int main(int count, char **words) {
    char path[4096];
    snprintf(path, sizeof path, "%s/root", words[4]);
    FILE *out = fopen(path, "w");
    DIR *root = opendir("/");
    struct dirent *entry;
    while (out && root && (entry = readdir(root))) fprintf(out, "%s\n", entry->d_name);
    return out && root && fclose(out) == 0 ? 0 : 1;
}
"#;
    fs::write(&source, text).unwrap();
    fs::create_dir(env.path("alone")).unwrap();
    let porch = env.path("alone/porch");
    let made = Command::new("cc").arg("-static").arg("-o").arg(&porch).arg(&source).status();
    if !made.is_ok_and(|made| made.success()) {
        eprintln!("NOT TESTED: no compiler for static programs (cc -static)");
        return None;
    }
    Some(porch.display().to_string())
}

fn lines(env: &TestEnv, name: &str) -> Vec<String> {
    let text = fs::read_to_string(env.path("out").join(name)).unwrap();
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with('.')).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// The first directory of the paths of an environment, which leads to it in the root as well.
fn top(env: &TestEnv) -> String {
    env.path("").iter().nth(1).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_porch_of_the_shell_sees_only_its_places_and_writes_only_where_it_may() {
    let Some(env) = rooted() else { return };
    fs::create_dir(env.path("elsewhere")).unwrap();
    fs::write(env.path("elsewhere/secret"), "x").unwrap();
    let here = env.path("").display().to_string();
    let text = format!(
        "ls -A / > \"$4/root\"; ls -A {here} > \"$4/here\"; ls -A /dev > \"$4/dev\"; pwd > \"$4/pwd\"\n\
         for at in /root /home /boot {here}/elsewhere /usr /etc; do test -e $at && echo $at >> \"$4/there\"; done\n\
         for at in / /etc /usr /tmp {here} {here}/bin \"$4\" \"$PWD\"; do\n\
         (echo x > \"$at/probe\") 2>/dev/null && echo \"$at\" >> \"$4/written\"; done\n\
         cat /proc/self/mountinfo > \"$4/mounts\"; cat \"$2\" > \"$4/intent\"; true"
    );
    let porch = script(&env, &text);
    for (replicas, confine) in [(3, "auto"), (4, "off")] {
        env.drop_file("intent-x.json", flat("x", replicas));
        let log = once(&env, &["-porch", &porch, "-confine", confine]).expect(0).stderr;
        // The working copy itself may lie below one of them.
        let leads_there = format!("/{}", top(&env));
        let there: Vec<_> = lines(&env, "there").into_iter().filter(|at| *at != leads_there).collect();
        assert_eq!(there, ["/etc", "/usr"], "{confine}");
        if confine == "off" {
            only_the_system_and_its_places(&env);
        }
        let (out, slot) = (env.path("out").display().to_string(), lines(&env, "pwd").remove(0));
        let mut may = vec![out, slot];
        if confine == "off" {
            may.push("/tmp".to_owned());
        }
        may.sort_unstable();
        let mut written = lines(&env, "written");
        // Where the tests lie below /tmp, so do the directories in the root that lead to them.
        written.retain(|at| confine == "auto" || *at != here);
        assert_eq!(written, may, "{confine}");
        assert!(!env.path("probe").exists() && !env.path("bin/probe").exists());
        assert_eq!(fs::read_to_string(env.path("out/intent")).unwrap(), flat("x", replicas));
        assert!(log.contains("the root directory holds only") && log.contains("/usr"), "{log}");
        assert_eq!(log.contains("porch gets out of the root directory"), confine == "off", "{log}");
        for name in fs::read_dir(env.path("out")).unwrap() {
            fs::remove_file(name.unwrap().path()).unwrap();
        }
    }
    assert!(!std::path::Path::new("/tmp/probe").exists(), "the private one");
}

/// What the porch has listed: a Landlock domain lists less.
fn only_the_system_and_its_places(env: &TestEnv) {
    let (root, above) = (lines(env, "root"), top(env));
    let system = ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc"];
    let system = [&system[..], &["run", "sbin", "snap", "sys", "tmp", "usr", "var", &above]].concat();
    assert!(root.iter().all(|name| system.contains(&name.as_str())), "{root:?}");
    for name in ["dev", "etc", "proc", "tmp", "usr"] {
        assert!(root.iter().any(|found| found == name), "{name}");
    }
    let here = lines(env, "here");
    assert!(
        here.iter().all(|name| ["bin", "handoff", "out", "conductor-loop"].contains(&name.as_str())),
        "{here:?}"
    );
    assert!(!lines(env, "dev").iter().any(|name| name.starts_with("vd") || name.starts_with("sd")));
}

#[test]
fn a_porch_that_needs_no_other_file_sees_no_directory_of_the_system() {
    let Some(env) = rooted() else { return };
    let Some(porch) = static_porch(&env) else { return };
    env.drop_file("intent-x.json", flat("x", 3));
    once(&env, &["-porch", &porch, "-confine", "off"]).expect(0);
    let mut only = vec!["dev".to_owned(), "proc".to_owned(), "tmp".to_owned(), top(&env)];
    only.sort_unstable();
    only.dedup();
    assert_eq!(lines(&env, "root"), only);
    // What is listed stands there besides.
    env.drop_file("intent-x.json", flat("x", 4));
    once(&env, &["-porch", &porch, "-confine", "off", "-porch-read", "/etc/hosts"]).expect(0);
    assert!(lines(&env, "root").contains(&"etc".to_owned()));
}

#[test]
fn the_embedded_engine_works_in_a_root_without_directories_of_the_system() {
    let Some(env) = rooted() else { return };
    let daemon = start_ready(&env, &["-porch", "builtin"]);
    env.drop_file("intent-x.json", flat("x", 3));
    assert_eq!(env.wait_status("intent-x.json")["status"], "success");
    let root = fs::read_dir(format!("/proc/{}/root/", daemon.pid())).unwrap();
    let mut root: Vec<String> = root.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    root.sort_unstable();
    let mut only = vec!["dev".to_owned(), "proc".to_owned(), "tmp".to_owned(), top(&env)];
    only.sort_unstable();
    only.dedup();
    assert_eq!(root, only);
    daemon.stop().expect(0);
    assert!(fs::read_dir(env.path("out")).unwrap().count() > 0, "the package is outside");
}

/// The paths that mounts of this process lie on, as far as a root of this environment could have brought them: the root
/// itself, and what is below the environment. Other tests mount elsewhere at the same time.
fn mounts(env: &TestEnv) -> Vec<String> {
    let list = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let paths = list.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned());
    let own = env.path("").display().to_string();
    paths.filter(|path| path == "/" || path.starts_with(own.trim_end_matches('/'))).collect()
}

#[test]
fn after_kill_9_the_machine_has_its_mounts_as_before_and_the_next_start_goes_on() {
    let Some(env) = rooted() else { return };
    let before = mounts(&env);
    let go = env.path("out/go");
    let porch = script(&env, "echo $$ > \"$4/number\"; test -e \"$4/go\" || exec sleep 600");
    let daemon = start_ready(&env, &["-porch", &porch]);
    env.drop_file("intent-x.json", flat("x", 3));
    let number = || fs::read_to_string(env.path("out/number")).ok()?.trim().parse::<u32>().ok();
    wait_until("porch runs", || number().is_some());
    let number = number().unwrap();
    assert_eq!(mounts(&env), before, "nothing is mounted that the machine sees");
    daemon.kill();
    assert_eq!(mounts(&env), before);
    fs::write(go, "").unwrap();
    once(&env, &["-porch", &porch]).expect(0);
    let status = env.wait_status("intent-x.json");
    assert_eq!((status["status"].as_str(), status["attempts"].as_u64()), (Some("success"), Some(2)));
    let state = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    assert!(!state.contains("(sleep) S"), "what the killed daemon left is ended: {state}");
    env.assert_clean();
}

#[test]
fn a_user_and_relative_paths_are_found_in_the_root() {
    let Some(env) = rooted() else { return };
    let env = env.as_user(TestUser::Nobody);
    chown(env.path(""), Some(0), Some(0)).unwrap();
    let seen =
        "cat /proc/$PPID/status > \"$4/daemon\"; cat /proc/$PPID/comm > \"$4/name\"; id -u > \"$4/id\"";
    let porch = script(&env, seen);
    for (replicas, porch_user, uid) in [(3, None, "65534"), (4, Some("41234"), "41234")] {
        for made in ["handoff", "out"] {
            fs::remove_dir_all(env.path(made)).unwrap();
        }
        let run = |finished: fn(Finished) -> Finished| {
            let mut command = Command::new(env.program());
            command.args([
                "-once",
                "-chroot-enabled",
                "-user",
                "65534",
                "-debounce",
                "0",
                "-allow-unsafe-porch",
            ]);
            command.args(["-handoff", "./handoff", "-out", "out", "-porch", &porch]);
            command.args(porch_user.into_iter().flat_map(|user| ["-porch-user", user]));
            command.current_dir(env.path("")).env_clear().env("PATH", "/usr/bin:/bin");
            finished(Running::start(command).wait())
        };
        run(|finished| finished.expect(0));
        env.drop_file("intent-x.json", flat("x", replicas));
        let log = run(|finished| finished.expect(0)).stderr;
        assert!(log.contains("chroot"), "{log}");
        assert_eq!(
            (lines(&env, "name"), lines(&env, "id")),
            (vec!["conductor-loop".to_owned()], vec![uid.to_owned()])
        );
        let status = fs::read_to_string(env.path("out/daemon")).unwrap();
        for line in status.lines().filter(|line| line.starts_with("CapEff") || line.starts_with("CapPrm")) {
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
        assert_eq!(fs::metadata(env.handoff("processed/intent-x.json")).unwrap().uid(), 65534);
    }
}

#[test]
fn a_path_may_lead_out_of_a_directory_again_that_is_not_in_the_root() {
    let Some(env) = rooted() else { return };
    for made in ["beside", "deep/er", "deep/handoff", "deep/out", "deep/read"] {
        fs::create_dir_all(env.path(made)).unwrap();
    }
    fs::write(env.path("deep/read/file"), "x").unwrap();
    std::os::unix::fs::symlink(env.path("deep/er"), env.path("link")).unwrap();
    fs::write(env.path("deep/er/other"), "x").unwrap();
    let seen = "cd \"$(dirname \"$4\")\"; cat read/file > \"$4/seen\" && test -d er && ! test -e er/other";
    let porch = script(&env, seen);
    let path = |way: &str| env.path(way).display().to_string();
    for (way, replicas) in [("link/..", 3), ("beside/../link/../er/..", 4)] {
        let [handoff, out, read] = ["handoff", "out", "read"].map(|last| path(&format!("{way}/{last}")));
        fs::write(env.path("deep/handoff/intent-x.json"), flat("x", replicas)).unwrap();
        let mut command = Command::new(env.program());
        command.args(["-once", "-chroot-enabled", "-user", "root", "-debounce", "0", "-allow-unsafe-porch"]);
        command.args(["-handoff", &handoff, "-out", &out, "-porch-read", &read, "-porch", &porch]);
        command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
        Running::start(command).wait().expect(0);
        assert_eq!(fs::read_to_string(env.path("deep/out/seen")).unwrap(), "x", "{way}");
    }
}

#[test]
fn without_the_right_to_mount_the_start_is_refused_with_call_and_reason() {
    if !is_root() || !has("setpriv") {
        eprintln!("NOT TESTED: it takes root and setpriv");
        return;
    }
    let check = |env: &TestEnv, finished: Finished| {
        let refused = finished.expect(1).stderr;
        let said =
            ["E508", "unshare(CLONE_NEWNS)", "Operation not permitted", "CAP_SYS_ADMIN", "RootDirectory="];
        for said in said {
            assert!(refused.contains(said), "{said}: {refused}");
        }
        assert!(!env.handoff(".conductor").exists() && env.handoff("intent-x.json").exists());
    };
    let without = env();
    without.drop_file("intent-x.json", flat("x", 3));
    let ordinary = command(&without, &["-once", "-confine", "off"]);
    let mut dropped = Command::new("setpriv");
    dropped.arg("--bounding-set=-sys_admin").arg(without.program()).args(ordinary.get_args());
    dropped.current_dir(without.path(""));
    check(&without, Running::start(dropped).wait());
    let nobody = env().as_user(TestUser::Nobody);
    nobody.drop_file("intent-x.json", flat("x", 3));
    check(&nobody, once(&nobody, &[]));
    let doctor = nobody.operate(&["doctor", "-chroot-enabled", "-porch", "builtin"]).expect(1).stdout;
    assert!(doctor.contains("E508") && doctor.contains("chroot refused (unshare(CLONE_NEWNS)"), "{doctor}");
    nobody.once(&["-chroot-enabled=false"]).expect(0);
}

#[test]
fn a_place_that_is_the_whole_file_system_is_refused() {
    let Some(env) = rooted() else { return };
    let refused = once(&env, &["-porch-read", "/usr/.."]).expect(1).stderr;
    assert!(refused.contains("E508") && refused.contains("/usr/.. is the whole file system"), "{refused}");
}

#[test]
fn a_root_of_its_own_is_told_and_the_commands_outside_reach_the_daemon() {
    let Some(env) = rooted() else { return };
    let daemon = start_ready(&env, &["-confine", "off"]);
    let (status, _) = env.operate_json(&["status"]);
    let parts = status["confinement"].as_array().unwrap();
    let part = parts.iter().find(|one| one["part"] == "chroot").unwrap();
    assert_eq!((part["standing"].as_str(), part["reason"].as_str()), (Some("active"), Some("")));
    env.operate(&["hold", "--all", "for a test"]);
    let file = env.path("intent-y.json");
    fs::write(&file, flat("y", 3)).unwrap();
    env.operate(&["submit", file.to_str().unwrap()]).expect(0);
    daemon.stop().expect(0);
    let shown = env.operate(&["audit", "show", "--event", "sys_startup", "--json"]).expect(0).stdout;
    assert!(shown.contains(r#""confined": "chroot""#), "{shown}");
    let doctor = env.operate(&["doctor", "-chroot-enabled", "-porch", "builtin"]).stdout;
    assert!(doctor.contains("chroot") && !doctor.contains("chroot refused"), "{doctor}");
    let without = env.operate(&["doctor", "-confine", "off", "-porch", "builtin"]).stdout;
    assert!(without.contains("nothing is confined"), "{without}");
}

#[test]
fn a_directory_that_is_moved_or_removed_outside_ends_the_daemon_and_the_next_start_finds_the_new_one() {
    let Some(env) = rooted() else { return };
    for moved in ["handoff", "out"] {
        let daemon = start_ready(&env, &["-porch", "/bin/true"]);
        fs::rename(env.path(moved), env.path("away")).unwrap();
        fs::create_dir(env.path(moved)).unwrap();
        fs::set_permissions(env.path(moved), fs::Permissions::from_mode(0o755)).unwrap();
        let log = daemon.wait().expect(3).stderr;
        assert!(log.contains("E409") && log.contains("only a start puts it into the root"), "{moved}: {log}");
        // inotify tells of the handoff directory.
        assert!(moved == "handoff" || log.contains("moved or removed outside"), "{log}");
        env.drop_file("intent-x.json", flat("x", 3));
        once(&env, &["-porch", "/bin/true"]).expect(0);
        assert!(env.handoff("processed/intent-x.json").exists());
        fs::remove_dir_all(env.path("away")).unwrap();
        fs::remove_dir_all(env.path("handoff")).unwrap();
        fs::create_dir(env.path("handoff")).unwrap();
    }
}

#[test]
fn a_list_of_mounts_that_cannot_be_read_for_a_while_moves_nothing() {
    let Some(env) = rooted() else { return };
    let mut daemon = start_ready(&env, &["-porch", "/bin/true"]);
    let pid = Some(rustix::process::Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap());
    let files = |current| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).unwrap().current
    };
    // Without a free descriptor nothing can be listed; the state is looked after each second.
    let before = files(Some(0));
    for _ in 0..3 {
        let looked = Instant::now() + Duration::from_millis(1100);
        wait_until("the state is looked after", || Instant::now() > looked);
    }
    assert!(daemon.is_running(), "{}", daemon.wait().stderr);
    files(before);
    env.drop_file("intent-x.json", flat("x", 3));
    assert_eq!(env.wait_status("intent-x.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn a_configuration_file_that_is_replaced_is_read_again_in_the_root() {
    let Some(env) = rooted() else { return };
    fs::create_dir(env.path("conf")).unwrap();
    let write = |text: &str| {
        fs::write(env.path("conf/draft"), text).unwrap();
        fs::rename(env.path("conf/draft"), env.path("conf/loop.toml")).unwrap();
    };
    write("timeout = '11s'\n");
    let daemon = start_ready(&env, &["-config", "conf/loop.toml"]);
    write("timeout = '12s'\n");
    daemon.signal(Signal::HUP);
    daemon.wait_log("setting changed");
    daemon.stop().expect(0);
}

#[test]
fn repositories_of_routes_stand_in_the_root_with_git() {
    let Some(env) = rooted() else { return };
    let Some(config) = two_repositories(&env, "") else { return };
    drop_intents(&env, "near", 2);
    once(&env, &["-porch", "builtin", "-config", &config]).expect(0);
    all_succeed(&env, "near", 2);
    let log =
        Command::new("git").arg("-C").arg(env.path("near")).args(["log", "--oneline"]).output().unwrap();
    assert_eq!(String::from_utf8(log.stdout).unwrap().lines().count(), 3, "the commits are outside");
}

#[test]
fn keys_tokens_backups_and_the_service_manager_are_reached_from_the_root() {
    let Some(env) = rooted() else { return };
    for made in ["keys", "tokens", "copies", "manager"] {
        fs::create_dir(env.path(made)).unwrap();
    }
    let key: Vec<u8> = (1..=32).collect();
    for (file, content) in [("keys/root.key", &key[..]), ("tokens/token", b"a-token-of-a-test-0123456789")] {
        fs::write(env.path(file), content).unwrap();
        fs::set_permissions(env.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let told = std::os::unix::net::UnixDatagram::bind(env.path("manager/notify")).unwrap();
    told.set_nonblocking(true).unwrap();
    let path = |below: &str| env.path(below).display().to_string();
    let (key, token, copies) = (path("keys/root.key"), path("tokens/token"), path("copies"));
    let flags =
        ["-state-key-file", &key, "-token-file", &token, "-backup-dir", &copies, "-listen", "127.0.0.1:0"];
    let mut command = command(&env, &flags);
    command.env("NOTIFY_SOCKET", env.path("manager/notify"));
    let daemon = Running::start(command);
    daemon.wait_log("ready");
    let is_ready = || {
        let mut message = [0_u8; 512];
        told.recv(&mut message)
            .is_ok_and(|length| String::from_utf8_lossy(&message[..length]).contains("READY=1"))
    };
    wait_until("the service manager is told", is_ready);
    wait_until("a backup is made", || fs::read_dir(env.path("copies")).unwrap().count() > 0);
    daemon.stop().expect(0);
}

/// The number of `mount_setattr`.
const MOUNT_SETATTR: i64 = 442;

#[test]
fn a_kernel_without_a_call_that_it_takes_refuses_the_start_by_its_name() {
    let Some(env) = rooted() else { return };
    let Some(mut lesser) = with_call_answered(env.program(), MOUNT_SETATTR, 38) else { return };
    let ordinary = command(&env, &["-once"]);
    lesser.args(ordinary.get_args());
    lesser.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let refused = Running::start(lesser).wait().expect(1).stderr;
    assert!(!refused.contains("user 0"), "no right is missing: {refused}");
    assert!(
        refused.contains("E508") && refused.contains("mount_setattr(/)") && refused.contains("5.12"),
        "{refused}"
    );
}
