//! The store as it is open: its directory, its database, and what that was opened for.

use super::codec::Codec;
use super::mark::Mark;
use super::screen::Screen;
use super::sealed::{Seal, Sealing};
use conductor_os::dir::Dir;
use redb::Database;
use std::fs::File;
use std::sync::{Arc, RwLock};

/// Name of the store file in the state directory.
pub const FILE: &str = "ledger.redb";

/// The open store.
#[derive(Debug)]
pub struct Store {
    pub(super) dir: Arc<Dir>,
    pub(super) sealing: Sealing,
    /// `None` only while it is being opened again after a full disk.
    pub(super) database: RwLock<Option<Opened>>,
}

/// The database as it was opened.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) screen: Screen,
    /// The same file, to notice its removal or replacement.
    pub(super) file: File,
    pub(super) access: Access,
    /// How it is sealed.
    pub(super) seal: Option<Seal>,
    pub(super) codec: Arc<dyn Codec>,
}

/// The purpose of an opening.
#[derive(Debug)]
pub(super) enum Access {
    /// Reading.
    Look,
    /// Making a new store: it has no mark yet.
    Draft,
    /// Writing; each commit updates the mark.
    Write(Mark),
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.access.fmt(f)
    }
}
