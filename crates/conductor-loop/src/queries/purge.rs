//! What a purge would remove. Nothing is removed here: that is the writer's.

use super::refusals::{given_up, store_refused};
use super::sources::Queries;
use crate::store::{Part, StoreError};
use conductor_core::age::Bound;
use conductor_core::query::{Purged, Refused};
use conductor_core::record::Status;
use jiff::Timestamp;

impl Queries<'_> {
    /// The outcomes that a purge would remove, by the rule of the purge itself.
    pub fn would_purge(&self, before: Timestamp) -> Result<Purged, Refused> {
        let refused = |error: StoreError| store_refused(&error);
        let (mut purged, mut from) = (Purged { outcomes: 0, failed: 0, really: false }, None);
        let (clock, bound) =
            (self.store.upkeep().map_err(refused)?.clock, Bound { before, now: Timestamp::now() });
        loop {
            let part = Part { from, most: usize::MAX, bound, clock: &clock };
            let page = self.store.old(part).map_err(refused)?;
            purged.outcomes += page.old.len() as u64;
            let failed = page.old.iter().filter(|outcome| outcome.status == Status::Failed);
            purged.failed += failed.count() as u64;
            from = page.next;
            if from.is_none() {
                return Ok(purged);
            }
            if !(self.is_wanted)() {
                return Err(given_up());
            }
        }
    }
}
