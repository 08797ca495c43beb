//! The store's file while it is open: whether it is still at its path, and its restoration after it was removed. The open
//! file has all records, whatever happened to its name.

use super::batch;
use super::mark::Mark;
use super::open::DRAFT;
use super::opened::{FILE, Store};
use crate::store::StoreError;
use conductor_os::dir::{Dir, Meta};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::PoisonError;

/// The number of bytes copied at once.
const CHUNK: usize = 1 << 20;

/// The entry at the name of the open store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The open store.
    Own,
    /// No entry.
    Empty,
    /// Another entry.
    Other,
}

impl Store {
    /// The store's directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The entry at its name now.
    pub fn place(&self) -> io::Result<Place> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        // While it is being opened again, that opening checks it.
        let Some(opened) = database.as_ref() else { return Ok(Place::Own) };
        let own = Meta::of(&opened.file)?.id;
        match self.dir.stat(FILE) {
            Ok(found) if found.id == own => Ok(Place::Own),
            Ok(_) => Ok(Place::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Empty),
            Err(error) => Err(error),
        }
    }

    /// Writes the whole store durably into `dir` under its name, which must be free. No other write may run meanwhile.
    pub fn put_back(&self, dir: &Dir) -> Result<(), StoreError> {
        let extent = self.reading(batch::extent)?;
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let from = &database.as_ref().ok_or(StoreError::Busy)?.file;
        match dir.unlink(DRAFT) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::Open(error)),
            _ => {}
        }
        let to = dir.open_rw(DRAFT, 0o600).map_err(StoreError::Open)?;
        let copied = (|| {
            let (mut chunk, mut at) = (vec![0; CHUNK], 0);
            loop {
                let read = from.read_at(&mut chunk, at)?;
                if read == 0 {
                    break;
                }
                to.write_all_at(&chunk[..read], at)?;
                at += read as u64;
            }
            to.sync_all()?;
            dir.rename_new(DRAFT, dir, FILE)?;
            dir.sync()
        })();
        copied.map_err(StoreError::Open)?;
        Mark::open(dir)?.write(extent)
    }
}
