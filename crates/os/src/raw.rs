//! Calls on descriptors and signals that no safe library offers in the required form. This is the only module of the
//! product that contains `unsafe`: eleven calls. The arguments of eight are integers, words and structures of our own that are
//! only read, and one structure of three integers that is filled; three set the code of a child between fork and exec.

mod mounts;
mod peer;

pub use mounts::{add_to_mount, own_mounts};
pub use peer::{Peer, peer};

use crate::confine::limits::ResourceLimits;
use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The answer of a read lease about a file's writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenForWriting {
    /// No process has the file open for writing.
    None,
    /// At least one descriptor is open for writing.
    Some,
    /// The kernel gives no answer: a foreign owner without `CAP_LEASE`, or a file system without leases.
    Unknown,
}

/// Asks whether any process still has `file` open for writing, by taking and returning a read lease
/// (fcntl `F_SETLEASE`). `file` must be open read-only. Takes about 2 µs.
pub fn open_for_writing(file: impl AsFd) -> OpenForWriting {
    match set_lease(&file, libc::F_RDLCK) {
        Ok(()) => {
            // Returning a held lease cannot fail in a way that matters: it ends with the descriptor anyway.
            let _ = set_lease(&file, libc::F_UNLCK);
            OpenForWriting::None
        }
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => OpenForWriting::Some,
        Err(_) => OpenForWriting::Unknown,
    }
}

#[expect(
    unsafe_code,
    reason = "fcntl has no safe wrapper for F_SETLEASE; it takes two integers and touches no memory"
)]
fn set_lease(file: &impl AsFd, kind: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the length of the call, because it is borrowed; no pointer is passed.
    let answer = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_SETLEASE, kind) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts writing a file's bytes to the disk without waiting (`sync_file_range`). On a file system with delayed
/// allocation this assigns their blocks.
#[expect(
    unsafe_code,
    reason = "no safe library offers sync_file_range; it takes four integers and touches no memory"
)]
pub fn begin_writing(file: impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is open for the length of the call, because it is borrowed; no pointer is passed.
    let answer =
        unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Marks every descriptor from 3 on close-on-exec, so that no descriptor left open by our parent reaches porch (threat
/// B08). Called once at start. Kernels before 5.11 answer with an error; the caller may continue.
#[expect(
    unsafe_code,
    reason = "no safe library offers close_range with CLOEXEC; it takes three integers and touches no memory"
)]
pub fn mark_inherited_close_on_exec() -> io::Result<()> {
    // SAFETY: the call sets a flag on descriptors and closes none, so no owned descriptor becomes invalid.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Resets a signal to its default, because a program inherits ignored signals from its parent.
#[expect(
    unsafe_code,
    reason = "safe libraries install handlers and offer no way back; the default is a number, not a function of ours"
)]
pub fn default_signal(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL runs no code of ours when the signal comes, so no handler has to be safe.
    let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Unblocks every signal for this thread and those it starts: a program inherits blocked signals, and a blocked SIGTERM
/// could never stop it.
#[expect(
    unsafe_code,
    reason = "no safe library of ours changes the signal mask; the kernel reads one word that lives in this function"
)]
pub fn unblock_signals() -> io::Result<()> {
    let none = 0_u64;
    // SAFETY: the kernel reads eight bytes from `none`, which outlives the call, and writes nothing: there is no old mask.
    let answer = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0_usize, size_of::<u64>())
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts a program in a session of its own: it has no terminal on which it, or an ssh it starts, could ask, and it leads
/// a process group of its own.
#[expect(
    unsafe_code,
    reason = "the standard library offers no stable way to begin a session in a child; setsid takes nothing and touches no memory"
)]
pub fn in_new_session(command: &mut Command) {
    let begin = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: between fork and exec the child makes one system call that is safe there, and reads its errno; nothing is
    // allocated, and no lock of another thread is taken.
    unsafe { command.pre_exec(begin) };
}

/// Starts a program in the control group whose list of processes this is; where that is impossible, it is not started.
#[expect(
    unsafe_code,
    reason = "the standard library cannot start a program in a control group; this writes two bytes of our own"
)]
pub fn in_control_group(command: &mut Command, processes: OwnedFd) {
    // A process writes 0 for itself.
    let begin = move || rustix::io::write(&processes, b"0\n").map(drop).map_err(io::Error::from);
    // SAFETY: between fork and exec the child makes one system call that is safe there, and reads its errno; nothing is
    // allocated, and no lock of another thread is taken.
    unsafe { command.pre_exec(begin) };
}

/// Gives a program only the ids of this user, which are the effective ones of the thread that starts it, and limits: the
/// rest of the thread's ids would lead back to them.
#[expect(
    unsafe_code,
    reason = "the standard library sets the effective ids of a child alone where it is not root; these calls take integers and our own words"
)]
pub fn as_user_alone(command: &mut Command, uid: u32, gid: u32, limits: ResourceLimits) {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let begin = move || {
        // The thread that starts it is older than the daemon's own choice of signals.
        unblock_signals()?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        // Of another user now, it would take a capability to set them from outside.
        limits.put_on_self()
    };
    // SAFETY: between fork and exec the child makes system calls that are safe there, and reads its errno; nothing is
    // allocated, and no lock of another thread is taken.
    unsafe { command.pre_exec(begin) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_writer_is_seen_until_it_closes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        if open_for_writing(&reader) == OpenForWriting::Unknown {
            eprintln!("note: this file system or kernel has no leases; nothing was tested");
            return;
        }
        assert_eq!(open_for_writing(&reader), OpenForWriting::Some);
        drop(writer);
        assert_eq!(open_for_writing(&reader), OpenForWriting::None);
        assert_eq!(open_for_writing(&reader), OpenForWriting::None, "the lease was given back");
    }

    fn own(line: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find_map(|of| of.strip_prefix(line)).unwrap().trim().to_owned()
    }

    #[test]
    fn signals_get_their_default_and_none_is_blocked() {
        let ignored =
            |signal: i32| u64::from_str_radix(&own("SigIgn:"), 16).unwrap() >> (signal - 1) & 1 == 1;
        assert!(ignored(libc::SIGPIPE), "as every program of this language has it");
        default_signal(libc::SIGPIPE).unwrap();
        assert!(!ignored(libc::SIGPIPE));
        assert!(default_signal(libc::SIGKILL).is_err() && default_signal(99).is_err());
        unblock_signals().unwrap();
        assert_eq!(own("SigBlk:"), "0000000000000000");
    }

    #[test]
    fn a_program_leads_the_session_it_was_given() {
        let mut command = Command::new("cat");
        in_new_session(command.arg("/proc/self/stat"));
        let stat = String::from_utf8(command.output().unwrap().stdout).unwrap();
        // PID (NAME) STATE PPID GROUP SESSION TERMINAL
        let fields: Vec<&str> = stat.split(' ').collect();
        assert_eq!((fields[4], fields[5], fields[6]), (fields[0], fields[0], "0"), "{stat}");
    }

    #[test]
    fn inherited_descriptors_get_the_flag() {
        let file = File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        mark_inherited_close_on_exec().unwrap();
        assert!(rustix::io::fcntl_getfd(&file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
}
