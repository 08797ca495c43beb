//! One daemon per handoff directory: a lock that the kernel releases when its holder dies.

use super::dir::{Dir, Meta};
use super::process::info;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::{Duration, Instant};

/// The held lock; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it: the process id from the lock file.
    Held(String),
    /// The lock file could not be used.
    Io(io::Error),
}

/// How long to wait for a lock that a killed daemon's child still holds between fork and exec.
const DYING: Duration = Duration::from_secs(5);

/// The holder's process id in the file. It informs people; the lock itself does not depend on it.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Without the process id, the holder is reported as unknown.
    let _ = file.rewind();
    let _ = file.take(32).read_to_string(&mut text);
    text.trim().to_owned()
}

impl Lock {
    /// Takes the lock file `name` in `dir`, or returns its holder.
    pub fn take(dir: &Dir, name: &str) -> Result<Self, LockError> {
        let mut file = dir.open_rw(name, 0o600).map_err(LockError::Io)?;
        let patience = Instant::now() + DYING;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {
                    let holder = holder(&mut file);
                    // A daemon killed between fork and exec of a program is dead, but the child shares its descriptors
                    // until the child's own exec.
                    let dead = holder
                        .parse()
                        .is_ok_and(|pid| info(pid).is_ok_and(|info| info.is_none_or(|info| info.zombie)));
                    if !dead || Instant::now() > patience {
                        return Err(LockError::Held(holder));
                    }
                    std::thread::sleep(Duration::from_millis(5)); // The release of a lock is not announced.
                }
                Err(errno) => return Err(LockError::Io(errno.into())),
            }
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(LockError::Io)?;
        Ok(Self { file })
    }

    /// The metadata of the lock file, to notice its removal or replacement.
    pub fn meta(&self) -> io::Result<Meta> {
        Meta::of(&self.file)
    }
}
