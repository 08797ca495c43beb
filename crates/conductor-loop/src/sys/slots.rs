//! The staging slots: one directory a run, opened when first used. The desk hands out the lowest free number, so a daemon
//! with little to do never has more of them than workers.

use super::dir::{Dir, Kind};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

const MODE: u32 = 0o700;

/// The directory `staging/` and its numbered slots.
#[derive(Debug)]
pub struct Slots {
    staging: Dir,
    open: Vec<OnceLock<Dir>>,
}

impl Slots {
    /// At most `count` slots below `staging`; none is opened yet.
    pub fn new(staging: Dir, count: usize) -> Self {
        Self { staging, open: (0..count).map(|_| OnceLock::new()).collect() }
    }

    /// A slot, made when it is not there.
    pub fn get(&self, slot: u16) -> io::Result<&Dir> {
        let place = self.open.get(usize::from(slot)).ok_or(io::ErrorKind::NotFound)?;
        match place.get() {
            Some(dir) => Ok(dir),
            None => {
                let dir = self.staging.ensure(&slot.to_string(), MODE)?;
                Ok(place.get_or_init(|| dir))
            }
        }
    }

    /// Empties every slot an earlier daemon has left.
    pub fn clear(&self) -> io::Result<()> {
        for name in self.staging.names()? {
            let name = std::ffi::OsStr::from_bytes(&name);
            if self.staging.stat(name)?.kind == Kind::Directory {
                self.staging.sub(name)?.clear()?;
            }
        }
        Ok(())
    }
}
