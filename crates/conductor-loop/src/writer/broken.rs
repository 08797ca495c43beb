//! Why no write can become durable any more, which ends the writer and the process.

use crate::store::StoreError;
use conductor_core::Code;
use conductor_evidence::TrailError;
use std::io;

/// Why no write can become durable any more. The text does not begin with the code.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The same, of what was attempted for a file.
    #[error("{attempt}: {cause}")]
    Records {
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        #[source]
        cause: StoreError,
    },
    /// A file cannot be looked at, written or synced.
    #[error("{attempt}: {cause}")]
    File {
        /// What was attempted, and on what.
        attempt: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The audit trail cannot be continued.
    #[error("{0}")]
    Trail(#[from] TrailError),
    /// The daemon was stopped while the state waited for space.
    #[error("stopped before the state could be written: {0}")]
    StoppedBeforeState(#[source] StoreError),
    /// The daemon was stopped while the audit trail waited for space, a descriptor or memory.
    #[error("stopped before the audit trail: {0}")]
    StoppedBeforeTrail(#[source] TrailError),
    /// The archive has no space in which a name could be chosen.
    #[error("no space to choose a name in the archive")]
    NoSpaceForName,
    /// The archive has no free name.
    #[error("there is no free name in the archive")]
    NoFreeName,
    /// The thread that syncs files has ended.
    #[error("the thread that syncs files has ended")]
    NoSync,
}

impl Broken {
    /// A file for which this was attempted.
    pub(super) fn file(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::File { attempt: attempt.into(), cause }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Store(cause) | Self::Records { cause, .. } => cause.code(),
            Self::Trail(TrailError::Gone(_)) => Code::AuditDamaged,
            Self::StoppedBeforeState(_)
            | Self::StoppedBeforeTrail(TrailError::NoSpace(_))
            | Self::NoSpaceForName => Code::DiskFull,
            Self::File { .. }
            | Self::Trail(_)
            | Self::StoppedBeforeTrail(_)
            | Self::NoFreeName
            | Self::NoSync => Code::StoreFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_testkit::told_cause;
    use rustix::io::Errno;

    #[test]
    fn what_ends_the_writer_keeps_what_the_system_said_and_tells_it_once() {
        let full = || io::Error::from(Errno::NOSPC);
        let trail = || TrailError::Io { what: "writing the audit trail".to_owned(), source: full() };
        for (broken, code) in [
            (Broken::from(StoreError::NoSpace(full())), Code::DiskFull),
            (Broken::Records { attempt: "archiving", cause: StoreError::Open(full()) }, Code::StoreFailed),
            (Broken::file("syncing status/")(full()), Code::StoreFailed),
            (Broken::from(trail()), Code::StoreFailed),
            (Broken::StoppedBeforeState(StoreError::NoSpace(full())), Code::DiskFull),
            (Broken::StoppedBeforeTrail(trail()), Code::StoreFailed),
        ] {
            assert_eq!(broken.code(), code, "{broken}");
            assert_eq!(told_cause(&broken), Some((Errno::NOSPC, 1)), "{broken}");
        }
    }
}
