//! What a program is given at its start, and why it may not be started.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The group or session led by a program. In both cases it is the first of a process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// A process group in our session.
    Group,
    /// A session of its own, which has no terminal to ask on.
    Session,
}

/// One of the standard streams of a program.
#[derive(Debug)]
pub enum Stdio {
    /// `/dev/null`.
    Null,
    /// A pipe, whose other end we get.
    Piped,
    /// An open file.
    File(OwnedFd),
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its process could not be made, or not be made what it was to be. That says nothing of the program.
    #[error("{step}: {error}")]
    NotSetUp {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        error: io::Error,
    },
    /// The program is not there, or the system does not execute it.
    #[error(transparent)]
    NotExecuted(io::Error),
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        Self::File(file.into())
    }
}
