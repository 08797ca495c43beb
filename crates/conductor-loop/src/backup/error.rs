//! Why a backup could not be made, checked or restored.

use crate::store::StoreError;
use std::io;

/// Why a backup could not be made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be read or written.
    #[error("{what}: {source}{}", advice(source))]
    Io {
        /// What was tried.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The state, or the copy of it, cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// None of the keys opens it.
    #[error("opening it: {0}")]
    Closed(io::Error),
    /// The backup is not what it should be.
    #[error("{0}")]
    Wrong(String),
    /// Nobody waits for it any more. This is no failure.
    #[error("the backup was given up, because the daemon stops or starts over")]
    GivenUp,
}

impl BackupError {
    /// The error of what was tried.
    pub fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    /// The same of a backup that is restored on trial.
    pub(super) fn on_trial(self) -> Self {
        match self {
            Self::Io { what, source } => Self::Io { what: format!("on trial, {what}"), source },
            other => other,
        }
    }
}

/// What an operator has to change, where the system's word does not say it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "; a unit of systemd writes only where its ReadWritePaths say: systemctl edit conductor-loop"
        }
        io::ErrorKind::PermissionDenied => {
            "; the directory of the backups must belong to the user of the daemon"
        }
        _ => "",
    }
}
