//! Processes: groups, process descriptors, and the data of /proc.

pub use crate::pid::Pid;
use crate::second::{self, reaching};
use crate::wake::wait_readable;
use rustix::process::{
    PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, set_child_subreaper,
    test_kill_process_group, waitpid,
};
use std::fs;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A process identified across reuse of its process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    /// The process id.
    pub pid: Pid,
    /// Its start, in clock ticks since boot (proc(5), field 22).
    pub start: u64,
}

/// The fields of /proc/PID/stat that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Process id and start.
    pub id: ProcessId,
    /// The program's short name.
    pub name: String,
    /// Its process group.
    pub group: Pid,
    /// Whether it has a controlling terminal: a person uses it.
    pub at_terminal: bool,
    /// Whether it has ended and waits to be reaped.
    pub zombie: bool,
}

/// Makes orphaned descendants our children instead of init's, so that escaped ones can be found and killed. An error if
/// that is impossible, or if the kernel does not list a thread's children: then no orphan is adopted.
pub fn adopt_orphans() -> io::Result<()> {
    // A program that was started through a shell may have children that the shell started.
    let children = children_of_main()?;
    FROM_BEFORE.get_or_init(|| children.into_iter().filter_map(info).collect());
    Ok(set_child_subreaper(Pid::own().raw())?)
}

/// The children that existed before the process started any. Not set: no orphan is adopted.
static FROM_BEFORE: OnceLock<Vec<ProcessInfo>> = OnceLock::new();

/// Whether a child existed before we started any, or is in the process group of such a child that still lives: it may be
/// that child's orphan.
pub fn is_from_before(process: &ProcessInfo) -> bool {
    let before = FROM_BEFORE.get().into_iter().flatten();
    before
        .filter(|stranger| stranger.id == process.id || stranger.group == process.group)
        .any(|stranger| info(stranger.id.pid).is_some_and(|now| now.id == stranger.id))
}

/// A descriptor that becomes readable when the process ends.
pub fn descriptor(pid: Pid) -> io::Result<OwnedFd> {
    let pid = pid.raw().ok_or_else(|| io::Error::other("not a process number"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Asks a process group to end.
pub fn terminate_group(group: Pid) {
    // ESRCH means that the group has no member left, which is the aim.
    let _ = group.raw().map(|group| reaching(move || kill_process_group(group, Signal::TERM)));
}

/// Ends a process group.
pub fn kill_group(group: Pid) {
    // ESRCH: the group has no member left, which is the aim.
    let _ = group.raw().map(|group| reaching(move || kill_process_group(group, Signal::KILL)));
}

/// Whether a process group still has members.
pub fn group_exists(group: Pid) -> bool {
    let Some(group) = group.raw() else { return false };
    // Where nobody can ask, it may.
    reaching(move || test_kill_process_group(group).is_ok()).unwrap_or(true)
}

/// Ends one process, if its process id has not been reused.
pub fn kill(id: ProcessId) {
    let end = move || {
        let same = info(id.pid).is_some_and(|info| info.id == id);
        same.then(|| id.pid.raw().map(|pid| kill_process(pid, Signal::KILL)))
    };
    // ESRCH: it has ended, which is the aim.
    let _ = reaching(end);
}

/// Whether this very process exists and has not ended.
pub fn is_alive(id: ProcessId) -> bool {
    info(id.pid).is_some_and(|info| info.id == id && !info.zombie)
}

/// Waits for the end of killed processes, which may take a moment, at most until `until`.
pub fn wait_for_end(killed: &[ProcessId], until: Instant) {
    for id in killed {
        // Opened before the look, so that the process id cannot be reused in between.
        let Ok(process) = descriptor(id.pid) else { continue };
        while is_alive(*id) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            if wait_readable([Some(process.as_fd())], Some(left)).is_err() {
                std::thread::sleep(Duration::from_millis(5)); // Waiting failed, so nothing can wake us.
            }
        }
    }
}

/// Reaps an adopted child if it has ended. Returns true when the child is gone.
pub fn reap(pid: Pid) -> bool {
    pid.raw().is_some_and(|pid| !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)))
}

/// Reads /proc/PID/stat: one line of some fifty numbers and a name of at most 64 bytes, which the kernel gives in one piece to
/// whom has room for it.
fn stat(pid: Pid) -> Option<String> {
    let mut line = [0; 2048];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    Some(String::from_utf8_lossy(line.get(..length)?).into_owned())
}

/// The process with this number, if there is one.
pub fn info(pid: Pid) -> Option<ProcessInfo> {
    let text = stat(pid)?;
    // The name is in parentheses and may itself contain parentheses and spaces.
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once(" (")?.1.to_owned();
    let fields: Vec<&str> = tail.split(' ').collect();
    Some(ProcessInfo {
        id: ProcessId { pid, start: fields.get(19)?.parse().ok()? },
        name,
        group: fields.get(2)?.parse().ok()?,
        at_terminal: *fields.get(4)? != "0",
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// A process that was made in this time, in clock ticks since boot, and has not been reaped. The time is its start unless a
/// tick passed meanwhile: then /proc is asked, which costs as much as a good part of making a process. It is asked for
/// the first one too, in case its clock is not ours.
pub(crate) fn started_in(pid: Pid, made: &RangeInclusive<u64>) -> Option<ProcessId> {
    static SAME_CLOCK: OnceLock<bool> = OnceLock::new();
    if made.start() == made.end() && SAME_CLOCK.get() == Some(&true) {
        return Some(ProcessId { pid, start: *made.start() });
    }
    let id = info(pid)?.id;
    SAME_CLOCK.get_or_init(|| made.contains(&id.start));
    Some(id)
}

/// Whether a process was started by the process `ancestor`, at whatever remove. An orphan is a child of whoever adopted
/// it. `None`: it, or one between the two, has ended or is not visible.
pub fn descends_from(pid: Pid, ancestor: Pid) -> Option<bool> {
    let mut pid = pid;
    while pid != ancestor {
        pid = match parent(pid)? {
            Pid(0) => return Some(false),
            parent => parent,
        };
    }
    Some(true)
}

/// The parent of a process; 0 for the first process of a PID namespace, or one whose parent is outside it.
fn parent(pid: Pid) -> Option<Pid> {
    stat(pid)?.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The names of this process's own threads, sorted.
pub fn threads() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    let mut names: Vec<String> = entries.filter_map(name).map(|name| name.trim_end().to_owned()).collect();
    names.sort_unstable();
    names
}

/// Every visible process.
pub fn all() -> io::Result<Vec<ProcessInfo>> {
    let list = |error: io::Error| io::Error::new(error.kind(), format!("/proc cannot be listed: {error}"));
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(list)? {
        let number = entry.map_err(list)?.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(number.and_then(info));
    }
    Ok(found)
}

/// Living members of a process group.
pub fn group_members(group: Pid) -> io::Result<Vec<ProcessInfo>> {
    Ok(all()?.into_iter().filter(|process| process.group == group && !process.zombie).collect())
}

/// Adopted orphans, and children from before ([`is_from_before`]). Empty if orphans are not adopted.
pub fn adopted() -> io::Result<Vec<Pid>> {
    if FROM_BEFORE.get().is_some() { children_of_main() } else { Ok(Vec::new()) }
}

/// The error that prevents telling orphans from our own programs, if the kernel does not list a thread's children.
pub fn cannot_tell_orphans() -> Option<io::Error> {
    children_of_main().err()
}

/// Children of the main thread: only other threads start programs.
fn children_of_main() -> io::Result<Vec<Pid>> {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let text = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{path} cannot be read: {error}")))?;
    Ok(text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect())
}

/// The environment of a process; empty if this thread may not read it.
#[derive(Default)]
pub struct Environment(Vec<u8>);

impl Environment {
    /// Reads it.
    pub fn of(pid: Pid) -> Self {
        Self(fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
    }

    /// Reads it with the ids of whichever of our two users may.
    pub fn of_either(pid: Pid) -> Self {
        let own = Self::of(pid);
        let theirs = second::get().filter(|_| own.0.is_empty());
        theirs.and_then(|second| second.run(move || Self::of(pid)).ok()).unwrap_or(own)
    }

    /// Whether it has all of these `NAME=VALUE` entries.
    pub fn has(&self, entries: &[String]) -> bool {
        entries.iter().all(|wanted| self.0.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
    }
}
