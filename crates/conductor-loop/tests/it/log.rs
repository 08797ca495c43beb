//! Standard error with no reader, a slow one, or a terminal that was stopped.

use crate::env;
use conductor_testkit::{TestEnv, flat, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::RefCell;
use std::io::Read;
use std::process::{Child, Stdio};

/// A daemon whose standard error is a pipe (64 KiB in Linux) without a reader.
struct Unread(Child);

impl Unread {
    fn start(env: &TestEnv, flags: &[&str]) -> Self {
        Self(env.command(flags).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Sends TERM; returns the exit code.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        let daemon = RefCell::new(&mut self.0);
        wait_until("the end of the daemon", || daemon.borrow_mut().try_wait().unwrap().is_some());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A long name makes long lines.
fn name(number: usize) -> String {
    format!("intent-{number:04}-{}.json", "n".repeat(200))
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    for format in ["json", "text"] {
        let env = env();
        // A few lines per intent: several times the size of the pipe.
        let daemon = Unread::start(&env, &["-log-format", format, "-log-level", "debug"]);
        for i in 0..100 {
            env.drop_file(&name(i), flat(&format!("t{i}"), 3));
        }
        wait_until("all intents are done", || env.names("status").len() == 100);
        assert_eq!(daemon.stop(), Some(0), "{format}");
    }
}

#[test]
fn lines_that_found_no_room_are_counted_and_said() {
    // In lines that together are more than the pipe and the buffer of a mebibyte hold.
    const REFUSED: usize = 2_500;
    let env = env();
    let mut daemon = Unread::start(&env, &["-log-level", "debug"]);
    for i in 0..REFUSED {
        env.drop_file(&name(i), "{}");
    }
    wait_until("all are refused", || env.names("status").len() == REFUSED);
    let mut stderr = daemon.0.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    env.drop_file("intent-last.json", flat("last", 3));
    env.wait_status("intent-last.json");
    assert_eq!(daemon.stop(), Some(0));
    let text = reader.join().unwrap();
    assert!(text.contains("log lines were dropped"), "{} bytes", text.len());
    assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "no line is torn");
}

#[test]
fn each_line_names_the_instance_that_has_a_name() {
    for (format, end) in [("json", ",\"instance\":\"loop-7\"}"), ("text", " instance=\"loop-7\"")] {
        let env = env();
        env.drop_file("intent-a.json", flat("a", 3));
        let finished = env.once(&["-log-format", format, "-instance", "loop-7"]).expect(0);
        let lines: Vec<_> = finished.stderr.lines().filter(|line| line.contains("20")).collect();
        assert!(lines.len() > 3, "{}", finished.stderr);
        for line in lines {
            assert!(line.ends_with(end), "{line}");
            assert!(format == "text" || serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        }
    }
}
