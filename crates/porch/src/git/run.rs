//! Runs the git program: no shell, no prompts, no hooks, a bounded time, its output in memory files.

use crate::PorchError;
use crate::directory::Patience;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of our environment, what git and ssh need to find programs, keys and credentials.
const ALLOWED: [&str; 5] = ["PATH", "HOME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "TMPDIR"];
/// Configuration that would run other people's programs or ask questions.
const SETTINGS: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "core.quotePath=false",
    "advice.detachedHead=false",
    "push.gpgSign=false",
];
/// Most bytes of an answer; a listing of 100,000 files is about 10 MB.
const ANSWER_MAX: u64 = 256 << 20;

/// How long git has to clean up when it is stopped.
const GRACE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// How git answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Answer {
    /// The answer as one line of text.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }

    /// What it complained about, in one line.
    pub(super) fn complaint(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        conductor_core::scrub::line(&lines.join("; "), 600)
    }
}

/// git in one repository.
pub(super) struct Git<'g> {
    pub repository: &'g Path,
    pub patience: &'g Patience<'g>,
}

impl Git<'_> {
    /// An answer that has to be a good one.
    pub(super) fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, PorchError> {
        let answer = self.ask(arguments, &[], input)?;
        if answer.success { Ok(answer) } else { Err(self.failed(arguments, answer.complaint(), false)) }
    }

    /// What git could not do. A lock file of another git, running or killed, is no matter of this package: it is tried again.
    pub(super) fn failed(&self, arguments: &[&str], reason: impl Into<String>, passing: bool) -> PorchError {
        let reason = reason.into();
        let locked = reason.contains(".lock': File exists");
        PorchError::Git {
            step: arguments
                .iter()
                .find(|word| !word.starts_with('-'))
                .map_or_else(String::new, ToString::to_string),
            repository: self.repository.display().to_string(),
            reason,
            passing: passing || locked,
        }
    }

    /// Runs it and answers whatever it answered.
    pub(super) fn ask(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let own = |error: io::Error| self.failed(arguments, error.to_string(), false);
        let stdin = memory_file(input).map_err(own)?;
        let (stdout, stderr) = (memory_file(&[]).map_err(own)?, memory_file(&[]).map_err(own)?);
        let shared = |file: &File| file.try_clone().map(Stdio::from);
        let mut command = Command::new("git");
        command.env_clear();
        for name in ALLOWED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .envs(environment.iter().copied())
            .arg("-C")
            .arg(self.repository);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments).stdin(stdin).process_group(0);
        command.stdout(shared(&stdout).map_err(own)?).stderr(shared(&stderr).map_err(own)?);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.failed(arguments, "the git program is not installed", false),
            _ => self.failed(arguments, format!("git cannot be started: {error}"), true),
        })?;
        let waited = self.wait(&mut child, arguments);
        if waited.is_err() {
            end(&mut child);
        }
        waited?;
        let status = child.wait().map_err(own)?;
        let answer = content(stdout).map_err(own)?;
        let complaints = String::from_utf8_lossy(&content(stderr).map_err(own)?).into_owned();
        Ok(Answer { success: status.success(), stdout: answer, stderr: complaints })
    }

    /// Waits for the end, the deadline, or that nobody wants it any more.
    fn wait(&self, child: &mut Child, arguments: &[&str]) -> Result<(), PorchError> {
        let own = |error: io::Error| self.failed(arguments, error.to_string(), true);
        let process =
            pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(|errno| own(errno.into()))?;
        loop {
            let left = self.patience.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed(arguments, "it did not end in time and was stopped", true));
            }
            let pause: Duration = self.patience.look()?.min(left);
            let timeout = Timespec::try_from(pause).unwrap_or_default();
            match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(own(errno.into())),
            }
        }
    }
}

/// Ends git and what it started (ssh, a remote helper). Asked to end, git removes its lock files; so it is asked first.
fn end(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    if let Ok(process) = pidfd_open(group, PidfdFlags::empty()) {
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&GRACE));
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("git", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

fn content(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(ANSWER_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ANSWER_MAX {
        return Err(io::Error::other("git's answer is too large"));
    }
    Ok(bytes)
}
