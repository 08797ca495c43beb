//! Attackers who write into the handoff directory, named by their threat numbers (A01-A32). Parser attacks (A13-A20) are
//! tables in `conductor_core`; this file has one end-to-end case of each kind.

use crate::{env, is_root};
use conductor_testkit::{TestEnv, TestUser, flat, wait_until};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

/// One hostile file and one good one: the hostile one ends in failed/ with this code, status and error log, the good one
/// is processed, and nothing hangs.
fn refused(env: &TestEnv, name: &str, code: &str) -> serde_json::Value {
    env.drop_file("intent-good.json", flat("good", 3));
    env.once(&[]).expect(8);
    assert_eq!(env.status("intent-good.json").unwrap()["status"], "success");
    let status =
        env.status(name).unwrap_or_else(|| panic!("a status of {name} among {:?}", env.names("status")));
    assert_eq!(
        (status["status"].as_str(), status["error_code"].as_str()),
        (Some("failed"), Some(code)),
        "{status}"
    );
    assert!(env.read(&format!("failed/{name}.error.log")).contains(code));
    assert_eq!(env.calls().len(), 1, "only the good one ran");
    env.assert_clean();
    status
}

#[test]
fn a01_symbolic_links_are_moved_never_followed() {
    let env = env();
    let secret = env.path("secret.json");
    fs::write(&secret, flat("stolen", 3)).unwrap();
    symlink(&secret, env.handoff("intent-x.json")).unwrap();
    refused(&env, "intent-x.json", "E102");
    assert!(fs::symlink_metadata(env.handoff("failed/intent-x.json")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(secret).unwrap(), flat("stolen", 3));
}

#[test]
fn a01_endless_devices_behind_links_and_dangling_links() {
    for to in ["/dev/zero", "/nonexistent"] {
        let env = env();
        symlink(to, env.handoff("intent-x.json")).unwrap();
        refused(&env, "intent-x.json", "E102");
    }
}

#[test]
fn a02_sub_directories_that_are_links_are_refused() {
    for name in ["processed", "failed", "status", ".conductor"] {
        let env = env();
        fs::create_dir(env.path("elsewhere")).unwrap();
        symlink(env.path("elsewhere"), env.handoff(name)).unwrap();
        let finished = env.once(&[]).expect(1);
        assert!(finished.stderr.contains("E413"), "{}", finished.stderr);
        assert_eq!(fs::read_dir(env.path("elsewhere")).unwrap().count(), 0);
    }
}

#[test]
fn a02_a_replaced_sub_directory_raises_the_alarm_and_gets_nothing() {
    let env = env();
    env.script("*: wait=go");
    let daemon = env.start_ready(&["-period", "100ms"]);
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("porch runs", || env.calls().len() == 1);
    fs::rename(env.handoff("processed"), env.handoff("moved")).unwrap();
    fs::create_dir(env.path("elsewhere")).unwrap();
    symlink(env.path("elsewhere"), env.handoff("processed")).unwrap();
    daemon.wait_log("lead to other directories");
    env.drop_file("intent-b.json", flat("b", 3));
    // The taken intent is filed in its usual place; no more are taken.
    env.release("go");
    env.wait_status("intent-a.json");
    assert_eq!(fs::read_dir(env.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(env.names("moved"), ["intent-a.json"]);
    assert!(env.handoff("intent-b.json").exists() && env.status("intent-b.json").is_none());
    daemon.stop().expect(0);
}

#[test]
fn a03_a_handoff_directory_that_everybody_may_write_is_refused_unless_sticky_or_allowed() {
    for (mode, flags, code) in [
        (0o777, &[][..], 1),
        (0o777, &["-allow-unsafe-handoff"][..], 0),
        (0o1777, &[][..], 0),
        (0o775, &[][..], 0),
    ] {
        let env = env();
        fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(mode)).unwrap();
        let finished = env.once(flags).expect(code);
        assert_eq!(code == 1, finished.stderr.contains("E407"), "{mode:o}");
    }
}

#[test]
fn a04_hard_links_are_refused_unread() {
    let env = env();
    fs::write(env.path("secret"), flat("stolen", 3)).unwrap();
    fs::hard_link(env.path("secret"), env.handoff("intent-x.json")).unwrap();
    refused(&env, "intent-x.json", "E103");
}

#[test]
fn a05_a_fifo_blocks_nothing() {
    let env = env();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        env.handoff("intent-x.json"),
        rustix::fs::Mode::from_raw_mode(0o666),
    )
    .unwrap();
    refused(&env, "intent-x.json", "E102");
    assert!(fs::metadata(env.handoff("failed/intent-x.json")).unwrap().file_type().is_fifo());
}

#[test]
fn a06_sockets_are_not_opened() {
    let env = env();
    // Bound in a short path: a socket's path is limited to about a hundred bytes.
    let short = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(short.path().join("s")).unwrap();
    if fs::rename(short.path().join("s"), env.handoff("intent-x.json")).is_err() {
        let dir = fs::File::open(env.path("handoff")).unwrap();
        let path = format!("/proc/self/fd/{}/intent-x.json", dir.as_raw_fd());
        std::mem::forget(std::os::unix::net::UnixListener::bind(path).unwrap());
    }
    refused(&env, "intent-x.json", "E102");
}

#[test]
fn a06_device_nodes_are_not_opened() {
    let env = env();
    let node = env.handoff("intent-x.json");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &node,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 5),
    );
    if made.is_err() {
        return eprintln!(
            "note: device nodes cannot be made here (not root, or a container); nothing was tested"
        );
    }
    refused(&env, "intent-x.json", "E102");
}

#[test]
fn a07_directories_are_left_and_reported_once() {
    let env = env();
    fs::create_dir(env.handoff("intent-x.json")).unwrap();
    let daemon = env.start_ready(&["-period", "100ms"]);
    daemon.wait_log("E107");
    env.drop_file("intent-good.json", flat("good", 3));
    env.wait_status("intent-good.json");
    let finished = daemon.stop().expect(0);
    assert_eq!(finished.stderr.matches("E107").count(), 1);
    assert!(env.handoff("intent-x.json").is_dir());
}

#[test]
fn a08_a09_what_runs_and_is_archived_is_what_was_judged() {
    let env = env();
    env.script("*: wait=go");
    env.drop_file("intent-x.json", flat("x", 3));
    // A descriptor that stays open during the taking; read-only until then, so the lease probe does not wait.
    let keep = fs::OpenOptions::new().read(true).open(env.handoff("intent-x.json")).unwrap();
    let daemon = env.start(&[]);
    wait_until("porch runs", || env.calls().len() == 1);
    // Reopened for writing through the kept descriptor: the producer's inode neither runs nor is archived.
    let _ = fs::write(format!("/proc/self/fd/{}", keep.as_raw_fd()), "changed afterwards");
    env.release("go");
    env.wait_status("intent-x.json");
    assert_eq!(env.calls()[0].record["content"], flat("x", 3));
    assert_eq!(env.read("processed/intent-x.json"), flat("x", 3));
    daemon.stop().expect(0);
}

#[test]
fn a11_a12_growing_oversize_and_sparse_files_are_refused_unread() {
    let env = env();
    let file = fs::File::create(env.handoff("intent-x.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    drop(file);
    let begin = std::time::Instant::now();
    let status = refused(&env, "intent-x.json", "E104");
    assert_eq!(status["size"].as_u64(), Some(1 << 40));
    assert!(begin.elapsed().as_secs() < 20, "nothing of it was read");
}

#[test]
fn a12_the_limit_is_inclusive() {
    let env = env();
    let exact = format!("{:<200}", flat("a", 3));
    env.drop_file("intent-a.json", &exact);
    env.drop_file("intent-b.json", format!("{exact} "));
    env.once(&["-max-file-size", "200"]).expect(8);
    assert_eq!(env.status("intent-a.json").unwrap()["status"], "success");
    assert_eq!(env.status("intent-b.json").unwrap()["error_code"], "E104");
}

#[test]
fn a13_to_a20_refused_content_ends_visibly() {
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("intent-a13.json", b"[".repeat(10_000_000), "E209"),
        ("intent-a14.json", br#"{"replicas": 1, "replica\u0073": 2}"#.to_vec(), "E208"),
        ("intent-a15.json", flat("x", 1).replace('}', ", \"REPLICAS\": 100}").into(), "E212"),
        ("intent-a16.json", br#"["scaling", "t", "n", 3]"#.to_vec(), "E209"),
        ("intent-a17.json", flat("x", 1).replace(": 1}", ": 1.0}").into(), "E214"),
        ("intent-a18a.json", b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec(), "E203"),
        ("intent-a18b.json", format!("{} {{}}", flat("x", 1)).into(), "E206"),
        ("intent-a18c.json", b"{\"a\": \"\xff\"}".to_vec(), "E202"),
        ("intent-a18d.json", br#"{"a": "\ud800"}"#.to_vec(), "E205"),
        ("intent-a19.json", flat("x", 1).replace('}', ", \"reason\": \"a\\u001b[2Jb\"}").into(), "E211"),
        ("intent-a20.json", flat("../../etc/passwd", 1).into(), "E217"),
        ("intent-empty.json", Vec::new(), "E201"),
    ];
    let env = env();
    for (name, content, _) in &cases {
        env.drop_file(name, content);
    }
    env.drop_file("intent-good.json", flat("good", 3));
    env.once(&[]).expect(8);
    for (name, content, code) in &cases {
        let status = env.status(name).unwrap();
        assert_eq!(status["error_code"].as_str(), Some(*code), "{name}: {status}");
        assert!(env.read(&format!("failed/{name}.error.log")).contains("Expected:"));
        assert_eq!(&fs::read(env.handoff("failed").join(name)).unwrap(), content, "{name} is kept as it was");
    }
    assert_eq!(env.calls().len(), 1);
}

#[test]
fn a21_a23_raw_names_are_filed_under_injective_safe_ones() {
    let env = env();
    let long = format!("intent-{}.json", "x".repeat(243));
    let names: [&[u8]; 6] = [
        b"intent-a\nb.json",
        b"intent-\x1b[2J.json",
        b"intent-'$(x)`.json",
        b"intent-\xff\xfe.json",
        b"intent-..json",
        long.as_bytes(),
    ];
    for name in names {
        fs::write(env.handoff("").join(OsStr::from_bytes(name)), flat("x", 3)).unwrap();
    }
    let finished = env.once(&[]).expect(8);
    let statuses = env.names("status");
    assert_eq!(statuses.len(), names.len(), "no two share a status: {statuses:?}");
    assert!(statuses.iter().all(|name| name.starts_with("badname-")), "{statuses:?}");
    assert_eq!(env.calls().len(), 0);
    assert!(
        finished.stderr.chars().all(|c| c == '\n' || !c.is_control()),
        "the log holds no control character"
    );
    assert!(
        finished.stderr.contains(r"intent-a\\x0ab.json"),
        "the raw name is in the log, escaped: {}",
        finished.stderr
    );
    env.assert_clean();
}

#[test]
fn a22_names_are_never_options() {
    let env = env();
    env.drop_file("intent--rf.json", flat("x", 3));
    env.once(&[]).expect(0);
    assert!(env.calls()[0].record["argv"][2].as_str().unwrap().starts_with('/'));
}

#[test]
fn a25_a_touch_storm_is_one_run() {
    let env = env();
    let daemon = env.start_ready(&["-debounce", "200ms"]);
    for _ in 0..500 {
        fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap();
        let _ = fs::rename(env.handoff("intent-a.json"), env.handoff("intent-b.json"));
        let _ = fs::rename(env.handoff("intent-b.json"), env.handoff("intent-a.json"));
    }
    env.wait_status("intent-a.json");
    daemon.stop().expect(0);
    assert!(env.calls().len() <= 2, "{} runs", env.calls().len());
}

#[test]
fn a26_files_in_the_way_are_not_overwritten_or_followed() {
    let env = env();
    env.once(&[]).expect(0);
    fs::write(env.handoff("processed/intent-a.json"), "somebody else's").unwrap();
    fs::write(env.path("victim"), "untouched").unwrap();
    symlink(env.path("victim"), env.handoff("status/intent-a.json.status")).unwrap();
    env.drop_file("intent-a.json", flat("a", 3));
    env.once(&[]).expect(0);
    assert_eq!(env.read("processed/intent-a.json"), "somebody else's");
    assert_eq!(fs::read_to_string(env.path("victim")).unwrap(), "untouched");
    let status = env.status("intent-a.json").unwrap();
    assert_eq!(status["archived_as"], "processed/intent-a.1.json");
}

#[test]
fn a30_odd_times_decide_nothing_but_the_order_of_a_backlog() {
    let env = env();
    for (name, seconds) in
        [("intent-future.json", 9_999_999_999), ("intent-1970.json", 0), ("intent-now.json", 1_700_000_000)]
    {
        env.drop_file(name, flat(&format!("t{seconds}"), 3));
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::options().write(true).open(env.handoff(name)).unwrap().set_modified(time).unwrap();
    }
    env.once(&["-debounce", "10ms"]).expect(0);
    let seq = |name| env.status(name).unwrap()["seq"].as_u64();
    assert_eq!(env.names("processed").len(), 3, "all processed, none removed for its age");
    assert!(seq("intent-1970.json").is_some() && seq("intent-future.json").is_some());
}

#[test]
fn a31_the_archived_file_is_our_own_copy_with_our_mode() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    fs::set_permissions(env.handoff("intent-a.json"), fs::Permissions::from_mode(0o6777)).unwrap();
    env.once(&[]).expect(0);
    let mode = |below: &str| fs::metadata(env.handoff(below)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("processed/intent-a.json"), 0o640);
    assert_eq!(
        (mode("status/intent-a.json.status"), mode("processed"), mode("status")),
        (0o644, 0o750, 0o750)
    );
    assert_eq!(
        (mode(".conductor"), mode(".conductor/state/ledger.redb"), mode(".conductor-state.json")),
        (0o700, 0o600, 0o640)
    );
}

#[test]
fn unreadable_files_are_refused_for_an_ordinary_user() {
    if !is_root() {
        return eprintln!("note: not root, so no file of another user can be made; nothing was tested");
    }
    let env = env().as_user(TestUser::Nobody);
    env.drop_file("intent-x.json", flat("x", 3));
    fs::set_permissions(env.handoff("intent-x.json"), fs::Permissions::from_mode(0o600)).unwrap();
    env.drop_file("intent-good.json", flat("good", 3));
    env.once(&[]).expect(8);
    assert_eq!(env.status("intent-x.json").unwrap()["error_code"], "E105");
    assert_eq!(env.status("intent-good.json").unwrap()["status"], "success");
}

#[test]
fn files_that_may_not_be_moved_are_left_and_reported_once() {
    if !is_root() {
        return eprintln!("note: not root, so no file of another user can be made; nothing was tested");
    }
    let env = env().as_user(TestUser::Nobody);
    // In another user's sticky directory only the owner of a file may rename it.
    env.once(&[]).expect(0);
    std::os::unix::fs::chown(env.path("handoff"), Some(0), Some(0)).unwrap();
    fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o1777)).unwrap();
    env.drop_file("intent-x.json", flat("x", 3));
    let daemon = env.start_ready(&["-period", "100ms"]);
    daemon.wait_log("E108");
    let finished = daemon.stop().expect(0);
    assert_eq!(finished.stderr.matches("E108").count(), 1);
    assert!(env.handoff("intent-x.json").exists(), "it stays where its producer put it");
}

/// Its times are changed again and again through a descriptor opened for reading, which no lease reveals.
#[test]
fn a_file_that_changes_at_each_reading_is_refused_with_a_code() {
    let end = std::sync::atomic::AtomicBool::new(false);
    let content = format!("{}{}", flat("a", 3), " ".repeat(900_000));
    let is_unstable = |number: u32| {
        let (env, name) = (env(), format!("intent-{number}.json"));
        env.drop_file(&name, &content);
        let file = fs::File::open(env.handoff(&name)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for nanos in (0..1_000_000_000).cycle() {
                    if end.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(nanos);
                    file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
                }
            });
            env.once(&[]);
            end.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        end.store(false, std::sync::atomic::Ordering::Relaxed);
        let status = env.status(&name).unwrap();
        assert!(status["status"] == "success" || status["error_code"] == "E106", "{status}");
        status["error_code"] == "E106"
    };
    // A reading may fall between two changes: then the file is accepted.
    assert!((0..50).any(is_unstable), "none of 50 files was seen to change");
}
