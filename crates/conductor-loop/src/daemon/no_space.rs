//! Pauses after takes that lacked space.

use std::time::Duration;

/// The first pause.
const SPACE_PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause before taking is retried after a take lacked space.
const SPACE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Takes that lacked space although the file system reports some: a quota, or blocks reserved for root. Retried after
/// pauses that double, so that it is not logged each second.
#[derive(Debug, Default)]
pub(super) struct NoSpace {
    until: Duration,
    pause: Duration,
}

impl NoSpace {
    /// Notes a take that lacked space.
    pub(super) fn found(&mut self, now: Duration) {
        self.pause = (self.pause * 2).clamp(SPACE_PAUSE_FIRST, SPACE_PAUSE_MAX);
        self.until = now + self.pause;
    }

    /// Whether the pause lasts, so that no take is tried.
    pub(super) fn holds(&self, now: Duration) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_for_space_double_up_to_a_bound() {
        let (mut no_space, mut now) = (NoSpace::default(), Duration::from_secs(100));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            no_space.found(now);
            assert!(no_space.holds(now));
            pauses.push(no_space.pause.as_secs());
            now = no_space.until;
            assert!(!no_space.holds(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
