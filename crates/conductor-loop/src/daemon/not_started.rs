//! What a start failed at: what was attempted, on what, and the error of the system or of a part that stands behind it.

use crate::admin::{NotBound, SecurityError};
use crate::handoff::{Unusable, remedy_of, remedy_of_shortage};
use crate::runner::ExecutableError;
use crate::store::StoreError;
use conductor_core::Code;
use conductor_core::intent::NotATarget;
use conductor_evidence::TrailError;
use std::io;
use std::path::PathBuf;

/// Why the daemon did not start. The text does not begin with the code.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// A directory or a part of one cannot be used, or the system refused a step.
    #[error("{0}")]
    Place(#[from] Unusable),
    /// The store cannot be opened.
    #[error("{}: {cause}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The store was opened, and cannot be read or written.
    #[error("{attempt}: {cause}")]
    Records {
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        #[source]
        cause: StoreError,
    },
    /// By what the store is sealed cannot be read from it.
    #[error("{0}")]
    Seal(#[source] StoreError),
    /// A hold in the store covers what is no target.
    #[error("{READING_HELD}: {0}")]
    Held(#[source] NotATarget),
    /// The audit trail cannot be opened, read or written.
    #[error("{0}")]
    Trail(#[from] TrailError),
    /// The program that is to be run cannot be.
    #[error("{0}")]
    Program(#[from] ExecutableError),
    /// An address cannot be bound.
    #[error("{0}")]
    Listening(#[from] NotBound),
    /// What was bound cannot be served.
    #[error("cannot serve the addresses: {0}")]
    Serving(#[source] io::Error),
    /// Certificate, key, authority or token cannot be used.
    #[error("{0}")]
    Security(#[from] SecurityError),
    /// The metrics cannot be made.
    #[error("the metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    /// What the last daemon left running cannot be looked for.
    #[error(
        "it cannot be told whether a porch that the last daemon left running lives on, and none starts beside it: reading {file}: {cause}"
    )]
    LeftRunning {
        /// What was read: a file of /proc, or all of it.
        file: &'static str,
        /// Why that failed.
        #[source]
        cause: io::Error,
    },
    /// Something is not as it has to be: nothing was attempted.
    #[error("{finding}")]
    Unfit {
        /// The stable code.
        code: Code,
        /// What was found.
        finding: String,
    },
}

/// What helps where /proc tells nothing of processes.
const READ_PROC: &str = "Let the daemon read /proc: a unit with RootDirectory= needs MountAPIVFS=yes.";
/// The attempt to find what the last daemon left to do.
pub(super) const READING_UNFINISHED: &str = "reading unfinished intents";
/// The attempt to find out what an operator holds.
pub(super) const READING_HELD: &str = "reading which targets are held";

impl NotStarted {
    /// What is not as it has to be.
    pub(super) fn unfit(code: Code, finding: impl Into<String>) -> Self {
        Self::Unfit { code, finding: finding.into() }
    }

    /// Reading or writing a store that is open.
    pub(super) fn records(attempt: &'static str) -> impl Fn(StoreError) -> Self {
        move |cause| Self::Records { attempt, cause }
    }

    /// Reading of /proc what the last daemon left running.
    pub(super) fn left_running(file: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| Self::LeftRunning { file, cause }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Place(unusable) => unusable.code(),
            Self::Store { cause, .. } | Self::Records { cause, .. } | Self::Seal(cause) => cause.code(),
            Self::Held(_) => Code::StoreDamaged,
            Self::Trail(TrailError::Damaged { .. }) => Code::AuditDamaged,
            Self::Trail(_) => Code::StoreFailed,
            Self::Program(error) => error.code(),
            Self::Listening(_) | Self::Serving(_) => Code::CannotListen,
            Self::Security(_) => Code::SecurityFiles,
            Self::Metrics(_) => Code::BadValue,
            Self::LeftRunning { .. } => Code::LockHeld,
            Self::Unfit { code, .. } => *code,
        }
    }

    /// The remedy, if it is not that of the code.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Program(error) => error.remedy(),
            // What helps against the errors of a directory is no help for a file with a secret or a key.
            Self::Security(_) | Self::Place(Unusable::Keys(_)) => remedy_of_shortage(self),
            Self::LeftRunning { .. } => remedy_of(self).or(Some(READ_PROC)),
            _ => remedy_of(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_testkit::told_cause;
    use rustix::io::Errno;
    use std::error::Error;

    #[test]
    fn what_a_start_failed_at_keeps_what_the_system_said_and_tells_it_once() {
        let full = || io::Error::from(Errno::NOSPC);
        let store = || StoreError::NoSpace(full());
        for (error, code) in [
            (Unusable::refused("cannot start the writer", full()).into(), Code::DirectorySetup),
            (NotStarted::Store { path: "/s/state.redb".into(), cause: store() }, Code::DiskFull),
            (NotStarted::records(READING_HELD)(store()), Code::DiskFull),
            (NotStarted::Seal(store()), Code::DiskFull),
            (
                TrailError::Io { what: "reading the audit trail".to_owned(), source: full() }.into(),
                Code::StoreFailed,
            ),
            (NotBound { address: ([127, 0, 0, 1], 9).into(), cause: full() }.into(), Code::CannotListen),
            (NotStarted::Serving(full()), Code::CannotListen),
            (NotStarted::left_running("/proc")(full()), Code::LockHeld),
        ] {
            assert_eq!((told_cause(&error), error.code()), (Some((Errno::NOSPC, 1)), code), "{error}");
            assert!(error.remedy().is_some_and(|remedy| remedy.contains("Make room")), "{error}");
        }
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let serves = crate::admin::Serves { health: true, metrics: false, page: crate::admin::Page::Absent };
        let security = crate::admin::Security::new(None, None).unwrap();
        let error = NotStarted::from(crate::admin::bind([(address, serves)], security).err().unwrap());
        assert_eq!(told_cause(&error), Some((Errno::ADDRINUSE, 1)));
        assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
        let remedy = |errno: Errno| NotStarted::left_running("/proc")(errno.into()).remedy();
        assert!(remedy(Errno::NOENT).unwrap().contains("/proc"));
        assert!(remedy(Errno::MFILE).unwrap().contains("descriptors"));
        let missing = ExecutableError::NotFound("porch".to_owned(), Errno::NOENT.into());
        let missing = NotStarted::from(missing);
        assert!(missing.source().and_then(Error::source).is_some_and(<dyn Error>::is::<io::Error>));
        let unfit = NotStarted::unfit(Code::LockHeld, "somebody is there");
        assert_eq!((unfit.to_string().as_str(), unfit.remedy()), ("somebody is there", None));
        assert!(unfit.source().is_none());
    }
}
