//! The clocks by which outcomes age, and what their last readings were. They decide nothing about an outcome.

use crate::store::{Ledger, StoreError, Upkeep};
use conductor_core::Seq;
use conductor_core::age::Look;
use conductor_os::monotonic;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The clocks, and their last readings.
pub(super) struct Clocks {
    pub(super) now: fn() -> Timestamp,
    pub(super) retention: SignedDuration,
    seen: Option<(Timestamp, Duration)>,
    /// The part of them that must outlive this process; read when first needed.
    pub(super) upkeep: Option<Upkeep>,
}

impl Clocks {
    pub(super) fn new(retention: SignedDuration) -> Self {
        Self { now: Timestamp::now, retention, seen: None, upkeep: None }
    }

    /// Reads the clock, and warns when it went forward by more than the retention.
    pub(super) fn look(&mut self, store: &dyn Ledger) -> Result<(Timestamp, &mut Upkeep), StoreError> {
        let upkeep = match self.upkeep.take() {
            Some(upkeep) => upkeep,
            None => store.upkeep()?,
        };
        let upkeep = self.upkeep.insert(upkeep);
        let (now, monotonic) = ((self.now)(), monotonic());
        let expected = self.seen.and_then(|(then, at)| {
            then.checked_add(SignedDuration::try_from(monotonic.saturating_sub(at)).ok()?).ok()
        });
        let last_seq = if expected.is_some_and(|then| now.duration_since(then) <= self.retention) {
            Seq::ZERO // Needed only after a jump.
        } else {
            store.last_seq()?
        };
        self.seen = Some((now, monotonic));
        let look = Look { now, expected, retention: self.retention, last_seq };
        if let Some(jumped) = upkeep.clock.look(look) {
            tracing::warn!(
                hours = jumped.as_hours(),
                "the clock went forward by more than --retention: the age of earlier outcomes is unknown, so they count as \
                 decided now"
            );
        }
        Ok((now, upkeep))
    }
}
