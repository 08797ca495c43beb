//! The directory in which a backup is made or restored. A lock in it tells one that is in use from one that a kill has left.

use conductor_os::dir::{Dir, Meta};
use conductor_os::lock::{Lock, LockError};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the names of all of them begin with.
pub const DRAFT: &str = ".conductor-backup";
const LOCK: &str = "lock";
/// The pause between two looks at a directory that another process uses.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long another process may use a directory that is waited for.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long one may use it who only looks whether it is left over.
const A_LOOK: Duration = Duration::from_secs(1);
/// How often a directory may vanish under the lock before it counts as in use.
const TRIES: usize = 16;

/// A directory that is empty at first, and gone when it is dropped.
pub struct Scratch<'d> {
    parent: &'d Dir,
    name: String,
    pub(super) dir: Arc<Dir>,
    _lock: Lock,
}

fn busy(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, format!("another process uses {name}"))
}

impl<'d> Scratch<'d> {
    /// Makes one; what an end of the process has left of the last one is removed. One that is in use is an error.
    pub fn new(parent: &'d Dir, name: &str) -> io::Result<Self> {
        // One that clears what kills have left looks at each for a moment.
        let scratch = Self::within(A_LOOK, parent, name, &|| true)?;
        scratch.ok_or_else(|| busy(name))
    }

    /// Makes one as soon as no other process uses it, which is waited for as long as a backup may take; `None`: it is not wanted any more.
    pub(super) fn when_free(
        parent: &'d Dir,
        name: &str,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        Self::within(PATIENCE, parent, name, goes_on)
    }

    fn within(
        patience: Duration,
        parent: &'d Dir,
        name: &str,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let until = Instant::now() + patience;
        while goes_on() {
            if let Some(scratch) = Self::try_new(parent, name)? {
                return Ok(Some(scratch));
            }
            if Instant::now() > until {
                return Err(busy(name));
            }
            std::thread::sleep(LOOK_AGAIN); // The release of a lock is not announced.
        }
        Ok(None)
    }

    /// `None`: another process uses it.
    fn try_new(parent: &'d Dir, name: &str) -> io::Result<Option<Self>> {
        for _ in 0..TRIES {
            let dir = parent.ensure(name, 0o700)?;
            if dir.meta()?.uid != rustix::process::geteuid().as_raw() {
                let what = format!("{name} belongs to another user");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
            let lock = match Lock::take(&dir, LOCK) {
                Ok(lock) => lock,
                Err(LockError::Held(_)) => return Ok(None),
                // Its last user has removed it meanwhile.
                Err(LockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(LockError::Io(error)) => return Err(error),
            };
            if !is_same(parent, name, &dir, &lock) {
                continue;
            }
            dir.clear(Some(LOCK))?;
            return Ok(Some(Self { parent, name: name.to_owned(), dir: Arc::new(dir), _lock: lock }));
        }
        Ok(None)
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

/// Whether the directory and the lock that were opened still have their names.
fn is_same(parent: &Dir, name: &str, dir: &Dir, lock: &Lock) -> bool {
    let id = |meta: io::Result<Meta>| meta.ok().map(|meta| meta.id);
    let (there, lock_there) = (id(parent.stat(name)), id(dir.stat(LOCK)));
    there.is_some() && there == id(dir.meta()) && lock_there.is_some() && lock_there == id(lock.meta())
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // The lock goes last, so that nobody enters before.
        let cleared = self.dir.clear(Some(LOCK)).and_then(|()| self.dir.unlink(LOCK));
        // What stays is removed by the next one.
        let _ = cleared.and_then(|()| self.parent.remove_dir(&self.name));
    }
}

/// Removes what kills have left in this directory.
pub fn clear_stale(parent: &Dir) -> io::Result<()> {
    for name in parent.names()? {
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        if name.starts_with(DRAFT) {
            // One that is in use, or another user's, stays.
            let _ = Scratch::try_new(parent, name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_in_use_is_left_alone_and_one_that_a_kill_left_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let used = Scratch::new(&dir, ".conductor-backup-a").unwrap();
        used.dir.create("precious", 0o600, b"x").unwrap();
        let left = dir.ensure(".conductor-backup-b", 0o700).unwrap();
        left.ensure("trial", 0o700).unwrap().ensure("deep", 0o700).unwrap().create("f", 0o600, b"x").unwrap();
        left.create(LOCK, 0o600, b"1\n").unwrap();
        dir.ensure("other", 0o700).unwrap();
        clear_stale(&dir).unwrap();
        assert!(used.dir.has("precious").unwrap() && dir.has("other").unwrap());
        assert!(!dir.has(".conductor-backup-b").unwrap());
        assert!(Scratch::new(&dir, ".conductor-backup-a").is_err());
        drop(used);
        assert!(!dir.has(".conductor-backup-a").unwrap());
    }

    #[test]
    fn who_waits_for_one_gets_it_empty_or_gives_up() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let used = Scratch::new(&dir, DRAFT).unwrap();
        used.dir.create("f", 0o600, b"x").unwrap();
        let asked = std::cell::Cell::new(0);
        let twice = || asked.replace(asked.get() + 1) < 2;
        assert!(Scratch::when_free(&dir, DRAFT, &twice).unwrap().is_none());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Scratch::when_free(&dir, DRAFT, &|| true).unwrap().is_some());
            drop(used);
            assert!(waits.join().unwrap());
        });
        assert!(dir.names().unwrap().is_empty());
    }
}
