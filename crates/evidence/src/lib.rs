//! The audit trail: a log in which every entry names the hash of the one before, is a leaf of a Merkle tree, and is covered by a signed
//! checkpoint. It knows nothing of the daemon: records come in, lines go to files in one directory, and the same files are
//! verified without any secret.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod checkpoint;
pub mod entry;
mod epoch;
mod recall;
pub mod segment;
pub mod trail;
pub mod tree;
pub mod verify;
mod walk;

pub use entry::{Event, Record, Result as EntryResult};
pub use recall::{End, entries_of, recorded, signed};
pub use trail::{Opened, Setup, Trail, TrailError};
