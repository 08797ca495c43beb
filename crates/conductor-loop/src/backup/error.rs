//! Why a backup could not be made, checked or restored.

use crate::store::StoreError;
use std::io;

/// Why a backup could not be made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The state, or the copy of it, cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The backup is not what it should be.
    #[error("{0}")]
    Wrong(String),
}

impl BackupError {
    pub(super) fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}
