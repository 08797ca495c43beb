//! Failures of the store, distinguished by the operator's remedy.

use conductor_core::{Code, Seq};
use conductor_os::is_no_space;
use std::io;

use super::import_error::ImportError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the state store: {0}")]
    Open(#[source] io::Error),
    /// There was a store, and it is missing.
    #[error("the state store is missing, but .conductor-state.json says there was one")]
    Missing,
    /// It cannot be read as a store.
    #[error("the state store is damaged: {0}")]
    Damaged(#[source] Damage),
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
    /// It is sealed by a key that is not here.
    #[error("the state store is sealed by the root key {root}: {why}")]
    Sealed {
        /// The name of that key.
        root: String,
        /// Why it is not here.
        why: String,
    },
    /// It is plain, and was sealed.
    #[error(
        "the state store is plain, and .conductor-state.json says that it is sealed by the root key {root}: another was put in its place. \
         If it is yours, start once with CONDUCTOR_ENCRYPTION_ENABLED=false"
    )]
    Plain {
        /// The name of that key.
        root: String,
    },
    /// A record cannot be sealed.
    #[error("the state store cannot be read or written: a record cannot be encrypted: no randomness")]
    Unsealable,
    /// Another process has it open.
    #[error("the state store is open in another process")]
    Busy,
    /// There is no space left to write.
    #[error("no space to write the state store: {0}")]
    NoSpace(#[source] io::Error),
    /// An earlier read or write failed: the store must be opened again first.
    #[error("the state store failed before and has to be opened again")]
    Failed,
    /// It was opened for reading.
    #[error("the state store cannot be read or written: it was opened to be read")]
    ReadOnly,
    /// The storage engine failed.
    #[error("the state store cannot be read or written: {0}")]
    Engine(#[source] Box<redb::Error>),
    /// The file that records the store's extent cannot be written.
    #[error("the state store cannot be read or written: writing {name}: {source}")]
    Mark {
        /// Its name.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A record cannot be serialised.
    #[error("the state store cannot be read or written: a record cannot be written: {0}")]
    Unwritable(#[source] serde_json::Error),
    /// A claim is larger than its form allows.
    #[error("the state store cannot be read or written: a claim is too large to be recorded")]
    TooLarge,
    /// It cannot be restored at its path.
    #[error(
        "the state store cannot be read or written: it could not be put back: {name} is something else now"
    )]
    InTheWay {
        /// The name that another entry has taken.
        name: String,
    },
    /// A copy of it is not wanted any more.
    #[error("the copy of the state store was given up")]
    GivenUp,
    /// The export cannot be written.
    #[error("the state store cannot be read or written: writing the export: {0}")]
    Export(#[source] io::Error),
    /// The file to import is unusable.
    #[error("cannot import: {0}")]
    Import(#[from] ImportError),
}

/// The kind of damage.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The storage engine reports it.
    #[error("{0}")]
    Engine(String),
    /// The storage engine panicked on bytes that it did not write.
    #[error("reading it failed: {0}")]
    Panic(String),
    /// The file cannot be read in its format.
    #[error("{0}")]
    File(#[source] io::Error),
    /// The file was not closed and could not be repaired.
    #[error("it could not be repaired")]
    Unrepaired,
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file has other content.
    #[error("it is not a store of this program")]
    Foreign,
    /// What it says of its key contradicts that key.
    #[error("what it says of its key does not fit that key")]
    Commitment,
    /// A record is invalid.
    #[error("a record cannot be read: {0}")]
    Record(#[source] BadRecord),
    /// An index does not match the outcomes.
    #[error("its index has {rows} of {outcomes} outcomes")]
    Index {
        /// The number of outcomes in the index.
        rows: u64,
        /// Outcomes.
        outcomes: u64,
    },
    /// The records of one intent contradict each other.
    #[error("intent {seq}: {flaw}")]
    Intent {
        /// Its number.
        seq: Seq,
        /// What does not fit.
        flaw: Flaw,
    },
}

/// Why bytes are not a valid record.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// There are no bytes.
    #[error("it is empty")]
    Empty,
    /// There are too few bytes.
    #[error("it is cut short")]
    Cut,
    /// They do not begin like a record.
    #[error("it has an unknown form")]
    Form,
    /// Their checksum differs from the recorded one.
    #[error("its checksum is another")]
    Checksum,
    /// They were not sealed by this store's key for this place.
    #[error("it was not sealed for its place in `{table}`, or was changed")]
    Seal {
        /// The table.
        table: &'static str,
    },
    /// They are not valid JSON of that record.
    #[error("{0}")]
    Json(#[source] serde_json::Error),
}

/// The contradiction in the records of one intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It has no outcome yet, but no claim either.
    #[error("its claim is missing")]
    NoClaim,
    /// It is to be published, but has no outcome.
    #[error("its outcome is missing")]
    NoOutcome,
    /// It is not unfinished.
    #[error("its record is missing")]
    NoRecord,
    /// It has no bytes.
    #[error("its bytes are missing")]
    NoBytes,
    /// It has no digest.
    #[error("its digest is missing")]
    NoDigest,
    /// Its bytes do not match its digest.
    #[error("its bytes are not those whose digest is recorded")]
    OtherBytes,
    /// Its outcome belongs to other bytes.
    #[error("its outcome tells of other bytes")]
    OtherOutcome,
    /// Its record names another number.
    #[error("it is recorded under another number")]
    OtherNumber,
    /// An index lists it under a wrong term.
    #[error("the index has it under what it is not")]
    OtherTerm,
    /// It has neither claim nor outcome.
    #[error("it is neither claimed nor decided")]
    Neither,
}

impl Flaw {
    /// The error for this flaw of an intent.
    pub fn of(self, seq: Seq) -> StoreError {
        StoreError::Damaged(Damage::Intent { seq, flaw: self })
    }
}

impl From<BadRecord> for StoreError {
    fn from(bad: BadRecord) -> Self {
        Self::Damaged(Damage::Record(bad))
    }
}

impl StoreError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            StoreError::Missing
            | StoreError::Damaged(_)
            | StoreError::Behind { .. }
            | StoreError::Plain { .. } => Code::StoreDamaged,
            StoreError::Version { .. } => Code::StoreVersion,
            StoreError::Sealed { .. } => Code::KeyOther,
            StoreError::Busy => Code::LockHeld,
            StoreError::NoSpace(_) => Code::DiskFull,
            StoreError::Open(_)
            | StoreError::Failed
            | StoreError::ReadOnly
            | StoreError::Engine(_)
            | StoreError::Mark { .. }
            | StoreError::Unwritable(_)
            | StoreError::Unsealable
            | StoreError::TooLarge
            | StoreError::InTheWay { .. }
            | StoreError::GivenUp
            | StoreError::Export(_) => Code::StoreFailed,
            StoreError::Import(_) => Code::StateImport,
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if is_no_space(&error) => StoreError::NoSpace(error),
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                StoreError::Damaged(Damage::File(error))
            }
            redb::Error::Corrupted(text) => StoreError::Damaged(Damage::Engine(text)),
            redb::Error::UpgradeRequired(found) => {
                StoreError::Version { found: u32::from(found), known: super::VERSION }
            }
            redb::Error::PreviousIo => StoreError::Failed,
            redb::Error::DatabaseAlreadyOpen => StoreError::Busy,
            redb::Error::RepairAborted => StoreError::Damaged(Damage::Unrepaired),
            other => StoreError::Engine(Box::new(other)),
        }
    }
}

macro_rules! widen {
    ($($narrow:ty),*) => { $(impl From<$narrow> for StoreError {
        fn from(error: $narrow) -> Self { Self::from(redb::Error::from(error)) }
    })* };
}
widen!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
