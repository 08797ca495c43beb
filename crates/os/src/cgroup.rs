//! Control groups (version 2) below the one that the process was given for itself: one for the process, and one for each
//! run at a time. What a run starts stays in its group whatever it does, and the group is ended as one. Every file is
//! opened at the start, so that nothing has to be permitted later.

mod own;

pub use own::{NoGroup, hand_over, own};

use crate::process::{self, ProcessInfo};
use crate::raw;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, pread, write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The group of the process itself, and the first part of the names of those for runs.
const DAEMON: &str = "daemon";
const RUN: &str = "run-";
/// How long the end of a killed group is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read: the list of a group's processes.
const READ_MAX: usize = 1 << 20;

/// What all processes of a run may take together; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

/// How often a group has met its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Met {
    /// Processes that were killed for want of memory.
    pub memory: u64,
    /// Processes or threads that could not be started.
    pub processes: u64,
}

/// The groups of this process's runs.
#[derive(Debug)]
pub struct Groups {
    runs: Vec<Group>,
    /// Which limits hold: the controllers for them may not have been given to us.
    pub limits: Limits,
    /// What a process before us left in groups for runs, and was ended.
    pub ended: Vec<ProcessInfo>,
}

/// The group of one run at a time.
#[derive(Debug)]
pub struct Group {
    processes: OwnedFd,
    kill: OwnedFd,
    events: OwnedFd,
    /// Counters of what met the limits, where they hold.
    of_memory: Option<OwnedFd>,
    of_processes: Option<OwnedFd>,
}

static GROUPS: OnceLock<Result<Groups, NoGroup>> = OnceLock::new();

/// The groups of this process's runs; `None`: it was not begun.
pub fn get() -> Option<Result<&'static Groups, &'static NoGroup>> {
    GROUPS.get().map(Result::as_ref)
}

/// Says once and for all that this process has no groups.
pub fn begin_without(reason: NoGroup) {
    // Where they were begun before, they stay.
    let _ = GROUPS.set(Err(reason));
}

/// Begins the groups, once, for this many runs at a time: ends what was left in groups of that name, and moves the process
/// to one of its own, because a group with limited groups below has no process itself.
pub fn begin(runs: usize, limits: Limits) {
    // Where they were begun before, they stay.
    let _ = GROUPS.set(own().and_then(|path| Groups::make(&path, runs, limits)));
}

/// The refusal of a step.
fn refused(step: impl std::fmt::Display) -> impl FnOnce(Errno) -> NoGroup {
    move |errno| NoGroup::Refused(format!("{step}: {errno}"))
}

fn open(at: impl AsFd, name: &str, flags: OFlags) -> Result<OwnedFd, NoGroup> {
    openat(at, name, flags | OFlags::CLOEXEC, Mode::empty()).map_err(refused(format_args!("open({name})")))
}

fn put(at: impl AsFd, name: &str, value: &str) -> Result<(), NoGroup> {
    let file = open(at, name, OFlags::WRONLY)?;
    write(&file, value.as_bytes()).map(drop).map_err(refused(format_args!("writing {value} to {name}")))
}

/// A group below another, made if it is missing.
fn below(at: impl AsFd, name: &str) -> Result<OwnedFd, NoGroup> {
    match mkdirat(at.as_fd(), name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => open(at, name, OFlags::RDONLY | OFlags::DIRECTORY),
        Err(errno) => Err(refused(format_args!("mkdir({name})"))(errno)),
    }
}

/// What a file of a group says now.
fn text(file: impl AsFd) -> Result<String, Errno> {
    let mut text = Vec::new();
    let mut part = [0_u8; 4096];
    while text.len() < READ_MAX {
        let length = pread(file.as_fd(), &mut part, text.len() as u64)?;
        if length == 0 {
            break;
        }
        text.extend_from_slice(&part[..length]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The number behind a word at the beginning of a line.
fn number(text: &str, word: &str) -> u64 {
    let after = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(after).unwrap_or(0)
}

impl Groups {
    fn make(path: &Path, runs: usize, limits: Limits) -> Result<Self, NoGroup> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = rustix::fs::open(path, flags, Mode::empty())
            .map_err(refused(format_args!("open({})", path.display())))?;
        let daemon = below(&own, DAEMON)?;
        let listed = text(open(&daemon, "cgroup.procs", OFlags::RDONLY)?);
        if !listed.map_err(refused("the processes of another daemon"))?.is_empty() {
            return Err(NoGroup::NotGiven("another daemon is in it".to_owned()));
        }
        let ended = end_those_before(&own)?;
        put(&daemon, "cgroup.procs", "0")?;
        let given = text(open(&own, "cgroup.controllers", OFlags::RDONLY)?).unwrap_or_default();
        let has = |controller: &str| {
            let given = given.split_ascii_whitespace().any(|given| given == controller);
            given && put(&own, "cgroup.subtree_control", &format!("+{controller}")).is_ok()
        };
        let limits = Limits {
            memory: limits.memory.filter(|_| has("memory")),
            processes: limits.processes.filter(|_| has("pids")),
        };
        let run = |number| Group::make(&own, &format!("{RUN}{number}"), limits);
        Ok(Self { runs: (0..runs).map(run).collect::<Result<_, _>>()?, limits, ended })
    }

    /// The group of the runs with this number, of which there is one at a time.
    pub fn run(&self, number: usize) -> Option<&Group> {
        self.runs.get(number)
    }
}

/// Ends what a process before us left in the groups for runs, and removes them.
fn end_those_before(own: &OwnedFd) -> Result<Vec<ProcessInfo>, NoGroup> {
    let mut ended = Vec::new();
    let list = rustix::fs::Dir::read_from(own).map_err(refused("listing the groups"))?;
    let names = list.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    for name in names.filter(|name| name.starts_with(RUN)).collect::<Vec<_>>() {
        ended.extend(Group::make(own, &name, Limits::default())?.end());
        unlinkat(own, &name, AtFlags::REMOVEDIR).map_err(refused(format_args!("rmdir({name})")))?;
    }
    Ok(ended)
}

impl Group {
    fn make(own: &OwnedFd, name: &str, limits: Limits) -> Result<Self, NoGroup> {
        let group = below(own, name)?;
        if let Some(memory) = limits.memory {
            put(&group, "memory.max", &memory.to_string())?;
            // Where the machine has no memory elsewhere, there is nothing to limit.
            let _ = put(&group, "memory.swap.max", "0");
            // A run that has lost one of its processes is no run any more.
            put(&group, "memory.oom.group", "1")?;
        }
        if let Some(processes) = limits.processes {
            put(&group, "pids.max", &processes.to_string())?;
        }
        let counts = |wanted: bool, name| wanted.then(|| open(&group, name, OFlags::RDONLY)).transpose();
        Ok(Self {
            processes: open(&group, "cgroup.procs", OFlags::RDWR)?,
            kill: open(&group, "cgroup.kill", OFlags::WRONLY)?,
            events: open(&group, "cgroup.events", OFlags::RDONLY)?,
            of_memory: counts(limits.memory.is_some(), "memory.events")?,
            of_processes: counts(limits.processes.is_some(), "pids.events")?,
        })
    }

    /// Lets a program begin in the group: it is there before its first instruction.
    pub fn hold(&'static self, command: &mut Command) {
        raw::in_control_group(command, self.processes.as_fd());
    }

    /// Whether the group is still there, with or without processes.
    pub fn exists(&self) -> bool {
        text(&self.events).is_ok()
    }

    fn is_empty(&self) -> bool {
        // A group that was removed has no process.
        text(&self.events).map_or(true, |events| number(&events, "populated") == 0)
    }

    /// How often the limits have been met so far.
    pub fn met(&self) -> Met {
        let count = |file: &Option<OwnedFd>, word| {
            file.as_ref().and_then(|file| text(file).ok()).map_or(0, |text| number(&text, word))
        };
        Met { memory: count(&self.of_memory, "oom_kill"), processes: count(&self.of_processes, "max") }
    }

    /// Ends every process in the group at once, also those that are being started, and waits for it, for a bounded time.
    /// Returns those that were there.
    pub fn end(&self) -> Vec<ProcessInfo> {
        if self.is_empty() {
            return Vec::new();
        }
        let listed = text(&self.processes).unwrap_or_default();
        let found = listed.lines().filter_map(|line| process::info(line.parse().ok()?));
        let found = found.filter(|process| !process.zombie).collect();
        if let Err(error) = write(&self.kill, b"1") {
            tracing::warn!(%error, "the control group of a run cannot be ended");
        }
        let until = Instant::now() + PATIENCE;
        while !self.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("processes in the control group of a run do not end");
                break;
            }
            self.wait(left);
        }
        found
    }

    /// Waits for a change of the group.
    fn wait(&self, left: Duration) {
        // Also without an event, which may have come before the wait.
        let left = left.min(Duration::from_millis(20));
        let timeout = Timespec::try_from(left).ok();
        if poll(&mut [PollFd::new(&self.events, PollFlags::PRI)], timeout.as_ref()).is_err() {
            std::thread::sleep(left); // Waiting failed, so nothing can wake us.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A directory with the files of a group, which the kernel would make.
    fn group(at: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(at).unwrap();
        let usual = [("cgroup.procs", ""), ("cgroup.kill", ""), ("cgroup.events", "populated 0\nfrozen 0\n")];
        for (name, text) in usual.iter().chain(files) {
            fs::write(at.join(name), text).unwrap();
        }
    }

    #[test]
    fn limits_are_set_where_their_controllers_are_given_and_what_met_them_is_counted() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        group(temp.path(), &[("cgroup.controllers", "cpu memory pids\n"), ("cgroup.subtree_control", "")]);
        group(&at("daemon"), &[]);
        let limits_of = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max"];
        let counters = [("memory.events", "low 0\noom 2\noom_kill 1\n"), ("pids.events", "max 3\n")];
        group(&at("next"), &[&limits_of.map(|name| (name, ""))[..], &counters].concat());
        let own = open(rustix::fs::CWD, temp.path().to_str().unwrap(), OFlags::RDONLY).unwrap();
        let limits = Limits { memory: Some(1 << 20), processes: Some(77) };
        let limited = Group::make(&own, "next", limits).unwrap();
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        let set = limits_of.map(|name| read(&format!("next/{name}")));
        assert_eq!(set, ["1048576", "0", "1", "77"]);
        assert_eq!(limited.met(), Met { memory: 1, processes: 3 });
        let free = Group::make(&own, "next", Limits::default()).unwrap();
        assert_eq!(free.met(), Met::default());
        let groups = Groups::make(temp.path(), 0, limits).unwrap();
        assert_eq!((groups.limits, groups.runs.len()), (limits, 0));
        assert_eq!(read("daemon/cgroup.procs"), "0");
        assert!(read("cgroup.subtree_control").starts_with('+'));
        fs::write(at("cgroup.controllers"), "cpu\n").unwrap();
        fs::write(at("daemon/cgroup.procs"), "").unwrap();
        assert_eq!(Groups::make(temp.path(), 0, limits).unwrap().limits, Limits::default());
        fs::write(at("daemon/cgroup.procs"), "4711\n").unwrap();
        let busy = Groups::make(temp.path(), 0, limits).unwrap_err();
        assert_eq!(busy, NoGroup::NotGiven("another daemon is in it".to_owned()));
        fs::remove_file(at("daemon/cgroup.procs")).unwrap();
        assert!(matches!(Groups::make(temp.path(), 0, limits), Err(NoGroup::Refused(_))));
    }
}
