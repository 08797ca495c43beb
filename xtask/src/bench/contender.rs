//! The measured programs and how each is started: our daemon with an external porch and with the embedded engine, an
//! earlier build of it, and the tools a user would use instead. None of those tools records what it did.

use super::field::Field;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The builds of our daemon that are measured.
pub(super) struct Builds {
    /// The build of this source tree.
    pub(super) now: PathBuf,
    /// An earlier build (`--before`).
    pub(super) before: Option<PathBuf>,
}

/// A program that runs porch for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// Our daemon with an external porch.
    External,
    /// Our daemon with the embedded engine.
    Embedded,
    /// The same as `External` with `--confine off`.
    Unconfined,
    /// The same as `Embedded` with `--confine off`.
    EmbeddedUnconfined,
    /// An earlier build (`--before`) with an external porch.
    Before,
    /// An earlier build with the embedded engine.
    BeforeEmbedded,
    /// Two threads that start porch once per file without reading any file: the upper bound of the machine.
    Spawn,
    /// `find | xargs -P2`.
    Xargs,
    /// A shell loop around `inotifywait -m` that runs and moves.
    Inotifywait,
    /// A table line of incrond that runs and moves.
    Incron,
    /// A shell loop that works off the directory each time entr sees a change in it.
    Entr,
}

impl Contender {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::External => "ours",
            Self::Embedded => "ours, embedded",
            Self::Unconfined => "ours, confine off",
            Self::EmbeddedUnconfined => "ours, embedded, confine off",
            Self::Before => "before",
            Self::BeforeEmbedded => "before, embedded",
            Self::Spawn => "bare spawn",
            Self::Xargs => "xargs -P2",
            Self::Inotifywait => "inotifywait loop",
            Self::Incron => "incron",
            Self::Entr => "entr loop",
        }
    }

    /// Whether it can run on this machine: its program is installed, or an earlier build was given.
    pub(super) fn is_available(self, builds: &Builds) -> bool {
        let program = match self {
            Self::Before | Self::BeforeEmbedded => return builds.before.is_some(),
            Self::Inotifywait => "inotifywait",
            Self::Incron => "incrond",
            Self::Entr => "entr",
            _ => return true,
        };
        conductor_testkit::has(program)
    }

    /// Whether it is a build of our daemon.
    pub(super) fn is_ours(self) -> bool {
        self.is_confined() || matches!(self, Self::Unconfined | Self::EmbeddedUnconfined)
    }

    /// Whether it is a build of our daemon as it is by default.
    fn is_confined(self) -> bool {
        matches!(self, Self::External | Self::Embedded | Self::Before | Self::BeforeEmbedded)
    }

    /// Processes the waiting files, then ends.
    pub(super) fn drain(
        self,
        field: &Field,
        builds: &Builds,
        porch: &str,
        files: usize,
    ) -> io::Result<Duration> {
        let porch = field.porch(porch);
        match self {
            _ if self.is_ours() => timed(self.daemon(field, builds, &porch)?.arg("-once")),
            Self::Spawn => spawn(&porch, files),
            _ => timed(&mut xargs(field, &porch)),
        }
    }

    /// Starts the contender watching for files; [`end`] stops it.
    pub(super) fn watch(self, field: &Field, builds: &Builds, porch: &str) -> io::Result<Child> {
        let porch = field.porch(porch);
        let mut command = match self {
            _ if self.is_ours() => self.daemon(field, builds, &porch)?,
            Self::Incron => incron(field, &porch)?,
            Self::Entr => shell(field, &porch, ENTR),
            _ => shell(field, &porch, INOTIFYWAIT),
        };
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
    }

    fn daemon(self, field: &Field, builds: &Builds, porch: &Path) -> io::Result<Command> {
        let program = match self {
            Self::Before | Self::BeforeEmbedded => builds.before.as_deref(),
            _ => Some(builds.now.as_path()),
        };
        let program = program.ok_or_else(|| io::Error::other("no earlier build was given"))?;
        let embedded = matches!(self, Self::Embedded | Self::BeforeEmbedded | Self::EmbeddedUnconfined);
        let mut daemon = ours(field, program, if embedded { Path::new("builtin") } else { porch });
        if !self.is_confined() {
            daemon.args(["-confine", "off"]);
        }
        Ok(daemon)
    }

    /// The directory where finished files appear.
    pub(super) fn finished(self, field: &Field) -> PathBuf {
        field.path(if self.is_ours() { "handoff/status" } else { "done" })
    }
}

/// Arguments: handoff, porch, out, done.
const INOTIFYWAIT: &str = "inotifywait -q -m -e moved_to --format %f \"$1\" | while read -r f; do \
    \"$2\" -intent \"$1/$f\" -out \"$3\"; mv \"$1/$f\" \"$4\"; done";
const ENTR: &str = "while :; do for f in \"$1\"/intent-* \"$1\"/warm; do test -e \"$f\" || continue; \
    \"$2\" -intent \"$f\" -out \"$3\"; mv \"$f\" \"$4\"; done; echo \"$1\" | entr -dnz true; done";
const XARGS: &str =
    "find \"$1\" -name 'intent-*.json' -print0 | xargs -0 -P2 -I{} \"$2\" -intent {} -out \"$3\"";

fn shell(field: &Field, porch: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(field.path("handoff")).arg(porch);
    command.arg(field.path("out")).arg(field.path("done"));
    command
}

fn xargs(field: &Field, porch: &Path) -> Command {
    shell(field, porch, XARGS)
}

pub(super) fn ours(field: &Field, program: &Path, porch: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["-debounce", "0", "-log-level", "warn", "-allow-unsafe-porch", "-porch"]).arg(porch);
    command.arg("-handoff").arg(field.path("handoff")).arg("-out").arg(field.path("out"));
    command.stderr(Stdio::null());
    command
}

fn incron(field: &Field, porch: &Path) -> io::Result<Command> {
    let text = |below: &str| field.path(below).display().to_string();
    for dir in ["incron", "incron/system", "incron/user"] {
        std::fs::create_dir_all(field.path(dir))?;
    }
    let configuration = format!(
        "system_table_dir = {}\nuser_table_dir = {}\nlockfile_dir = {}\nlockfile_name = lock\n",
        text("incron/system"),
        text("incron/user"),
        text("incron")
    );
    std::fs::write(field.path("incron/conf"), configuration)?;
    let run = format!(
        "#!/bin/sh\n\"{}\" -intent \"$1\" -out {} && mv \"$1\" {}\n",
        porch.display(),
        text("out"),
        text("done")
    );
    std::fs::write(field.path("incron/run"), run)?;
    let table = format!("{} IN_MOVED_TO /bin/sh {} $@/$#\n", text("handoff"), text("incron/run"));
    std::fs::write(field.path("incron/system/table"), table)?;
    let mut command = Command::new("incrond");
    command.arg("-n").arg("-f").arg(field.path("incron/conf"));
    Ok(command)
}

fn spawn(porch: &Path, files: usize) -> io::Result<Duration> {
    let begin = Instant::now();
    let half = || (0..files / 2).try_for_each(|_| Command::new(porch).status().map(drop));
    std::thread::scope(|scope| {
        let other = scope.spawn(half);
        half().and(other.join().unwrap_or(Ok(())))
    })?;
    Ok(begin.elapsed())
}

fn timed(command: &mut Command) -> io::Result<Duration> {
    let begin = Instant::now();
    let status = command.status()?;
    let took = begin.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(io::Error::other(format!("{command:?} ended with {status}")))
    }
}

/// Ends a watching contender and every process it started.
pub(super) fn end(mut contender: Child) -> io::Result<()> {
    if let Some(pid) = Pid::from_raw(i32::try_from(contender.id()).unwrap_or(0)) {
        let _ = kill_process(pid, Signal::TERM);
        // The daemon exits by itself; shells would wait for their pipes.
        let until = Instant::now() + Duration::from_secs(10);
        while contender.try_wait()?.is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5)); // Outside the measured time.
        }
        let _ = kill_process_group(pid, Signal::KILL);
    }
    contender.wait().map(drop)
}
