//! The directory below the backups in which one is made, and restored on trial.

use conductor_os::dir::{Dir, Kind};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// The name of the one in which a backup is made or restored; a lock keeps it from being used twice.
pub const DRAFT: &str = ".conductor-backup";

/// A directory that is empty at first, and gone when it is dropped.
pub struct Scratch<'d> {
    parent: &'d Dir,
    name: String,
    pub(super) dir: Arc<Dir>,
}

impl<'d> Scratch<'d> {
    /// Makes one; what an end of the process has left of the last one is removed.
    pub fn new(parent: &'d Dir, name: &str) -> io::Result<Self> {
        clear(parent, name)?;
        Ok(Self { parent, name: name.to_owned(), dir: Arc::new(parent.ensure(name, 0o700)?) })
    }

    /// It.
    pub fn dir(&self) -> Arc<Dir> {
        Arc::clone(&self.dir)
    }

    /// A directory in it.
    pub(super) fn sub(&self, name: &str) -> io::Result<Arc<Dir>> {
        self.dir.ensure(name, 0o700).map(Arc::new)
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What stays is removed by the next one.
        let _ = clear(self.parent, &self.name);
    }
}

/// Removes a directory with what is in it, two levels deep, as deep as it is made.
fn clear(parent: &Dir, name: &str) -> io::Result<()> {
    let dir = match parent.sub(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        dir => dir?,
    };
    for entry in dir.names()? {
        let entry = OsStr::from_bytes(&entry);
        if dir.stat(entry)?.kind == Kind::Directory {
            clear(&dir, &entry.to_string_lossy())?;
        } else {
            dir.unlink(entry)?;
        }
    }
    parent.remove_dir(name)
}
