//! What is told of many times: rates, medians, percentiles, and how two contenders compare.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

pub(super) fn rate(files: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(files).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

/// The value below which so many of a hundred lie.
fn ranked<T: Copy + PartialOrd>(values: &[T], percent: usize) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied()
}

pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    ranked(times, percent).unwrap_or_default()
}

pub(super) fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// How many times as fast as another ours is, from rounds in which both were measured one after the other: what slows the
/// machine for longer than a round slows both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    /// Of the values of a contender and of those of another, by round.
    pub(super) fn of(ones: &[Duration], others: &[Duration]) -> Self {
        let rounds = ones.iter().zip(others).map(|(one, other)| one.as_secs_f64() / other.as_secs_f64());
        let rounds: Vec<f64> = rounds.collect();
        let [least, median, most] = [0, 50, 100].map(|percent| ranked(&rounds, percent).unwrap_or(f64::NAN));
        Self { median, least, most }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, least, most } = self;
        write!(f, "{median:.2} ({least:.2} to {most:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_are_compared_round_by_round() {
        let times = |times: &[u64]| times.iter().map(|time| Duration::from_millis(*time)).collect::<Vec<_>>();
        // The machine was four times as slow in the second round.
        let (ours, other) = (times(&[100, 400, 110]), times(&[90, 360, 110]));
        assert_eq!(Ratio::of(&other, &ours).to_string(), "0.90 (0.90 to 1.00)");
        let ratio = Ratio::of(&times(&[1000, 4000, 4000, 8000]), &times(&[1000, 2000, 1000, 1000]));
        assert_eq!(ratio, Ratio { median: 4.0, least: 1.0, most: 8.0 });
    }
}
