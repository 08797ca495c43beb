//! The system calls of a thread that answers clients over the network: an allow-list. Any other call ends the process with
//! SIGSYS, because only somebody who has taken the thread over makes one. The thread opens nothing, starts nothing and
//! connects nowhere; whatever needs more is done for it by other threads. A few calls that the C library or a backtrace
//! tries of itself fail, and end nothing.

use super::rules::{Rules, all, applied, condition, is, program};
use super::without::Without;
use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpOp};

/// The calls that are allowed, by the names that strace gives them: those of this program, and those that its C library
/// makes for it.
pub const ALLOWED: &[(&str, c_long)] = &[
    // Clients: accept, receive, send, close. The listening sockets were made before, and no file can be read.
    ("accept4", libc::SYS_accept4),
    ("recvfrom", libc::SYS_recvfrom),
    ("sendto", libc::SYS_sendto), // Also a signal's handler, to the thread that deals with signals.
    ("writev", libc::SYS_writev),
    ("shutdown", libc::SYS_shutdown),
    ("close", libc::SYS_close),
    ("fcntl", libc::SYS_fcntl), // F_GETFD, with which builds for debugging look at what they close.
    // Waiting for them, and for other threads, which wake this one by writing to a counter.
    #[cfg(all(target_arch = "x86_64", not(target_env = "musl")))]
    ("epoll_wait", libc::SYS_epoll_wait),
    #[cfg(not(all(target_arch = "x86_64", not(target_env = "musl"))))]
    ("epoll_pwait", libc::SYS_epoll_pwait),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("write", libc::SYS_write),
    ("futex", libc::SYS_futex),
    ("sched_yield", libc::SYS_sched_yield),
    // Clock and randomness. The clock is read without a call where the kernel lends it.
    ("clock_gettime", libc::SYS_clock_gettime),
    ("getrandom", libc::SYS_getrandom),
    // Memory: never of a file, never executable.
    ("mmap", libc::SYS_mmap),
    ("munmap", libc::SYS_munmap),
    ("mremap", libc::SYS_mremap),
    ("mprotect", libc::SYS_mprotect),
    ("madvise", libc::SYS_madvise),
    ("brk", libc::SYS_brk),
    // Signals, whose handlers may run on any thread, and what a stop interrupted.
    ("rt_sigreturn", libc::SYS_rt_sigreturn),
    ("restart_syscall", libc::SYS_restart_syscall),
    // The end by a panic or a fault: a signal from the thread to itself.
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("rt_sigaction", libc::SYS_rt_sigaction), // SIGSEGV and SIGBUS: back to the default, which ends the process.
    ("getpid", libc::SYS_getpid),
    ("gettid", libc::SYS_gettid),
    #[cfg(not(target_env = "musl"))]
    ("tgkill", libc::SYS_tgkill),
    #[cfg(target_env = "musl")]
    ("tkill", libc::SYS_tkill),
];

/// Calls that fail with EACCES. The C library and the standard library try them now and then, and go on without.
pub const FAILING: &[(&str, c_long)] = &[
    // Only to read: the allocator looks at the system's setting of overcommitment before it first gives memory back.
    ("openat", libc::SYS_openat),
    // The number of processors, before the allocator makes one more pool.
    ("sched_getaffinity", libc::SYS_sched_getaffinity),
    // PR_SET_VMA: names for pieces of memory, where GLIBC_TUNABLES asks for them.
    ("prctl", libc::SYS_prctl),
    // The program's path and directory, for the backtrace of a panic.
    #[cfg(target_arch = "x86_64")]
    ("readlink", libc::SYS_readlink),
    ("readlinkat", libc::SYS_readlinkat),
    ("getcwd", libc::SYS_getcwd),
];

/// What `openat` may be asked for without an end: `O_RDONLY | O_CLOEXEC`.
const TO_READ: u64 = 0o200_0000;
/// `PR_SET_VMA`.
const NAME_OF_MEMORY: u64 = 0x5356_4d41;
/// Protection of memory: it may be executed (`PROT_EXEC`).
const EXECUTABLE: u64 = 4;
/// A mapping of no file (`MAP_ANONYMOUS`).
const OF_NO_FILE: u64 = 0x20;

fn failing() -> Result<Rules, Without> {
    let mut rules: Rules = FAILING.iter().map(|(_, call)| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_openat, vec![is(2, TO_READ)?]);
    rules.insert(libc::SYS_prctl, vec![is(0, NAME_OF_MEMORY)?]);
    Ok(rules)
}

fn allowed() -> Result<Rules, Without> {
    let mut rules: Rules = ALLOWED.iter().map(|(_, call)| (*call, Vec::new())).collect();
    let not_executable = condition(2, SeccompCmpOp::MaskedEq(EXECUTABLE), 0)?;
    let of_no_file = condition(3, SeccompCmpOp::MaskedEq(OF_NO_FILE), OF_NO_FILE)?;
    rules.insert(libc::SYS_mmap, vec![all(vec![not_executable.clone(), of_no_file])?]);
    rules.insert(libc::SYS_mprotect, vec![all(vec![not_executable])?]);
    rules.insert(libc::SYS_fcntl, vec![is(1, 1)?]); // F_GETFD
    let faults = [libc::SIGSEGV, libc::SIGBUS].map(|signal| is(0, signal.unsigned_abs().into()));
    rules.insert(libc::SYS_rt_sigaction, faults.into_iter().collect::<Result<_, _>>()?);
    let number = |pid: rustix::process::Pid| u64::from(pid.as_raw_nonzero().get().unsigned_abs());
    let (process, thread) = (number(rustix::process::getpid()), number(rustix::thread::gettid()));
    #[cfg(not(target_env = "musl"))]
    let itself = {
        let of = |argument, id| condition(argument, SeccompCmpOp::Eq, id);
        (libc::SYS_tgkill, all(vec![of(0, process)?, of(1, thread)?])?)
    };
    #[cfg(target_env = "musl")]
    let itself = (libc::SYS_tkill, is(0, thread)?);
    rules.insert(itself.0, vec![itself.1]);
    Ok(rules)
}

/// Two filters, of whose answers the kernel takes the stricter one. The second lets nobody put on another.
fn filters() -> Result<[BpfProgram; 2], Without> {
    let errno = libc::EACCES.unsigned_abs();
    let fails = program(failing()?, SeccompAction::Errno(errno), SeccompAction::Allow)?;
    let known = allowed()?.into_iter().chain(failing()?).collect();
    Ok([fails, program(known, SeccompAction::Allow, SeccompAction::KillProcess)?])
}

/// Whether such filters can be made on this machine. Whether the kernel takes them, it says of any filter.
pub fn is_possible() -> Result<(), Without> {
    filters().map(drop)
}

/// Leaves this thread the calls of [`ALLOWED`] alone, for the rest of its life. It must not end: that would be another call.
pub fn allow_nothing_else() -> Result<(), Without> {
    filters()?.iter().try_for_each(|filter| applied(seccompiler::apply_filter(filter)))
}

#[cfg(test)]
mod tests;
