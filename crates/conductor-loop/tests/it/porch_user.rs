//! A user of porch's own: what porch is, what it cannot do to the daemon by that alone, that the daemon ends and clears
//! what it leaves, and what refuses the start.

use crate::confinement::{OBJECTS, assert_refused, is_testable, plant};
use crate::users::{by_root, reachable, start_by_root};
use conductor_testkit::{TestEnv, TestUser, flat, has, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const DAEMON: u32 = 65534;
const PORCH: u32 = 41234;
/// The number of the next attack.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An environment for a daemon that root starts, whose output is porch's; `None` without root.
fn shared() -> Option<TestEnv> {
    let env = reachable()?;
    chown(env.path("handoff"), Some(DAEMON), Some(DAEMON)).unwrap();
    chown(env.path("out"), Some(PORCH), Some(PORCH)).unwrap();
    Some(env)
}

/// The flags of a daemon and a porch of different users, with this porch and these flags.
fn flags<'f>(porch: &'f str, more: &[&'f str]) -> Vec<&'f str> {
    [&["-user", "65534", "-porch-user", "41234", "-porch", porch][..], more].concat()
}

/// Writes a porch of the shell, and returns its path.
fn script(env: &TestEnv, text: &str) -> String {
    let porch = env.path("bin/script");
    fs::write(&porch, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&porch, fs::Permissions::from_mode(0o755)).unwrap();
    porch.display().to_string()
}

fn fields(status: &str, name: &str) -> Vec<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

fn all_of(uid: u32) -> Vec<String> {
    vec![uid.to_string(); 4]
}

/// Whether a process lives that has nothing but this user's ids, and this word in its command line.
fn lives(uid: u32, word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let found = processes.filter(|at| {
        let line = fs::read(at.join("cmdline")).unwrap_or_default();
        let status = fs::read_to_string(at.join("status")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
            && status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"))
    });
    found.count() > 0
}

#[test]
fn porch_has_its_own_user_alone_and_no_thread_of_the_daemon_a_capability() {
    let Some(env) = shared() else { return };
    let seen = "cat /proc/self/status > \"$4/porch\"; cat /proc/$PPID/task/*/status > \"$4/threads\"\n\
        cat /proc/self/limits > \"$4/limits\"; echo \"$HOME\" > \"$4/home\"; cat \"$2\" > \"$4/intent\"";
    let porch = script(&env, seen);
    for (replicas, confine) in [(3, "auto"), (4, "off")] {
        env.drop_file("intent-x.json", flat("x", replicas));
        by_root(&env, &flags(&porch, &["-confine", confine, "-limit-files", "99"])).expect(0);
        let read = |name: &str| fs::read_to_string(env.path("out").join(name)).unwrap();
        let status = read("porch");
        assert_eq!((fields(&status, "Uid:"), fields(&status, "Gid:")), (all_of(PORCH), all_of(PORCH)));
        assert_eq!(
            (fields(&status, "Groups:").len(), fields(&status, "NoNewPrivs:")),
            (0, vec!["1".to_owned()])
        );
        let threads = read("threads");
        assert!(threads.matches("Name:").count() > 3, "{threads}");
        for sets in [status.as_str(), threads.as_str()] {
            for line in sets.lines().filter(|line| line.starts_with("Cap")) {
                assert!(line.ends_with("\t0000000000000000"), "{confine} {line}");
            }
        }
        for line in threads.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:")) {
            let ids: Vec<&str> = line.split_whitespace().skip(1).collect();
            assert_eq!(
                (ids[0], ids[2]),
                ("65534", "65534"),
                "{confine}: those by which it could be signalled"
            );
        }
        let files = read("limits");
        let files = files.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(files.split_whitespace().nth(3), Some("99"), "{confine}");
        assert_eq!((read("home").as_str(), read("intent")), ("/\n", flat("x", replicas)), "{confine}");
        assert_eq!(fs::metadata(env.path("out/porch")).unwrap().uid(), PORCH);
        let archived = fs::metadata(env.handoff("processed/intent-x.json")).unwrap();
        assert_eq!(
            (archived.uid(), archived.gid(), archived.mode() & 0o777),
            (DAEMON, DAEMON, 0o640),
            "{confine}"
        );
        for file in ["porch", "threads", "limits", "home", "intent"] {
            fs::remove_file(env.path("out").join(file)).unwrap();
        }
    }
}

#[test]
fn a_daemon_that_stays_root_gives_porch_its_user_as_well() {
    let Some(env) = reachable() else { return };
    for made in ["handoff", "out"] {
        fs::remove_dir_all(env.path(made)).unwrap();
    }
    let porch = script(&env, "cat /proc/self/status > \"$4/porch\"");
    let flags = ["-porch-user", "41234", "-porch", &porch];
    by_root(&env, &flags).expect(0);
    assert_eq!(fs::metadata(env.path("out")).unwrap().uid(), PORCH, "made for it");
    env.drop_file("intent-x.json", flat("x", 3));
    by_root(&env, &flags).expect(0);
    let status = fs::read_to_string(env.path("out/porch")).unwrap();
    assert_eq!((fields(&status, "Uid:"), fields(&status, "Gid:")), (all_of(PORCH), all_of(PORCH)));
    for line in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(fields(&status, line), ["0000000000000000"], "{line}");
    }
}

#[test]
fn what_another_user_leaves_in_its_slot_is_removed_and_what_it_leaves_running_is_ended() {
    let Some(env) = shared() else { return };
    let leaves = "mkdir -p closed/deeper a; echo x > closed/deeper/file; ln -s /etc a/link; echo x > zz\n\
        chmod 0 closed/deeper closed; setsid sleep 41.5 & sleep 42.5 & exit 0";
    let porch = script(&env, leaves);
    for (replicas, confine) in [(3, "auto"), (4, "off")] {
        for target in ["a", "b", "c"] {
            env.drop_file(&format!("intent-{target}.json"), flat(target, replicas));
        }
        by_root(&env, &flags(&porch, &["-confine", confine, "-workers", "1"])).expect(0);
        assert!(!lives(PORCH, "41.5") && !lives(PORCH, "42.5"), "{confine}: nothing outlives its run");
        for slot in fs::read_dir(env.handoff(".conductor/staging")).unwrap().flatten() {
            assert_eq!(fs::read_dir(slot.path()).unwrap().count(), 0, "{confine} {slot:?}");
            assert_eq!(slot.metadata().unwrap().mode() & 0o7777, 0o700, "{confine}: taken back");
        }
    }
}

#[test]
fn a_porch_of_another_user_is_ended_at_its_time_and_after_a_daemon_that_was_killed() {
    let Some(env) = shared() else { return };
    let porch = script(&env, "trap '' TERM\ntouch \"$4/began\"\nwhile :; do sleep 0.05; done");
    let slow = flags(&porch, &["-timeout", "300ms", "-grace-period", "100ms", "-max-attempts", "1"]);
    env.drop_file("intent-a.json", flat("a", 3));
    by_root(&env, &slow).expect(8);
    assert!(!lives(PORCH, &porch), "ended in spite of its trap");
    assert!(env.read("failed/intent-a.json.error.log").contains("300ms"));
    fs::remove_file(env.path("out/began")).unwrap();
    env.drop_file("intent-b.json", flat("b", 3));
    let daemon = start_by_root(&env, &flags(&porch, &[]));
    wait_until("porch runs", || env.path("out/began").exists());
    daemon.kill();
    assert!(lives(PORCH, &porch), "it has outlived the daemon");
    script(&env, "exit 0");
    let finished = by_root(&env, &flags(&porch, &[])).expect(0);
    assert!(
        finished.stderr.contains("ended a porch that the last daemon had left running"),
        "{}",
        finished.stderr
    );
    assert!(!lives(PORCH, &porch));
}

#[test]
fn nothing_starts_beside_a_porch_of_a_former_user() {
    let Some(env) = shared() else { return };
    let porch = script(&env, "touch \"$4/began\"\nwhile :; do sleep 0.05; done");
    env.drop_file("intent-a.json", flat("a", 3));
    let daemon = start_by_root(&env, &flags(&porch, &[]));
    wait_until("porch runs", || env.path("out/began").exists());
    daemon.kill();
    fs::set_permissions(env.path("out"), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = by_root(&env, &["-user", "65534", "-porch", &porch]).expect(1).stderr;
    assert!(refused.contains("E402") && refused.contains("lives on and cannot be ended"), "{refused}");
    assert!(lives(PORCH, &porch));
    script(&env, "exit 0");
    by_root(&env, &flags(&porch, &[])).expect(0);
    assert!(!lives(PORCH, &porch));
}

/// Runs one intent through an attack by porch's own user, and returns what became of its steps.
fn attacked(env: &TestEnv, steps: &str, more: &[&str]) -> Value {
    plant(env, steps);
    let porch = env.path("bin/attack").display().to_string();
    // Another content each time: a duplicate would not be run.
    env.drop_file("intent-x.json", flat("x", 1 + NUMBER.fetch_add(1, Ordering::Relaxed) % 90));
    let finished = by_root(env, &flags(&porch, more)).expect(0);
    let result = env.path("out/result.json");
    let text = fs::read_to_string(&result).unwrap_or_else(|_| panic!("{}", finished.stderr));
    fs::remove_file(result).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Refused with confinement, and by the user alone.
fn refused_in_each_mode(steps: &str) {
    if !is_testable() {
        return;
    }
    for confine in ["off", "auto"] {
        let Some(env) = shared() else { return };
        // State, statuses and archives are there.
        env.drop_file("intent-before.json", flat("before", 3));
        by_root(&env, &flags("/bin/true", &[])).expect(0);
        let slot = env.handoff(".conductor/staging/9");
        fs::create_dir(&slot).unwrap();
        fs::set_permissions(&slot, fs::Permissions::from_mode(0o700)).unwrap();
        chown(slot, Some(DAEMON), Some(DAEMON)).unwrap();
        let token = env.path("token");
        fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&token, Some(DAEMON), Some(DAEMON)).unwrap();
        let token = token.display().to_string();
        let result = attacked(&env, steps, &["-confine", confine, "-token-file", &token]);
        assert!(result.as_object().is_some_and(|steps| !steps.is_empty()));
        assert_refused(&result);
    }
}

#[test]
fn b13_another_user_writes_neither_state_nor_handoff_nor_an_idle_slot() {
    refused_in_each_mode(
        r#"
attempt("status", lambda: write(handoff + "/status/intent-fake.json.status"))
attempt("intent", lambda: write(handoff + "/intent-mine.json"))
attempt("archive", lambda: write(handoff + "/processed/intent-mine.json"))
attempt("head", lambda: write(handoff + "/.conductor-state.json"))
attempt("store", lambda: open(private + "/state/ledger.redb", "r+").close())
attempt("audit", lambda: write(private + "/audit/mine"))
attempt("run table", lambda: open(private + "/running", "r+").close())
attempt("other slot", lambda: write(private + "/staging/9/intent-y.json"))
attempt("new slot", lambda: os.mkdir(private + "/staging/77"))
attempt("own slot", lambda: os.rename(os.path.dirname(intent), private + "/staging/78"))
attempt("mode of its slot", lambda: os.chmod(os.path.dirname(intent), 0o777))
attempt("private copy", lambda: open(intent, "r+").close())
attempt("its name", lambda: os.unlink(intent))
attempt("removal", lambda: os.unlink(private + "/lock"))
attempt("elsewhere", lambda: write(os.path.dirname(out) + "/planted"))
"#,
    );
}

#[test]
fn b13_another_user_reads_no_key_no_state_no_trail_and_no_idle_slot() {
    refused_in_each_mode(
        r#"
attempt("status", lambda: os.listdir(handoff + "/status"))
attempt("archives", lambda: os.listdir(handoff + "/processed"))
attempt("private", lambda: os.listdir(private))
attempt("state", lambda: os.listdir(private + "/state"))
attempt("store", lambda: read(private + "/state/ledger.redb"))
attempt("key", lambda: read(private + "/state/root.key"))
attempt("audit", lambda: os.listdir(private + "/audit"))
attempt("lock", lambda: read(private + "/lock"))
attempt("run table", lambda: read(private + "/running"))
attempt("slots", lambda: os.listdir(private + "/staging"))
attempt("other slot", lambda: os.listdir(private + "/staging/9"))
attempt("token", lambda: read(os.path.dirname(out) + "/token"))
"#,
    );
}

#[test]
fn b12_another_user_neither_signals_nor_traces_the_daemon() {
    refused_in_each_mode(
        r#"
info = ctypes.create_string_buffer(struct.pack("iii", 9, 0, -1) + bytes(116))
attempt("kill", lambda: os.kill(daemon, 9))
for thread in threads:
    attempt("kill thread", lambda: os.kill(thread, 9))
    call("tkill", 200, thread, 9)
    call("tgkill", 234, daemon, thread, 9)
    call("sigqueue thread", 129, thread, 9, info)
    call("tgsigqueue", 297, daemon, thread, 9, info)
call("sigqueue", 129, daemon, 9, info)
def by_descriptor(step):
    step(os.pidfd_open(daemon))
attempt("pidfd", lambda: by_descriptor(lambda fd: signal.pidfd_send_signal(fd, 9)))
attempt("limits", lambda: resource.prlimit(daemon, resource.RLIMIT_CPU))
call("ptrace", 101, 16, daemon, 0, 0)
call("kcmp", 312, daemon, os.getpid(), 0, 0, 0)
attempt("memory", lambda: read("/proc/%d/mem" % daemon))
attempt("environment", lambda: read("/proc/%d/environ" % daemon))
attempt("descriptors", lambda: os.readlink("/proc/%d/fd/0" % daemon))
"#,
    );
}

#[test]
fn b12_another_user_makes_in_the_kernel_what_any_user_may_and_nothing_where_it_is_confined() {
    if !is_testable() {
        return;
    }
    let Some(env) = shared() else { return };
    if !has("setpriv") {
        return;
    }
    assert_refused(&attacked(&env, OBJECTS, &["-confine", "auto"]));
    let with_the_user_alone = attacked(&env, OBJECTS, &["-confine", "off"]);
    // The same as an ordinary process of that user.
    let mut ordinary = Command::new("setpriv");
    ordinary.args([
        "--reuid=41234",
        "--regid=41234",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]);
    ordinary
        .arg("--inh-caps=-all")
        .arg(env.path("bin/attack"))
        .arg("-intent")
        .arg(env.handoff(".conductor/x"));
    assert!(ordinary.arg("-out").arg(env.path("out")).status().unwrap().success());
    let result = fs::read_to_string(env.path("out/result.json")).unwrap();
    assert_eq!(with_the_user_alone, serde_json::from_str::<Value>(&result).unwrap());
    for step in ["mount", "move_mount", "chroot", "setns", "open_by_handle_at", "module", "kexec"] {
        assert_ne!(with_the_user_alone[step], "done", "{step} takes a capability");
    }
}

#[test]
fn another_user_connects_where_egress_says_only_if_it_is_confined() {
    if !is_testable() {
        return;
    }
    let Some(env) = shared() else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let steps =
        format!("attempt(\"tcp\", lambda: socket.create_connection((\"127.0.0.1\", {port})).close())");
    for (confine, egress, ending) in [
        ("auto", "none", "EPERM"),
        ("auto", "443", "EACCES"),
        ("auto", "any", "done"),
        ("off", "none", "done"),
        ("off", "443", "done"),
    ] {
        let result = attacked(&env, &steps, &["-confine", confine, "-egress", egress]);
        assert_eq!(result["tcp"], ending, "{confine} {egress}");
    }
}

#[test]
fn another_user_does_not_reach_the_local_socket() {
    refused_in_each_mode(
        r#"
asking = socket.socket(socket.AF_UNIX)
os.chdir(private)
attempt("ask", lambda: asking.connect("control"))
"#,
    );
}

#[test]
fn a_user_of_porchs_own_that_cannot_be_refuses_the_start_and_changes_nothing() {
    let refused = |env: &TestEnv, flags: &[&str], said: &str| {
        let stderr = by_root(env, flags).expect(1).stderr;
        assert!(stderr.contains("E513") && stderr.contains(said), "{flags:?}: {stderr}");
        assert!(!env.handoff(".conductor").exists(), "{flags:?}");
    };
    let Some(env) = shared() else { return };
    let user = ["-user", "65534"];
    for (porch, said) in [
        ("nobody-of-this-name", "no user 'nobody-of-this-name'"),
        ("0", "root cannot be porch's user"),
        ("root", "root cannot be porch's user"),
        ("65534", "runs the daemon itself"),
        ("41234:0", "has group 0"),
    ] {
        refused(&env, &[&user[..], &["-porch-user", porch]].concat(), said);
    }
    refused(&env, &["-user", "65534:41234", "-porch-user", "41234"], "the daemon's own");
    refused(&env, &[&user[..], &["-porch-user", "41234:65534"]].concat(), "the daemon's own");
    refused(&env, &[&user[..], &["-porch-user", "41234", "-porch", "builtin"]].concat(), "only a program");
    chown(env.path("out"), Some(DAEMON), Some(DAEMON)).unwrap();
    fs::write(env.path("out/theirs"), "x").unwrap();
    let command = format!("chown -R 41234:41234 {}", env.path("out").display());
    refused(&env, &[&user[..], &["-porch-user", "41234"]].concat(), &command);
    assert_eq!(fs::metadata(env.path("out/theirs")).unwrap().uid(), 0, "what is not empty is somebody's");
    chown(env.path("out"), Some(PORCH), Some(PORCH)).unwrap();
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o750)).unwrap();
    refused(&env, &[&user[..], &["-porch-user", "41234"]].concat(), "chmod o+x");
}

#[test]
fn only_root_gives_porch_a_user_of_its_own() {
    let env = if crate::is_root() { crate::env().as_user(TestUser::Nobody) } else { crate::env() };
    let refused = env.once(&["-porch-user", "41234"]).expect(1).stderr;
    assert!(refused.contains("E513") && refused.contains("only a start as root"), "{refused}");
    assert!(!Path::new(&env.handoff(".conductor")).exists());
}

#[test]
fn a_user_of_porchs_own_is_told_by_log_status_doctor_and_trail() {
    let Some(env) = shared() else { return };
    let daemon = start_by_root(&env, &flags("/bin/true", &["-confine", "off"]));
    daemon.wait_log("ready");
    let (status, _) = env.operate_json(&["status"]);
    let parts = status["confinement"].as_array().unwrap();
    let part = parts.iter().find(|one| one["part"] == "porch-user").unwrap();
    assert_eq!((part["standing"].as_str(), part["reason"].as_str()), (Some("active"), Some("")));
    let log = daemon.stop().expect(0).stderr;
    assert!(log.contains("porch-user"), "{log}");
    let shown = env.operate(&["audit", "show", "--event", "sys_startup", "--json"]).expect(0).stdout;
    assert!(shown.contains(r#""confined": "porch-user""#), "{shown}");
    let doctor = env.operate(&["doctor", "-porch-user", "41234"]).stdout;
    assert!(doctor.contains("porch-user refused (only a start as root"), "{doctor}");
    let without = env.operate(&["doctor"]).stdout;
    assert!(without.contains("porch-user"), "{without}");
}
