//! Runs a program with an action at its N-th system call of a class: kills it, fails the call, or cuts a write short. One
//! counter runs over all threads and children.
//! `at-call CLASS ACTION N SECONDS REPORT PROGRAM ARGUMENTS...`: CLASS is `change` or names of calls with commas; ACTION
//! is `count`, `kill`, `fail=ERRNO`, `fail-on=ERRNO` (from N on, for ever), `short`,
//! `instead=NUMBER,ARGUMENT,...` (it becomes another call); the report is JSON.
//!
//! seccomp(2) stops the program only at the calls of the class, so that everything else runs at full speed; ptrace(2)
//! handles the stops.

use conductor_testkit::calls::{calls_of, name_of};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The grace period of a program after TERM.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Count,
    Kill,
    Fail { errno: i32, for_ever: bool },
    Short,
    Instead { number: u64, arguments: [u64; 6] },
}

impl Action {
    fn from_word(word: &str) -> Option<Self> {
        let errno = |text: &str| text.parse().ok();
        match word.split_once('=') {
            Some(("fail", number)) => Some(Self::Fail { errno: errno(number)?, for_ever: false }),
            Some(("instead", numbers)) => {
                let numbers: Vec<u64> = numbers.split(',').filter_map(|number| number.parse().ok()).collect();
                let (number, arguments) = numbers.split_first()?;
                Some(Self::Instead { number: *number, arguments: arguments.try_into().ok()? })
            }
            Some(("fail-on", number)) => Some(Self::Fail { errno: errno(number)?, for_ever: true }),
            None if word == "count" => Some(Self::Count),
            None if word == "kill" => Some(Self::Kill),
            None if word == "short" => Some(Self::Short),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [inside, class, program @ ..] = words.as_slice()
        && inside == "inside"
    {
        return become_program(class, program);
    }
    let [class, action, at, seconds, report, program @ ..] = words.as_slice() else {
        panic!("usage: at-call CLASS ACTION N SECONDS REPORT PROGRAM ARGUMENTS...");
    };
    let action = Action::from_word(action).expect("an action");
    let limit = Duration::from_secs(seconds.parse().expect("seconds"));
    let mut command = Command::new(std::env::current_exe().expect("ourselves"));
    command.args(["inside", class]).args(program);
    #[expect(clippy::zombie_processes, reason = "waitpid is what tells of each stop, and of the end")]
    let child = command.spawn().expect("ourselves again");
    let root = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let mut tracer = Tracer {
        root,
        action,
        at: at.parse().expect("a number"),
        calls: 0,
        ours: HashMap::new(),
        counts: BTreeMap::new(),
        written: 0,
        place: None,
        ended: None,
    };
    tracer.begin();
    watch_over(root, limit);
    tracer.follow();
    std::fs::write(report, tracer.report()).expect("the report is written");
    ExitCode::SUCCESS
}

/// The child's side: asks to be traced, installs the filter, becomes the program.
fn become_program(class: &str, program: &[String]) -> ExitCode {
    if ptrace::traceme().is_err() {
        return ExitCode::from(125);
    }
    raise(Signal::SIGSTOP).expect("the tracer begins");
    seccompiler::apply_filter(&filter(class)).expect("seccomp is there");
    let (name, arguments) = program.split_first().expect("a program");
    let error = Command::new(name).args(arguments).exec();
    panic!("{name}: {error}");
}

fn filter(class: &str) -> BpfProgram {
    let creates = nix::libc::O_CREAT.cast_unsigned().into();
    let creating =
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(creates), creates);
    let creating = SeccompRule::new(vec![creating.expect("valid")]).expect("valid");
    let calls = calls_of(class).into_iter().map(|(name, number)| {
        let rules = if name == "openat" && class == "change" { vec![creating.clone()] } else { vec![] };
        (number, rules)
    });
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that seccomp knows");
    SeccompFilter::new(calls.collect(), SeccompAction::Allow, SeccompAction::Trace(0), arch)
        .and_then(TryInto::try_into)
        .expect("a valid filter")
}

/// Ends a program that exceeds the limit: TERM first, so that it can say why it waits.
fn watch_over(root: Pid, limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit); // The limit is a time.
        let _ = kill(root, Signal::SIGTERM);
        std::thread::sleep(GRACE); // The grace period is a time.
        let _ = kill(root, Signal::SIGKILL);
    });
}

struct Tracer {
    root: Pid,
    action: Action,
    /// The number of the call; counted from 1.
    at: u64,
    calls: u64,
    /// Whether a traced task belongs to the program itself (else to a child of it).
    ours: HashMap<Pid, bool>,
    /// Calls of the program itself, by name.
    counts: BTreeMap<&'static str, u64>,
    /// Bytes that the program's write calls requested.
    written: u64,
    /// The call at which the action happened.
    place: Option<&'static str>,
    ended: Option<WaitStatus>,
}

impl Tracer {
    fn begin(&mut self) {
        match waitpid(self.root, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Stopped(..)) => {}
            other => panic!("tracing is not permitted here: {other:?}"),
        }
        let options = Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.root, options).expect("options");
        self.ours.insert(self.root, true);
        ptrace::cont(self.root, None).expect("it goes on");
    }

    fn follow(&mut self) {
        let mut started = false;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => return,
                Err(errno) => panic!("waiting: {errno}"),
            };
            let Some(pid) = status.pid() else { continue };
            let mut pass = None;
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    if pid == self.root {
                        self.ended = Some(status);
                    }
                    self.ours.remove(&pid);
                    continue;
                }
                WaitStatus::PtraceEvent(_, _, event) => {
                    started |= event == nix::libc::PTRACE_EVENT_EXEC;
                    if started && event == nix::libc::PTRACE_EVENT_SECCOMP {
                        self.stopped_at_call(pid);
                    }
                }
                // A new task begins with SIGSTOP; no other process stops it here.
                WaitStatus::Stopped(_, signal) if signal != Signal::SIGSTOP => pass = Some(signal),
                _ => {}
            }
            match ptrace::cont(pid, pass) {
                // The task has been killed.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => panic!("going on with {pid}: {errno}"),
            }
        }
    }

    /// Whether a task is a thread of the program itself.
    fn is_ours(&mut self, pid: Pid) -> bool {
        let root = self.root;
        *self.ours.entry(pid).or_insert_with(|| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line == format!("Tgid:\t{root}"))
        })
    }

    fn stopped_at_call(&mut self, pid: Pid) {
        let Some(number) = registers::call(pid) else { return };
        let name = name_of(number);
        let ours = self.is_ours(pid);
        if ours {
            *self.counts.entry(name).or_default() += 1;
            if matches!(name, "write" | "pwrite64") && fallible(pid, name) {
                self.written += registers::third_argument(pid);
            }
        }
        let everything = matches!(self.action, Action::Kill | Action::Count);
        if !(everything || ours && fallible(pid, name)) {
            return;
        }
        self.calls += 1;
        let there = self.calls == self.at;
        match self.action {
            Action::Kill if there => {
                let _ = kill(self.root, Signal::SIGKILL);
                if !ours {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
            Action::Fail { errno, for_ever } if there || (for_ever && self.calls > self.at) => {
                registers::refuse(pid, errno);
            }
            Action::Short if there && matches!(name, "write" | "pwrite64") => {
                registers::halve_third_argument(pid);
            }
            Action::Instead { number, arguments } if there => registers::replace(pid, number, arguments),
            _ => return,
        }
        self.place.get_or_insert(name);
    }

    fn report(&self) -> String {
        let (exit, signal) = match self.ended {
            Some(WaitStatus::Exited(_, code)) => (Some(code), None),
            Some(WaitStatus::Signaled(_, signal, _)) => (None, Some(signal.as_str())),
            _ => (None, None),
        };
        serde_json::json!({"calls": self.calls, "exit": exit, "signal": signal, "counts": self.counts,
            "written": self.written, "at": self.place})
        .to_string()
    }
}

/// Whether a call may be made to fail: writes to standard streams must arrive, and pipes, events and the like have no
/// disk behind them.
fn fallible(pid: Pid, name: &str) -> bool {
    if !matches!(name, "read" | "write" | "pread64" | "pwrite64") {
        return true;
    }
    let descriptor = registers::first_argument(pid);
    let file = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
    descriptor > 2 && file.is_absolute()
}

/// The architecture's part: where a stopped task keeps the call's number, arguments and result.
#[cfg(target_arch = "x86_64")]
mod registers {
    use nix::sys::ptrace::{getregs, setregs};
    use nix::unistd::Pid;

    pub(super) fn call(pid: Pid) -> Option<i64> {
        getregs(pid).ok().map(|registers| registers.orig_rax.cast_signed())
    }

    pub(super) fn first_argument(pid: Pid) -> u64 {
        getregs(pid).map_or(u64::MAX, |registers| registers.rdi)
    }

    pub(super) fn third_argument(pid: Pid) -> u64 {
        getregs(pid).map_or(0, |registers| registers.rdx)
    }

    /// Replaces the call by a number that does not exist: the kernel does nothing and returns the prepared result.
    pub(super) fn refuse(pid: Pid, errno: i32) {
        if let Ok(mut registers) = getregs(pid) {
            registers.orig_rax = u64::MAX;
            registers.rax = i64::from(-errno).cast_unsigned();
            let _ = setregs(pid, registers);
        }
    }

    /// Replaces the call by another one. Filters of system calls judge that.
    pub(super) fn replace(pid: Pid, number: u64, arguments: [u64; 6]) {
        if let Ok(mut registers) = getregs(pid) {
            registers.orig_rax = number;
            [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] =
                arguments;
            let _ = setregs(pid, registers);
        }
    }

    pub(super) fn halve_third_argument(pid: Pid) {
        if let Ok(mut registers) = getregs(pid) {
            registers.rdx = registers.rdx.div_ceil(2);
            let _ = setregs(pid, registers);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    use nix::unistd::Pid;

    pub(super) fn call(_: Pid) -> Option<i64> {
        panic!("stopping at system calls is written for x86_64 only")
    }

    pub(super) fn first_argument(_: Pid) -> u64 {
        u64::MAX
    }

    pub(super) fn third_argument(_: Pid) -> u64 {
        0
    }

    pub(super) fn refuse(_: Pid, _: i32) {}

    pub(super) fn replace(_: Pid, _: u64, _: [u64; 6]) {}

    pub(super) fn halve_third_argument(_: Pid) {}
}
