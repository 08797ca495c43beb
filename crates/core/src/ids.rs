//! The numbers that identify something, each a type of its own, so that none is taken for another. In records, on the wire
//! and in texts each is the plain number.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident $number:ty;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $number);

        impl $name {
            /// The plain number.
            pub const fn get(self) -> $number {
                self.0
            }
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                Self(number)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+ };
}

ids! {
    /// The sequence number of an intent: given when it is taken, from 1, and never used again.
    Seq u64;
    /// The number of a start of porch for one intent, from 1. Not the number of starts so far, which may be zero.
    Attempt u32;
    /// The number of a staging slot, from 0.
    Slot u16;
}

impl Seq {
    /// Below every number.
    pub const ZERO: Self = Self(0);
    /// Above every number.
    pub const MAX: Self = Self(u64::MAX);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Attempt {
    /// The first start.
    pub const FIRST: Self = Self(1);

    /// The start that follows so many.
    pub const fn after(starts: u32) -> Self {
        Self(starts.saturating_add(1))
    }

    /// The start after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::after(self.0)
    }

    /// The number of starts before this one.
    pub const fn before(self) -> u32 {
        self.0.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_plain_wherever_it_is_written() {
        let seq: Seq = "17".parse().unwrap();
        assert_eq!(seq, Seq(16).next());
        assert_eq!((format!("{seq:>4}"), format!("{seq:?}")), ("  17".to_owned(), "17".to_owned()));
        assert_eq!(serde_json::to_string(&seq).unwrap(), "17");
        assert_eq!(serde_json::from_str::<Seq>("17").unwrap(), seq);
        assert_eq!(Seq::MAX.next(), Seq::MAX);
        assert_eq!((Attempt::after(0), Attempt::FIRST.next().before()), (Attempt::FIRST, 1));
        assert!("-1".parse::<Seq>().is_err());
    }
}
