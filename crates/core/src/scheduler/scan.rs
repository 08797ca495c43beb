//! The schedule of listing the handoff directory: slice by slice, again after the period, after lost events, and soon
//! after a failed listing.

use std::time::Duration;

/// The pause after a failed listing, whatever the period.
const FAILED_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// No scan is in progress.
    Idle,
    /// A slice was requested and has not come.
    Asked,
    /// There are more slices.
    Partial,
}

/// The current listing, and the time of the next one.
#[derive(Debug)]
pub(super) struct Scan {
    listing: Listing,
    /// A scan must start as soon as possible.
    wanted: bool,
    last: Last,
}

/// The end of the previous listing: the next one is due some time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// There was no listing, or another one has begun since.
    None,
    /// It reached the directory's end.
    Whole(Duration),
    Failed(Duration),
}

impl Scan {
    /// Makes a schedule whose first scan is wanted.
    pub(super) fn new() -> Self {
        Self { listing: Listing::Idle, wanted: true, last: Last::None }
    }

    /// Requests a scan: a change may have gone unseen.
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

    /// The time of the next scan by the clock.
    pub(super) fn due_at(&self, period: Option<Duration>) -> Option<Duration> {
        match self.last {
            Last::None => None,
            Last::Whole(ended) => period.map(|after| ended + after),
            Last::Failed(ended) => Some(ended + FAILED_RETRY),
        }
    }

    /// Requests the step that is due: a new listing (true), or the next slice; `None`: no step is due.
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

    /// Whether the last listing reached the directory's end, and no later change is known.
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
