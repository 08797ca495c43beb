//! The real daemon as a child process: its log lines, its end, its exit status.

use crate::patience::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A daemon that runs. Killed when dropped.
pub struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<String>>,
}

/// A daemon or command that ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error: log lines and complaints.
    pub stderr: String,
}

impl Finished {
    /// The exit code.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {}\n{}", self.status, self.stderr))
    }

    /// Asserts the exit code; on a mismatch shows the log.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}{}", self.status, self.stdout, self.stderr);
        self
    }

    /// The JSON log lines.
    pub fn log(&self) -> Vec<Value> {
        self.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Running {
    /// Starts the command with its streams collected.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (mut stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        let seen = Arc::clone(&lines);
        let err = std::thread::spawn(move || {
            let mut text = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                text.push_str(&line);
                text.push('\n');
                seen.lock().expect("not poisoned").push(line);
            }
            text
        });
        Self { child, lines, readers: vec![out, err] }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("not zero");
        kill_process(pid, signal).expect("it runs");
    }

    /// Whether a log line contains this text.
    pub fn logged(&self, text: &str) -> bool {
        self.lines.lock().expect("not poisoned").iter().any(|line| line.contains(text))
    }

    /// The values of a field in all JSON log lines with this message, in order.
    pub fn logged_values(&self, message: &str, field: &str) -> Vec<String> {
        let lines = self.lines.lock().expect("not poisoned");
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let wanted = events.filter(|event| event["message"] == message);
        wanted.filter_map(|event| event[field].as_str().map(str::to_owned)).collect()
    }

    /// The first value of a field in the JSON log lines with this message.
    pub fn logged_value(&self, message: &str, field: &str) -> Option<String> {
        self.logged_values(message, field).into_iter().next()
    }

    /// Waits for a log line that contains this text.
    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        wait_until(
            &format!("a log line with '{text}' among {:#?}", self.lines.lock().expect("not poisoned")),
            || self.logged(text),
        );
    }

    /// Whether the daemon still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Waits for the daemon's end.
    pub fn wait(mut self) -> Finished {
        let child = std::cell::RefCell::new(&mut self.child);
        wait_until("the end of the daemon", || child.borrow_mut().try_wait().expect("our child").is_some());
        let status = self.child.wait().expect("our child");
        let mut texts = self.readers.drain(..).map(|reader| reader.join().expect("reads"));
        let (stdout, stderr) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        drop(texts);
        Finished { status, stdout, stderr }
    }

    /// Sends TERM and waits for the daemon's end.
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends KILL, as a power cut or the out-of-memory killer ends a process.
    pub fn kill(self) -> Finished {
        self.signal(Signal::KILL);
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
