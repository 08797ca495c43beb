//! Failures of the store, distinguished by the operator's remedy.

use conductor_core::Code;
use conductor_os::is_no_space;
use std::io;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the state store: {0}")]
    Open(io::Error),
    /// There was a store, and it is missing.
    #[error("the state store is missing, but .conductor-state.json says there was one")]
    Missing,
    /// It cannot be read as a store.
    #[error("the state store is damaged: {0}")]
    Damaged(String),
    /// It is readable, but older than the recorded work.
    #[error(
        "the state store is behind {witness}, which it never is by itself: {lacks}. An older copy was put in its place, or its newest \
         part is damaged"
    )]
    Behind {
        /// The evidence of the later state.
        witness: String,
        /// The missing part.
        lacks: String,
    },
    /// Another format version.
    #[error("the state store has format version {found}, this program knows version {known}")]
    Version {
        /// The version found.
        found: u32,
        /// The version known.
        known: u32,
    },
    /// Another process has it open.
    #[error("the state store is open in another process")]
    Busy,
    /// There is no space left to write.
    #[error("no space to write the state store: {0}")]
    NoSpace(io::Error),
    /// An earlier read or write failed: the store must be opened again first.
    #[error("the state store failed before and has to be opened again")]
    Failed,
    /// Reading or writing failed.
    #[error("the state store cannot be read or written: {0}")]
    Io(String),
    /// The file to import is unusable.
    #[error("cannot import: {0}")]
    Import(String),
}

impl StoreError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            StoreError::Missing | StoreError::Damaged(_) | StoreError::Behind { .. } => Code::StoreDamaged,
            StoreError::Version { .. } => Code::StoreVersion,
            StoreError::Busy => Code::LockHeld,
            StoreError::NoSpace(_) => Code::DiskFull,
            StoreError::Open(_) | StoreError::Failed | StoreError::Io(_) => Code::StoreFailed,
            StoreError::Import(_) => Code::StateImport,
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if is_no_space(&error) => StoreError::NoSpace(error),
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                StoreError::Damaged(error.to_string())
            }
            redb::Error::Corrupted(text) => StoreError::Damaged(text),
            redb::Error::UpgradeRequired(found) => {
                StoreError::Version { found: u32::from(found), known: super::VERSION }
            }
            redb::Error::PreviousIo => StoreError::Failed,
            redb::Error::DatabaseAlreadyOpen => StoreError::Busy,
            redb::Error::RepairAborted => StoreError::Damaged("it could not be repaired".to_owned()),
            other => StoreError::Io(other.to_string()),
        }
    }
}

macro_rules! widen {
    ($($narrow:ty),*) => { $(impl From<$narrow> for StoreError {
        fn from(error: $narrow) -> Self { Self::from(redb::Error::from(error)) }
    })* };
}
widen!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
