//! A sequence number as a key of the storage engine: to the engine it is a plain `u64`, as in every store so far.

use conductor_core::Seq;
use redb::{Key, TypeName, Value};
use std::cmp::Ordering;

/// The engine's type of a sequence number.
#[derive(Debug)]
pub(super) struct SeqKey;

impl Value for SeqKey {
    type SelfType<'a> = Seq;
    type AsBytes<'a> = <u64 as Value>::AsBytes<'a>;

    fn fixed_width() -> Option<usize> {
        <u64 as Value>::fixed_width()
    }

    fn from_bytes<'a>(data: &'a [u8]) -> Seq
    where
        Self: 'a,
    {
        Seq(<u64 as Value>::from_bytes(data))
    }

    fn as_bytes<'a, 'b: 'a>(value: &'a Seq) -> Self::AsBytes<'a>
    where
        Self: 'b,
    {
        value.get().to_le_bytes()
    }

    fn type_name() -> TypeName {
        <u64 as Value>::type_name()
    }
}

impl Key for SeqKey {
    fn compare(data1: &[u8], data2: &[u8]) -> Ordering {
        <u64 as Key>::compare(data1, data2)
    }
}
