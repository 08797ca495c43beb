//! Starts a program in a child that shares our memory until it executes the program, while the thread that starts it
//! waits, as `posix_spawn` of the C library does (`clone` with `CLONE_VM` and `CLONE_VFORK`). No page table is copied,
//! however large we are, and the child is what it is to be before the program's first instruction. `posix_spawn` itself
//! knows neither control groups nor limits nor another user, and looks at every signal twice.

use super::{set_blocked_signals, unblock_signals};
use crate::clock::ticks_since_boot;
use crate::confine::limits::ResourceLimits;
use crate::pid::Pid;
use crate::start::{Leads, StartError};
use crate::under_way::UnderWay;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{Pid as Number, Signal, WaitOptions, chdir, kill_process, setpgid, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// The child's stack until it executes the program, in bytes. Its calls are shallow and hold no buffers.
const STACK: usize = 32 << 10;
/// The highest signal number of Linux.
const LAST_SIGNAL: i32 = 64;

/// A program, and what its process is before the first instruction.
#[derive(Debug)]
pub(crate) struct Begin<'b> {
    /// The path of the program.
    pub program: &'b CStr,
    /// All words, of which the first is its name.
    pub arguments: &'b [CString],
    /// The whole environment: `NAME=VALUE`.
    pub environment: &'b [CString],
    /// The working directory; `None`: ours.
    pub directory: Option<&'b CStr>,
    /// Standard input, output and error. None of them is one of ours: their numbers are above 2.
    pub streams: [BorrowedFd<'b>; 3],
    /// Its session or process group.
    pub leads: Leads,
    /// The list of processes (`cgroup.procs`) of its control group.
    pub group: Option<BorrowedFd<'b>>,
    /// The ids that it has, all of them; `None`: those of this thread.
    pub user: Option<(Uid, Gid)>,
    /// Its limits, none of which is above ours.
    pub limits: ResourceLimits,
    /// The Landlock domain that it enters, within that of this thread.
    pub domain: Option<BorrowedFd<'b>>,
}

/// A process that is the program.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// Its number.
    pub pid: Pid,
    /// A descriptor of it.
    pub descriptor: OwnedFd,
    /// When it was made, in clock ticks since boot: not before the first, not after the last.
    pub made: RangeInclusive<u64>,
}

/// Why the child did not become the program, and the step that failed; `None`: the program was not executed.
type Failed = (Option<&'static str>, io::Error);

/// What the child reads, and the one thing it writes.
struct Shared<'b> {
    begin: &'b Begin<'b>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    handled: &'static [i32],
    /// The step that failed, and the number of its error. Never used by two at once: whoever starts the child waits.
    failed: Cell<Option<(Option<&'static str>, i32)>>,
}

/// Starts the program. An error: nothing was executed, and there is no child.
#[expect(unsafe_code, reason = "no safe library starts a child that shares our memory until it executes")]
pub(crate) fn spawn(begin: &Begin<'_>) -> Result<Spawned, StartError> {
    let no_process = |error| StartError::NotSetUp { step: "making a process", error };
    if begin.streams.iter().any(|stream| stream.as_raw_fd() <= 2) {
        return Err(no_process(io::Error::other("a stream of the child is one of our own")));
    }
    let pointers = |words: &[CString]| -> Vec<*const c_char> {
        words.iter().map(|word| word.as_ptr()).chain([null()]).collect()
    };
    let (arguments, environment) = (pointers(begin.arguments), pointers(begin.environment));
    let shared = Shared { begin, arguments, environment, handled: handled(), failed: Cell::new(None) };
    let mut stack = Box::<[u128]>::new_uninit_slice(STACK / size_of::<u128>());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // A handler of ours must not run in the child, where it would act on our memory.
    let before = set_blocked_signals(u64::MAX).map_err(no_process)?;
    let under_way = UnderWay::begin();
    let earliest = ticks_since_boot();
    // SAFETY: this thread sleeps until the child has executed the program or ended, so `shared` and `stack` outlive the
    // child's use of them; the stack is large enough, aligned, and given by its end, from which it grows down. The child
    // writes nothing of ours but the stack, `failed` and errno. The kernel writes one integer to `descriptor`, which others only read.
    let number = unsafe {
        libc::clone(
            child,
            stack.as_mut_ptr_range().end.cast(),
            flags,
            (&raw const shared).cast_mut().cast(),
            under_way.descriptor.as_ptr(),
        )
    };
    let made = earliest..=ticks_since_boot();
    let killed = under_way.end();
    let cloned = if number < 0 { Err(io::Error::last_os_error()) } else { Ok(number) };
    // The mask is one that this thread had: nothing can refuse it.
    let _ = set_blocked_signals(before);
    let number = cloned.map_err(no_process)?;
    let descriptor = under_way.descriptor.load(Ordering::Acquire);
    if descriptor < 0 {
        // Linux before 5.2 makes a child without a descriptor, and nobody could watch it.
        let child = Number::from_raw(number);
        // It has not been reaped, so its number is its own; neither answer changes anything.
        let _ = child.map(|child| kill_process(child, Signal::KILL));
        let _ = waitpid(child, WaitOptions::empty());
        return Err(no_process(io::Error::from(io::ErrorKind::Unsupported)));
    }
    // SAFETY: the kernel made this descriptor for us, and nobody else has it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    if killed {
        // It must be reaped; its status says that it was killed.
        let _ = waitpid(Number::from_raw(number), WaitOptions::empty());
        return Err(StartError::NotSetUp {
            step: "waiting for its process, which was stopped before it had executed the program",
            error: Errno::INTR.into(),
        });
    }
    let Some((step, error)) = shared.failed.take() else {
        return Ok(Spawned { pid: Pid(number.unsigned_abs()), descriptor, made });
    };
    // It must be reaped; its status says nothing more.
    let _ = waitpid(Number::from_raw(number), WaitOptions::empty());
    let error = io::Error::from_raw_os_error(error);
    Err(match step {
        Some(step) => StartError::NotSetUp { step, error },
        None => StartError::NotExecuted(error),
    })
}

/// The whole life of the child until it is the program.
#[expect(unsafe_code, reason = "it is given its argument as an address")]
extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: it is the address of the `Shared` in [`spawn`], which waits.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    let (step, error) = become_the_program(shared).unwrap_err();
    shared.failed.set(Some((step, error.raw_os_error().unwrap_or(libc::EIO))));
    127
}

/// Makes system calls alone: nothing is allocated, and no lock is taken that another thread may hold.
#[expect(unsafe_code, reason = "no safe library executes a program without allocating")]
fn become_the_program(shared: &Shared<'_>) -> Result<Infallible, Failed> {
    let begin = shared.begin;
    give_streams(begin.streams).map_err(at("giving it its streams"))?;
    match begin.leads {
        Leads::Group => setpgid(None, None),
        Leads::Session => setsid().map(drop),
    }
    .map_err(at("giving it a process group"))?;
    if let Some(directory) = begin.directory {
        chdir(directory).map_err(at("entering its working directory"))?;
    }
    if let Some(group) = begin.group {
        // A process writes 0 for itself.
        rustix::io::write(group, b"0\n").map_err(at("entering its control group"))?;
    }
    if let Some((uid, gid)) = begin.user {
        set_thread_res_gid(Some(gid), Some(gid), Some(gid)).map_err(at("becoming its user"))?;
        set_thread_res_uid(Some(uid), Some(uid), Some(uid)).map_err(at("becoming its user"))?;
    }
    // After the ids: a limit on processes counts those of the new user.
    begin.limits.put_on_self().map_err(at("setting its limits"))?;
    for signal in shared.handled {
        act_on(*signal, Some(&[0; 4])).map_err(at("setting its signals"))?;
    }
    unblock_signals().map_err(at("setting its signals"))?;
    if let Some(domain) = begin.domain {
        enter_domain(domain).map_err(at("entering its Landlock domain"))?;
    }
    // SAFETY: path, words and environment end in zero bytes, the lists of them in null, and [`spawn`] keeps them all.
    unsafe {
        libc::execve(begin.program.as_ptr(), shared.arguments.as_ptr(), shared.environment.as_ptr());
    }
    Err((None, io::Error::last_os_error()))
}

fn at<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> Failed {
    move |error| (Some(step), error.into())
}

fn give_streams([stdin, stdout, stderr]: [BorrowedFd<'_>; 3]) -> Result<(), Errno> {
    dup2_stdin(stdin)?;
    dup2_stdout(stdout)?;
    dup2_stderr(stderr)
}

/// Puts this thread, and what it starts, into a Landlock domain.
#[expect(
    unsafe_code,
    reason = "the library enters only a domain that it has just built; this takes two integers"
)]
fn enter_domain(domain: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open for the length of the call, because it is borrowed; no pointer is passed.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, domain.as_raw_fd(), 0_u32) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The signals that do not have their default here, so that a child sets it: those with a handler, and SIGPIPE, which
/// programs of this language ignore. Found once: handlers are chosen before the first program is started.
fn handled() -> &'static [i32] {
    static HANDLED: OnceLock<Vec<i32>> = OnceLock::new();
    HANDLED.get_or_init(|| {
        // Handlers are addresses; 0 is the default, and 1 means ignored.
        let has_handler = |signal: i32| act_on(signal, None).is_ok_and(|action| action[0] > 1);
        (1..=LAST_SIGNAL).filter(|signal| *signal == libc::SIGPIPE || has_handler(*signal)).collect()
    })
}

/// Sets what a signal does, if that is given, and returns what it did: handler, flags, restorer and mask.
#[expect(
    unsafe_code,
    reason = "libraries have locks around it and keep signals of their own; the kernel reads and fills four words"
)]
fn act_on(signal: i32, action: Option<&[u64; 4]>) -> io::Result<[u64; 4]> {
    let mut before = [0_u64; 4];
    let new: *const [u64; 4] = action.map_or(null(), std::ptr::from_ref);
    // SAFETY: the kernel reads and writes at most four words, which outlive the call; what is set here is the default,
    // which runs no code of ours.
    let answer =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, &raw mut before, size_of::<u64>()) };
    if answer == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
}
