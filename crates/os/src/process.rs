//! Processes: groups, process descriptors, and the data of /proc.

pub use crate::pid::Pid;
use crate::second::{self, reaching};
use crate::wake::wait_readable;
use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, set_child_subreaper,
    test_kill_process_group, waitpid,
};
use std::fs;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
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
    let known = children.into_iter().map(info).collect::<io::Result<Vec<_>>>()?;
    FROM_BEFORE.get_or_init(|| known.into_iter().flatten().collect());
    Ok(set_child_subreaper(Pid::own().raw())?)
}

/// The children that existed before the process started any. Not set: no orphan is adopted.
static FROM_BEFORE: OnceLock<Vec<ProcessInfo>> = OnceLock::new();

/// Whether a child existed before we started any, or is in the process group of such a child that still lives: it may be
/// that child's orphan. Where that cannot be told now, it may.
pub fn is_from_before(process: &ProcessInfo) -> bool {
    let before = FROM_BEFORE.get().into_iter().flatten();
    before.filter(|stranger| stranger.id == process.id || stranger.group == process.group).any(|stranger| {
        info(stranger.id.pid).map_or(true, |now| now.is_some_and(|now| now.id == stranger.id))
    })
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
        // Where it cannot be told now, it lives on, and whoever asks is told so.
        let same = info(id.pid).is_ok_and(|info| info.is_some_and(|info| info.id == id));
        same.then(|| id.pid.raw().map(|pid| kill_process(pid, Signal::KILL)))
    };
    // ESRCH: it has ended, which is the aim.
    let _ = reaching(end);
}

/// Whether this very process exists and has not ended. An error: it cannot be told now.
pub fn lives(id: ProcessId) -> io::Result<bool> {
    Ok(info(id.pid)?.is_some_and(|info| info.id == id && !info.zombie))
}

/// The same. Where it cannot be told now, it may live.
pub fn is_alive(id: ProcessId) -> bool {
    lives(id).unwrap_or(true)
}

/// Waits for the end of killed processes, which may take a moment, at most until `until`.
pub fn wait_for_end(killed: &[ProcessId], until: Instant) {
    for id in killed {
        // Opened before the look, so that the process id cannot be reused in between.
        let Ok(process) = descriptor(id.pid) else { continue };
        while is_alive(*id) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match wait_readable([Some(process.as_fd())], Some(left)) {
                Ok([true]) => break,
                Ok([false]) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(5)), // Waiting failed, so nothing can wake us.
            }
        }
    }
}

/// Reaps an adopted child if it has ended. Returns true when the child is gone.
pub fn reap(pid: Pid) -> bool {
    pid.raw().is_some_and(|pid| !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)))
}

/// What /proc shows of a process: nothing of one that has ended, or whose user closes it to us, and no path that is longer than any
/// that can be used, into which each neighbour may have gone. An error: it cannot be told now, for want of a descriptor or memory.
pub fn shown<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Reads /proc/PID/stat: one line of some fifty numbers and a name of at most 64 bytes, which the kernel gives in one piece to
/// whom has room for it.
fn stat(pid: Pid) -> io::Result<Option<String>> {
    let mut line = [0; 2048];
    let read = fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line));
    let line = shown(read)?.and_then(|length| line.get(..length));
    Ok(line.map(|line| String::from_utf8_lossy(line).into_owned()))
}

/// The process with this number, if there is one. An error: it cannot be told now.
pub fn info(pid: Pid) -> io::Result<Option<ProcessInfo>> {
    Ok(stat(pid)?.and_then(|line| parsed(pid, &line)))
}

fn parsed(pid: Pid, line: &str) -> Option<ProcessInfo> {
    // The name is in parentheses and may itself contain parentheses and spaces.
    let (head, tail) = line.rsplit_once(") ")?;
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
/// the first one too, and for all others once it has said another time than our clock.
pub(crate) fn started_in(pid: Pid, made: &RangeInclusive<u64>) -> Option<ProcessId> {
    static CLOCK: AtomicU8 = AtomicU8::new(UNKNOWN);
    started(pid, made, &CLOCK)
}

/// What is known of our clock beside the one by which /proc tells when a process was made.
const UNKNOWN: u8 = 0;
const SAME: u8 = 1;
const ANOTHER: u8 = 2;

fn started(pid: Pid, made: &RangeInclusive<u64>, clock: &AtomicU8) -> Option<ProcessId> {
    if made.start() == made.end() && clock.load(Ordering::Relaxed) == SAME {
        return Some(ProcessId { pid, start: *made.start() });
    }
    let id = info(pid).ok()??.id;
    if made.contains(&id.start) {
        // What was found another stays another.
        let _ = clock.compare_exchange(UNKNOWN, SAME, Ordering::Relaxed, Ordering::Relaxed);
    } else {
        clock.store(ANOTHER, Ordering::Relaxed);
    }
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
    stat(pid).ok()??.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The names of this process's own threads, sorted.
pub fn threads() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    let mut names: Vec<String> = entries.filter_map(name).map(|name| name.trim_end().to_owned()).collect();
    names.sort_unstable();
    names
}

/// Every visible process. An error: /proc cannot be listed or read now.
pub fn all() -> io::Result<Vec<ProcessInfo>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(number.map(info).transpose()?.flatten());
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
    let text = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()))?;
    Ok(text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect())
}

/// The environment of a process; empty if this thread may not read it.
#[derive(Default)]
pub struct Environment(Vec<u8>);

impl Environment {
    /// Reads it. An error: it cannot be read now.
    pub fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self(shown(fs::read(format!("/proc/{pid}/environ")))?.unwrap_or_default()))
    }

    /// Reads it with the ids of whichever of our two users may.
    pub fn of_either(pid: Pid) -> io::Result<Self> {
        let own = Self::of(pid)?;
        match second::get().filter(|_| own.0.is_empty()) {
            Some(second) => second.run(move || Self::of(pid))?,
            None => Ok(own),
        }
    }

    /// Whether it has all of these `NAME=VALUE` entries.
    pub fn has(&self, entries: &[String]) -> bool {
        entries.iter().all(|wanted| self.0.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_free_descriptor_nobody_is_said_to_have_ended() {
        if !conductor_testkit::is_alone(
            "process::tests::without_a_free_descriptor_nobody_is_said_to_have_ended",
        ) {
            return;
        }
        let own = info(Pid::own()).unwrap().unwrap().id;
        let nobody = ProcessId { start: own.start + 1, ..own };
        assert!(is_alive(own) && !is_alive(nobody));
        let mut used = conductor_testkit::all_descriptors();
        assert!(is_alive(nobody), "nobody can tell");
        assert!(info(own.pid).is_err() && Environment::of(own.pid).is_err() && crate::boot_id().is_err());
        assert_eq!(all().unwrap_err().raw_os_error(), Some(Errno::MFILE.raw_os_error()));
        // One to list them, and none to read them.
        drop(used.pop());
        assert!(all().is_err() && group_members(own.pid).is_err());
        drop(used.pop());
        assert!(all().is_ok_and(|all| all.iter().any(|process| process.id == own)));
    }

    #[test]
    fn who_has_ended_or_is_closed_to_us_is_shown_as_nothing() {
        for gone in [Errno::NOENT, Errno::SRCH, Errno::ACCESS, Errno::PERM, Errno::NAMETOOLONG] {
            assert!(shown::<()>(Err(gone.into())).unwrap().is_none(), "{gone}");
        }
        for unknown in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO] {
            assert!(shown::<()>(Err(unknown.into())).is_err(), "{unknown}");
        }
        assert!(info(Pid(u32::MAX >> 1)).unwrap().is_none());
    }

    #[test]
    fn a_clock_that_was_once_another_is_never_trusted() {
        let own = info(Pid::own()).unwrap().unwrap().id;
        let (then, elsewhere) = (own.start..=own.start, own.start + 1..=own.start + 1);
        let clock = AtomicU8::new(UNKNOWN);
        // Whatever is said of the time, what /proc says counts: until the clocks agreed, and after they did not.
        assert_eq!(started(own.pid, &then, &clock), Some(own));
        assert_eq!(started(own.pid, &elsewhere, &clock).map(|id| id.start), Some(own.start + 1), "agreed");
        assert_eq!(started(own.pid, &(own.start + 1..=own.start + 2), &clock), Some(own), "a tick passed");
        assert_eq!(started(own.pid, &elsewhere, &clock), Some(own), "they differ");
        assert_eq!(started(own.pid, &(own.start..=own.start + 1), &clock), Some(own));
        assert_eq!(started(own.pid, &elsewhere, &clock), Some(own), "they still do");
    }
}
