//! The staging slots: one directory a run, made when first used. The desk hands out the lowest free number, so a daemon
//! with little to do never has more of them than workers; none is held open between runs.

use super::dir::{Dir, Kind};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

const MODE: u32 = 0o700;

/// The directory `staging/` with its numbered slots.
#[derive(Debug)]
pub struct Slots(Dir);

impl Slots {
    /// The slots below `staging`.
    pub fn new(staging: Dir) -> Self {
        Self(staging)
    }

    /// Opens a slot, and makes it when it is not there.
    pub fn open(&self, slot: u16) -> io::Result<Dir> {
        let name = slot.to_string();
        match self.0.sub(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.0.ensure(&name, MODE),
            opened => opened,
        }
    }

    /// Moves a file out of a slot; never over another. The slot is opened, so that no link that porch put in its place leads
    /// elsewhere.
    pub fn move_out(&self, slot: u16, name: &str, to_dir: &Dir, to: &str) -> io::Result<()> {
        self.0.sub(slot.to_string())?.rename_new(name, to_dir, to)
    }

    /// Empties every slot an earlier daemon has left.
    pub fn clear(&self) -> io::Result<()> {
        for name in self.0.names()? {
            let name = OsStr::from_bytes(&name);
            if self.0.stat(name)?.kind == Kind::Directory {
                self.0.sub(name)?.clear()?;
            }
        }
        Ok(())
    }
}
