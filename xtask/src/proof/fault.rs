//! Faults: each call of the daemon that can fail is made to fail, once, and from there on for ever. The daemon recovers, or it
//! ends with a named cause and the next start recovers; it never hangs, never panics and never breaks its promise.

use super::scenario::{SCENARIOS, Scenario};
use super::{Job, Tally, in_parallel};
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, Report};
use rustix::io::Errno;
use std::path::Path;

/// Longest time for a fault that passes: retry pauses included.
const ONCE_SECONDS: u64 = 20;
/// How long a daemon may wait for a fault to pass before it is asked to end.
const FOR_EVER_SECONDS: u64 = 2;

/// What can fail for want of room.
const ROOM: &[&str] = &[
    "write",
    "pwrite64",
    "openat",
    "openat2",
    "mkdirat",
    "renameat",
    "renameat2",
    "linkat",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "syncfs",
    "inotify_add_watch",
];
/// What can fail because a disk is broken.
const DISK: &[&str] = &[
    "write",
    "pwrite64",
    "openat",
    "openat2",
    "mkdirat",
    "renameat",
    "renameat2",
    "linkat",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "syncfs",
    "read",
    "pread64",
    "getdents64",
    "newfstatat",
    "fstat",
    "statx",
    "unlinkat",
    "fchmod",
    "flock",
];
/// What can fail because nothing may be changed any more.
const CHANGING: &[&str] = &[
    "openat",
    "openat2",
    "mkdirat",
    "renameat",
    "renameat2",
    "linkat",
    "ftruncate",
    "fallocate",
    "unlinkat",
    "fchmod",
];
/// What makes descriptors.
const DESCRIPTORS: &[&str] =
    &["openat", "openat2", "pipe2", "eventfd2", "dup", "dup3", "inotify_init1", "pidfd_open", "socket"];
/// What needs memory of the kernel.
const MEMORY: &[&str] = &[
    "openat",
    "openat2",
    "pipe2",
    "eventfd2",
    "inotify_init1",
    "inotify_add_watch",
    "pidfd_open",
    "clone",
    "clone3",
    "write",
    "pwrite64",
    "read",
    "pread64",
    "getdents64",
    "newfstatat",
    "statx",
    "renameat2",
    "unlinkat",
    "mkdirat",
    "ppoll",
];
/// What a signal can interrupt.
const WAITING: &[&str] = &[
    "read", "write", "pread64", "pwrite64", "openat", "openat2", "flock", "ppoll", "waitid", "wait4", "fsync",
];
/// What starts threads and processes.
const STARTING: &[&str] = &["clone", "clone3"];
const WRITING: &[&str] = &["write", "pwrite64"];

/// Name, number, where it can happen, and whether it can last.
const ERRORS: [(&str, Errno, &[&str], bool); 9] = [
    ("EIO", Errno::IO, DISK, true),
    ("ENOSPC", Errno::NOSPC, ROOM, true),
    ("EDQUOT", Errno::DQUOT, ROOM, true),
    ("EROFS", Errno::ROFS, CHANGING, true),
    ("EMFILE", Errno::MFILE, DESCRIPTORS, true),
    ("ENFILE", Errno::NFILE, DESCRIPTORS, true),
    ("ENOMEM", Errno::NOMEM, MEMORY, false),
    ("EINTR", Errno::INTR, WAITING, false),
    ("EAGAIN", Errno::AGAIN, STARTING, true),
];

/// In which scenarios: with and without a program to start.
const IN: [&str; 2] = ["success", "embedded"];

pub(super) fn run(program: &Path, long: bool) -> Tally {
    let mut all = Tally::default();
    for scenario in SCENARIOS.iter().filter(|scenario| IN.contains(&scenario.name)) {
        for (name, errno, calls, lasting) in ERRORS {
            let errno = errno.raw_os_error();
            all.add(enumerate(program, scenario, (name, calls, Action::Fail(errno)), 1));
            if lasting {
                let step = if long { 1 } else { 5 };
                all.add(enumerate(program, scenario, (name, calls, Action::FailOn(errno)), step));
            }
        }
        all.add(enumerate(program, scenario, ("short write", WRITING, Action::Short), 1));
    }
    all
}

/// One error at each call of its class, or at every `step`th.
fn enumerate(
    program: &Path,
    scenario: &'static Scenario,
    (name, calls, action): (&str, &'static [&'static str], Action),
    step: usize,
) -> Tally {
    let for_ever = matches!(action, Action::FailOn(_));
    let tally = in_parallel((1..).step_by(step), |at| {
        let stage = scenario.stage(program);
        let seconds = if for_ever { FOR_EVER_SECONDS } else { ONCE_SECONDS };
        let Some(report) = stage.run(Class::Named(calls), action, at, seconds) else {
            return Job::Impossible;
        };
        if at > report.calls {
            return Job::End;
        }
        let place = || {
            let call = report.at.clone().unwrap_or_default();
            format!("{}, {name} ({action:?}) at call {at}, {call}", scenario.name)
        };
        let result = told(&report).and_then(|()| stage.recover_and_check(1, true));
        Job::of(result, place)
    });
    let how = if for_ever { "from there on" } else { "once" };
    super::say(&format!("fault: {}: {name} {how}: {} calls", scenario.name, tally.points));
    tally
}

/// It ended by itself, and if it did not do its work, it said why with a code.
fn told(report: &Report) -> Result<(), String> {
    match (report.exit, &report.signal) {
        // 127: the system's loader says why it could not start us.
        (Some(0 | 8 | 127), _) => Ok(()),
        (Some(1 | 3), _) if names_a_code(&report.stderr) => Ok(()),
        (Some(code), _) => Err(format!("exit status {code} without a named cause: {}", report.stderr)),
        (None, Some(signal)) => Err(format!("ended by {signal}: {}", report.stderr)),
        (None, None) => Err("nobody knows how it ended".to_owned()),
    }
}

fn names_a_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(4).any(|four| four[0] == b'E' && four[1..].iter().all(u8::is_ascii_digit))
}
