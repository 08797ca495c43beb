//! The sources of answers, and how outcomes are passed from the store: only as long as somebody wants the answer.

use super::refusals::{given_up, store_refused};
use super::unfinished::Unfinished;
use crate::store::{Ledger, Search, StoreError};
use conductor_core::name::Names;
use conductor_core::query::Refused;
use conductor_core::record::Outcome;
use conductor_crypto::VerifyingKey;
use conductor_os::dir::Dir;
use std::io;

/// The sources of answers.
pub struct Queries<'s> {
    /// Finished intents.
    pub store: &'s dyn Ledger,
    /// The handoff directory, with the archives below it.
    pub handoff: &'s Dir,
    /// The keys that have signed for this state, or why they are not known.
    pub public: &'s io::Result<Vec<VerifyingKey>>,
    /// The names of intents.
    pub names: &'s Names,
    /// What runs unfinished intents.
    pub porch_path: &'s str,
    /// Unfinished intents.
    pub unfinished: &'s dyn Unfinished,
    /// Whether the answer is still wanted: a search ends when it is not, and what it has found until then is no answer.
    pub is_wanted: &'s dyn Fn() -> bool,
}

impl Queries<'_> {
    /// Passes outcomes found by a search, newest first, while `each` returns true. It fails when the answer is not wanted any more.
    pub(super) fn look_back(
        &self,
        search: Search<'_>,
        each: impl FnMut(Outcome) -> bool,
    ) -> Result<(), Refused> {
        self.while_wanted(each, |each| self.store.search(search, each))
    }

    /// Has the store pass outcomes while `each` returns true. It fails when the answer is not wanted any more.
    pub(super) fn while_wanted(
        &self,
        mut each: impl FnMut(Outcome) -> bool,
        pass: impl FnOnce(&mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>,
    ) -> Result<(), Refused> {
        let mut is_wanted = true;
        let passed = pass(&mut |outcome| {
            let goes_on = each(outcome);
            is_wanted = !goes_on || (self.is_wanted)();
            goes_on && is_wanted
        });
        passed.map_err(|error| store_refused(&error))?;
        if is_wanted { Ok(()) } else { Err(given_up()) }
    }
}
