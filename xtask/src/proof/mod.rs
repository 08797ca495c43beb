//! `cargo xtask proof [--quick | --long] [--history HISTORY] [NAME...]`: attacks the real binary and the model of it, and prints
//! the number of tries and the violations. docs/RELIABILITY.md is the record of these runs.

mod damage;
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
use std::time::{Duration, Instant};

/// The result of one harness.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Points, runs, states or inputs tried.
    points: u64,
    /// The broken promises; each says how to repeat it.
    violations: Vec<String>,
    /// The reason nothing could be tried, if any.
    impossible: Option<&'static str>,
}

impl Tally {
    /// Notes a broken promise and prints it at once.
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

/// The result of one point.
enum Job {
    /// This many points were tried and held.
    Done(u64),
    /// The promise was broken in this way.
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

/// How much a harness tries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Of kill and fault a share of the points.
    Quick,
    /// Every single point.
    #[default]
    Usual,
    /// Every pair of points, and more of all else.
    Long,
}

/// Of so many points a quick run takes one.
const SHARE: usize = 4;

/// The extent of a harness's run.
#[derive(Debug, Default)]
struct Extent {
    size: Size,
    /// Only the scenario of this name.
    history: Option<String>,
}

impl Extent {
    fn long(&self) -> bool {
        self.size == Size::Long
    }

    /// The distance between the points that are tried.
    fn step(&self) -> usize {
        if self.size == Size::Quick { SHARE } else { 1 }
    }

    /// The selected scenarios.
    fn histories(&self) -> impl Iterator<Item = &'static scenario::Scenario> {
        scenario::SCENARIOS
            .iter()
            .filter(|one| self.history.as_deref().is_none_or(|wanted| wanted == one.name))
    }
}

/// Works on points with as many threads as there are processors, until the points or the jobs are at their end.
fn in_parallel(points: impl Iterator<Item = u64> + Send, job: impl Fn(u64) -> Job + Sync) -> Tally {
    with_threads(processors(), points, job)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Works on points with this many threads.
fn with_threads(
    threads: usize,
    points: impl Iterator<Item = u64> + Send,
    job: impl Fn(u64) -> Job + Sync,
) -> Tally {
    let points = Mutex::new(points.fuse());
    let progress = Mutex::new(Progress { tally: Tally::default(), ended: false, said: Instant::now() });
    let lock = || progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = points.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let (Some(point), false) = (next, lock().ended) else { return };
                    let job = job(point);
                    lock().note(job);
                }
            });
        }
    });
    progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).tally
}

/// How far threads have come with their points.
struct Progress {
    tally: Tally,
    ended: bool,
    said: Instant,
}

impl Progress {
    fn note(&mut self, job: Job) {
        match job {
            Job::Done(points) => self.tally.points += points,
            Job::Violation(reason) => self.tally.violation(reason),
            Job::End => self.ended = true,
            Job::Impossible => {
                self.tally.impossible = Some("tracing other processes is not permitted here");
                self.ended = true;
            }
        }
        if self.said.elapsed() > Duration::from_mins(1) {
            self.said = Instant::now();
            say(&format!("... {} so far", self.tally.points));
        }
    }
}

type Harness = fn(&Path, &Extent) -> Tally;

/// Each harness: name, function, and its meaning of a point.
const HARNESSES: [(&str, &str, Harness); 7] = [
    ("fuzz", "inputs", fuzz::run),
    ("model", "end states", model::run),
    ("kill", "kill points", kill::run),
    ("fault", "failed calls", fault::run),
    ("damage", "damaged stores", damage::run),
    ("limits", "real limits", limits::run),
    ("soak", "intents under random SIGKILL", soak::run),
];

const HELP: &str = "\
cargo xtask proof [--quick | --long] [--history HISTORY] [NAME...]

Attacks the real daemon and the model of its protocol, and prints what was tried and found (docs/RELIABILITY.md).
Names: fuzz, model, kill, fault (these two need ptrace on x86_64), damage, limits (needs root), soak; none: all of them.

  --quick              of kill and fault every fourth point, other ones in each history; what CI runs
  --long               every point and every step, more inputs, more restarts; takes hours
  --history HISTORY    of kill and fault only this one, by the name they print";

/// Runs the named harnesses, or all. Returns a table and whether the promise held.
pub(crate) fn run(words: &[String]) -> Result<(String, bool), String> {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return Ok((HELP.to_owned(), true));
    }
    let (extent, named) = wanted(words.get(1..).unwrap_or_default())?;
    // With the profile of the tests: with assertions and overflow checks.
    let programs = crate::build::programs("dev").map_err(|error| error.to_string())?;
    let program = programs.join("conductor-loop");
    let mut table = String::from("| harness | tried | violations | seconds |\n| --- | --- | --- | --- |\n");
    let mut held = true;
    for (name, unit, harness) in HARNESSES {
        if !named.is_empty() && !named.contains(&name) {
            continue;
        }
        let begun = Instant::now();
        let tally = harness(&program, &extent);
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

/// Parses the command line: the extent, and the names of the harnesses.
fn wanted(words: &[String]) -> Result<(Extent, Vec<&str>), String> {
    let (mut extent, mut named) = (Extent::default(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--long" => extent.size = Size::Long,
            "--quick" => extent.size = Size::Quick,
            "--history" => extent.history = Some(words.next().unwrap_or_default().to_owned()),
            name if HARNESSES.iter().any(|(known, _, _)| *known == name) => named.push(name),
            unknown => return Err(format!("'{unknown}' is no harness\n{HELP}")),
        }
    }
    if extent.histories().next().is_none() {
        let known: Vec<&str> = scenario::SCENARIOS.iter().map(|one| one.name).collect();
        return Err(format!("there is no history of that name; there are: {}", known.join("; ")));
    }
    Ok((extent, named))
}

#[expect(clippy::print_stderr, reason = "long work shows how far it is")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
