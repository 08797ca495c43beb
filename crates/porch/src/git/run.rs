//! Runs the git program: no shell, no prompts, no hooks, a bounded time, its output in memory files.

use crate::directory::Patience;
use crate::{Outlook, PorchError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
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
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
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
        let said = lines.join("; ");
        let ended = self.signal.map(|signal| format!("git was ended by signal {signal}"));
        let words: Vec<&str> = ended.as_deref().into_iter().chain(Some(said.as_str())).collect();
        conductor_core::scrub::line(words.join(": ").trim_end_matches(": "), 600)
    }
}

/// What passes by itself, in git's words (in the C locale): another git's lock file, running or killed; a branch that moved
/// between a look and a step; a helper that was killed; a machine out of memory or processes.
const PASSING: [&str; 6] = [
    ".lock': File exists",
    " but expected ",
    "reference already exists",
    " died of signal ",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
];
const NO_SPACE: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Out of diskspace"];

fn outlook(reason: &str) -> Outlook {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match () {
        () if says(&NO_SPACE) => Outlook::NoSpace,
        () if says(&PASSING) => Outlook::Passing,
        () => Outlook::Lasting,
    }
}

/// What the configuration of a repository says that matters to us.
#[derive(Debug, Default)]
pub(super) struct Configured {
    /// `core.worktree`.
    pub work_tree: Option<String>,
    /// Sections of filter programs.
    filters: BTreeSet<String>,
}

/// git in one repository.
pub(super) struct Git<'g> {
    pub repository: &'g Path,
    pub patience: &'g Patience<'g>,
    /// By the repository asked: a linked work tree may have a configuration of its own.
    configured: Rc<RefCell<BTreeMap<PathBuf, Rc<Configured>>>>,
}

impl<'g> Git<'g> {
    pub(super) fn new(repository: &'g Path, patience: &'g Patience<'g>) -> Self {
        Self { repository, patience, configured: Rc::default() }
    }

    /// The same, in another work tree.
    pub(super) fn at<'t>(&'t self, repository: &'t Path) -> Git<'t> {
        Git { repository, patience: self.patience, configured: Rc::clone(&self.configured) }
    }

    /// Asked once: a run is short, and each question is a process.
    pub(super) fn configured(&self) -> Result<Rc<Configured>, PorchError> {
        if let Some(known) = self.configured.borrow().get(self.repository) {
            return Ok(Rc::clone(known));
        }
        let asked = ["config", "-z", "--get-regexp", r"^(core\.worktree$|filter\.)"];
        let listed = self.ask(&asked, &[], &[])?;
        if !listed.success && !listed.complaint().is_empty() {
            return Err(self.refused(&asked, &listed, Outlook::Lasting));
        }
        let mut found = Configured::default();
        for line in String::from_utf8_lossy(&listed.stdout).split('\0') {
            let (name, value) = line.split_once('\n').unwrap_or((line, ""));
            match name.rsplit_once('.') {
                Some(("core", _)) => found.work_tree = Some(value.to_owned()),
                Some((section, _)) => drop(found.filters.insert(section.to_owned())),
                None => {}
            }
        }
        let found = Rc::new(found);
        self.configured.borrow_mut().insert(self.repository.to_owned(), Rc::clone(&found));
        Ok(found)
    }

    /// An answer that has to be a good one.
    pub(super) fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, PorchError> {
        self.run_with(arguments, &[], input)
    }

    /// The same, with more in its environment.
    pub(super) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let answer = self.ask(arguments, environment, input)?;
        if answer.success { Ok(answer) } else { Err(self.refused(arguments, &answer, Outlook::Lasting)) }
    }

    /// The same, where git converts between work tree and repository: line ends and encodings, but no filter program runs.
    pub(super) fn plainly(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let answer = self.ask_plainly(arguments, environment, input)?;
        if answer.success { Ok(answer) } else { Err(self.refused(arguments, &answer, Outlook::Lasting)) }
    }

    /// The same, and answers whatever it answered.
    pub(super) fn ask_plainly(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let configured = self.configured()?;
        let off = [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")];
        let mut settings = Vec::new();
        for driver in &configured.filters {
            for (name, value) in off {
                let number = settings.len() / 2;
                settings.push((format!("GIT_CONFIG_KEY_{number}"), format!("{driver}.{name}")));
                settings.push((format!("GIT_CONFIG_VALUE_{number}"), value.to_owned()));
            }
        }
        let count = (settings.len() / 2).to_string();
        let mut all: Vec<(&str, &str)> = environment.to_vec();
        all.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all.push(("GIT_CONFIG_COUNT", &count));
        self.ask(arguments, &all, input)
    }

    /// What git could not do, in its own words. `otherwise` holds where neither words nor a signal say that it passes.
    pub(super) fn refused(&self, arguments: &[&str], answer: &Answer, otherwise: Outlook) -> PorchError {
        let least = if answer.signal.is_some() { Outlook::Passing } else { otherwise };
        self.failed(arguments, answer.complaint(), least)
    }

    /// What could not be done. What git's words say of full disks, locks and moved branches counts more than `otherwise`.
    pub(super) fn failed(
        &self,
        arguments: &[&str],
        reason: impl Into<String>,
        otherwise: Outlook,
    ) -> PorchError {
        let reason = reason.into();
        let outlook = match outlook(&reason) {
            Outlook::Lasting => otherwise,
            told => told,
        };
        PorchError::Git {
            step: arguments
                .iter()
                .find(|word| !word.starts_with('-'))
                .map_or_else(String::new, ToString::to_string),
            repository: self.repository.display().to_string(),
            reason,
            outlook,
        }
    }

    /// Runs it and answers whatever it answered.
    pub(super) fn ask(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let own = |error: io::Error| self.failed(arguments, error.to_string(), Outlook::Lasting);
        let stdin = memory_file(input).map_err(own)?;
        let (stdout, stderr) = (memory_file(&[]).map_err(own)?, memory_file(&[]).map_err(own)?);
        let shared = |file: &File| file.try_clone().map(Stdio::from);
        let named = std::path::absolute(self.repository).unwrap_or_else(|_| self.repository.to_owned());
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
            // What the operator named is the repository: none that lies around it, should it not be there.
            .env("GIT_CEILING_DIRECTORIES", named.parent().unwrap_or(&named))
            // What is read is what the commit names, not what somebody would rather see in its place.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .envs(environment.iter().copied())
            .arg("-C")
            .arg(self.repository);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments).stdin(stdin).process_group(0);
        command.stdout(shared(&stdout).map_err(own)?).stderr(shared(&stderr).map_err(own)?);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                self.failed(arguments, "the git program is not installed", Outlook::Lasting)
            }
            _ => self.failed(arguments, format!("git cannot be started: {error}"), Outlook::Passing),
        })?;
        let waited = self.wait(&mut child, arguments);
        if waited.is_err() {
            end(&mut child);
        }
        waited?;
        let status = child.wait().map_err(own)?;
        let answer = content(stdout).map_err(own)?;
        let complaints = String::from_utf8_lossy(&content(stderr).map_err(own)?).into_owned();
        Ok(Answer { success: status.success(), signal: status.signal(), stdout: answer, stderr: complaints })
    }

    /// Waits for the end, the deadline, or that nobody wants it any more.
    fn wait(&self, child: &mut Child, arguments: &[&str]) -> Result<(), PorchError> {
        let own = |error: io::Error| self.failed(arguments, error.to_string(), Outlook::Passing);
        let process =
            pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(|errno| own(errno.into()))?;
        loop {
            let left = self.patience.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed(
                    arguments,
                    "it did not end in time and was stopped",
                    Outlook::Passing,
                ));
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
    // ESRCH: it has ended, which is what was wanted.
    let _ = kill_process_group(group, Signal::TERM);
    if let Ok(process) = pidfd_open(group, PidfdFlags::empty()) {
        // Whether it ended or not, KILL follows.
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&GRACE));
    }
    // Nobody may be left; then the child is reaped.
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
