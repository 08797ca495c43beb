//! The metrics: the specification's five names, and further ones for operators. Label values come from closed lists.

use super::took::Took;
use conductor_core::code::TABLE;
use conductor_core::confinement::{Confinement, Standing};
use conductor_core::query::Pulse;
use conductor_core::record::{Outcome, Status};
use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Error, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds of one run of porch: from the embedded engine's fractions of a millisecond to the longest timeouts in use.
const RUN_BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 120.0];
/// Seconds of waiting: from an idle daemon's milliseconds to a backlog of an hour.
const WAIT_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];
/// Seconds of one durable commit.
const COMMIT_BUCKETS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
/// Records in one commit; at most 512 commands make one.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0];

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    processed: IntCounter,
    failed: IntCounter,
    duplicates: IntCounter,
    retries: IntCounter,
    interrupted: IntCounter,
    failures: IntCounterVec,
    refusals: IntCounterVec,
    times: Times,
    took: Took,
    active: IntGauge,
    queue: IntGauge,
    oldest: Gauge,
    sighted: IntGauge,
    held: IntGauge,
    scans: IntCounter,
    overflows: IntCounter,
    audit: Audit,
    backups: Backups,
    ready: IntGauge,
    free: IntGauge,
    out_free: IntGauge,
    events: IntGauge,
    left: IntGauge,
    confinement: IntGaugeVec,
    log_dropped: IntCounter,
    /// The number of dropped lines that `log_dropped` includes.
    log_dropped_seen: AtomicU64,
}

/// Histograms of durations and batch sizes.
#[derive(Debug)]
struct Times {
    run: Histogram,
    start_latency: Histogram,
    status_latency: Histogram,
    commit: Histogram,
    batch: Histogram,
}

impl Times {
    fn new(make: &Making<'_>) -> Result<Self, Error> {
        Ok(Self {
            run: make.histogram(
                "conductor_processing_duration_seconds",
                "Time of one run of porch.",
                &RUN_BUCKETS,
            )?,
            start_latency: make.histogram(
                "conductor_start_latency_seconds",
                "From the taking of a file to the first start of porch for it.",
                &WAIT_BUCKETS,
            )?,
            status_latency: make.histogram(
                "conductor_status_latency_seconds",
                "From the taking of a file to its status.",
                &WAIT_BUCKETS,
            )?,
            commit: make.histogram(
                "conductor_commit_duration_seconds",
                "Time of one durable commit of the store.",
                &COMMIT_BUCKETS,
            )?,
            batch: make.histogram(
                "conductor_commit_records",
                "Claims, starts and outcomes in one commit.",
                &BATCH_BUCKETS,
            )?,
        })
    }
}

/// How far the audit trail has come, so that a scraper is a witness of its end.
#[derive(Debug)]
struct Audit {
    size: IntGauge,
    root: IntGauge,
}

impl Audit {
    fn new(make: &Making<'_>) -> Result<Self, Error> {
        let root = "The first 48 bits of the root of the audit trail's tree, as a number.";
        Ok(Self {
            size: make.gauge("conductor_audit_tree_size", "Entries of the audit trail; 0 without one.")?,
            root: make.gauge("conductor_audit_root48", root)?,
        })
    }
}

/// What became of backups.
#[derive(Debug)]
struct Backups {
    interval: IntGauge,
    last: IntGauge,
    failures: IntCounter,
}

impl Backups {
    fn new(make: &Making<'_>) -> Result<Self, Error> {
        let interval = "How often a backup is to be made, in seconds; 0: by request alone, or never.";
        let last = "When the newest backup of this daemon was made, in seconds since 1970; 0: there is none.";
        Ok(Self {
            interval: make.gauge("conductor_backup_interval_seconds", interval)?,
            last: make.gauge("conductor_backup_timestamp_seconds", last)?,
            failures: make.counter("conductor_backup_failures_total", "Backups that could not be made.")?,
        })
    }
}

/// Makes and registers metrics.
struct Making<'r>(&'r Registry);

impl Making<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, collector: Result<C, Error>) -> Result<C, Error> {
        let collector = collector?;
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.keep(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.keep(IntGauge::new(name, help))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    /// A counter by error code, with every code of these classes at zero, so that the first error shows as an increase.
    fn by_code(&self, name: &str, help: &str, classes: &[&str]) -> Result<IntCounterVec, Error> {
        let counters = self.keep(IntCounterVec::new(Opts::new(name, help), &["code"]))?;
        for entry in TABLE.iter().filter(|entry| classes.iter().any(|class| entry.id.starts_with(class))) {
            counters.get_metric_with_label_values(&[entry.id])?;
        }
        Ok(counters)
    }
}

impl Making<'_> {
    /// The parts of the confinement, as they are told.
    fn by_part(&self) -> Result<IntGaugeVec, Error> {
        let opts = Opts::new("conductor_confinement", "1 when this part of the confinement holds, else 0.");
        self.keep(IntGaugeVec::new(opts, &["part"]))
    }

    fn build_info(&self) -> Result<(), Error> {
        let info = Opts::new("conductor_build_info", "Always 1; the version is a label.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        self.keep(IntGauge::with_opts(info))?.set(1);
        Ok(())
    }
}

impl Metrics {
    /// Makes all metrics, at zero, each with the name of the instance as a label if it has one.
    pub fn new(instance: Option<&str>) -> Result<Self, Error> {
        let label = instance.map(|name| HashMap::from([("instance".to_owned(), name.to_owned())]));
        let registry = Registry::new_custom(None, label)?;
        let make = Making(&registry);
        make.build_info()?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            processed: make.counter(
                "conductor_files_processed_total",
                "Intents with status success, duplicates included.",
            )?,
            failed: make.counter("conductor_files_failed_total", "Intents with status failed.")?,
            duplicates: make.counter(
                "conductor_duplicates_total",
                "Successes that repeated an earlier one; porch did not run.",
            )?,
            retries: make
                .counter("conductor_retries_total", "Runs that ended with a request to be tried again.")?,
            interrupted: make.counter(
                "conductor_interrupted_total",
                "Intents left for the next start of the daemon because it stopped.",
            )?,
            failures: make.by_code(
                "conductor_failures_total",
                "Failed intents by error code (docs/ERRORS.md), refused ones included.",
                &["E1", "E2", "E3"],
            )?,
            refusals: make.by_code(
                "conductor_refusals_total",
                "Refused files by error code: porch did not run.",
                &["E1", "E2"],
            )?,
            times: Times::new(&make)?,
            took: Took::default(),
            active: make.gauge("conductor_active_workers", "Runs of porch under way.")?,
            queue: make.gauge("conductor_queue_size", "Intents taken that wait for their turn.")?,
            oldest: make.keep(Gauge::new(
                "conductor_oldest_waiting_seconds",
                "Time since the oldest waiting intent was taken; 0 when none waits.",
            ))?,
            sighted: make
                .gauge("conductor_sighted_files", "Files seen in the handoff directory and not taken yet.")?,
            held: make.gauge("conductor_held_targets", "Targets that an operator holds.")?,
            scans: make.counter("conductor_scans_total", "Complete scans of the handoff directory.")?,
            audit: Audit::new(&make)?,
            backups: Backups::new(&make)?,
            overflows: make.counter(
                "conductor_overflows_total",
                "Times that the kernel lost events and the directory was scanned instead.",
            )?,
            ready: make.gauge("conductor_ready", "1 when new files are taken.")?,
            free: make.gauge("conductor_free_bytes", "Free space of the handoff directory's file system.")?,
            out_free: make
                .gauge("conductor_out_free_bytes", "Free space of the output directory\'s file system.")?,
            log_dropped: make.counter(
                "conductor_log_dropped_total",
                "Log lines that were dropped because standard error was not read.",
            )?,
            log_dropped_seen: AtomicU64::new(0),
            events: make.gauge(
                "conductor_events",
                "1 when the kernel's events tell of new files; 0: the directory is listed instead.",
            )?,
            left: make.gauge(
                "conductor_left_files",
                "Entries of the handoff directory that cannot be taken, and are tried again.",
            )?,
            confinement: make.by_part()?,
            registry,
        })
    }

    /// Counts a filed outcome.
    pub fn filed(&self, outcome: &Outcome) {
        match outcome.status {
            Status::Success => self.processed.inc(),
            Status::Failed => self.failed.inc(),
        }
        if outcome.duplicate_of.is_some() {
            self.duplicates.inc();
        }
        if let Some(code) = outcome.error_code {
            self.failures.with_label_values(&[code.id()]).inc();
            if outcome.attempts == 0 && matches!(code.id().get(..2), Some("E1" | "E2")) {
                self.refusals.with_label_values(&[code.id()]).inc();
            }
        }
        if let Some(history) = &outcome.history {
            let seconds = seconds_since(history.taken_at);
            self.times.status_latency.observe(seconds);
            self.took.count(seconds * 1e3);
        }
    }

    /// Observes the wait of an intent from its taking to the first start of porch.
    pub fn started(&self, taken_at: Timestamp, started_at: Timestamp) {
        self.times.start_latency.observe(started_at.duration_since(taken_at).as_secs_f64().max(0.0));
    }

    /// Observes a run of porch.
    pub fn ran(&self, took: Duration) {
        self.times.run.observe(took.as_secs_f64());
    }

    /// Counts a run that requested a retry.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// Counts an intent left for the next start.
    pub fn interrupted(&self) {
        self.interrupted.inc();
    }

    /// Observes a durable commit.
    pub fn committed(&self, took: Duration, records: usize) {
        self.times.commit.observe(took.as_secs_f64());
        self.times.batch.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    }

    /// Counts a scan that reached the end of the directory.
    pub fn scanned(&self) {
        self.scans.inc();
    }

    /// Counts a loss of kernel events.
    pub fn overflowed(&self) {
        self.overflows.inc();
    }

    /// Sets how often a backup is to be made.
    pub fn set_backup_interval(&self, interval: Duration) {
        self.backups.interval.set(i64::try_from(interval.as_secs()).unwrap_or(i64::MAX));
    }

    /// Sets when the newest backup was made.
    pub fn backed_up(&self, at: Timestamp) {
        self.backups.last.set(at.as_second());
    }

    /// Counts a backup that could not be made.
    pub fn backup_failed(&self) {
        self.backups.failures.inc();
    }

    /// Sets the number of entries in the audit trail, and the beginning of the root of their tree.
    pub fn set_audit(&self, size: u64, root48: i64) {
        self.audit.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.audit.root.set(root48);
    }

    /// Sets the numbers of intents in each state.
    pub fn set_load(&self, active: usize, queue: usize, sighted: usize) {
        self.active.set(number(active));
        self.queue.set(number(queue));
        self.sighted.set(number(sighted));
    }

    /// Sets the figures computed only for a scrape: the age of the oldest waiting intent, and the number of held targets.
    pub fn set_asked(&self, oldest_waiting: Option<Timestamp>, held: usize) {
        self.oldest.set(oldest_waiting.map_or(0.0, seconds_since));
        self.held.set(number(held));
    }

    /// Sets whether new files are taken.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Sets the free bytes of the directory of packages.
    pub fn set_out_free(&self, bytes: u64) {
        self.out_free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets whether events work.
    pub fn set_events(&self, work: bool) {
        self.events.set(i64::from(work));
    }

    /// Sets which parts of the confinement hold.
    pub fn set_confinement(&self, confinement: &Confinement) {
        for one in &confinement.0 {
            let holds = i64::from(one.standing == Standing::Active);
            self.confinement.with_label_values(&[one.part.as_str()]).set(holds);
        }
    }

    /// Sets the number of entries that cannot be taken.
    pub fn set_left(&self, entries: usize) {
        self.left.set(number(entries));
    }

    /// Sets the free space in bytes.
    pub fn set_free(&self, bytes: u64) {
        self.free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The figures for the page's charts.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            at_ms: Timestamp::now().as_millisecond(),
            ready: self.ready.get() == 1,
            processed: self.processed.get(),
            failed: self.failed.get(),
            active: self.active.get(),
            waiting: self.queue.get(),
            sighted: self.sighted.get(),
            timed: self.times.status_latency.get_sample_count(),
            timed_ms: self.times.status_latency.get_sample_sum() * 1e3,
            took_ms: self.took.take(),
        }
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        // Several scrapes may run at once: each dropped line is counted by one of them.
        let dropped = super::output::dropped();
        let counted = self.log_dropped_seen.fetch_max(dropped, Ordering::Relaxed);
        self.log_dropped.inc_by(dropped.saturating_sub(counted));
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Seconds since a time; zero when the clock was set back meanwhile.
fn seconds_since(then: Timestamp) -> f64 {
    Timestamp::now().duration_since(then).as_secs_f64().max(0.0)
}

/// Converts to the `OpenMetrics` format. The library writes the classic one; for our metrics the two differ in the name
/// of a counter's family and in the mark at the end.
pub fn open_metrics(classic: &str) -> String {
    let mut text = String::with_capacity(classic.len() + 8);
    let mut counters = std::collections::HashSet::new();
    for line in classic.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix("_total counter"))
        {
            counters.insert(name);
        }
    }
    for line in classic.lines() {
        let named = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let family =
            named.and_then(|rest| rest.split(' ').next()).and_then(|name| name.strip_suffix("_total"));
        match family.filter(|family| counters.contains(family)) {
            Some(family) => text.push_str(&line.replacen(&format!("{family}_total"), family, 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text.push_str("# EOF\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_counters_lose_their_ending_in_open_metrics() {
        let classic = "# HELP a_total What a_total is.\n# TYPE a_total counter\na_total 1\n\
                       # HELP b B.\n# TYPE b gauge\nb{code=\"E1\"} 2\n";
        let want = "# HELP a What a_total is.\n# TYPE a counter\na_total 1\n# HELP b B.\n# TYPE b gauge\n\
                    b{code=\"E1\"} 2\n# EOF\n";
        assert_eq!(open_metrics(classic), want);
    }

    #[test]
    fn every_name_is_ours_or_the_process_s_and_codes_begin_at_zero() {
        let text = Metrics::new(None).unwrap().text();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("conductor_") || line.starts_with("process_"), "{line}");
        }
        assert!(text.contains("conductor_failures_total{code=\"E301\"} 0"), "{text}");
        assert!(text.contains("conductor_refusals_total{code=\"E215\"} 0"), "{text}");
        assert!(!text.contains("conductor_refusals_total{code=\"E301\"}"));
    }
}
