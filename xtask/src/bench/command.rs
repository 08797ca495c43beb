//! The command line of `cargo xtask bench`: what is measured, in which order, and the table that comes of it.

use super::contender::Builds;
use super::mount::Mount;
use super::plot;
use super::size::{FULL, QUICK};
use super::study::Bench;
use std::io::{self, Error};
use std::path::PathBuf;

const HELP: &str = "\
cargo xtask bench [--quick] [--rounds N] [--only WORD] [--plot FILE] [--before PROGRAM]

Measures ours beside what a user would use instead and prints a table (docs/BENCHMARKS.md).
Needs root, e2fsprogs and inotify-tools; incron and entr are measured where they are installed.

  --quick       small sizes and two rounds: under three minutes
  --rounds N    rounds of each interleaved scenario (default 3)
  --only WORD   only scenarios with this word in their name, for example S8
  --plot FILE   also write the rates as an SVG
  --before PROGRAM
                an earlier build of conductor-loop, measured in the same rounds: backlogs, bursts and latency";

/// Runs the measurements and returns a table.
pub(crate) fn run(words: &[String]) -> io::Result<String> {
    let has = |word: &str| words.iter().any(|of| of == word);
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    if has("--help") || has("-h") {
        return Ok(HELP.to_owned());
    }
    let takes_value = ["--rounds", "--only", "--plot", "--before"];
    let mut expected = words.iter().skip(1);
    while let Some(word) = expected.next() {
        if takes_value.contains(&word.as_str()) {
            expected.next().ok_or_else(|| Error::other(format!("{word} takes a value")))?;
        } else if word != "--quick" {
            return Err(Error::other(format!("'{word}' means nothing here\n{HELP}")));
        }
    }
    let mut size = if has("--quick") { QUICK } else { FULL };
    if let Some(rounds) = value("--rounds") {
        size.rounds = rounds.parse().map_err(|_| Error::other("--rounds takes a number"))?;
    }
    let target = crate::build::programs("release")?;
    let mut bench = Bench {
        builds: Builds { now: target.join("conductor-loop"), before: value("--before").map(PathBuf::from) },
        porches: target.join("bench-porch"),
        size,
        only: value("--only").cloned(),
        table: String::from(
            "| scenario | file system | ours | beside | ratio | goal |\n| --- | --- | --- | --- | --- | --- |\n",
        ),
        rates: Vec::new(),
    };
    for mount in [Mount::ext4()?, Mount::tmpfs(3)?].into_iter().flatten() {
        bench.on(&mount)?;
    }
    if bench.wants("S4 S5 idle")
        && let Some(mount) = Mount::tmpfs(8)?
    {
        bench.large(&mount)?;
    }
    if let Some(path) = value("--plot") {
        std::fs::write(path, plot::bars(&bench.rates))?;
    }
    Ok(bench.table)
}
