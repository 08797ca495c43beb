//! Restrictions that a process puts on itself and on what it starts. Landlock domains, seccomp filters and capabilities
//! belong to a thread, and each thread or program that it starts inherits them; nothing here can be taken back.

pub mod calls;
pub mod files;
pub mod limits;
pub mod process;
mod rules;
pub mod serving;
pub mod writes;

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
        use rustix::io::Errno;
        let reason = format!("{what}: {error}");
        match Errno::from_io_error(error) {
            Some(Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => Self::Missing(reason),
            _ => Self::Refused(reason),
        }
    }
}
