//! Health, readiness and metrics over HTTP, by hand-written requests: their answers and their refusals.

use crate::env;
use conductor_testkit::{Running, TestEnv, flat, has, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A daemon that serves everything on a free port, and its address.
pub(crate) fn listening(env: &TestEnv, flags: &[&str]) -> (Running, SocketAddr) {
    listening_as(env, &[&["-open-page"], flags].concat())
}

/// A daemon that serves a free port according to the flags, and its address.
pub(crate) fn listening_as(env: &TestEnv, flags: &[&str]) -> (Running, SocketAddr) {
    let daemon = env.start_ready(&[&["-listen", "127.0.0.1:0"], flags].concat());
    let address = daemon.logged_value("listening", "address").expect("an address").parse().unwrap();
    (daemon, address)
}

/// Sends raw bytes; returns status line with headers, and body.
pub(crate) fn send(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that refuses early may close before the whole request is sent.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (head, body) = send(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    (status(&head), body)
}

pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// The value of a metric without labels, or with exactly these.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

#[test]
fn health_readiness_and_metrics_say_what_is() {
    let env = env();
    env.script("busy: wait=go\nbad: exit=3\n*: exit=0");
    let (daemon, address) = listening(&env, &["-workers", "1"]);
    assert_eq!(get(address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/readyz"), (200, "{\"ready\":true,\"reasons\":[]}\n".to_owned()));
    for (number, target) in ["good", "good", "bad"].into_iter().enumerate() {
        env.drop_file(&format!("intent-{number}.json"), flat(target, 3));
        env.wait_status(&format!("intent-{number}.json"));
    }
    env.drop_file("intent-1.json", flat("good", 3));
    wait_until("the duplicate", || {
        metric(&get(address, "/metrics").1, "conductor_files_processed_total") > 2.5
    });
    env.drop_file("intent-busy.json", flat("busy", 3));
    env.drop_file("intent-later.json", flat("later", 3));
    let load = |name: &str| metric(&get(address, "/metrics").1, name);
    wait_until("one runs and one waits", || {
        (load("conductor_active_workers"), load("conductor_queue_size")) == (1.0, 1.0)
    });
    let (code, text) = get(address, "/metrics");
    assert_eq!(code, 200);
    for (name, value) in [
        ("conductor_files_processed_total", 3.0),
        ("conductor_files_failed_total", 1.0),
        ("conductor_processing_duration_seconds_count", 3.0),
        ("conductor_duplicates_total", 1.0),
        ("conductor_failures_total{code=\"E301\"}", 1.0),
        ("conductor_ready", 1.0),
    ] {
        assert!((metric(&text, name) - value).abs() < 0.1, "{name} is {}, not {value}", metric(&text, name));
    }
    assert!(metric(&text, "conductor_free_bytes") > 0.0);
    for secret in ["intent-", "good", "busy", env.path("").to_str().unwrap()] {
        assert!(!text.contains(secret), "'{secret}' is in the metrics");
    }
    env.release("go");
    env.wait_status("intent-later.json");
    daemon.stop().expect(0);
}

#[test]
fn a_stopping_daemon_is_alive_and_not_ready_with_its_reason() {
    let env = env();
    env.script("*: wait=go");
    let (daemon, address) = listening(&env, &[]);
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("porch runs", || env.calls().len() == 1);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_log("stopping");
    assert_eq!(get(address, "/readyz"), (503, "{\"ready\":false,\"reasons\":[\"stopping\"]}\n".to_owned()));
    assert_eq!(get(address, "/livez").0, 200);
    env.release("go");
    daemon.wait().expect(0);
}

#[test]
fn a_porch_that_went_away_is_a_reason_and_its_return_too() {
    let env = env();
    // A file of its own: each test that links to the common one, or ends, changes it, and what changes is not started.
    fs::copy(env.path("bin/porch"), env.path("bin/away")).unwrap();
    fs::rename(env.path("bin/away"), env.path("bin/porch")).unwrap();
    let (daemon, address) = listening(&env, &[]);
    let reasons = || get(address, "/readyz").1;
    fs::rename(env.path("bin/porch"), env.path("bin/away")).unwrap();
    wait_until("it is noticed", || reasons() == "{\"ready\":false,\"reasons\":[\"porch-missing\"]}\n");
    fs::rename(env.path("bin/away"), env.path("bin/porch")).unwrap();
    wait_until("so is its return", || reasons() == "{\"ready\":true,\"reasons\":[]}\n");
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn what_is_not_a_plain_question_is_refused_and_intents_keep_flowing() {
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    for (request, code) in [
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        ("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET /metrics/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n", 421),
        ("GET /metrics HTTP/1.1\r\nHost: attacker.example:80\r\n\r\n", 421),
        ("GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        ("nonsense\r\n\r\n", 400),
    ] {
        let (head, body) = send(address, request);
        assert_eq!(status(&head), code, "{request:?}: {head}");
        assert!(!request.starts_with("HEAD") || body.is_empty());
    }
    let many = "X-Field: y\r\n".repeat(100);
    let refused =
        status(&send(address, &format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).0);
    assert!(matches!(refused, 400 | 431), "too many fields: {refused}");
    let long = "y".repeat(64 << 10);
    let refused =
        status(&send(address, &format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n")).0);
    assert!(matches!(refused, 0 | 400 | 431), "a huge field: {refused}");
    // A client that holds a thousand silent connections open delays neither intents nor questions.
    let enough = Rlimit { current: Some(4_096), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, enough).expect("more descriptors for the tests");
    let silent: Vec<TcpStream> = (0..1_000).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(get(address, "/healthz").0, 200);
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    drop(silent);
    daemon.stop().expect(0);
}

#[test]
fn each_address_serves_what_it_is_for_and_only_loopback_without_consent() {
    let env = env();
    let flags = ["-health-addr", "127.0.0.1:0", "-metrics-addr", "127.0.0.1:0"];
    let daemon = env.start_ready(&flags);
    let addresses: Vec<SocketAddr> =
        daemon.logged_values("listening", "address").iter().map(|text| text.parse().unwrap()).collect();
    let [health, metrics] = addresses.as_slice() else { panic!("{addresses:?}") };
    assert_eq!((get(*health, "/healthz").0, get(*health, "/metrics").0), (200, 404));
    assert_eq!((get(*metrics, "/healthz").0, get(*metrics, "/metrics").0), (404, 200));
    let taken = env.once(&["-listen", &health.to_string(), "-handoff", "other"]);
    assert!(taken.status.code() == Some(2) || taken.stderr.contains("E506"), "{}", taken.stderr);
    daemon.stop().expect(0);
    for (flags, code, reason) in [
        (&["-listen", "0.0.0.0:0"][..], 2, "--insecure-listen"),
        (&["-listen", "localhost"], 2, "not an address and port"),
        (&["-listen", "0.0.0.0:0", "-insecure-listen"], 0, "listening"),
        // Given one by one, or separated by commas.
        (&["-listen", "127.0.0.1:0", "-listen", "127.0.0.2:0"], 0, "127.0.0.2:"),
        (&["-listen", "127.0.0.1:0,127.0.0.2:0"], 0, "127.0.0.2:"),
    ] {
        let finished = env.once(flags).expect(code);
        assert!(finished.stderr.contains(reason), "{flags:?}: {}", finished.stderr);
    }
}

/// Whether the process has an internet socket among its descriptors.
fn has_socket(daemon: &Running) -> bool {
    let proc = format!("/proc/{}", daemon.pid());
    let sockets = |table: &str| -> Vec<String> {
        let text = fs::read_to_string(format!("{proc}/net/{table}")).unwrap_or_default();
        let inode = |line: &str| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?));
        text.lines().skip(1).filter_map(inode).collect()
    };
    let known: Vec<String> = ["tcp", "tcp6", "udp", "udp6"].iter().flat_map(|table| sockets(table)).collect();
    let own = fs::read_dir(format!("{proc}/fd")).unwrap().flatten();
    let mut links = own.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| known.contains(&link.to_string_lossy().into_owned()))
}

#[test]
fn without_an_address_no_port_is_open() {
    let env = env();
    for (flags, open) in [(&[][..], false), (&["-listen", "127.0.0.1:0"], true)] {
        let daemon = env.start_ready(flags);
        assert_eq!(has_socket(&daemon), open, "{flags:?}");
        daemon.stop().expect(0);
    }
}

#[test]
fn promtool_takes_the_metrics() {
    if !has("promtool") {
        return;
    }
    let env = env();
    env.script("bad: exit=3\n*: exit=0");
    let (daemon, address) = listening(&env, &[]);
    env.drop_file("intent-a.json", flat("bad", 3));
    env.wait_status("intent-a.json");
    let text = get(address, "/metrics").1;
    daemon.stop().expect(0);
    let mut promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
