//! The command line of `cargo xtask proof`: which harnesses run, to what extent, and the table that comes of it.

use super::extent::{Extent, Size};
use super::tally::Tally;
use super::{damage, fault, fuzz, kill, limits, model, scenario, soak};
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

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
cargo xtask proof [--quick | --long] [--history HISTORY] [--from POINT] [NAME...]

Attacks the real daemon and the model of its protocol, and prints what was tried and found (docs/RELIABILITY.md).
Names: fuzz, model, kill, fault (these two need ptrace on x86_64), damage, limits (needs root), soak; none: all of them.

  --quick              of kill and fault every fourth point, other ones in each history; what CI runs
  --long               every point and every step, more inputs, more restarts; takes hours
  --history HISTORY    of kill and fault only this one, by the name they print
  --from POINT         of kill only the points from this one on: a long run says where it is, and goes on there later";

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
            "--from" => {
                let point = words.next().and_then(|point| point.parse().ok()).filter(|point| *point > 0);
                extent.from = Some(point.ok_or("--from takes the number of a kill point, from 1")?);
            }
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
