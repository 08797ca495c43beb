//! Control groups (version 2) below the one that the process was given for itself: one for the process, and one for each
//! run. What a run starts stays in its group whatever it does, and the group is ended as one. No run gets the group of another:
//! what one has left charged to its group (files in memory, pages of files), and what its limits have counted, would be the
//! next one's.

mod own;
mod run;

pub use own::{NoGroup, hand_over, own};
pub use run::{Ended, Reached, RunGroup};

use crate::command::Command;
use crate::process::ProcessInfo;
use rustix::fs::{Dir, FileType, Mode, OFlags, mkdirat, openat};
use rustix::io::{Errno, pread, write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The group of the process itself, and the first part of the names of those for runs.
const DAEMON: &str = "daemon";
const RUN: &str = "run-";
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

/// The groups of this process's runs.
#[derive(Debug)]
pub struct Groups {
    own: OwnedFd,
    path: PathBuf,
    /// Which limits hold: the controllers for them may not have been given to us.
    pub limits: Limits,
    /// What a process before us left in groups for runs, and was ended.
    pub ended: Vec<ProcessInfo>,
    /// Groups whose processes were ended and cannot be named, with the reason.
    pub unlisted: Vec<(String, String)>,
    /// The number of the next group.
    next: AtomicU64,
    /// Groups that could not be removed, with the reason: nothing is run in them, and their removal is tried again.
    kept: Mutex<Vec<(String, String)>>,
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

/// Begins the groups, once: ends what was left in groups of that name, and moves the process to one of its own, because a
/// group with limited groups below has no process itself.
pub fn begin(limits: Limits) {
    // Where they were begun before, they stay.
    let _ = GROUPS.set(own().and_then(|path| Groups::make(&path, limits)));
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

/// What a file of a group says now.
fn text(at: impl AsFd, name: &str) -> Result<String, NoGroup> {
    content(open(at, name, OFlags::RDONLY)?).map_err(refused(format_args!("read({name})")))
}

/// What an open file says now.
fn content(file: impl AsFd) -> Result<String, Errno> {
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

/// The names of the groups right below one.
fn names_below(at: &OwnedFd) -> Result<Vec<String>, NoGroup> {
    let mut names = Vec::new();
    for entry in Dir::read_from(at).map_err(refused("listing the groups"))? {
        let entry = entry.map_err(refused("listing the groups"))?;
        if entry.file_type() == FileType::Directory
            && let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

impl Groups {
    fn make(path: &Path, limits: Limits) -> Result<Self, NoGroup> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = rustix::fs::open(path, flags, Mode::empty())
            .map_err(refused(format_args!("open({})", path.display())))?;
        match mkdirat(&own, DAEMON, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(refused(format_args!("mkdir({DAEMON})"))(errno)),
        }
        let daemon = open(&own, DAEMON, OFlags::RDONLY | OFlags::DIRECTORY)?;
        if !text(&daemon, "cgroup.procs")?.is_empty() {
            return Err(NoGroup::NotGiven("another daemon is in it".to_owned()));
        }
        let (next, kept) = (AtomicU64::new(0), Mutex::default());
        let path = path.to_owned();
        let mut groups = Self {
            own,
            path,
            limits: Limits::default(),
            ended: Vec::new(),
            unlisted: Vec::new(),
            next,
            kept,
        };
        groups.end_those_before()?;
        put(&daemon, "cgroup.procs", "0")?;
        let given = text(&groups.own, "cgroup.controllers")?;
        let has = |controller: &str| {
            let given = given.split_ascii_whitespace().any(|given| given == controller);
            given && put(&groups.own, "cgroup.subtree_control", &format!("+{controller}")).is_ok()
        };
        groups.limits = Limits {
            memory: limits.memory.filter(|_| has("memory")),
            processes: limits.processes.filter(|_| has("pids")),
        };
        Ok(groups)
    }

    /// Ends what a process before us left in the groups for runs, and removes them. One that cannot be ended or removed costs
    /// the others nothing.
    fn end_those_before(&mut self) -> Result<(), NoGroup> {
        let names = names_below(&self.own)?;
        for name in names.into_iter().filter(|name| name.starts_with(RUN)) {
            let ended = RunGroup::open(self, name.clone()).map(|group| group.end().processes);
            match ended {
                Ok(Ok(ended)) => self.ended.extend(ended),
                // It is among those that could not be removed, unless its processes have ended meanwhile.
                Ok(Err(error)) => self.unlisted.push((name, error.to_string())),
                Err(_) => self.discard(name),
            }
        }
        Ok(())
    }

    /// The directory of the group that the process was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The groups that could not be removed yet, with the reason.
    pub fn kept(&self) -> Vec<(String, String)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, name: String, reason: String) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push((name, reason));
    }

    /// Makes the group of one run, under the limits that hold, and lets the program begin in it.
    pub fn for_a_run(&self, program: &mut Command) -> Result<RunGroup<'_>, NoGroup> {
        self.remove_kept();
        let name = loop {
            let name = format!("{RUN}{}", self.next.fetch_add(1, Ordering::Relaxed));
            match mkdirat(&self.own, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => break name,
                // One that could not be removed.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused("mkdir of a group for a run")(errno)),
            }
        };
        let group = match RunGroup::open(self, name.clone()) {
            Ok(group) => group,
            Err(error) => {
                self.discard(name);
                return Err(error);
            }
        };
        match group.limit(self.limits).and_then(|()| group.hold(program)) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.end();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
