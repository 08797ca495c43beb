//! The way to bytes that are not in memory: the store has them. Who makes it knows the store; this folder does not.

use conductor_core::Code;
use conductor_core::record::Claim;
use std::sync::Arc;

/// Why bytes could not be read back from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRead {
    /// The stable code; [`Code::StoreDamaged`] when the bytes differ from the claimed ones.
    pub code: Code,
    /// The store's error message.
    pub reason: String,
}

/// Reads the bytes of a claim from the store and hands them over; their digest is the claim's.
#[derive(Clone)]
pub struct ReadBack(Arc<dyn Reads>);

trait Reads: Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync {}

impl<F: Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync> Reads for F {}

impl ReadBack {
    /// Makes the reader from a function.
    pub fn new(
        reads: impl Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(reads))
    }

    /// Hands the bytes of a claim over.
    pub(super) fn read(&self, claim: &Claim, hand_over: &mut dyn FnMut(&[u8])) -> Result<(), NotRead> {
        (self.0)(claim, hand_over)
    }
}
