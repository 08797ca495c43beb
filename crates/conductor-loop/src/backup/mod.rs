//! Backups: one encrypted file each, with the state, the audit trail, the public keys and the settings. It is made beside a running daemon
//! from one read transaction, and counts only after it has been restored on trial.

mod archive;
mod check;
mod error;
mod guard;
mod make;
mod manifest;
mod place;
mod recipients;
mod scratch;

pub use check::{Checked, Written, check, restored};
pub use error::BackupError;
pub use make::{Making, Source};
pub use manifest::Manifest;
pub use place::{Listed, Series, by_age, list, newest, open, prune};
pub use recipients::own_identities;
pub use scratch::{DRAFT, Scratch, clear_stale};
