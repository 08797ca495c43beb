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

const ERRORS: [(&str, Errno); 9] = [
    ("EIO", Errno::IO),
    ("ENOSPC", Errno::NOSPC),
    ("EDQUOT", Errno::DQUOT),
    ("EROFS", Errno::ROFS),
    ("EMFILE", Errno::MFILE),
    ("ENFILE", Errno::NFILE),
    ("ENOMEM", Errno::NOMEM),
    ("EINTR", Errno::INTR),
    ("EAGAIN", Errno::AGAIN),
];

/// In which scenarios: with and without a program to start.
const IN: [&str; 2] = ["success", "embedded"];

pub(super) fn run(program: &Path, long: bool) -> Tally {
    let mut all = Tally::default();
    for scenario in SCENARIOS.iter().filter(|scenario| IN.contains(&scenario.name)) {
        for (number, (name, errno)) in ERRORS.into_iter().enumerate() {
            let errno = errno.raw_os_error();
            let passing = name == "EINTR" || name == "EAGAIN";
            let steps = [(Action::Fail(errno), 4), (Action::FailOn(errno), 16)];
            for (action, step) in steps.into_iter().take(if passing { 1 } else { 2 }) {
                let step = if long { 1 } else { step };
                let offset = number as u64 % step;
                let tally = enumerate(program, scenario, (name, action), offset, step);
                super::say(&format!("fault: {}: {action:?} {name}: {} calls", scenario.name, tally.points));
                all.add(tally);
            }
        }
        let tally = enumerate(program, scenario, ("short write", Action::Short), 0, if long { 1 } else { 4 });
        super::say(&format!("fault: {}: short writes: {} calls", scenario.name, tally.points));
        all.add(tally);
    }
    all
}

fn enumerate(
    program: &Path,
    scenario: &'static Scenario,
    (name, action): (&str, Action),
    offset: u64,
    step: u64,
) -> Tally {
    let points = (1 + offset..).step_by(usize::try_from(step).unwrap_or(1));
    in_parallel(points, |at| {
        let stage = scenario.stage(program);
        let for_ever = matches!(action, Action::FailOn(_));
        let seconds = if for_ever { FOR_EVER_SECONDS } else { ONCE_SECONDS };
        let Some(report) = stage.run(Class::Fallible, action, at, seconds) else { return Job::Impossible };
        if at > report.calls {
            return Job::End;
        }
        let place = || {
            let call = report.at.clone().unwrap_or_default();
            format!("{}, {name} ({action:?}) at call {at}, {call}", scenario.name)
        };
        let result = told(&report).and_then(|()| stage.recover_and_check(1, true));
        Job::of(result, place)
    })
}

/// It ended by itself, and if it did not do its work, it said why with a code.
fn told(report: &Report) -> Result<(), String> {
    match (report.exit, &report.signal) {
        (Some(0 | 8), _) => Ok(()),
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
