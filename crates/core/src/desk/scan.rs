//! When the handoff directory is listed: asked for slice by slice, again after the period, after lost events, and soon after a
//! listing that failed.

use std::time::Duration;

/// How soon a listing that failed is tried again, whatever the period.
const FAILED_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// Over, or not begun.
    Idle,
    /// A slice was asked for and has not come.
    Asked,
    /// There are more slices.
    Partial,
}

/// The listing under way, and when the next one is due.
#[derive(Debug)]
pub(super) struct Scan {
    listing: Listing,
    /// One must begin as soon as possible.
    wanted: bool,
    last: Last,
}

/// How the listing before ended, and when: the next one is due some time after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// There was none, or another one has begun since.
    None,
    /// It came to the directory's end.
    Whole(Duration),
    Failed(Duration),
}

impl Scan {
    /// The first is wanted.
    pub(super) fn new() -> Self {
        Self { listing: Listing::Idle, wanted: true, last: Last::None }
    }

    /// Something may have happened that nobody has seen.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) fn on_slice(&mut self, now: Duration, complete: bool) {
        if complete {
            (self.listing, self.last) = (Listing::Idle, Last::Whole(now));
        } else {
            self.listing = Listing::Partial;
        }
    }

    pub(super) fn on_failure(&mut self, now: Duration) {
        (self.listing, self.last) = (Listing::Idle, Last::Failed(now));
    }

    /// When the next one begins by the clock.
    pub(super) fn due_at(&self, period: Option<Duration>) -> Option<Duration> {
        match self.last {
            Last::None => None,
            Last::Whole(ended) => period.map(|after| ended + after),
            Last::Failed(ended) => Some(ended + FAILED_RETRY),
        }
    }

    /// Asks for what is due: a listing from the beginning (true), or the next slice; none: nothing is.
    pub(super) fn ask(&mut self, now: Duration, period: Option<Duration>) -> Option<bool> {
        let begins = self.wanted || self.due_at(period).is_some_and(|at| at <= now);
        let restart = match self.listing {
            Listing::Partial => false,
            Listing::Idle if begins => true,
            Listing::Idle | Listing::Asked => return None,
        };
        if restart {
            (self.wanted, self.last) = (false, Last::None);
        }
        self.listing = Listing::Asked;
        Some(restart)
    }

    /// Whether the last listing came to the directory's end, and nothing is known that it has not seen.
    pub(super) fn is_complete(&self) -> bool {
        self.listing == Listing::Idle && !self.wanted && !matches!(self.last, Last::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_new_period_counts_from_the_last_end_at_once() {
        let mut scan = Scan::new();
        assert_eq!(scan.ask(S(0), None), Some(true));
        scan.on_slice(S(1), true);
        assert_eq!((scan.due_at(None), scan.ask(S(99), None)), (None, None), "events only");
        assert_eq!((scan.due_at(Some(S(600))), scan.due_at(Some(S(2)))), (Some(S(601)), Some(S(3))));
        assert_eq!(scan.ask(S(3), Some(S(2))), Some(true));
    }

    #[test]
    fn a_listing_that_fails_is_tried_again_and_is_not_complete() {
        let mut scan = Scan::new();
        for at in [10, 20] {
            assert_eq!(scan.ask(S(at), None), Some(true));
            scan.on_failure(S(at));
            assert!(!scan.is_complete());
            assert_eq!(scan.ask(S(at), None), None, "with a pause");
            assert_eq!(scan.due_at(None), Some(S(at) + FAILED_RETRY));
        }
        scan.ask(S(30), None);
        scan.on_slice(S(30), false);
        assert_eq!(scan.ask(S(30), None), Some(false), "the next slice");
        scan.on_slice(S(30), true);
        assert!(scan.is_complete());
    }
}
