//! Writes a plan into a directory, all or nothing: one changed file is exchanged with its complete successor, a new
//! package appears by rename, and several changed files are exchanged with the package as a whole. Unfinished files have
//! one name, which begins with a dot, and the next run removes them.

use super::leftover::is_ours;
use super::ordering::Durability;
use super::{DIRECTORY, Directory, Draft, Found, Mark, Patience, Swap, keep_aside, lock, mode, swap};
use crate::PorchError;
use crate::files::{Content, Tree, UNFINISHED, join};
use crate::plan::{Change, Plan};
use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, RenameFlags, Stat, fchmod, fchown, fstat, fsync, openat, renameat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

pub(super) const DIR_MODE: Mode = mode(0o750);
const FILE_MODE: Mode = mode(0o640);
const PROGRAM_MODE: Mode = mode(0o750);

/// The result of carrying out a plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// The directory has changed since the plan: plan again.
    Stale,
}

/// Carries out a plan, if its basis is unchanged. Replaced content is never lost.
pub(crate) fn write(
    tree: &Directory,
    plan: &Plan,
    durability: Durability,
    patience: &Patience<'_>,
) -> Result<Written, PorchError> {
    let edits = matches!(plan.changes.as_slice(), [change] if !plan.new && change.path == plan.file);
    // A package that is exchanged as a whole is removed at once: the new one must be on the disk before.
    let at_once = durability.at_once || (!plan.new && !edits);
    let writer = Writer { tree, plan, durability: Durability { at_once, ..durability }, patience };
    match plan.changes.as_slice() {
        [] => Ok(Written::Done),
        [change] if edits => writer.edit(change),
        _ => writer.place(),
    }
}

pub(super) struct Writer<'w> {
    pub tree: &'w Directory,
    pub plan: &'w Plan,
    pub durability: Durability,
    pub patience: &'w Patience<'w>,
}

impl Writer<'_> {
    pub(super) fn at(&self) -> impl Fn(io::Error) -> PorchError {
        let path = self.tree.full(&self.plan.dir);
        move |error| PorchError::io(&path, error)
    }

    /// Why a file could not be replaced.
    fn over(&self, change: &Change) -> impl Fn(io::Error) -> PorchError {
        let (path, at) = (join(&self.plan.dir, &change.path), self.at());
        let name = self.tree.name(&path);
        move |error| match Errno::from_io_error(&error) {
            Some(Errno::BUSY) => {
                let reason = "is a mount of its own (a bind-mounted file) and cannot be replaced; mount the directory it is in";
                PorchError::unfit(&name, reason)
            }
            _ => at(error),
        }
    }

    /// Where a directory cannot be exchanged, its files are written one after the other, new ones first: what a kill leaves
    /// between them is the old number, which the next run changes.
    pub(super) fn one_by_one(&self, package: &OwnedFd) -> Result<Written, PorchError> {
        let (new, old): (Vec<&Change>, Vec<&Change>) =
            self.plan.changes.iter().partition(|change| change.before.is_none());
        for change in new.into_iter().chain(old) {
            let (inside, name) = change.path.rsplit_once('/').unwrap_or(("", &change.path));
            let inside = if inside.is_empty() { "." } else { inside };
            let dir = openat(package, inside, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|errno| self.at()(errno.into()))?;
            let limit = change.before.as_ref().map_or(0, Vec::len);
            let written = match Found::at(&dir, name, limit).map_err(self.at())? {
                Found::File(old) if Some(&old.bytes) == change.before.as_ref() => {
                    self.replace(&dir, name, change, &old.stat).map_err(self.over(change))?
                }
                Found::Absent if change.before.is_none() => {
                    self.add(&dir, name, change).map_err(self.at())?
                }
                _ => Written::Stale,
            };
            if written == Written::Stale {
                return Ok(Written::Stale);
            }
        }
        Ok(Written::Done)
    }

    /// A new file, complete before it gets its name.
    fn add(&self, dir: &OwnedFd, name: &str, change: &Change) -> io::Result<Written> {
        Self::clear(dir, change)?;
        fsync(Self::create(dir, UNFINISHED, &change.after)?)?;
        match renameat_with(dir, UNFINISHED, dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => self.sync(dir).map(|()| Written::Done),
            Err(errno) => {
                remove_tree(dir, UNFINISHED)?;
                if errno == Errno::EXIST { Ok(Written::Stale) } else { Err(errno.into()) }
            }
        }
    }

    pub(super) fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        if self.durability.at_once { Ok(fsync(file)?) } else { Ok(()) }
    }

    /// A locked directory of the tree that still has its name; `None` if it does not.
    pub(super) fn locked(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
        let Some(dir) = self.tree.enter(path)? else { return Ok(None) };
        let dir = lock(dir, &self.tree.name(path), self.patience)?;
        let identity = |dir: &OwnedFd| {
            let stat = fstat(dir).map_err(|errno| PorchError::io(self.tree.full(path), errno))?;
            Ok::<_, PorchError>((stat.st_dev, stat.st_ino))
        };
        let held = identity(&dir)?;
        let named = self.tree.enter(path)?.map(|dir| identity(&dir)).transpose()?;
        Ok(Some(dir).filter(|_| named == Some(held)))
    }

    /// Replaces one file, under the lock of the package and of the file's directory.
    fn edit(&self, change: &Change) -> Result<Written, PorchError> {
        let (inside, name) = self.plan.file.rsplit_once('/').unwrap_or(("", &self.plan.file));
        let Some(package) = self.locked(&self.plan.dir)? else { return Ok(Written::Stale) };
        let holder = if inside.is_empty() { None } else { Some(self.locked(&join(&self.plan.dir, inside))?) };
        let dir = match &holder {
            None => &package,
            Some(Some(holder)) => holder,
            Some(None) => return Ok(Written::Stale),
        };
        let limit = change.before.as_ref().map_or(0, Vec::len);
        match Found::at(dir, name, limit).map_err(self.at())? {
            Found::File(old) if Some(&old.bytes) == change.before.as_ref() => {
                match self.replace(dir, name, change, &old.stat).map_err(self.over(change))? {
                    Written::Done => self.read_back(dir, name, &change.after),
                    Written::Stale => Ok(Written::Stale),
                }
            }
            _ => Ok(Written::Stale),
        }
    }

    /// Reads the object's file again: it has the intended content, or another process has written it after us.
    pub(super) fn read_back(
        &self,
        dir: &OwnedFd,
        name: &str,
        meant: &Content,
    ) -> Result<Written, PorchError> {
        let found = Found::at(dir, name, meant.bytes.len()).map_err(self.at())?;
        let is_meant = found.bytes() == Some(meant.bytes.as_slice());
        Ok(if is_meant { Written::Done } else { Written::Stale })
    }

    /// Replaces a file by one that is complete before it gets its name. Keeps mode and, if permitted, owner of the old one.
    fn replace(&self, dir: &OwnedFd, name: &str, change: &Change, old: &Stat) -> io::Result<Written> {
        let file = match Self::create(dir, UNFINISHED, &change.after) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::clear(dir, change)?;
                Self::create(dir, UNFINISHED, &change.after)?
            }
            created => created?,
        };
        let remove = || unlinkat(dir, UNFINISHED, AtFlags::empty());
        let placed = self.complete(&file, old).and_then(|mark| {
            // No process may find a writer at it, and its inode must not be reused while it is compared.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let _pinned = openat(dir, UNFINISHED, flags, Mode::empty())?;
            drop(file);
            Self::exchange(dir, &Draft { name: UNFINISHED, mark }, name, change, old)
        });
        match placed {
            Ok(Swap::Done) => {
                remove()?;
                self.sync(dir)?;
                Ok(Written::Done)
            }
            Ok(Swap::Undone | Swap::Unable) => {
                remove()?;
                Ok(Written::Stale)
            }
            Ok(Swap::Unsettled) => keep_aside(dir, UNFINISHED).map(|_| Written::Stale),
            Err(error) => {
                // The first failure is more useful to the reader than the failure to remove its remains.
                let _ = Self::clear(dir, change);
                Err(error)
            }
        }
    }

    /// Sets owner and mode, and syncs the bytes if the exchange could overtake them.
    fn complete(&self, file: &OwnedFd, old: &Stat) -> io::Result<Mark> {
        let new = fstat(file)?;
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
            // Only root may give a file away; for other users it stays theirs.
            let (user, group) =
                (rustix::fs::Uid::from_raw(old.st_uid), rustix::fs::Gid::from_raw(old.st_gid));
            // An owner that we may not set stays ours.
            let _ = fchown(file, Some(user), Some(group));
        }
        if old.st_mode != new.st_mode {
            fchmod(file, Mode::from_raw_mode(old.st_mode & 0o7777))?;
        }
        // If the exchange reaches the disk before the new bytes, a power cut loses both versions; so sync the bytes first.
        let ordered = !self.durability.at_once && self.durability.ordered == Some(new.st_dev);
        if !ordered || conductor_os::raw::begin_writing(file).is_err() {
            fsync(file)?; // Includes its owner and mode.
        }
        Ok(Mark::of(&new))
    }

    fn exchange(
        dir: &OwnedFd,
        draft: &Draft<'_>,
        name: &str,
        change: &Change,
        old: &Stat,
    ) -> io::Result<Swap> {
        let limit = change.before.as_ref().map_or(0, Vec::len);
        let rights = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
        let expected = |found: &Found| match found {
            Found::File(seen) => {
                !seen.busy && Some(&seen.bytes) == change.before.as_ref() && rights(&seen.stat) == rights(old)
            }
            _ => false,
        };
        let swapped = swap(dir, draft, name, limit, expected)?;
        if swapped != Swap::Unable {
            return Ok(swapped);
        }
        // Without an exchange, a write between this check and the rename is lost.
        if !expected(&Found::at(dir, name, limit)?) {
            return Ok(Swap::Undone);
        }
        renameat(dir, draft.name, dir, name)?;
        Ok(Swap::Done)
    }

    /// Removes the leftover of a killed run; the directory is locked. Foreign content is kept.
    fn clear(dir: &OwnedFd, change: &Change) -> io::Result<()> {
        match Found::at(dir, UNFINISHED, crate::yaml::BYTES_MAX)? {
            Found::File(seen) if !is_ours(&seen.bytes, change) => keep_aside(dir, UNFINISHED).map(|_| ()),
            _ => remove_tree(dir, UNFINISHED),
        }
    }

    pub(super) fn create(dir: &OwnedFd, name: &str, content: &Content) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if content.executable { PROGRAM_MODE } else { FILE_MODE };
        let mut file = std::fs::File::from(openat(dir, name, flags, mode)?);
        let written = file.write_all(&content.bytes);
        if let Err(error) = written {
            // The reported failure is that of the write; the next run clears a leftover.
            let _ = unlinkat(dir, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file.into())
    }
}

/// Removes a file, or a directory with its content; a missing one is no error.
pub(super) fn remove_tree(dir: &OwnedFd, name: impl rustix::path::Arg + Copy) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let below = openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    for entry in Dir::read_from(&below)? {
        let entry = entry?;
        let inner = entry.file_name();
        if inner != c"." && inner != c".." {
            remove_tree(&below, inner)?;
        }
    }
    Ok(unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}
