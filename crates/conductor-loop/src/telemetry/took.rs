//! How long outcomes took since the last look, as a distribution whose bounds lie 12 % apart: fine enough for any
//! percentile, and parts of it can be added up.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bounds per doubling.
const STEPS: f64 = 6.0;
/// The lowest bound in milliseconds.
const LEAST_MS: f64 = 0.25;
/// The number of bounds: up to an hour; the last also counts what took longer.
const BOUNDS: usize = 144;

/// Counts by bound.
#[derive(Debug)]
pub(super) struct Took([AtomicU64; BOUNDS]);

impl Default for Took {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BOUNDS])
    }
}

/// The upper bounds in milliseconds, with three digits each.
static UPPER: LazyLock<[f64; BOUNDS]> = LazyLock::new(|| {
    let mut place = 0.0;
    [(); BOUNDS].map(|()| {
        let exact = LEAST_MS * f64::exp2(place / STEPS);
        place += 1.0;
        let scale = 10_f64.powf(2.0 - exact.log10().floor());
        (exact * scale).round() / scale
    })
});

impl Took {
    /// Counts one outcome.
    pub(super) fn count(&self, ms: f64) {
        let place = UPPER.partition_point(|bound| *bound < ms);
        if let Some(count) = self.0.get(place).or(self.0.last()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bounds with what was counted since the last call.
    pub(super) fn take(&self) -> Vec<(f64, u64)> {
        let counts = self.0.iter().map(|count| count.swap(0, Ordering::Relaxed));
        UPPER.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_within_an_eighth_of_the_truth_and_begins_anew() {
        let took = Took::default();
        for ms in [0.0, 0.1, 1.0, 9.0, 9.0, 80.0, 8_000.0, 1e9] {
            took.count(ms);
        }
        let taken = took.take();
        let counted: u64 = taken.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 8);
        for ms in [1.0, 9.0, 80.0, 8_000.0] {
            assert!(taken.iter().any(|(bound, _)| (ms..ms * 1.125).contains(bound)), "{ms} in {taken:?}");
        }
        assert!(taken.iter().any(|(_, count)| *count == 2), "equal times share a bound: {taken:?}");
        assert!(taken.is_sorted_by(|one, other| one.0 < other.0));
        assert!(
            taken.last().is_some_and(|(bound, _)| *bound > 3_000_000.0),
            "the longest are counted: {taken:?}"
        );
        assert_eq!(took.take(), []);
    }
}
