//! The lines of the table: each scenario with its contenders, the first compared with all others.

use super::contender::Contender;
use super::mount::Mount;
use super::plot;
use super::statistics::{Ratio, median, millis, percentile, rate};
use super::study::Bench;
use crate::progress::say;
use std::io;
use std::time::Duration;

impl Bench {
    /// Everything that is compared on one file system.
    pub(super) fn on(&mut self, mount: &Mount) -> io::Result<()> {
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
            ("S8: 20 ms porch", "burn", "0.98 of xargs, 0.97 of confine off"),
            &[External, Unconfined, Before, Spawn, Xargs],
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
        let all = [External];
        let rounds = self.rounds(mount, "duplicates", &all, |_| self.duplicates(mount.path(), files))?;
        let took = median(&rounds.concat());
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
        let times =
            self.rounds(mount, scenario, &all, |who| self.backlog(mount.path(), who, porch, files))?;
        let rate_of = |at: usize| rate(files, median(&times[at]));
        for (at, who) in all.iter().enumerate() {
            self.rates.push(plot::Bar::new(scenario, mount.label, who.label(), rate_of(at)));
        }
        let beside: Vec<String> =
            (1..all.len()).map(|at| format!("{}: {:.0}/s", all[at].label(), rate_of(at))).collect();
        let ratios: Vec<String> =
            (1..all.len()).map(|at| Ratio::of(&times[at], &times[0]).to_string()).collect();
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
        let bursts = self.rounds(mount, "S2: burst", &all, |who| self.burst(mount.path(), who, files))?;
        let times = |at: usize| bursts[at].iter().map(|burst| burst.took).collect::<Vec<_>>();
        let rate_of = |at: usize| rate(files, median(&times(at)));
        let lost = |at: usize| bursts[at].iter().map(|burst| burst.lost).max().unwrap_or(0);
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
            .map(|at| match lost(at) {
                0 => Ratio::of(&times(at), &times(0)).to_string(),
                _ => "-".to_owned(),
            })
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
        let latencies =
            self.rounds(mount, "S1: latency", &all, |who| self.latency(mount.path(), who, files))?;
        let medians = |at: usize| latencies[at].iter().map(|round| median(round)).collect::<Vec<Duration>>();
        let told = |at: usize| {
            let times = latencies[at].concat();
            format!("p50 {:.2} ms, p99 {:.2} ms", millis(median(&times)), millis(percentile(&times, 99)))
        };
        let beside: Vec<String> =
            (1..all.len()).map(|at| format!("{}: {}", all[at].label(), told(at))).collect();
        let ratios: Vec<String> =
            (1..all.len()).map(|at| Ratio::of(&medians(0), &medians(at)).to_string()).collect();
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
    pub(super) fn large(&mut self, mount: &Mount) -> io::Result<()> {
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
