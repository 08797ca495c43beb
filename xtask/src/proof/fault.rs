//! Faults: each call of the daemon that can fail is made to fail, once, and from there on for ever. Either the daemon
//! recovers, or it ends with a named cause and the next start recovers; it never hangs, panics or breaks its promise.

use super::extent::Extent;
use super::parallel::in_parallel;
use super::scenario::Scenario;
use super::tally::{Job, Tally};
use crate::progress::say;
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, Report};
use rustix::io::Errno;
use std::path::Path;

/// Longest time for a run with one passing fault: retry pauses included.
const ONCE_SECONDS: u64 = 20;
/// How long a daemon may wait for a fault to pass before it is asked to end.
const FOR_EVER_SECONDS: u64 = 2;

/// An injected error.
struct Injected {
    name: &'static str,
    errno: Errno,
    /// Whether it can last.
    lasts: bool,
    /// Whether an intent may fail for it: what the system lacks for the moment says nothing about an intent.
    fails_intents: bool,
}

const fn injected(name: &'static str, errno: Errno, lasts: bool, fails_intents: bool) -> Injected {
    Injected { name, errno, lasts, fails_intents }
}

const ERRORS: [Injected; 9] = [
    injected("EIO", Errno::IO, true, true),
    injected("ENOSPC", Errno::NOSPC, true, true),
    injected("EDQUOT", Errno::DQUOT, true, true),
    injected("EROFS", Errno::ROFS, true, true),
    injected("EMFILE", Errno::MFILE, true, false),
    injected("ENFILE", Errno::NFILE, true, false),
    injected("ENOMEM", Errno::NOMEM, false, false),
    injected("EINTR", Errno::INTR, false, false),
    injected("EAGAIN", Errno::AGAIN, true, false),
];

/// Each call and the errors it fails with.
const CALLS: [(&str, &str); 33] = [
    ("openat", "EIO ENOSPC EDQUOT EROFS EMFILE ENFILE ENOMEM EINTR"),
    ("openat2", "EIO ENOSPC EDQUOT EROFS EMFILE ENFILE ENOMEM EINTR"),
    ("mkdirat", "EIO ENOSPC EDQUOT EROFS ENOMEM"),
    ("renameat", "EIO ENOSPC EDQUOT EROFS"),
    ("renameat2", "EIO ENOSPC EDQUOT EROFS ENOMEM"),
    ("linkat", "EIO ENOSPC EDQUOT EROFS"),
    ("unlinkat", "EIO EROFS ENOMEM"),
    ("fchmod", "EIO EROFS"),
    ("ftruncate", "EIO ENOSPC EDQUOT EROFS"),
    ("fallocate", "EIO ENOSPC EDQUOT EROFS"),
    ("copy_file_range", "EIO ENOSPC EDQUOT"),
    ("write", "EIO ENOSPC EDQUOT ENOMEM EINTR"),
    ("pwrite64", "EIO ENOSPC EDQUOT ENOMEM EINTR"),
    ("fsync", "EIO ENOSPC EDQUOT EINTR"),
    ("fdatasync", "EIO ENOSPC EDQUOT"),
    ("syncfs", "EIO ENOSPC EDQUOT"),
    ("read", "EIO ENOMEM EINTR"),
    ("pread64", "EIO ENOMEM EINTR"),
    ("getdents64", "EIO ENOMEM"),
    ("newfstatat", "EIO ENOMEM"),
    ("statx", "EIO ENOMEM"),
    ("fstat", "EIO"),
    ("flock", "EIO EINTR"),
    ("inotify_init1", "EMFILE ENFILE ENOMEM"),
    ("inotify_add_watch", "ENOSPC EDQUOT ENOMEM"),
    ("pipe2", "EMFILE ENFILE ENOMEM"),
    ("eventfd2", "EMFILE ENFILE ENOMEM"),
    ("pidfd_open", "EMFILE ENFILE ENOMEM"),
    ("dup", "EMFILE ENFILE"),
    ("ppoll", "ENOMEM EINTR"),
    ("waitid", "EINTR"),
    ("clone", "EAGAIN ENOMEM"),
    ("clone3", "EAGAIN ENOMEM"),
];
const WRITING: &[&str] = &["write", "pwrite64"];

fn failing_with(error: &str) -> Vec<&'static str> {
    let fails = |errors: &str| errors.split(' ').any(|one| one == error);
    CALLS.iter().filter(|(_, errors)| fails(errors)).map(|(call, _)| *call).collect()
}

/// The scenarios: with an external porch and with the embedded engine.
const IN: [&str; 2] = ["success", "embedded"];

pub(super) fn run(program: &Path, extent: &Extent) -> Tally {
    let histories: Vec<_> = extent.histories().filter(|scenario| IN.contains(&scenario.name)).collect();
    if histories.is_empty() {
        return Tally { impossible: Some("it knows the histories success and embedded"), ..Tally::default() };
    }
    let mut all = Tally::default();
    // A quick run takes other calls for each error: what they have in common is met with one of them.
    let step = extent.step();
    let from = |number: usize, step: usize| (1 + (number % step) as u64..).step_by(step);
    for scenario in histories {
        for (number, error) in ERRORS.iter().enumerate() {
            let (errno, calls) = (error.errno.raw_os_error(), failing_with(error.name));
            let fault =
                |action| Fault { name: error.name, calls: &calls, action, any_ending: error.fails_intents };
            all.add(enumerate(program, scenario, &fault(Action::Fail(errno)), from(number, step)));
            if error.lasts {
                let step = if extent.long() { 1 } else { 5 * step };
                all.add(enumerate(program, scenario, &fault(Action::FailOn(errno)), from(number, step)));
            }
        }
        let short = Fault { name: "short write", calls: WRITING, action: Action::Short, any_ending: false };
        all.add(enumerate(program, scenario, &short, from(0, step)));
    }
    all
}

/// An error at the calls that can meet it.
struct Fault<'a> {
    name: &'a str,
    calls: &'a [&'a str],
    action: Action,
    /// Whether an intent may have failed for it.
    any_ending: bool,
}

/// The error at these calls of its class.
fn enumerate(
    program: &Path,
    scenario: &'static Scenario,
    fault: &Fault<'_>,
    points: impl Iterator<Item = u64> + Send,
) -> Tally {
    let Fault { name, calls, action, any_ending } = *fault;
    let for_ever = matches!(action, Action::FailOn(_));
    let tally = in_parallel(points, |at| {
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
        let result = told(&report).and_then(|()| stage.recover_and_check(1, any_ending));
        Job::of(result, place)
    });
    let how = if for_ever { "from there on" } else { "once" };
    say(&format!("fault: {}: {name} {how}: {} calls", scenario.name, tally.points));
    tally
}

/// Checks that the daemon ended by itself and, if it did not do its work, named a code.
fn told(report: &Report) -> Result<(), String> {
    match (report.exit, &report.signal) {
        // 127: the system's loader could not start the daemon, and says why.
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
