//! A directory that other users may fill, unmount or remove while we write into it: the output directory, a repository.

use super::dir::Dir;
use crate::second;
use rustix::fs::{Access, StatVfsMountFlags, statvfs};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With less free space than this, or than a 32nd of a small file system, the directory counts as full.
const FREE_BYTES_MIN: u64 = 1 << 20;
const FREE_PART_MIN: u64 = 32;

/// Why the directory cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No space, or no inodes.
    Full,
    /// Mounted read-only, or its permissions were taken from us.
    ReadOnly,
    /// Missing; or not mounted, so that the path leads to the bare mount point on another file system.
    Gone,
}

/// The current state of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// The outage, if there is one.
    pub outage: Option<Outage>,
    /// Free bytes for us, if the directory is present.
    pub free: Option<u64>,
}

/// A directory that can be lost.
#[derive(Debug)]
pub struct Outlet {
    path: PathBuf,
    /// The device below the directory's mount at the start: if the path leads to it again, the mount is gone.
    beneath: Option<u64>,
    /// With less free space the directory counts as full.
    floor: Option<u64>,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    /// `None`: the directory has not existed yet.
    id: Option<(u64, u64)>,
    /// Whether we could ever write here. If not, a run may not need to, and reports a failure itself.
    was_writable: bool,
    /// Held open if its file system is to be synced.
    dir: Option<Arc<Dir>>,
}

impl Outlet {
    /// Opens the directory in its current state. `to_sync`: its file system is synced through it.
    pub fn new(path: &Path, to_sync: bool) -> io::Result<Self> {
        let dir = if to_sync { Some(Arc::new(Dir::open(path)?)) } else { None };
        let now = Mutex::new(Now { id: Some(identity(path)?), was_writable: may_write(path)?, dir });
        Ok(Self { path: path.to_owned(), beneath: device_beneath(path), floor: None, now })
    }

    /// A directory that should exist, and may be missing at the moment.
    pub fn expected(path: &Path) -> Self {
        let now = Mutex::new(Now {
            id: identity(path).ok(),
            was_writable: may_write(path).unwrap_or(false),
            dir: None,
        });
        Self { path: path.to_owned(), beneath: device_beneath(path), floor: None, now }
    }

    /// The same directory, which counts as full with less than so many bytes of free space.
    #[must_use]
    pub fn with_floor(self, floor: Option<u64>) -> Self {
        Self { floor, ..self }
    }

    /// The least free space that [`Self::with_floor`] asks for.
    pub fn floor(&self) -> Option<u64> {
        self.floor
    }

    /// Why nothing may begin here: the directory is gone, or has less free space than its floor. What else a write could
    /// meet, [`Self::look`] finds.
    pub fn closed(&self) -> Option<Outage> {
        if !self.is_in_place() {
            return Some(Outage::Gone);
        }
        let floor = self.floor?;
        let stat = statvfs(&self.path).ok()?;
        (stat.f_bavail.saturating_mul(stat.f_frsize) < floor).then_some(Outage::Full)
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the path leads to the directory, or to a replacement that may be written.
    pub fn is_in_place(&self) -> bool {
        let Ok(id) = identity(&self.path) else { return false };
        let mut now = self.now();
        let Some(known) = now.id.filter(|known| *known != id) else {
            now.id = Some(id);
            return true;
        };
        // The directory was recreated on the same file system, or mounted again; the bare mount point does not count.
        if id.0 != known.0 && Some(id.0) == self.beneath {
            return false;
        }
        if let Some(old) = &now.dir {
            // Earlier writes are covered by this sync or, if it fails, were lost with their file system.
            if let Err(error) = old.sync_file_system() {
                tracing::warn!(directory = %self.path.display(), %error, "the directory that was there before cannot be synced");
            }
            let Ok(dir) = Dir::open(&self.path) else { return false };
            now.dir = Some(Arc::new(dir));
        }
        now.id = Some(id);
        tracing::warn!(directory = %self.path.display(), "its path leads to another directory now, which is used from here on");
        true
    }

    /// The directory's current state.
    pub fn look(&self) -> Outlook {
        let gone = Outlook { outage: Some(Outage::Gone), free: None };
        if !self.is_in_place() {
            return gone;
        }
        let Ok(stat) = statvfs(&self.path) else { return gone };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let usual = FREE_BYTES_MIN.min(stat.f_blocks.saturating_mul(stat.f_frsize) / FREE_PART_MIN);
        let least = self.floor.unwrap_or(usual);
        let no_inodes = stat.f_files > 0 && stat.f_favail == 0;
        let outage = if stat.f_flag.contains(StatVfsMountFlags::RDONLY) || self.is_closed_to_us() {
            Some(Outage::ReadOnly)
        } else if free < least || no_inodes {
            Some(Outage::Full)
        } else {
            None
        };
        Outlook { outage, free: Some(free) }
    }

    /// Whether we lost the permission to write here. Where that cannot be asked now, nothing is known to have changed.
    fn is_closed_to_us(&self) -> bool {
        let Ok(may) = may_write(&self.path) else { return false };
        let mut now = self.now();
        now.was_writable |= may;
        now.was_writable && !may
    }

    /// Makes everything written to its file system before the call durable.
    pub fn sync_file_system(&self) -> io::Result<()> {
        let dir = self.now().dir.clone();
        dir.map_or_else(|| Dir::open(&self.path).map(Arc::new), Ok)?.sync_file_system()
    }
}

fn may_write(path: &Path) -> io::Result<bool> {
    second::may(path, Access::WRITE_OK | Access::EXEC_OK)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() { Ok((meta.dev(), meta.ino())) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// The device of the parent directory of `path`'s mount; `None` if that mount is the root.
fn device_beneath(path: &Path) -> Option<u64> {
    let own = identity(path).ok()?.0;
    path.ancestors()
        .skip(1)
        .filter_map(|above| identity(above).ok())
        .map(|id| id.0)
        .find(|device| *device != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_less_free_space_than_its_floor_is_full() {
        let temp = tempfile::tempdir().unwrap();
        let with = |floor| Outlet::new(temp.path(), false).unwrap().with_floor(floor);
        assert!(with(None).look().free.is_some_and(|free| free > 1) && with(None).closed().is_none());
        assert_eq!((with(Some(1)).look().outage, with(Some(1)).closed()), (None, None));
        let most = with(Some(u64::MAX));
        assert_eq!((most.look().outage, most.closed()), (Some(Outage::Full), Some(Outage::Full)));
    }

    #[test]
    fn a_directory_that_is_gone_is_said_to_be_gone_whatever_is_free_in_its_place() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out");
        std::fs::create_dir(&path).unwrap();
        let outlet = Outlet::new(&path, false).unwrap().with_floor(Some(u64::MAX));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "a file in its place").unwrap();
        assert_eq!((outlet.look().outage, outlet.closed()), (Some(Outage::Gone), Some(Outage::Gone)));
    }

    #[test]
    fn a_directory_made_again_is_used_and_one_that_is_gone_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out");
        std::fs::create_dir(&path).unwrap();
        let outlet = Outlet::new(&path, true).unwrap();
        assert!(outlet.is_in_place() && outlet.look().free.is_some());
        std::fs::rename(&path, temp.path().join("moved")).unwrap();
        assert_eq!(outlet.look(), Outlook { outage: Some(Outage::Gone), free: None });
        std::fs::write(&path, "no directory").unwrap();
        assert!(!outlet.is_in_place());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(outlet.is_in_place());
        outlet.sync_file_system().unwrap();
    }
}
