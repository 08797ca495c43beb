//! Process ids, a type of their own: user ids and sizes are the same number of bits.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The id of a process, or of the process group that it leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl Pid {
    /// That of this process.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// The plain number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The form of the system's calls; `None`: no process can have it.
    pub(crate) fn raw(self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(i32::try_from(self.0).ok()?)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Pid {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}
