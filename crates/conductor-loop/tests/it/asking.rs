//! Clients: in another PID namespace, in great numbers, gone before the answer, or silent.

use crate::endpoints::{get, listening, send, status};
use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, flat, has, wait_until};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// The command in a PID namespace of its own, as in a container.
fn apart(inner: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"]);
    command.arg(inner.get_program()).args(inner.get_args());
    if let Some(directory) = inner.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

fn health(env: &TestEnv) -> Command {
    let mut command = env.bare_command();
    command.args(["health", "-handoff"]).arg(env.path("handoff"));
    command
}

#[test]
fn the_socket_answers_across_pid_namespaces() {
    if !is_root() || !has("unshare") {
        return eprintln!("NOT TESTED: PID namespaces need root");
    }
    let env = env();
    // A container's daemon, asked from the host and from a sidecar.
    let contained = Running::start(apart(&env.command(&[])));
    contained.wait_log("\"ready\"");
    for asker in [health(&env), apart(&health(&env))] {
        assert_eq!(Running::start(asker).wait().expect(0).stdout, "ready\n");
    }
    contained.kill();
    wait_until("it is gone", || Running::start(health(&env)).wait().code() == 1);
    // A host's daemon, asked from a container.
    let daemon = env.start_ready(&[]);
    assert_eq!(Running::start(apart(&health(&env))).wait().expect(0).stdout, "ready\n");
    daemon.stop().expect(0);
}

#[test]
fn silent_connections_keep_no_command_waiting() {
    let env = env();
    let daemon = env.start_ready(&[]);
    // Through a shorter name: a socket's path has at most a hundred characters.
    let short = tempfile::tempdir().unwrap();
    let link = short.path().join("c");
    std::os::unix::fs::symlink(env.handoff(".conductor"), &link).unwrap();
    let _silent: Vec<UnixStream> =
        (0..500).map(|_| UnixStream::connect(link.join("control")).unwrap()).collect();
    for words in [&["status"][..], &["list"], &["health"]] {
        env.operate(words).expect(0);
    }
    daemon.stop().expect(0);
}

/// An environment with many imported outcomes.
fn with_outcomes(count: u64) -> TestEnv {
    with_outcomes_of(count, |_| ("success", "c"))
}

/// An environment with many imported outcomes, each with this status and correlation id, and without a code.
pub(crate) fn with_outcomes_of(count: u64, of: impl Fn(u64) -> (&'static str, &'static str)) -> TestEnv {
    let env = env();
    let now = jiff::Timestamp::now();
    let mut export = format!(
        "{{\"format\": \"conductor-loop state\", \"version\": 1, \"exported_at\": \"{now}\", \"last_seq\": {count}}}\n"
    );
    for seq in 1..=count {
        let (status, id) = of(seq);
        writeln!(export, r#"{{"v": 1, "seq": {seq}, "name": "intent-{seq}.json", "status": "{status}", "message": "", "finished_at": "{now}", "mode": "direct", "porch_path": "p", "size": 1, "correlation_id": "{id}", "attempts": 1, "archived_as": "processed/intent-{seq}.json"}}"#).unwrap();
    }
    fs::write(env.path("export"), export).unwrap();
    let import = ["state", "import", env.path("export").to_str().unwrap()].map(str::to_owned);
    env.operate(&import.each_ref().map(String::as_str)).expect(0);
    env
}

const SEARCH: &str = "GET /api/v1/intents?text=no-such-text HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn asked(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(SEARCH.as_bytes()).unwrap();
    stream
}

#[test]
fn searches_nobody_waits_for_cost_nobody_else_anything() {
    let env = with_outcomes(20_000);
    let (daemon, address) = listening(&env, &[]);
    let began = Instant::now();
    assert_eq!(status(&send(address, SEARCH).0), 200);
    let one = began.elapsed();
    // A client hangs up at once, as often as it can; others ask meanwhile.
    for round in 0..20 {
        for _ in 0..100 {
            drop(asked(address));
        }
        let began = Instant::now();
        assert_eq!(get(address, "/metrics").0, 200, "round {round}");
        assert!(began.elapsed() < one * 4 + Duration::from_secs(2), "round {round}: {:?}", began.elapsed());
    }
    // Their questions are dropped: 2,000 searches would take far longer than one and those in progress.
    let began = Instant::now();
    wait_until("a search is answered", || status(&send(address, SEARCH).0) == 200);
    assert!(began.elapsed() < one * 20 + Duration::from_secs(2), "one {one:?}, then {:?}", began.elapsed());
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn one_search_too_many_is_told_to_come_again() {
    let env = with_outcomes(20_000);
    let (daemon, address) = listening(&env, &[]);
    let refused = || {
        // As many as may be connected at once; not all of them can wait.
        let waiting: Vec<TcpStream> = (0..60).map(|_| asked(address)).collect();
        let (head, _) = send(address, SEARCH);
        assert_eq!(get(address, "/metrics").0, 200, "metrics do not wait behind them");
        drop(waiting);
        status(&head) == 503 && head.to_lowercase().contains("retry-after: 1")
    };
    wait_until("one is refused", refused);
    daemon.stop().expect(0);
}
