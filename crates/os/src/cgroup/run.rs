//! The control group of one run: made before it, and removed with its end.

use super::{Groups, Limits, NoGroup, content, names_below, open, put, refused, text};
use crate::command::Command;
use crate::process::{self, Pid, ProcessInfo};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, OFlags, statat, unlinkat};
use rustix::io::{Errno, write};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long the end of a killed group is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a run may have made below its group: how deep groups are followed there, and how many.
const DEPTH_MAX: usize = 32;
const BELOW_MAX: usize = 1000;

/// The group of one run.
#[derive(Debug)]
pub struct RunGroup<'g> {
    groups: &'g Groups,
    name: String,
    directory: OwnedFd,
    /// Open from the beginning: also without a free descriptor everything in the group can be killed.
    kill: OwnedFd,
}

/// The limits that the processes of a run reached together, and what else took memory from them, as the kernel counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// The run's limit on memory.
    pub memory: bool,
    /// The run's limit on processes and threads.
    pub processes: bool,
    /// Processes of the run were killed for want of memory of the machine, or of a group above: not for the run's limit.
    pub memory_elsewhere: bool,
}

/// What was found at the end of a group.
#[derive(Debug)]
pub struct Ended {
    /// The processes that were in it, and were killed; an error: there were some, and which is not known.
    pub processes: io::Result<Vec<ProcessInfo>>,
    /// What the run reached.
    pub reached: Reached,
}

/// The number behind a word at the beginning of a line.
fn number(text: &str, word: &str) -> u64 {
    let after = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(after).unwrap_or(0)
}

fn directory(at: &OwnedFd, name: &str) -> Result<OwnedFd, NoGroup> {
    open(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// Removes a group with those that were made below it. One that is not there is removed.
fn remove(at: &OwnedFd, name: &str, depth: usize, left: &mut usize) -> Result<(), NoGroup> {
    let once = || unlinkat(at, name, AtFlags::REMOVEDIR);
    match once() {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY) if depth > 0 => {}
        Err(errno) => return Err(refused(format_args!("rmdir({name})"))(errno)),
    }
    let group = directory(at, name)?;
    for below in names_below(&group)? {
        *left =
            left.checked_sub(1).ok_or_else(|| NoGroup::Refused(format!("{name} has too many below it")))?;
        remove(&group, &below, depth - 1, left)?;
    }
    once().map_err(refused(format_args!("rmdir({name})")))
}

/// The processes in a group and in those below it.
fn processes(group: &OwnedFd, depth: usize, left: &mut usize) -> Result<Vec<Pid>, NoGroup> {
    let listed = text(group, "cgroup.procs")?;
    let mut found: Vec<Pid> = listed.lines().filter_map(|line| line.parse().ok()).collect();
    for below in names_below(group)? {
        let Some(less) = left.checked_sub(1).filter(|_| depth > 0) else {
            return Err(NoGroup::Refused("it has too many groups below it".to_owned()));
        };
        *left = less;
        found.extend(processes(&directory(group, &below)?, depth - 1, left)?);
    }
    Ok(found)
}

impl<'g> RunGroup<'g> {
    /// The group of this name.
    pub(super) fn open(groups: &'g Groups, name: String) -> Result<Self, NoGroup> {
        let directory = directory(&groups.own, &name)?;
        let kill = open(&directory, "cgroup.kill", OFlags::WRONLY)?;
        Ok(Self { groups, name, directory, kill })
    }

    pub(super) fn limit(&self, limits: Limits) -> Result<(), NoGroup> {
        if let Some(memory) = limits.memory {
            put(&self.directory, "memory.max", &memory.to_string())?;
            // Where the machine has no memory elsewhere, there is nothing to limit.
            let _ = put(&self.directory, "memory.swap.max", "0");
            // A run that has lost one of its processes is no run any more.
            put(&self.directory, "memory.oom.group", "1")?;
        }
        match limits.processes {
            Some(processes) => put(&self.directory, "pids.max", &processes.to_string()),
            None => Ok(()),
        }
    }

    /// Lets a program begin in the group: it is there before its first instruction.
    pub(super) fn hold(&self, command: &mut Command) -> Result<(), NoGroup> {
        command.in_group(open(&self.directory, "cgroup.procs", OFlags::WRONLY)?);
        Ok(())
    }

    /// Whether somebody has removed it.
    pub fn is_gone(&self) -> bool {
        matches!(statat(&self.groups.own, &self.name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
    }

    /// Ends every process in the group at once, also those that are being started, waits for it, for a bounded time, and
    /// removes the group.
    pub fn end(self) -> Ended {
        let mut ended = Ended { processes: Ok(Vec::new()), reached: self.reached() };
        // Nearly always there is nothing left in it.
        if self.remove(0).is_ok() {
            return ended;
        }
        ended.processes = self.kill().map_err(io::Error::other);
        ended.reached = self.reached();
        if let Err(error) = self.remove(DEPTH_MAX) {
            tracing::warn!(group = self.name, %error, "the control group of a run cannot be removed, and is left aside");
            self.groups.keep(self.name.clone(), error.to_string());
        }
        ended
    }

    fn remove(&self, depth: usize) -> Result<(), NoGroup> {
        remove(&self.groups.own, &self.name, depth, &mut { BELOW_MAX })
    }

    pub(super) fn reached(&self) -> Reached {
        let Limits { memory, processes } = self.groups.limits;
        // What cannot be read tells nothing of the run.
        let read = |file: &str| text(&self.directory, file).unwrap_or_default();
        let mut reached = Reached::default();
        if memory.is_some() {
            // The limit of this group, and not one that the run set below it.
            reached.memory = number(&read("memory.events.local"), "oom") > 0;
            reached.memory_elsewhere = !reached.memory && number(&read("memory.events"), "oom_kill") > 0;
        }
        if let Some(limit) = processes {
            // Before Linux 6.11 starts that a limit above refuses are counted here as well.
            let peak = read("pids.peak").trim().parse::<u64>();
            reached.processes =
                number(&read("pids.events"), "max") > 0 && peak.is_ok_and(|peak| peak >= limit);
        }
        reached
    }

    /// Kills what is in it, and waits for that; returns what that was.
    fn kill(&self) -> Result<Vec<ProcessInfo>, NoGroup> {
        let events = match open(&self.directory, "cgroup.events", OFlags::RDONLY) {
            Err(_) if self.is_gone() => return Ok(Vec::new()),
            Err(error) => {
                self.kill_all();
                return Err(error);
            }
            Ok(events) => events,
        };
        // A group that was removed has no process.
        let is_populated = || content(&events).is_ok_and(|events| number(&events, "populated") != 0);
        if !is_populated() {
            return Ok(Vec::new());
        }
        let listed = processes(&self.directory, DEPTH_MAX, &mut { BELOW_MAX });
        let found = listed.and_then(|listed| {
            let shown = listed.into_iter().map(process::info).collect::<io::Result<Vec<_>>>();
            let shown = shown.map_err(|error| NoGroup::Refused(format!("reading /proc: {error}")))?;
            Ok(shown.into_iter().flatten().filter(|process| !process.zombie).collect())
        });
        self.kill_all();
        let until = Instant::now() + PATIENCE;
        while is_populated() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(group = self.name, "processes in the control group of a run do not end");
                break;
            }
            wait(&events, left);
        }
        found
    }

    fn kill_all(&self) {
        if let Err(error) = write(&self.kill, b"1") {
            tracing::warn!(group = self.name, %error, "the control group of a run cannot be ended");
        }
    }
}

/// Waits for a change of a group's events since they were read.
fn wait(events: &OwnedFd, left: Duration) {
    let left = left.min(Duration::from_millis(20));
    let timeout = Timespec::try_from(left).ok();
    if poll(&mut [PollFd::new(events, PollFlags::PRI)], timeout.as_ref()).is_err() {
        std::thread::sleep(left); // Waiting failed, so nothing can wake us.
    }
}

impl Groups {
    /// Removes a group that cannot be used, as without a free descriptor, or keeps it to be removed later.
    pub(super) fn discard(&self, name: String) {
        if let Err(error) = remove(&self.own, &name, DEPTH_MAX, &mut { BELOW_MAX }) {
            self.keep(name, error.to_string());
        }
    }

    /// Tries again to remove the groups that could not be.
    pub(super) fn remove_kept(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(name, _)| {
            let again = || remove(&self.own, name, DEPTH_MAX, &mut { BELOW_MAX });
            // What could not be killed at the end of its run is killed now, and is gone at the next look.
            let killed = || RunGroup::open(self, name.clone()).map(|group| group.kill_all());
            again().is_err() && !(killed().is_ok() && again().is_ok())
        });
    }
}
