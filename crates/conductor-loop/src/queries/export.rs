//! A part of an export: outcomes from a number on, as the store has them.

use super::refusals::store_refused;
use super::sources::Queries;
use crate::store::StoreError;
use conductor_core::Seq;
use conductor_core::query::{EXPORTED_MOST, Exported, Refused};
use conductor_core::record::Outcome;

impl Queries<'_> {
    /// A part of an export.
    pub fn exported(&self, from: Seq) -> Result<Exported, Refused> {
        let failed = |error: StoreError| store_refused(&error);
        // First: every outcome up to it that is durable now is in the export.
        let last_seq = self.store.last_seq().map_err(failed)?;
        let mut part = Exported { last_seq, ..Exported::default() };
        let each = |outcome: Outcome| {
            if part.outcomes.len() == EXPORTED_MOST {
                part.next = Some(outcome.seq);
                return false;
            }
            part.outcomes.push(outcome);
            true
        };
        self.while_wanted(each, |each| self.store.outcomes(from, each))?;
        Ok(part)
    }
}
