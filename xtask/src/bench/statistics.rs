//! What is told of many times: rates, medians, percentiles.

use std::time::Duration;

pub(super) fn rate(files: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(files).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

pub(super) fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
