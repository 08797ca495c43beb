//! The system calls of the thread that speaks HTTP: each one that is allowed is used, and any other ends the daemon.

use crate::endpoints::{get, send, status};
use crate::env;
use crate::secure::{Authority, curl};
use conductor_os::confine::serving::{ALLOWED, FAILING};
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, Report, Running, TestEnv, at_call, flat, has, wait_until};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

/// The call that only this thread makes.
const WAITS: Class<'_> = Class::Named(&["epoll_wait"]);

/// Runs a daemon that serves, with an action at the first call of the thread. `None`, with a message, if that is not
/// possible.
fn at_first_wait(env: &TestEnv, flags: &[&str], action: Action, seconds: u64) -> Option<Report> {
    let mut command = env.command(&[&["-listen", "127.0.0.1:0"], flags].concat());
    command.env("RUST_BACKTRACE", "1");
    let report = at_call(&command, (WAITS, action, 1), seconds, &env.path("."));
    if report.is_none() {
        eprintln!("NOT TESTED: stopping at system calls needs x86-64 and the permission to trace");
    }
    report
}

/// Calls that are forbidden, by their numbers on x86-64; arguments are zero where they do not matter.
const FORBIDDEN: [(&str, i64, [u64; 6]); 30] = {
    const NONE: [u64; 6] = [0; 6];
    [
        ("execve", 59, NONE),
        ("execveat", 322, NONE),
        ("open", 2, NONE),
        ("openat to write", 257, [0xffff_ff9c, 0, 0o1101, 0o644, 0, 0]),
        ("openat2", 437, NONE),
        ("creat", 85, NONE),
        ("socket", 41, [2, 1, 0, 0, 0, 0]),
        ("connect", 42, NONE),
        ("bind", 49, NONE),
        ("sendmsg", 46, NONE),
        ("recvmsg", 47, NONE),
        ("ptrace", 101, NONE),
        ("process_vm_writev", 311, NONE),
        ("kill", 62, NONE),
        ("tgkill of another thread", 234, [1, 1, 0, 0, 0, 0]),
        ("pidfd_open", 434, NONE),
        ("unlink", 87, NONE),
        ("unlinkat", 263, NONE),
        ("rename", 82, NONE),
        ("mkdir", 83, NONE),
        ("clone", 56, NONE),
        ("clone3", 435, NONE),
        ("fork", 57, NONE),
        ("setuid", 105, NONE),
        ("alarm", 37, NONE),
        ("prctl", 157, NONE),
        ("memfd_create", 319, NONE),
        ("mmap of memory to execute", 9, [0, 4096, 7, 0x22, u64::MAX, 0]),
        ("mprotect of memory to execute", 10, [0, 4096, 5, 0, 0, 0]),
        ("fcntl that makes a thread the owner", 72, [1, 8, 1, 0, 0, 0]),
    ]
};

#[test]
fn a_call_that_serving_does_not_need_ends_the_daemon() {
    for (name, number, arguments) in FORBIDDEN {
        let env = env();
        let Some(report) = at_first_wait(&env, &[], Action::Instead(number, arguments), 60) else { return };
        assert_eq!(report.signal.as_deref(), Some("SIGSYS"), "{name}: {}", report.stderr);
    }
}

/// What a daemon does that is not ended: it runs until it is told to stop.
#[track_caller]
fn assert_goes_on(flags: &[&str], (number, arguments): (i64, [u64; 6])) {
    for seconds in [2, 10, 60] {
        let env = env();
        let Some(report) = at_first_wait(&env, flags, Action::Instead(number, arguments), seconds) else {
            return;
        };
        assert_eq!((report.signal, report.exit), (None, Some(0)), "{}", report.stderr);
        if report.at.is_some() {
            return;
        }
    }
    panic!("the thread has not come to its first wait");
}

#[test]
fn a_call_that_is_allowed_or_is_made_without_confinement_does_not_end_the_daemon() {
    // Both return 0, as a wait does at whose end nothing is ready.
    assert_goes_on(&[], (24, [0; 6])); // sched_yield
    assert_goes_on(&["-confine", "off"], (37, [0; 6])); // alarm
}

#[test]
fn a_panic_of_the_thread_that_serves_is_told_and_ends_the_daemon_as_an_abort() {
    let env = env();
    let failed = Action::Fail(Errno::BADF.raw_os_error());
    let Some(report) = at_first_wait(&env, &[], failed, 60) else { return };
    assert_eq!(report.signal.as_deref(), Some("SIGABRT"), "{}", report.stderr);
    assert!(report.stderr.contains("panicked at"), "{}", report.stderr);
}

/// Allowed calls that no test can bring about at will, with the reason why each may come at any time.
const ARGUED: [(&str, &str); 9] = [
    ("mremap", "a piece of memory grows that is large enough to be mapped by itself"),
    ("clock_gettime", "where the kernel does not lend its clock, as in some virtual machines"),
    ("sched_yield", "another thread is just about to make room in a queue"),
    ("restart_syscall", "the kernel goes on with what a stop of the process interrupted"),
    ("rt_sigaction", "the handler of a fault sets it back to its default"),
    ("rt_sigprocmask", "an abort; see the test of a panic"),
    ("getpid", "an abort; see the test of a panic"),
    ("gettid", "an abort; see the test of a panic"),
    ("tgkill", "an abort; see the test of a panic"),
];

/// Makes the C library take memory from the kernel, and give it back, as often as it can.
const EAGER: [(&str, &str); 2] = [("MALLOC_TOP_PAD_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1")];
/// The same with one pool for all threads, and larger pieces mapped by themselves.
const ONE_POOL: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "4096"), ("MALLOC_ARENA_MAX", "1")];

/// A daemon that serves under strace.
fn traced(env: &TestEnv, flags: &[&str], variables: &[(&str, &str)]) -> (Running, SocketAddr) {
    let inner = env.command(&[&["-listen", "127.0.0.1:0", "-open-page"], flags].concat());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "64", "-o"]).arg(env.path("trace")).arg(inner.get_program());
    command.args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.envs(variables.iter().copied()).current_dir(inner.get_current_dir().unwrap());
    let daemon = Running::start(command);
    daemon.wait_log("\"ready\"");
    let address = daemon.logged_value("listening", "address").expect("an address").parse().unwrap();
    (daemon, address)
}

/// The thread, and the lines of the trace that tell what it has called since it has its filters.
fn under_filters(trace: &str) -> Option<(i32, Vec<&str>)> {
    let named = trace.lines().find(|line| line.contains("prctl(PR_SET_NAME, \"admin\""))?;
    let thread = named.split_once(' ')?.0;
    let of_thread = |line| Some(str::strip_prefix(line, thread)?.strip_prefix(' ')?.trim_start());
    let lines: Vec<&str> = trace.lines().filter_map(of_thread).collect();
    let filters = lines.iter().rposition(|line| line.starts_with("seccomp("))?;
    Some((thread.parse().ok()?, lines[filters + 1..].to_vec()))
}

fn trace(env: &TestEnv) -> String {
    String::from_utf8_lossy(&fs::read(env.path("trace")).unwrap()).into_owned()
}

/// Ends the daemon below strace, which then ends as well. Returns the calls of the thread.
fn stop(env: &TestEnv, daemon: Running) -> BTreeSet<String> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", daemon.pid())).unwrap();
    let child = children.split_whitespace().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
    daemon.wait().expect(0);
    let trace = trace(env);
    let (_, lines) = under_filters(&trace).expect("the thread");
    let name = |line: &&str| Some(line.split_once('(')?.0.to_owned());
    lines.iter().filter(|line| !line.starts_with("<...")).filter_map(name).collect()
}

/// Whether the thread has made this call.
fn has_called(env: &TestEnv, name: &str) -> bool {
    let trace = trace(env);
    let (_, lines) = under_filters(&trace).expect("the thread");
    lines.iter().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
}

/// Has a signal handled on the thread. The kernel prefers the thread whose number is used, and may take another.
fn signal(env: &TestEnv) {
    let thread = under_filters(&trace(env)).expect("the thread").0;
    wait_until("the handler runs on the thread", || {
        kill_process(Pid::from_raw(thread).unwrap(), Signal::HUP).unwrap();
        has_called(env, "rt_sigreturn")
    });
}

/// More clients than may be open, which begin a request and go away.
fn crowd(address: SocketAddr) {
    let slow = || {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /").unwrap();
        slow
    };
    drop((0..80).map(|_| slow()).collect::<Vec<_>>());
}

/// Plain HTTP: everything that is served, refusals, clients that are slow, rude or many, and large answers.
fn over_http(env: &TestEnv) -> BTreeSet<String> {
    for number in 0..600 {
        env.drop_file(&format!("intent-{number:04}.json"), flat(&format!("t{number}"), 3));
    }
    env.once(&["-porch", "builtin"]).expect(0);
    let (daemon, address) = traced(env, &["-porch", "builtin"], &EAGER);
    for path in ["/healthz", "/readyz", "/metrics", "/", "/page.js", "/api/v1/status", "/nothing"] {
        get(address, path);
    }
    for _ in 0..8 {
        assert_eq!(get(address, "/api/v1/intents?limit=1000").0, 200);
    }
    assert_eq!(status(&send(address, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").0), 405);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(40 << 10));
    send(address, &long);
    wait_until("memory is given back", || {
        crowd(address);
        has_called(env, "madvise")
    });
    let mut events = TcpStream::connect(address).unwrap();
    events.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    while String::from_utf8_lossy(&heard).matches("event: pulse").count() < 2 {
        let read = events.read(&mut part).unwrap();
        assert!(read > 0);
        heard.extend_from_slice(&part[..read]);
    }
    drop(events);
    signal(env);
    stop(env, daemon)
}

/// TLS with clients that show a certificate, a token that is refused, and files that are renewed.
fn over_tls(env: &TestEnv) -> BTreeSet<String> {
    let authority = Authority::new();
    authority.write(env, "ca.pem");
    authority.sign(env, "server");
    authority.sign(env, "client");
    fs::write(env.path("token"), "0123456789abcdef0123\n").unwrap();
    let files =
        ["server.pem", "server.key", "ca.pem", "token"].map(|name| env.path(name).display().to_string());
    let tls = ["-tls-cert", &files[0], "-tls-key", &files[1], "-tls-client-ca", &files[2]];
    let (daemon, address) =
        traced(env, &[&tls[..], &["-token-file", &files[3]]].concat(), &[EAGER, ONE_POOL].concat());
    let shown = ["--cert", "client.pem", "--key", "client.key"];
    let asked = |path: &str| curl(env, address, path, &shown);
    assert_eq!((asked("/healthz"), asked("/metrics"), curl(env, address, "/healthz", &[])), (200, 401, 0));
    assert_eq!(curl(env, address, "/healthz", &["--tls-max", "1.2"]), 0);
    authority.sign(env, "server");
    wait_until("the new certificate is in force", || {
        assert_eq!(asked("/page.js"), 200);
        daemon.logged("read again")
    });
    stop(env, daemon)
}

#[test]
fn each_call_that_the_thread_that_serves_may_make_is_used() {
    if !has("strace") || !has("curl") {
        return eprintln!("NOT TESTED: what is used is seen by strace and asked for by curl");
    }
    let used: BTreeSet<String> = over_http(&env()).union(&over_tls(&env())).cloned().collect();
    let names =
        |table: &[(&str, i64)]| table.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    let (allowed, failing) = (names(ALLOWED), names(FAILING));
    let used: BTreeSet<String> = used.difference(&failing).cloned().collect();
    assert_eq!(used.difference(&allowed).collect::<Vec<_>>(), Vec::<&String>::new(), "it would have ended");
    let argued: BTreeSet<String> = ARGUED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let unused: Vec<_> = allowed.difference(&used).filter(|name| !argued.contains(*name)).collect();
    assert!(unused.is_empty(), "{unused:?} {used:?}");
}
