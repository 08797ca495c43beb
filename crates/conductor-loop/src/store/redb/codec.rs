//! The codec that each value of each table passes on its way to the storage engine and back.

use crate::store::StoreError;
use std::borrow::Cow;
use std::fmt;

/// The place of a value. A codec that binds a value to its place can detect a moved one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'p> {
    /// Name of the table.
    pub(super) table: &'static str,
    /// The key, as the bytes that the engine compares.
    pub(super) key: &'p [u8],
}

/// Converts values to their stored bytes and back, and names to keys.
pub(super) trait Codec: fmt::Debug + Send + Sync {
    /// The stored bytes of a value.
    fn encode(&self, at: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError>;
    /// The value of stored bytes.
    fn decode<'s>(&self, at: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError>;
    /// Whether names are hidden. A hidden name stands in the value as well.
    fn hides(&self) -> bool;
    /// The key under which a name is stored, where names are hidden.
    fn hidden(&self, table: &'static str, name: &str) -> String;
}

/// Stores values unchanged.
#[derive(Debug)]
pub(super) struct Plain;

impl Codec for Plain {
    fn encode(&self, _: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(value)
    }

    fn decode<'s>(&self, _: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError> {
        Ok(Cow::Borrowed(stored))
    }

    fn hides(&self) -> bool {
        false
    }

    fn hidden(&self, _: &'static str, name: &str) -> String {
        name.to_owned()
    }
}
