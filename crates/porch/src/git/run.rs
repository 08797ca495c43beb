//! Runs the git program: no shell, no prompts, no hooks, a time limit, its output in memory files.

use super::cat_file::CatFile;
use super::environment::{git_environment, left_out_of_git};
use super::memory_file::{content, memory_file};
use super::settings::Configured;
use crate::directory::Patience;
use crate::{Outlook, PorchError};
use conductor_os::child::Supervised;
use conductor_os::command::{Command, Leads, StartError, Stdio};
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Configuration that prevents foreign programs, prompts, and changes to our reads and writes.
const SETTINGS: [&str; 11] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "core.quotePath=false",
    "advice.detachedHead=false",
    "push.gpgSign=false",
    "log.showSignature=false",
    "color.ui=false",
    "i18n.commitEncoding=UTF-8",
];
/// Steps that talk to a remote.
const REMOTE_STEPS: [&str; 3] = ["ls-remote", "fetch", "push"];

/// The size of the end of git's progress output that is read.
const LAST_WORDS: usize = 400;
/// A step that takes longer is reported.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// The time for git to clean up when it is stopped.
const GRACE: Duration = Duration::from_secs(1);

/// The result of a git command.
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

    /// Its complaint, in one line.
    pub(super) fn complaint(&self) -> String {
        // Each progress message overwrites the one before.
        let lines =
            self.stderr.lines().map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or(line));
        let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = lines.join("; ");
        let ended = self.signal.map(|signal| format!("git was ended by signal {signal}"));
        let words: Vec<&str> = ended.as_deref().into_iter().chain(Some(said.as_str())).collect();
        conductor_core::scrub::line(words.join(": ").trim_end_matches(": "), 600)
    }
}

/// Messages of temporary failures, in git's words (in the C locale): another git's lock file, running or killed; a branch
/// that moved between a look and a step; a helper that was killed.
const PASSING: [&str; 4] =
    [".lock': File exists", " but expected ", "reference already exists", " died of signal "];
/// Messages of a machine out of memory, processes or descriptors, also of our own calls for git.
const EXHAUSTED: [&str; 4] = [
    "Cannot allocate memory",
    "Resource temporarily unavailable",
    "Too many open files",
    "Interrupted system call",
];
/// What no other try changes, also where a remote may be away: a transport that is not allowed, or that git does not have; a
/// setting for pushes that the remote cannot follow, or a value that git does not know.
const LASTING: [&str; 6] = [
    "transport '",
    "Unable to find remote helper",
    "the receiving end does not support",
    "bad config",
    "bad boolean config",
    "bad push.",
];
const NO_SPACE: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "Out of diskspace", "File too large"];
/// The signal that ends a git whose file grows over the limit of its user.
const FILE_TOO_LARGE: i32 = Signal::XFSZ.as_raw();

fn outlook(reason: &str) -> Outlook {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match () {
        () if says(&NO_SPACE) => Outlook::NoSpace,
        () if says(&EXHAUSTED) => Outlook::Exhausted,
        () if says(&PASSING) => Outlook::Passing,
        () => Outlook::Lasting,
    }
}

/// The command, without the settings before it.
fn step<'a>(arguments: &[&'a str]) -> &'a str {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "-c" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return word,
        }
    }
    ""
}

/// git in one repository.
pub(super) struct Git<'g> {
    pub repository: &'g Path,
    pub patience: &'g Patience<'g>,
    /// The configuration by repository: a linked work tree may have one of its own.
    configured: Rc<RefCell<BTreeMap<PathBuf, Rc<Configured>>>>,
    /// The one that reads objects, once it runs.
    pub(super) reader: Rc<RefCell<Option<CatFile>>>,
    /// For all its steps.
    environment: Vec<(&'static str, PathBuf)>,
}

impl<'g> Git<'g> {
    pub(super) fn new(repository: &'g Path, patience: &'g Patience<'g>) -> Self {
        Self {
            repository,
            patience,
            configured: Rc::default(),
            reader: Rc::default(),
            environment: Vec::new(),
        }
    }

    /// The same repository with new objects in a directory of their own; the repository's objects can be read.
    pub(super) fn apart(&self, objects: &Path, own: &Path) -> Git<'g> {
        let environment = vec![
            ("GIT_OBJECT_DIRECTORY", own.to_owned()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects.to_owned()),
        ];
        Git { configured: Rc::clone(&self.configured), reader: Rc::default(), environment, ..*self }
    }

    /// The same repository in another work tree.
    pub(super) fn at<'t>(&'t self, repository: &'t Path) -> Git<'t> {
        let (configured, reader) = (Rc::clone(&self.configured), Rc::clone(&self.reader));
        Git { repository, patience: self.patience, configured, reader, environment: self.environment.clone() }
    }

    /// The configuration, read once: a run is short, and each read is a process.
    pub(super) fn configured(&self) -> Result<Rc<Configured>, PorchError> {
        // One place has many names.
        let place = std::fs::canonicalize(self.repository).unwrap_or_else(|_| self.repository.to_owned());
        if let Some(known) = self.configured.borrow().get(&place) {
            return Ok(Rc::clone(known));
        }
        let listed = self.run(&["config", "--list", "-z", "--show-scope"], &[])?;
        let found = Configured::parse(&listed.stdout);
        let found = Rc::new(found);
        self.configured.borrow_mut().insert(place, Rc::clone(&found));
        Ok(found)
    }

    /// Runs a command that must succeed.
    pub(super) fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, PorchError> {
        self.run_with(arguments, &[], input)
    }

    /// Runs a command that must succeed, with additional environment variables.
    pub(super) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let answer = self.ask(arguments, environment, input)?;
        if answer.success { Ok(answer) } else { Err(self.refused(arguments, &answer, Outlook::Lasting)) }
    }

    /// Like `run`, for conversions between work tree and repository: line ends and encodings, but no filter program runs.
    pub(super) fn plainly(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let answer = self.ask_plainly(arguments, environment, input)?;
        if answer.success { Ok(answer) } else { Err(self.refused(arguments, &answer, Outlook::Lasting)) }
    }

    /// Like `plainly`, but returns failures too.
    pub(super) fn ask_plainly(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let configured = self.configured()?;
        let off = [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")];
        let mut settings = Vec::new();
        // The operator may have settings there too: ours come after them.
        let before = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
        for driver in configured.filters() {
            for (name, value) in off {
                let number = before + settings.len() / 2;
                settings.push((format!("GIT_CONFIG_KEY_{number}"), format!("{driver}.{name}")));
                settings.push((format!("GIT_CONFIG_VALUE_{number}"), value.to_owned()));
            }
        }
        let count = (before + settings.len() / 2).to_string();
        let mut all: Vec<(&str, &str)> = environment.to_vec();
        all.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all.push(("GIT_CONFIG_COUNT", &count));
        self.ask(arguments, &all, input)
    }

    /// The error for a failed command, in git's own words. `otherwise` applies if neither the message nor a signal means
    /// that it passes.
    pub(super) fn refused(&self, arguments: &[&str], answer: &Answer, otherwise: Outlook) -> PorchError {
        let least = match answer.signal {
            Some(FILE_TOO_LARGE) => Outlook::NoSpace,
            Some(_) => Outlook::Passing,
            None => otherwise,
        };
        let reason = match left_out_of_git() {
            names if names.is_empty() => answer.complaint(),
            names => format!("{} (set, and not handed on to git: {})", answer.complaint(), names.join(", ")),
        };
        self.failed(arguments, reason, least)
    }

    /// The error for a failed step. A message about full disks, locks or moved branches overrides `otherwise`.
    pub(super) fn failed(
        &self,
        arguments: &[&str],
        reason: impl Into<String>,
        otherwise: Outlook,
    ) -> PorchError {
        let reason = reason.into();
        let lasting = || LASTING.iter().any(|word| reason.contains(word));
        let outlook = match outlook(&reason) {
            Outlook::Lasting if lasting() => Outlook::Lasting,
            Outlook::Lasting => otherwise,
            told => told,
        };
        PorchError::Git {
            step: step(arguments).to_owned(),
            repository: self.repository.display().to_string(),
            reason,
            outlook,
        }
    }

    /// Runs a command and returns its answer, also on failure.
    pub(super) fn ask(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Answer, PorchError> {
        let own = |error: io::Error| self.failed(arguments, error.to_string(), Outlook::Lasting);
        let stdin = memory_file(input).map_err(own)?;
        let (stdout, stderr) = (memory_file(&[]).map_err(own)?, memory_file(&[]).map_err(own)?);
        let shared = |file: &File| file.try_clone().map(Stdio::from).map_err(own);
        let mut command = self.command(arguments)?;
        command.envs(environment.iter().copied());
        command.streams([stdin.into(), shared(&stdout)?, shared(&stderr)?]);
        let mut child = self.start(command, arguments)?;
        if let Err(error) = self.wait(&mut child, arguments, &stderr) {
            // On TERM git removes its lock files. Its status is not needed: the caller knows why it had to end.
            let _ = child.end(GRACE);
            return Err(error);
        }
        let status = child.reap().map_err(own)?;
        let answer = content(stdout).map_err(own)?;
        let complaints = String::from_utf8_lossy(&content(stderr).map_err(own)?).into_owned();
        Ok(Answer { success: status.success(), signal: status.signal(), stdout: answer, stderr: complaints })
    }

    pub(super) fn start(&self, command: Command, arguments: &[&str]) -> Result<Supervised, PorchError> {
        command.start().map_err(|error| match error {
            StartError::NotExecuted(error) if error.kind() == io::ErrorKind::NotFound => {
                self.failed(arguments, "the git program is not installed", Outlook::Lasting)
            }
            error => self.failed(arguments, format!("git cannot be started: {error}"), Outlook::Passing),
        })
    }

    /// The error of a git that ended before its work was done.
    pub(super) fn ended(&self, arguments: &[&str], status: ExitStatus, said: &[u8]) -> PorchError {
        let stderr = String::from_utf8_lossy(said).into_owned();
        let answer = Answer { success: false, signal: status.signal(), stdout: Vec::new(), stderr };
        self.refused(arguments, &answer, Outlook::Lasting)
    }

    /// The program with all it is given, and what it is to lead.
    #[expect(clippy::disallowed_methods, reason = "the one place where git is started")]
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command, PorchError> {
        let named = std::path::absolute(self.repository).unwrap_or_else(|_| self.repository.to_owned());
        let mut command = Command::new("git");
        // Without a configured program for prompts, every prompt fails.
        command.env("GIT_ASKPASS", "/bin/false").envs(git_environment());
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // The operator's path is the repository: none around it, if it is missing.
            .env("GIT_CEILING_DIRECTORIES", named.parent().unwrap_or(&named))
            // Read the commit's own objects, without replacements.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("-C")
            .arg(self.repository);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        let step = step(arguments);
        let mut may_ask = REMOTE_STEPS.contains(&step) || arguments.contains(&"-S");
        if step != "config" {
            let configured = self.configured()?;
            // If objects may be missing, any step may fetch them.
            may_ask |= configured.is_partial();
            if may_ask {
                command.envs(configured.for_remotes());
            }
        }
        // Without a terminal, neither git nor an ssh it starts can prompt.
        command.leads(if may_ask { Leads::Session } else { Leads::Group });
        Ok(command)
    }

    /// Waits for the end, the deadline, or cancellation.
    fn wait(&self, child: &mut Supervised, arguments: &[&str], said: &File) -> Result<(), PorchError> {
        let begin = Instant::now();
        loop {
            let left = self.patience.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed(
                    arguments,
                    "it did not end in time and was stopped",
                    Outlook::Passing,
                ));
            }
            let pause = self.patience.look()?.min(left);
            if begin.elapsed() >= TOLD_AFTER {
                (self.patience.tell)(&format!(
                    "git {} has taken {} s; it is stopped in {} s. {}",
                    step(arguments),
                    begin.elapsed().as_secs(),
                    left.as_secs(),
                    last_words(said)
                ));
            }
            if child.wait([], Some(Instant::now() + pause)).ended {
                return Ok(());
            }
        }
    }
}

/// git's last progress message, if it shows progress.
fn last_words(said: &File) -> String {
    let mut bytes = [0; LAST_WORDS];
    let length = said.metadata().map_or(0, |meta| meta.len());
    let read = said.read_at(&mut bytes, length.saturating_sub(LAST_WORDS as u64)).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
    let line = text.split(['\r', '\n']).map(str::trim).rfind(|line| !line.is_empty());
    conductor_core::scrub::line(line.unwrap_or_default(), 60)
}
