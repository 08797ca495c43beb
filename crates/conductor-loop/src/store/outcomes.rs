//! Outcomes from elsewhere, passed one at a time.

use super::error::StoreError;
use conductor_core::record::Outcome;

/// Outcomes from elsewhere.
pub trait Outcomes {
    /// Passes each of them. An error of `pass` ends it.
    fn each(&self, pass: &mut dyn FnMut(Outcome) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

impl Outcomes for Vec<Outcome> {
    fn each(&self, pass: &mut dyn FnMut(Outcome) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.iter().cloned().try_for_each(pass)
    }
}
