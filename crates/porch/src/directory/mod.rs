//! Packages in a directory. Every file is reached through directory descriptors, one step at a time: a symbolic link
//! below the root is never followed and never replaced.

mod leftover;
mod listing;
mod lock;
mod looks;
mod memo;
mod opening;
mod ordering;
mod package;
mod reading;
mod rights;
mod root;
mod survey;
mod swap;
mod tree;
mod walk;
mod write;

pub use lock::Patience;
pub(crate) use lock::lock;
pub(crate) use memo::Memo;
pub(crate) use opening::open_root;
pub(crate) use ordering::Durability;
pub(crate) use root::Directory;
pub(crate) use write::{Locks, Written, write};
