//! Whole packages: a new one is built beside its place and appears by rename; if several files of one change, its
//! successor is built beside it and exchanged with it, and the displaced package is checked before it is removed.

use super::leftover::is_ours;
use super::write::{DIR_MODE, Writer, Written, remove_tree};
use super::{DIRECTORY, Found, Mark, keep_aside};
use crate::PorchError;
use crate::files::{Content, Tree, UNFINISHED, base_name, join};
use crate::plan::Change;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fchmod, fstat, linkat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// One entry of a package.
#[derive(Debug, Clone, Copy)]
struct Item {
    mark: Mark,
    is_dir: bool,
    /// The number of its hard links.
    names: u64,
}

/// All entries of a package by path.
type Inventory = BTreeMap<String, Item>;

/// The two names of an exchange: where the new package was built, and where it is now.
struct Exchanged<'n> {
    draft: &'n str,
    name: &'n str,
}

impl Writer<'_> {
    /// Builds the whole package under an unfinished name beside its place, then gives it its own name, in exchange for
    /// the old package if there is one.
    pub(super) fn place(&self) -> Result<Written, PorchError> {
        let Some((parent_path, name)) = split(&self.plan.dir) else {
            let reason =
                "more than one of its files would change, which cannot be done at once for the root itself";
            return Err(PorchError::unfit(self.tree.name(""), reason));
        };
        if self.plan.new {
            self.make_path(parent_path)?;
        }
        let Some(parent) = self.locked(parent_path)? else { return Ok(Written::Stale) };
        let placed = if self.plan.new {
            self.place_new(&parent, name).map_err(self.at())?
        } else {
            let Some(old) = self.locked(&self.plan.dir)? else { return Ok(Written::Stale) };
            if !self.is_fresh()? {
                return Ok(Written::Stale);
            }
            self.place_changed(&parent, &old, name)?
        };
        match placed {
            Written::Stale => Ok(Written::Stale),
            Written::Done => self.read_back_placed(),
        }
    }

    fn place_new(&self, parent: &OwnedFd, name: &str) -> io::Result<Written> {
        // Half a package from a killed run: no other process has seen it under a valid name.
        remove_tree(parent, UNFINISHED)?;
        let named = self.build(parent, UNFINISHED, name).and_then(|_| {
            // Replaces only an empty directory.
            match renameat(parent, UNFINISHED, parent, name) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Ok(Written::Stale),
                Err(errno) => Err(errno.into()),
                Ok(()) => self.sync(parent).map(|()| Written::Done),
            }
        });
        match named {
            Ok(Written::Done) => Ok(Written::Done),
            // The first failure is reported.
            failed => failed
                .and_then(|written| remove_tree(parent, UNFINISHED).map(|()| written))
                .or_else(|error| remove_tree(parent, UNFINISHED).and(Err(error))),
        }
    }

    fn place_changed(&self, parent: &OwnedFd, old: &OwnedFd, name: &str) -> Result<Written, PorchError> {
        let draft = format!(".{name}{UNFINISHED}");
        let draft = if draft.len() > NAME_MAX { UNFINISHED.to_owned() } else { draft };
        self.sweep(parent, &draft).map_err(self.at())?;
        let built = self.build(parent, &draft, name).and_then(|top| inventory(&top));
        let built = built.or_else(|error| remove_tree(parent, draft.as_str()).and(Err(error)));
        let built = built.map_err(self.at())?;
        match renameat_with(parent, draft.as_str(), parent, name, RenameFlags::EXCHANGE) {
            Ok(()) => self
                .look_and_remove(parent, old, &Exchanged { draft: &draft, name }, &built)
                .map_err(self.at()),
            Err(errno) => {
                remove_tree(parent, draft.as_str()).map_err(self.at())?;
                match errno {
                    Errno::NOENT => Ok(Written::Stale),
                    // A directory of a lower layer of an overlay.
                    Errno::XDEV => self.one_by_one(old),
                    Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
                        let reason = "more than one of its files would change, and this file system cannot exchange two \
                                      directories at once";
                        Err(PorchError::unfit(self.tree.name(&self.plan.dir), reason))
                    }
                    errno => Err(self.at()(errno.into())),
                }
            }
        }
    }

    /// The old package is displaced: if it is the one that the new package was made from, it is removed; otherwise it is
    /// put back.
    fn look_and_remove(
        &self,
        parent: &OwnedFd,
        old: &OwnedFd,
        exchanged: &Exchanged<'_>,
        built: &Inventory,
    ) -> io::Result<Written> {
        let Exchanged { draft, name } = *exchanged;
        let came_out = inventory(old)?;
        let displaced = openat(parent, draft, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let is_old = Mark::of(&fstat(&displaced)?).is_same_file(&Mark::of(&fstat(old)?));
        let (written, goes) = if is_old && self.is_expected(old, &came_out, built)? {
            self.sync(parent)?;
            (Written::Done, &came_out)
        } else {
            renameat_with(parent, draft, parent, name, RenameFlags::EXCHANGE)?;
            (Written::Stale, built)
        };
        let going = openat(parent, draft, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        remove_known(&going, "", goes)?;
        match unlinkat(parent, draft, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(written),
            // Another process inside it has added a file.
            Err(Errno::NOTEMPTY | Errno::EXIST) => keep_aside(parent, draft).map(|_| written),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether an old package holds the content that its successor was made from, and no more.
    fn is_expected(&self, old: &OwnedFd, came_out: &Inventory, built: &Inventory) -> io::Result<bool> {
        for (path, item) in came_out {
            let good = match (self.change(path), built.get(path)) {
                (Some(change), _) => holds(old, path, change)?,
                (None, Some(new)) if item.is_dir => new.is_dir,
                (None, Some(new)) => new.mark.is_same_file(&item.mark),
                (None, None) => false,
            };
            if !good {
                return Ok(false);
            }
        }
        // Files that another process removed do not come back.
        let gone = |path: &String, item: &Item| {
            !item.is_dir && self.change(path).is_none() && !came_out.contains_key(path)
        };
        let missing = self
            .plan
            .changes
            .iter()
            .any(|change| change.before.is_some() && !came_out.contains_key(&change.path));
        Ok(!missing && !built.iter().any(|(path, item)| gone(path, item)))
    }

    fn change(&self, path: &str) -> Option<&Change> {
        self.plan.changes.iter().find(|change| change.path == path)
    }

    /// Removes the package of a killed run if every file has another name or is ours; otherwise keeps it.
    fn sweep(&self, parent: &OwnedFd, draft: &str) -> io::Result<()> {
        match Found::at(parent, draft, 0)? {
            Found::Absent => return Ok(()),
            Found::File(_) => return keep_aside(parent, draft).map(|_| ()),
            Found::Link(_) => return remove_tree(parent, draft),
            Found::Other(_) => {}
        }
        let top = openat(parent, draft, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        for (path, item) in inventory(&top)? {
            if item.is_dir || item.names > 1 {
                continue;
            }
            let Some(change) = self.change(&path) else { return keep_aside(parent, draft).map(|_| ()) };
            let (inside, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let dir = openat(&top, if inside.is_empty() { "." } else { inside }, DIRECTORY, Mode::empty())?;
            let found = Found::at(&dir, name, crate::yaml::BYTES_MAX)?;
            if !found.bytes().is_some_and(|bytes| is_ours(bytes, change)) {
                return keep_aside(parent, draft).map(|_| ());
            }
        }
        remove_tree(parent, draft)
    }

    /// Whether every file to be changed still has the planned content.
    fn is_fresh(&self) -> Result<bool, PorchError> {
        for Change { path, before, .. } in &self.plan.changes {
            let (inside, name) = path.rsplit_once('/').unwrap_or(("", path));
            let found = match self.tree.enter(&join(&self.plan.dir, inside))? {
                None => Found::Absent,
                Some(dir) => {
                    let limit = before.as_ref().map_or(0, Vec::len);
                    Found::at(&dir, name, limit).map_err(self.at())?
                }
            };
            let fresh = match found {
                Found::Absent => before.is_none(),
                found => before.is_some() && found.bytes() == before.as_deref(),
            };
            if !fresh {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The directory above the package, created if missing.
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

    fn read_back_placed(&self) -> Result<Written, PorchError> {
        let Some(change) = self.plan.changes.iter().find(|change| change.path == self.plan.file) else {
            return Ok(Written::Done);
        };
        let (inside, name) = self.plan.file.rsplit_once('/').unwrap_or(("", &self.plan.file));
        match self.tree.enter(&join(&self.plan.dir, inside))? {
            Some(dir) => self.read_back(&dir, name, &change.after),
            // Another process has put a different entry there first.
            None => Ok(Written::Stale),
        }
    }

    fn build(&self, parent: &OwnedFd, draft: &str, name: &str) -> io::Result<OwnedFd> {
        let plan = self.plan;
        mkdirat(parent, draft, DIR_MODE)?;
        let top = openat(parent, draft, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
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
        self.sync(&top)?;
        Ok(top)
    }

    /// Links unchanged files into the new directory; nothing is copied.
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

/// The directory of a path, and its name there; `None` for the root.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() { None } else { Some(path.rsplit_once('/').unwrap_or(("", path))) }
}

fn open_below(dir: &OwnedFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Whether a file of the displaced package has the planned content, and no process writes it.
fn holds(top: &OwnedFd, path: &str, change: &Change) -> io::Result<bool> {
    let (inside, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut dir = openat(top, ".", DIRECTORY, Mode::empty())?;
    for step in inside.split('/').filter(|step| !step.is_empty()) {
        dir = openat(&dir, step, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let limit = change.before.as_ref().map_or(0, Vec::len);
    Ok(match Found::quiet_at(&dir, name, limit)? {
        Found::File(seen) => !seen.busy && Some(&seen.bytes) == change.before.as_ref(),
        _ => false,
    })
}

/// All entries of a directory, by path. Names that are not UTF-8 are distinguished as far as their bytes permit.
fn inventory(top: &OwnedFd) -> io::Result<Inventory> {
    let mut found = Inventory::new();
    let mut open = vec![(openat(top, ".", DIRECTORY, Mode::empty())?, String::new())];
    while let Some((dir, below)) = open.pop() {
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let path = join(&below, &name.to_string_lossy());
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_dir {
                open.push((open_below(&dir, name)?, path.clone()));
            }
            found.insert(path, Item { mark: Mark::of(&stat), is_dir, names: stat.st_nlink });
        }
    }
    Ok(found)
}

/// Removes the entries of the inventory from a directory, and leaves any that came later.
fn remove_known(dir: &OwnedFd, below: &str, known: &Inventory) -> io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let path = join(below, &name.to_string_lossy());
        let mark = Mark::of(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?);
        let Some(item) = known.get(&path).filter(|item| item.mark.is_same_file(&mark)) else { continue };
        if item.is_dir {
            remove_known(&open_below(dir, name)?, &path, known)?;
            match unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        } else {
            unlinkat(dir, name, AtFlags::empty())?;
        }
    }
    Ok(())
}
