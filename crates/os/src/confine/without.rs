//! Why a restriction does not hold.

use rustix::io::Errno;
use std::io;

/// Why a restriction does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Without {
    /// The kernel does not have it.
    #[error("the kernel does not have it: {0}")]
    Missing(String),
    /// The kernel has it and did not permit it.
    #[error("not permitted: {0}")]
    Refused(String),
}

impl Without {
    /// Sorts a failed call: a call or an operation that is not known is missing, every other failure is a refusal.
    pub(crate) fn of(what: &str, error: &io::Error) -> Self {
        let reason = format!("{what}: {error}");
        match Errno::from_io_error(error) {
            Some(Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => Self::Missing(reason),
            _ => Self::Refused(reason),
        }
    }
}
