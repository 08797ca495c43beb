//! A shortage of descriptors, memory or the like that stands against one file: it may pass by itself at any moment, and is
//! told once it has lasted.

use std::ops::Sub;
use std::time::Duration;

/// How long it may last before it is told: what the workers use by fits and starts is free again long before.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// The shortage that stands now, if any, by a clock whose readings are `T`.
#[derive(Debug, Clone, Copy)]
pub struct Shortage<T> {
    since: Option<T>,
    told: bool,
}

/// What is new about a shortage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has begun.
    Begun,
    /// It has lasted for five seconds; said once.
    Lasts,
    /// It goes on, and what there is to say has been said, or is not to be said yet.
    Known,
}

impl<T> Default for Shortage<T> {
    fn default() -> Self {
        Self { since: None, told: false }
    }
}

impl<T: Copy + Sub<Output = Duration>> Shortage<T> {
    /// It was met.
    pub fn met(&mut self, now: T) -> Phase {
        match self.since {
            None => {
                self.since = Some(now);
                Phase::Begun
            }
            Some(since) if !self.told && now - since >= TOLD_AFTER => {
                self.told = true;
                Phase::Lasts
            }
            Some(_) => Phase::Known,
        }
    }

    /// Whether it stands and has been told.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// It is over, if there was one. Returns whether it had been told.
    pub fn end(&mut self) -> bool {
        std::mem::take(self).told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once_and_what_passes_never() {
        let (mut shortage, second) = (Shortage::default(), Duration::from_secs(1));
        let met = |shortage: &mut Shortage<Duration>, seconds: u32| shortage.met(seconds * second);
        assert!(!shortage.end());
        assert_eq!([0, 4].map(|at| met(&mut shortage, at)), [Phase::Begun, Phase::Known]);
        assert!(!shortage.end());
        let said = [6, 10, 11, 20].map(|at| met(&mut shortage, at));
        assert_eq!(said, [Phase::Begun, Phase::Known, Phase::Lasts, Phase::Known]);
        assert!(shortage.end() && !shortage.end());
    }
}
