//! Token bucket for --rate: a burst of twice the rate; starts beyond it wait and are never dropped.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    tokens: f64,
    filled_at: Duration,
}

impl Rate {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, tokens: Self::burst(per_second), filled_at: Duration::ZERO }
    }

    fn burst(per_second: f64) -> f64 {
        (per_second * 2.0).max(1.0)
    }

    /// Takes a token, or returns the time of the next one.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(Self::burst(self.per_second));
        self.filled_at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A microsecond more than computed, so that rounding never wakes too early.
        Err(now + Duration::from_secs_f64((1.0 - self.tokens) / self.per_second) + Duration::from_micros(1))
    }

    /// Gives back a token that was taken for a start which is none.
    pub(super) fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(Self::burst(self.per_second));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_steady() {
        let mut rate = Rate::new(10.0);
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            assert_eq!(rate.take(now), Ok(()), "the burst is twice the rate");
        }
        for _ in 0..30 {
            let next = rate.take(now).unwrap_err();
            assert!(next > now);
            now = next;
            assert_eq!(rate.take(now), Ok(()));
        }
        assert!((2.9..3.1).contains(&now.as_secs_f64()), "30 more take three seconds, took {now:?}");
    }
}
