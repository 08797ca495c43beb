//! One daemon per handoff directory: a lock that the kernel releases when its holder dies.

use super::dir::Dir;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// The held lock; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Somebody holds it: the process number it left in the file.
    Held(String),
    /// The lock file could not be used.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock file `name` in `dir`, or says who holds it.
    pub fn take(dir: &Dir, name: &str) -> Result<Self, LockError> {
        let mut file = dir.open_rw(name, 0o600).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // The number is a help for people; the lock itself does not depend on it.
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                return Err(LockError::Held(holder.trim().to_owned()));
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}
