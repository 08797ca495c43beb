//! Calls on descriptors and signals that no safe library offers in the required form. This is the only module of the
//! product that contains `unsafe`: fourteen blocks. In eight the arguments are integers, words and structures of our own that are
//! only read, and two structures that are filled; six are the start of a program (`spawn`).

mod mounts;
mod peer;
mod spawn;

pub use mounts::{add_to_mount, own_mounts};
pub use peer::{Peer, peer};
pub(crate) use spawn::{Begin, Spawned, spawn};

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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
pub fn unblock_signals() -> io::Result<()> {
    set_blocked_signals(0).map(drop)
}

/// Blocks these signals for this thread, one bit for each, and no others; returns those that were blocked.
#[expect(
    unsafe_code,
    reason = "no safe library of ours changes the signal mask; the kernel reads one word of this function and fills another"
)]
pub(crate) fn set_blocked_signals(blocked: u64) -> io::Result<u64> {
    let mut before = 0_u64;
    // SAFETY: the kernel reads eight bytes and writes eight bytes, and both words outlive the call.
    let answer = unsafe {
        let (blocked, before) = (&raw const blocked, &raw mut before);
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, blocked, before, size_of::<u64>())
    };
    if answer == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
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
    fn inherited_descriptors_get_the_flag() {
        let file = File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        mark_inherited_close_on_exec().unwrap();
        assert!(rustix::io::fcntl_getfd(&file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
}
