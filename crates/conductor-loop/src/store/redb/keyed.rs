//! The types of keys, and how a codec hides the names among them.

use super::codec::Codec;
use super::seq_key::SeqKey;
use conductor_core::Seq;

/// A type of keys.
pub(super) trait Keyed: redb::Key + 'static {
    /// Whether a key is a name that its value repeats where the codec hides it.
    const NAMED: bool;

    /// Passes on the key as the engine has it, and the name if it was hidden.
    fn stored<R>(
        codec: &dyn Codec,
        table: &'static str,
        key: Self::SelfType<'_>,
        work: impl FnOnce(Self::SelfType<'_>, Option<&str>) -> R,
    ) -> R;

    /// The key of the engine's key and the name that its value repeats.
    fn given<'k>(stored: Self::SelfType<'k>, name: Option<&'k str>) -> Self::SelfType<'k>;
}

macro_rules! unhidden {
    ($($key:ty),*) => { $(impl Keyed for $key {
        const NAMED: bool = false;

        fn stored<R>(
            _: &dyn Codec,
            _: &'static str,
            key: Self::SelfType<'_>,
            work: impl FnOnce(Self::SelfType<'_>, Option<&str>) -> R,
        ) -> R {
            work(key, None)
        }

        fn given<'k>(stored: Self::SelfType<'k>, _: Option<&'k str>) -> Self::SelfType<'k> {
            stored
        }
    })* };
}
unhidden!(SeqKey, (i128, SeqKey));

impl Keyed for &'static str {
    const NAMED: bool = true;

    fn stored<R>(
        codec: &dyn Codec,
        table: &'static str,
        key: &str,
        work: impl FnOnce(&str, Option<&str>) -> R,
    ) -> R {
        if codec.hides() { work(&codec.hidden(table, key), Some(key)) } else { work(key, None) }
    }

    fn given<'k>(stored: &'k str, name: Option<&'k str>) -> &'k str {
        name.unwrap_or(stored)
    }
}

/// A term and a number. Its rows are empty: the outcome of that number has the name.
impl Keyed for (&'static str, SeqKey) {
    const NAMED: bool = false;

    fn stored<R>(
        codec: &dyn Codec,
        table: &'static str,
        key: (&str, Seq),
        work: impl FnOnce((&str, Seq), Option<&str>) -> R,
    ) -> R {
        if codec.hides() { work((&codec.hidden(table, key.0), key.1), None) } else { work(key, None) }
    }

    fn given<'k>(stored: (&'k str, Seq), _: Option<&'k str>) -> (&'k str, Seq) {
        stored
    }
}
