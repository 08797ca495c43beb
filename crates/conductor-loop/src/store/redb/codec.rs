//! What each value of each table passes on its way to the storage engine and back.

use crate::store::StoreError;
use std::borrow::Cow;
use std::fmt;

/// Where a value belongs. A codec that binds a value to its place can tell one that was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'p> {
    /// Name of the table.
    pub(super) table: &'static str,
    /// The key, in the bytes that the engine compares.
    pub(super) key: &'p [u8],
}

/// Turns values into what is stored.
pub(super) trait Codec: fmt::Debug + Send + Sync {
    /// What is stored for a value.
    fn encode(&self, at: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError>;
    /// The value of what is stored.
    fn decode<'s>(&self, at: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError>;
}

/// Values are stored as they are.
#[derive(Debug)]
pub(super) struct Plain;

impl Codec for Plain {
    fn encode(&self, _: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(value)
    }

    fn decode<'s>(&self, _: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError> {
        Ok(Cow::Borrowed(stored))
    }
}
