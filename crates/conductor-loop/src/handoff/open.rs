//! Opens a handoff directory: makes missing parts, refuses unsafe ones, takes the lock.

use super::owned::{Owned, Use, Widened};
use super::writers::check_writers;
use super::{Archive, Slots, Unusable, layout};
use crate::config::Config;
use conductor_core::Code;
use conductor_os::dir::{Dir, Kind};
use conductor_os::lock::{Lock, LockError};
use conductor_os::remade::Leaving;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open directories of one handoff directory, all on one file system.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// The handoff directory.
    pub handoff: Arc<Dir>,
    /// processed/
    pub processed: Arc<Dir>,
    /// failed/
    pub failed: Arc<Dir>,
    /// status/
    pub status: Arc<Dir>,
    /// .conductor/
    pub private: Arc<Dir>,
    /// .conductor/taken/
    pub taken: Arc<Dir>,
    /// .conductor/drafts/
    pub drafts: Arc<Dir>,
    /// .conductor/staging/N/
    pub slots: Arc<Slots>,
}

/// One handoff directory, held by this process.
pub struct Handoff {
    /// Its absolute path.
    pub path: PathBuf,
    /// The open directories.
    pub dirs: Dirs,
    _lock: Lock,
}

impl Dirs {
    /// The directory of an archive.
    pub fn archive(&self, archive: Archive) -> &Dir {
        match archive {
            Archive::Processed => &self.processed,
            Archive::Failed => &self.failed,
        }
    }
}

impl Handoff {
    /// Opens all parts of the configured handoff directory, making it if it is missing.
    pub fn open(config: &Config) -> Result<Self, Unusable> {
        let path = std::path::absolute(&config.fixed.handoff)
            .map_err(|error| Unusable::setting_up(&config.fixed.handoff, error))?;
        create_all(&path)?;
        Self::open_at(config, &path, None)
    }

    /// Opens them after the directory was missing, for a daemon that began on the file system `device`. Below a missing
    /// mount no directory is made.
    pub fn open_again(config: &Config, device: u64) -> Result<Self, Unusable> {
        let path = std::path::absolute(&config.fixed.handoff)
            .map_err(|error| Unusable::setting_up(&config.fixed.handoff, error))?;
        Self::open_at(config, &path, Some(device))
    }

    fn open_at(config: &Config, path: &Path, began_on: Option<u64>) -> Result<Self, Unusable> {
        let path = path.canonicalize().map_err(|error| Unusable::setting_up(path, error))?;
        let handoff = Arc::new(Dir::open(&path).map_err(|error| Unusable::setting_up(&path, error))?);
        if let Some(device) = began_on {
            expect_work(&path, &handoff, device)?;
        }
        check_writers(config, &path, &handoff)?;
        let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Closed);
        let private = open_private(&path, &handoff, owned)?;
        let lock = take_lock(&private, &path)?;
        let private_path = path.join(layout::PRIVATE);
        make_way(&private).map_err(|error| Unusable::setting_up(&private_path, error))?;
        let slots = Slots::below(&private, &private_path)
            .map_err(|error| Unusable::setting_up(&private_path, error))?;
        let part = |parent: &Dir, at: &Path, name: &str, used: Use| -> Result<Arc<Dir>, Unusable> {
            owned.entry(at, parent, name.as_ref(), used)?;
            let mode = if used == Use::Filed { 0o750 } else { 0o700 };
            let dir =
                parent.ensure(name, mode).map_err(|error| Unusable::setting_up(&at.join(name), error))?;
            owned.dir(&at.join(name), &dir, used)?;
            Ok(Arc::new(dir))
        };
        let dirs = Dirs {
            processed: part(&handoff, &path, layout::PROCESSED, Use::Filed)?,
            failed: part(&handoff, &path, layout::FAILED, Use::Filed)?,
            status: part(&handoff, &path, layout::STATUS, Use::Filed)?,
            taken: part(&private, &private_path, layout::TAKEN, Use::Taken)?,
            drafts: part(&private, &private_path, layout::DRAFTS, Use::Private)?,
            slots: Arc::new(slots),
            private,
            handoff,
        };
        let opened = Self { path, dirs, _lock: lock };
        opened.check_file_system()?;
        Ok(opened)
    }

    /// The file system it is on.
    pub fn device(&self) -> Result<u64, Unusable> {
        Ok(self.dirs.handoff.meta().map_err(|error| Unusable::setting_up(&self.path, error))?.id.0)
    }

    /// Renames must be atomic between all of these.
    fn check_file_system(&self) -> Result<(), Unusable> {
        let own = self.device()?;
        let parts = [
            (layout::PROCESSED, &self.dirs.processed),
            (layout::FAILED, &self.dirs.failed),
            (layout::STATUS, &self.dirs.status),
            (layout::PRIVATE, &self.dirs.taken),
        ];
        for (name, dir) in parts {
            if dir.meta().map_err(|error| Unusable::setting_up(&self.path.join(name), error))?.id.0 != own {
                let message = format!(
                    "{} is on another file system than {}",
                    self.path.join(name).display(),
                    self.path.display()
                );
                return Err(Unusable::unfit(Code::OtherFileSystem, message));
            }
        }
        Ok(())
    }
}

/// Opens the private directory and checks its entries. A run that removed our own permissions from it does not prevent
/// the next start.
fn open_private(path: &Path, handoff: &Dir, owned: Owned) -> Result<Arc<Dir>, Unusable> {
    let private_path = path.join(layout::PRIVATE);
    let failed = |error: io::Error| Unusable::setting_up(&private_path, error);
    owned.entry(path, handoff, layout::PRIVATE.as_ref(), Use::Private)?;
    let private = handoff.ensure(layout::PRIVATE, 0o700).map_err(failed)?;
    owned.dir(&private_path, &private, Use::Top)?;
    private.make_own().map_err(failed)?;
    owned.content(&private_path, &private)?;
    // An entry that is no directory, or one closed to us by a run, is made again.
    if let Ok(staging) = private.sub(layout::STAGING) {
        owned.staging(&private_path.join(layout::STAGING), &staging)?;
    }
    Ok(Arc::new(private))
}

/// On another file system than at the start, the path leads to a new mount, or to the bare mount point.
fn expect_work(path: &Path, handoff: &Dir, began_on: u64) -> Result<(), Unusable> {
    let now_on = handoff.meta().map_err(|error| Unusable::setting_up(path, error))?.id.0;
    if now_on == began_on
        || handoff.has(layout::PRIVATE).map_err(|error| Unusable::setting_up(path, error))?
    {
        return Ok(());
    }
    let message = format!(
        "{} is on another file system than when the daemon started, and nothing was ever done there: something is not mounted",
        path.display()
    );
    Err(Unusable::unfit(Code::HandoffGone, message))
}

fn create_all(path: &Path) -> Result<(), Unusable> {
    use std::os::unix::fs::DirBuilderExt;
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path);
    created.map_err(|cause| Unusable::NotMade { path: path.to_owned(), cause })
}

/// Removes entries that a run put in place of our parts. Only the holder of the lock may do that.
fn make_way(private: &Dir) -> io::Result<()> {
    private.make_way_for_file(layout::RUNNING)?;
    private.make_way_for(layout::CONTROL, Kind::Socket, Leaving::Removed)?;
    private.make_way_for(layout::DRAFTS, Kind::Directory, Leaving::Removed)?;
    private.make_way_for(layout::TAKEN, Kind::Directory, Leaving::Aside)
}

fn take_lock(private: &Dir, path: &Path) -> Result<Lock, Unusable> {
    private
        .make_way_for_lock(layout::LOCK)
        .map_err(|error| Unusable::setting_up(&path.join(layout::PRIVATE).join(layout::LOCK), error))?;
    Lock::take(private, layout::LOCK).map_err(|error| match error {
        LockError::Held(holder) => {
            let message = format!("another daemon (pid {holder}) works on {}", path.display());
            Unusable::unfit(Code::LockHeld, message)
        }
        LockError::Io(error) => Unusable::setting_up(&path.join(layout::PRIVATE).join(layout::LOCK), error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config_with;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn parts_are_made_for_those_who_read_them() {
        let temp = tempfile::tempdir().unwrap();
        let handoff = temp.path().join("not/there/yet");
        drop(Handoff::open(&config_with(&[("handoff", &handoff)])).unwrap());
        let private = handoff.join(layout::PRIVATE);
        for (part, mode) in [
            (handoff.clone(), 0o750),
            (handoff.join(layout::PROCESSED), 0o750),
            (handoff.join(layout::FAILED), 0o750),
            (handoff.join(layout::STATUS), 0o750),
            (private.join(layout::TAKEN), 0o700),
            (private.join(layout::DRAFTS), 0o700),
        ] {
            let made = fs::metadata(&part).unwrap().permissions().mode() & 0o777;
            assert_eq!(made, mode, "{}: {made:o}", part.display());
        }
    }

    #[test]
    fn what_a_run_put_in_the_place_of_a_part_makes_way_and_what_may_be_taken_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let config = config_with(&[("handoff", temp.path())]);
        drop(Handoff::open(&config).unwrap());
        let private = temp.path().join(layout::PRIVATE);
        for part in [layout::DRAFTS, layout::TAKEN] {
            fs::remove_dir(private.join(part)).unwrap();
            fs::write(private.join(part), part).unwrap();
        }
        fs::create_dir(private.join(layout::RUNNING)).unwrap();
        drop(Handoff::open(&config).unwrap());
        assert!(private.join(layout::DRAFTS).is_dir() && private.join(layout::TAKEN).is_dir());
        assert!(!private.join(layout::RUNNING).is_dir());
        let files = fs::read_dir(&private).unwrap().filter_map(|entry| fs::read(entry.unwrap().path()).ok());
        let kept = |part: &str| files.filter(|content| content == part.as_bytes()).count();
        assert_eq!(kept(layout::TAKEN), 1, "it may be an intent");
    }
}
