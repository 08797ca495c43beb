//! `cargo xtask bench [--quick] [--rounds N] [--only S8] [--plot FILE] [--before PROGRAM]`: compares our daemon with the
//! tools a user would use instead and with an earlier build, interleaved in one run, as ratios of medians, on a journaled
//! ext4 loop image and on tmpfs (both need root). Each contender's measurements go into a table, the rates into a plot.

mod contender;
mod field;
mod mount;
mod plot;
mod scenario;
mod scrape;

use contender::{Builds, Contender};
use mount::Mount;
use std::fmt::Write as _;
use std::io::{self, Error};
use std::path::PathBuf;
use std::time::Duration;

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

/// The extent of the measurements.
struct Size {
    files: usize,
    slow_files: usize,
    single_files: usize,
    burst: usize,
    large_burst: usize,
    million: usize,
    idle_seconds: u32,
    rounds: usize,
}

const QUICK: Size = Size {
    files: 2_000,
    slow_files: 100,
    single_files: 50,
    burst: 500,
    large_burst: 20_000,
    million: 100_000,
    idle_seconds: 5,
    rounds: 2,
};
const FULL: Size = Size {
    files: 10_000,
    slow_files: 400,
    single_files: 300,
    burst: 2_000,
    large_burst: 40_000,
    million: 1_000_000,
    idle_seconds: 60,
    rounds: 3,
};

struct Bench {
    builds: Builds,
    porches: PathBuf,
    size: Size,
    only: Option<String>,
    table: String,
    rates: Vec<plot::Bar>,
}

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

impl Bench {
    fn row(&mut self, [scenario, system, ours, beside, ratio, goal]: [&str; 6]) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.table, "| {scenario} | {system} | {ours} | {beside} | {ratio} | {goal} |");
    }

    fn wants(&self, scenario: &str) -> bool {
        self.only.as_ref().is_none_or(|only| scenario.split([' ', ':']).any(|word| word == only))
    }

    fn on(&mut self, mount: &Mount) -> io::Result<()> {
        use Contender::{
            Before, BeforeEmbedded, Embedded, EmbeddedUnconfined, External, Spawn, Unconfined, Xargs,
        };
        self.throughput(
            mount,
            ("smallest porch", "noop", "0.8 of xargs, 0.97 of confine off"),
            &[External, Unconfined, Before, Spawn, Xargs],
        )?;
        self.throughput(
            mount,
            ("S8: 20 ms porch", "burn", "0.98 of xargs"),
            &[External, Before, Spawn, Xargs],
        )?;
        let embedded = [Embedded, EmbeddedUnconfined, BeforeEmbedded];
        self.throughput(mount, ("embedded engine", "noop", "3000/s"), &embedded)?;
        self.bursts(mount)?;
        self.latencies(mount)?;
        self.scrapes(mount)?;
        if !self.wants("S10: duplicates") {
            return Ok(());
        }
        let files = self.size.files;
        let place = mount.path();
        let took = median(&self.rounds(mount, "duplicates", |bench| bench.duplicates(place, files))?);
        self.row([
            &format!("S10: {files} duplicates"),
            mount.label,
            &format!("{:.0}/s", rate(files, took)),
            "-",
            "-",
            "-",
        ]);
        Ok(())
    }

    fn rounds<T>(
        &self,
        mount: &Mount,
        what: &str,
        one: impl Fn(&Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        (1..=self.size.rounds)
            .map(|round| {
                say(&format!("{}: {what}: round {round} of {}", mount.label, self.size.rounds));
                one(self)
            })
            .collect()
    }

    fn available(&self, all: &[Contender]) -> Vec<Contender> {
        all.iter().copied().filter(|who| who.is_available(&self.builds)).collect()
    }

    /// A backlog, processed by each contender in turn; the first is compared with all others.
    fn throughput(
        &mut self,
        mount: &Mount,
        (scenario, porch, goal): (&str, &str, &str),
        all: &[Contender],
    ) -> io::Result<()> {
        if !self.wants(scenario) {
            return Ok(());
        }
        let all = self.available(all);
        let files = if porch == "burn" { self.size.slow_files } else { self.size.files };
        let rounds = self.rounds(mount, scenario, |bench| {
            all.iter()
                .map(|who| bench.backlog(mount.path(), *who, porch, files))
                .collect::<io::Result<Vec<_>>>()
        })?;
        let rate_of =
            |at: usize| rate(files, median(&rounds.iter().map(|round| round[at]).collect::<Vec<_>>()));
        for (at, who) in all.iter().enumerate() {
            self.rates.push(plot::Bar::new(scenario, mount.label, who.label(), rate_of(at)));
        }
        let beside: Vec<String> =
            (1..all.len()).map(|at| format!("{}: {:.0}/s", all[at].label(), rate_of(at))).collect();
        let ratios: Vec<String> =
            (1..all.len()).map(|at| format!("{:.2}", rate_of(0) / rate_of(at))).collect();
        self.row([
            &format!("{files} waiting, {scenario}"),
            mount.label,
            &format!("{:.0}/s", rate_of(0)),
            &or_dash(&beside),
            &or_dash(&ratios),
            goal,
        ]);
        Ok(())
    }

    /// S2 and S3: bursts of files.
    fn bursts(&mut self, mount: &Mount) -> io::Result<()> {
        use Contender::{Before, BeforeEmbedded, Embedded, Entr, External, Incron, Inotifywait};
        if !self.wants("S2 S3: burst") {
            return Ok(());
        }
        let files = self.size.burst;
        let all = self.available(&[External, Before, Embedded, BeforeEmbedded, Inotifywait, Incron, Entr]);
        let rounds = self.rounds(mount, "S2: burst", |bench| {
            all.iter().map(|who| bench.burst(mount.path(), *who, files)).collect::<io::Result<Vec<_>>>()
        })?;
        let rate_of =
            |at: usize| rate(files, median(&rounds.iter().map(|round| round[at].took).collect::<Vec<_>>()));
        let lost = |at: usize| rounds.iter().map(|round| round[at].lost).max().unwrap_or(0);
        let told = |at: usize| match lost(at) {
            0 => format!("{:.0}/s", rate_of(at)),
            lost => format!("{lost} of {files} lost"),
        };
        for (at, who) in all.iter().enumerate().filter(|(at, _)| lost(*at) == 0) {
            self.rates.push(plot::Bar::new("S2: burst", mount.label, who.label(), rate_of(at)));
        }
        let beside: Vec<String> =
            (1..all.len()).map(|at| format!("{}: {}", all[at].label(), told(at))).collect();
        let ratios: Vec<String> = (1..all.len())
            .map(|at| if lost(at) == 0 { format!("{:.2}", rate_of(0) / rate_of(at)) } else { "-".to_owned() })
            .collect();
        let scenario = format!("S2: burst of {files}, watched");
        self.row([&scenario, mount.label, &told(0), &or_dash(&beside), &or_dash(&ratios), "none lost"]);
        let files = self.size.large_burst;
        say(&format!("{}: S3: burst of {files}", mount.label));
        let burst = self.burst(mount.path(), External, files)?;
        self.row([
            &format!("S3: burst of {files}, watched"),
            mount.label,
            &format!("{} lost, {:.0}/s, {} MiB", burst.lost, rate(files, burst.took), burst.resident >> 10),
            "-",
            "-",
            "0 lost, 64 MiB",
        ]);
        Ok(())
    }

    /// S1: the latency of one file.
    fn latencies(&mut self, mount: &Mount) -> io::Result<()> {
        use Contender::{Before, Entr, External, Incron, Inotifywait, Unconfined};
        if !self.wants("S1: latency") {
            return Ok(());
        }
        let files = self.size.single_files;
        let all = self.available(&[External, Unconfined, Before, Inotifywait, Incron, Entr]);
        let rounds = self.rounds(mount, "S1: latency", |bench| {
            all.iter().map(|who| bench.latency(mount.path(), *who, files)).collect::<io::Result<Vec<_>>>()
        })?;
        let times =
            |at: usize| -> Vec<Duration> { rounds.iter().flat_map(|round| round[at].clone()).collect() };
        let told = |at: usize| {
            let times = times(at);
            format!("p50 {:.2} ms, p99 {:.2} ms", millis(median(&times)), millis(percentile(&times, 99)))
        };
        let beside: Vec<String> =
            (1..all.len()).map(|at| format!("{}: {}", all[at].label(), told(at))).collect();
        let ratios: Vec<String> = (1..all.len())
            .map(|at| format!("{:.2}", median(&times(0)).as_secs_f64() / median(&times(at)).as_secs_f64()))
            .collect();
        self.row([
            "S1: rename to first instruction, idle",
            mount.label,
            &told(0),
            &or_dash(&beside),
            &or_dash(&ratios),
            "p50 1.0 of inotifywait, p99 5 ms",
        ]);
        Ok(())
    }

    /// The large measurements: a million files waiting, a million outcomes remembered; and an idle daemon.
    fn large(&mut self, mount: &Mount) -> io::Result<()> {
        let (million, place) = (self.size.million, mount.path());
        let (first, resident) = self.million_waiting(place, million)?;
        self.row([
            &format!("S4: {million} waiting at start"),
            mount.label,
            &format!("first porch after {:.0} ms, {} MiB", millis(first), resident >> 10),
            "-",
            "-",
            "1 s, 128 MiB",
        ]);
        let remembered = self.million_remembered(place, million, self.size.files.min(2_000))?;
        self.row([
            &format!("S5: {million} remembered at start"),
            mount.label,
            &format!("ready after {:.0} ms, {} MiB", millis(remembered.ready), remembered.resident >> 10),
            "the same intents with an empty store",
            &format!("{:.2} of the time", remembered.cost),
            "100 ms, 64 MiB, 1.0",
        ]);
        let (share, resident) = self.idle(place, self.size.idle_seconds)?;
        self.row([
            &format!("idle for {} s", self.size.idle_seconds),
            mount.label,
            &format!("{share:.2} % CPU, {:.1} MiB", f64::from(u32::try_from(resident).unwrap_or(0)) / 1024.0),
            "-",
            "-",
            "0.1 % CPU, 12 MiB",
        ]);
        Ok(())
    }
}

fn or_dash(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_owned() } else { texts.join("; ") }
}

fn rate(files: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(files).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[expect(clippy::print_stderr, reason = "a long measurement says where it is")]
fn say(text: &str) {
    eprintln!("{text}");
}
