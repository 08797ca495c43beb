//! Puts a plan into a directory, all or nothing: one changed file is replaced by rename, a new package appears by rename,
//! and several changed files are exchanged with the package as a whole. What is unfinished has one name, begins with a
//! dot, and is swept by whoever comes next.

use super::ordering::Durability;
use super::{DIRECTORY, Directory, Patience, lock, mode, read_file};
use crate::PorchError;
use crate::files::{Content, Tree, UNFINISHED, base_name, join};
use crate::plan::{Change, Plan};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fchmod, fchown, fstat, fsync, linkat, mkdirat, openat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

const DIR_MODE: Mode = mode(0o750);
const FILE_MODE: Mode = mode(0o640);
const PROGRAM_MODE: Mode = mode(0o750);

/// Whether a plan was carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// What the plan was made from is not what is there now: plan again.
    Stale,
}

/// Carries out a plan, if what it was made from is still there. What it replaces is never lost.
pub(crate) fn write(
    tree: &Directory,
    plan: &Plan,
    durability: Durability,
    patience: &Patience<'_>,
) -> Result<Written, PorchError> {
    let edits = matches!(plan.changes.as_slice(), [change] if !plan.new && change.path == plan.file);
    // A package that is exchanged as a whole is removed at once: the new one has to be on the disk before.
    let at_once = durability.at_once || (!plan.new && !edits);
    let writer = Writer { tree, plan, durability: Durability { at_once, ..durability }, patience };
    match plan.changes.as_slice() {
        [] => Ok(Written::Done),
        [change] if edits => writer.edit(change),
        _ => writer.place(),
    }
}

struct Writer<'w> {
    tree: &'w Directory,
    plan: &'w Plan,
    durability: Durability,
    patience: &'w Patience<'w>,
}

impl Writer<'_> {
    fn at(&self) -> impl Fn(io::Error) -> PorchError {
        let path = self.tree.full(&self.plan.dir);
        move |error| PorchError::io(&path, error)
    }

    fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        if self.durability.at_once { Ok(fsync(file)?) } else { Ok(()) }
    }

    /// A directory of the tree, locked, and still the one of that name; `None` when it is not.
    fn locked(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
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

    /// One file changes: it is replaced, under the lock of the package and of the directory it is in.
    fn edit(&self, change: &Change) -> Result<Written, PorchError> {
        let (inside, name) = self.plan.file.rsplit_once('/').unwrap_or(("", &self.plan.file));
        let Some(package) = self.locked(&self.plan.dir)? else { return Ok(Written::Stale) };
        let holder = if inside.is_empty() { None } else { Some(self.locked(&join(&self.plan.dir, inside))?) };
        let dir = match &holder {
            None => &package,
            Some(Some(holder)) => holder,
            Some(None) => return Ok(Written::Stale),
        };
        let Change { before, after, .. } = change;
        if content(dir, name, before.as_deref()).map_err(self.at())? != *before {
            return Ok(Written::Stale);
        }
        self.replace(dir, name, after).map_err(self.at())?;
        self.read_back(dir, name, after)
    }

    /// The object's file is read again: what is there is what was meant.
    fn read_back(&self, dir: &OwnedFd, name: &str, meant: &Content) -> Result<Written, PorchError> {
        if content(dir, name, Some(&meant.bytes)).map_err(self.at())?.as_ref() == Some(&meant.bytes) {
            return Ok(Written::Done);
        }
        let file = self.tree.name(&join(&self.plan.dir, &self.plan.file));
        Err(PorchError::Check(format!("{file} is not what was written")))
    }

    /// Whether every file that is going to change is as the plan found it.
    fn is_fresh(&self) -> Result<bool, PorchError> {
        for Change { path, before, .. } in &self.plan.changes {
            let (inside, name) = path.rsplit_once('/').unwrap_or(("", path));
            let found = match self.tree.enter(&join(&self.plan.dir, inside))? {
                None => None,
                Some(dir) => content(&dir, name, before.as_deref()).map_err(self.at())?,
            };
            if found != *before {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A file that is complete before it gets its name. Keeps mode and, where we may, owner of the old one.
    fn replace(&self, dir: &OwnedFd, name: &str, content: &Content) -> io::Result<()> {
        let old = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file = Self::create(dir, UNFINISHED, content)?;
        let new = fstat(&file)?;
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
            // Only root may give a file away; for anybody else it stays ours.
            let (user, group) =
                (rustix::fs::Uid::from_raw(old.st_uid), rustix::fs::Gid::from_raw(old.st_gid));
            let _ = fchown(&file, Some(user), Some(group));
        }
        if old.st_mode != new.st_mode {
            fchmod(&file, Mode::from_raw_mode(old.st_mode & 0o7777))?;
        }
        // Whoever syncs later cannot bring back what this replaces, if the rename is durable before the bytes it brings.
        if self.durability.at_once || self.durability.ordered != Some(new.st_dev) {
            fsync(&file)?; // Its owner and mode as well.
        }
        let placed =
            renameat(dir, UNFINISHED, dir, name).map_err(io::Error::from).and_then(|()| self.sync(dir));
        if placed.is_err() {
            let _ = unlinkat(dir, UNFINISHED, AtFlags::empty());
        }
        placed
    }

    fn create(dir: &OwnedFd, name: &str, content: &Content) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if content.executable { PROGRAM_MODE } else { FILE_MODE };
        let created = match openat(dir, name, flags, mode) {
            // What a killed run left; the directory is locked.
            Err(Errno::EXIST) => {
                remove_tree(dir, name)?;
                openat(dir, name, flags, mode)?
            }
            created => created?,
        };
        let mut file = std::fs::File::from(created);
        let written = file.write_all(&content.bytes);
        if let Err(error) = written {
            let _ = unlinkat(dir, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file.into())
    }

    /// The directory above the package, made where it is missing.
    fn make_path(&self, path: &str) -> Result<(), PorchError> {
        let at = |error: io::Error| PorchError::io(self.tree.full(path), error);
        let mut dir = self.tree.enter("")?.ok_or_else(|| at(Errno::NOENT.into()))?;
        for step in path.split('/').filter(|step| !step.is_empty()) {
            dir = self.subdirectory(&dir, step).map_err(at)?;
        }
        Ok(())
    }

    fn subdirectory(&self, dir: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        match mkdirat(dir, name, DIR_MODE) {
            Ok(()) => self.sync(dir)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
    }

    /// The whole package is built under the unfinished name beside it and then gets its own, in exchange for the old one
    /// if there is one.
    fn place(&self) -> Result<Written, PorchError> {
        let Some((parent_path, name)) = split(&self.plan.dir) else {
            let reason =
                "more than one of its files would change, which cannot be done at once for the root itself";
            return Err(PorchError::unfit(self.tree.name(""), reason));
        };
        if self.plan.new {
            self.make_path(parent_path)?;
        }
        let Some(parent) = self.locked(parent_path)? else { return Ok(Written::Stale) };
        let old = if self.plan.new { None } else { self.locked(&self.plan.dir)? };
        if !self.plan.new && (old.is_none() || !self.is_fresh()?) {
            return Ok(Written::Stale);
        }
        remove_tree(&parent, UNFINISHED).map_err(self.at())?;
        let named = self.build(&parent, name).and_then(|()| {
            let named = match old {
                // Replaces nothing but an empty directory.
                None => renameat(&parent, UNFINISHED, &parent, name),
                Some(_) => renameat_with(&parent, UNFINISHED, &parent, name, RenameFlags::EXCHANGE),
            };
            match named {
                Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(Written::Stale),
                Err(errno) => Err(errno.into()),
                Ok(()) => self.sync(&parent).map(|()| Written::Done),
            }
        });
        // The half that failed, or the old package.
        let swept = remove_tree(&parent, UNFINISHED);
        match named.and_then(|written| swept.map(|()| written)).map_err(self.at())? {
            Written::Stale => Ok(Written::Stale),
            Written::Done => self.read_back_placed(),
        }
    }

    fn read_back_placed(&self) -> Result<Written, PorchError> {
        let Some(change) = self.plan.changes.iter().find(|change| change.path == self.plan.file) else {
            return Ok(Written::Done);
        };
        let (inside, name) = self.plan.file.rsplit_once('/').unwrap_or(("", &self.plan.file));
        match self.tree.enter(&join(&self.plan.dir, inside))? {
            Some(dir) => self.read_back(&dir, name, &change.after),
            None => Err(PorchError::Check(format!("{} is gone again", self.tree.name(&self.plan.dir)))),
        }
    }

    fn build(&self, parent: &OwnedFd, name: &str) -> io::Result<()> {
        let plan = self.plan;
        mkdirat(parent, UNFINISHED, DIR_MODE)?;
        let top = openat(parent, UNFINISHED, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let changes: BTreeMap<&str, &Content> =
            plan.changes.iter().map(|change| (change.path.as_str(), &change.after)).collect();
        if !plan.new {
            let old = openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            fchmod(&top, Mode::from_raw_mode(fstat(&old)?.st_mode & 0o7777))?;
            self.link_unchanged(&old, &top, "", &changes)?;
        }
        for (path, content) in changes {
            let (inside, _) = path.rsplit_once('/').unwrap_or(("", path));
            let mut dir = openat(&top, ".", DIRECTORY, Mode::empty())?;
            for step in inside.split('/').filter(|step| !step.is_empty()) {
                dir = self.subdirectory(&dir, step)?;
            }
            let file = Self::create(&dir, base_name(path), content)?;
            self.sync(&file)?;
            self.sync(&dir)?;
        }
        self.sync(&top)
    }

    /// The files that stay as they are get a second name in the new directory; nothing is copied.
    fn link_unchanged(
        &self,
        old: &OwnedFd,
        new: &OwnedFd,
        below: &str,
        changes: &BTreeMap<&str, &Content>,
    ) -> io::Result<()> {
        for entry in Dir::read_from(old)? {
            let entry = entry?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            let path = join(below, &text);
            if name == c"." || name == c".." || changes.contains_key(path.as_str()) {
                continue;
            }
            let stat = statat(old, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                mkdirat(new, name, DIR_MODE)?;
                let (from, to) = (open_below(old, name)?, open_below(new, name)?);
                fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
                self.link_unchanged(&from, &to, &path, changes)?;
                self.sync(&to)?;
            } else {
                linkat(old, name, new, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

/// A file's bytes, as many as tell whether it is like `expected`; `None` when there is no such regular file.
fn content(dir: &OwnedFd, name: &str, expected: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    match read_file(dir, name, expected.map_or(0, <[u8]>::len) as u64) {
        Ok(found) => Ok(found.map(|(bytes, _)| bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The directory a path is in, and its name there; `None` for the root.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() { None } else { Some(path.rsplit_once('/').unwrap_or(("", path))) }
}

fn open_below(dir: &OwnedFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Removes a file or a directory with all that is in it; fine if it is not there.
fn remove_tree(dir: &OwnedFd, name: impl rustix::path::Arg + Copy) -> io::Result<()> {
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
