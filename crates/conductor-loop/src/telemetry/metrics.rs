//! The metrics: the specification's five names, and what an operator needs besides. Label values come from closed lists.

use conductor_core::record::{Outcome, Status};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// Seconds of one run of porch: from the embedded engine's fractions of a millisecond to the longest timeouts in use.
const BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 120.0];

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    processed: IntCounter,
    failed: IntCounter,
    duplicates: IntCounter,
    retries: IntCounter,
    failures: IntCounterVec,
    duration: Histogram,
    active: IntGauge,
    queue: IntGauge,
    sighted: IntGauge,
    ready: IntGauge,
    free: IntGauge,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            processed: IntCounter::new(
                "conductor_files_processed_total",
                "Intents with status success, duplicates included.",
            )?,
            failed: IntCounter::new("conductor_files_failed_total", "Intents with status failed.")?,
            duplicates: IntCounter::new(
                "conductor_duplicates_total",
                "Successes that repeated an earlier one; porch did not run.",
            )?,
            retries: IntCounter::new(
                "conductor_retries_total",
                "Runs that ended with a request to be tried again.",
            )?,
            failures: IntCounterVec::new(
                Opts::new("conductor_failures_total", "Failed intents by error code (docs/ERRORS.md)."),
                &["code"],
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new("conductor_processing_duration_seconds", "Time of one run of porch.")
                    .buckets(BUCKETS.to_vec()),
            )?,
            active: IntGauge::new("conductor_active_workers", "Runs of porch under way.")?,
            queue: IntGauge::new("conductor_queue_size", "Intents taken that wait for their turn.")?,
            sighted: IntGauge::new(
                "conductor_sighted_files",
                "Files seen in the handoff directory and not taken yet.",
            )?,
            ready: IntGauge::new("conductor_ready", "1 when new files are taken.")?,
            free: IntGauge::new(
                "conductor_free_bytes",
                "Free space of the handoff directory's file system.",
            )?,
        };
        let info = IntGauge::with_opts(
            Opts::new("conductor_build_info", "Always 1; the version is a label.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        info.set(1);
        let all: [Box<dyn Collector>; 12] = [
            Box::new(metrics.processed.clone()),
            Box::new(metrics.failed.clone()),
            Box::new(metrics.duplicates.clone()),
            Box::new(metrics.retries.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.duration.clone()),
            Box::new(metrics.active.clone()),
            Box::new(metrics.queue.clone()),
            Box::new(metrics.sighted.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.free.clone()),
            Box::new(info),
        ];
        all.into_iter().try_for_each(|collector| metrics.registry.register(collector))?;
        Ok(metrics)
    }

    /// A final outcome was filed.
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
        }
    }

    /// A run of porch ended.
    pub fn ran(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// A run asked to be tried again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// How much is where.
    pub fn set_load(&self, active: usize, queue: usize, sighted: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.active.set(number(active));
        self.queue.set(number(queue));
        self.sighted.set(number(sighted));
    }

    /// Whether new files are taken.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Free space in bytes.
    pub fn set_free(&self, bytes: u64) {
        self.free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// All of them in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
