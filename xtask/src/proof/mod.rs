//! `cargo xtask proof [--long] [NAME...]`: attacks the real binary and the model of it, and prints what was tried and what was
//! found. docs/RELIABILITY.md is the record of these runs.

mod fault;
mod fuzz;
mod kill;
mod limits;
mod model;
mod scenario;
mod soak;

use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// What one harness tried and found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Points, runs, states or inputs tried.
    points: u64,
    /// What broke the promise; each says how to repeat it.
    violations: Vec<String>,
    /// Why nothing could be tried, if so.
    impossible: Option<&'static str>,
}

impl Tally {
    /// Notes a broken promise, at once visible.
    fn violation(&mut self, reason: String) {
        say(&format!("VIOLATION: {reason}"));
        self.violations.push(reason);
    }

    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.violations.extend(other.violations);
        self.impossible = self.impossible.or(other.impossible);
    }
}

/// What came of one point.
enum Job {
    /// So many points were tried and held.
    Done(u64),
    /// This is how the promise was broken.
    Violation(String),
    /// There are no more points.
    End,
    /// Tracing is not permitted on this machine.
    Impossible,
}

impl Job {
    fn of(result: Result<(), String>, place: impl FnOnce() -> String) -> Self {
        match result {
            Ok(()) => Self::Done(1),
            Err(reason) => Self::Violation(format!("{}: {reason}", place())),
        }
    }
}

/// Works on points with as many threads as there are processors, until they or the jobs say that it is the end.
fn in_parallel(points: impl Iterator<Item = u64> + Send, job: impl Fn(u64) -> Job + Sync) -> Tally {
    let points = Mutex::new(points.fuse());
    let tally = Mutex::new((Tally::default(), false));
    let lock = || tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = points.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let (Some(point), false) = (next, lock().1) else { return };
                    match job(point) {
                        Job::Done(points) => lock().0.points += points,
                        Job::Violation(reason) => lock().0.violation(reason),
                        Job::End => lock().1 = true,
                        Job::Impossible => {
                            lock().0.impossible = Some("tracing other processes is not permitted here");
                            lock().1 = true;
                        }
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).0
}

type Harness = fn(&Path, bool) -> Tally;

/// By name: what is run, and what a point is.
const HARNESSES: [(&str, &str, Harness); 6] = [
    ("fuzz", "inputs", fuzz::run),
    ("model", "end states", model::run),
    ("kill", "kill points", kill::run),
    ("fault", "failed calls", fault::run),
    ("limits", "real limits", limits::run),
    ("soak", "intents under random SIGKILL", soak::run),
];

const HELP: &str = "\
cargo xtask proof [--long] [NAME...]

Attacks the real daemon and the model of its protocol, and prints what was tried and found (docs/RELIABILITY.md).
Names: fuzz, model, kill, fault (these two need ptrace on x86_64), limits (needs root), soak; none: all of them.

  --long   every point and every step, more inputs, more restarts; takes far longer";

/// Runs the harnesses that are named, or all. Whether the promise held, with a table.
pub(crate) fn run(words: &[String]) -> Result<(String, bool), String> {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return Ok((HELP.to_owned(), true));
    }
    let long = words.iter().any(|word| word == "--long");
    let named: Vec<&String> = words.iter().skip(1).filter(|word| *word != "--long").collect();
    let known = |name: &String| HARNESSES.iter().any(|(known, _, _)| known == name);
    if let Some(unknown) = named.iter().find(|name| !known(name)) {
        return Err(format!("'{unknown}' is no harness\n{HELP}"));
    }
    // As the tests build it: with assertions and overflow checks.
    let programs = crate::build::programs("dev").map_err(|error| error.to_string())?;
    let program = programs.join("conductor-loop");
    let mut table = String::from("| harness | tried | violations | seconds |\n| --- | --- | --- | --- |\n");
    let mut held = true;
    for (name, unit, harness) in HARNESSES {
        if !named.is_empty() && !named.iter().any(|wanted| *wanted == name) {
            continue;
        }
        let begun = Instant::now();
        let tally = harness(&program, long);
        held &= tally.violations.is_empty();
        let tried = match tally.impossible {
            Some(reason) => format!("NOT RUN: {reason}"),
            None => format!("{} {unit}", tally.points),
        };
        let seconds = begun.elapsed().as_secs();
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | {tried} | {} | {seconds} |", tally.violations.len());
    }
    Ok((table, held))
}

#[expect(clippy::print_stderr, reason = "long work shows how far it is")]
fn say(text: &str) {
    eprintln!("{text}");
}
