//! Whole packages: a new one is built beside its place and appears by rename; where several files of one change, its
//! successor is built beside it and both are exchanged, and what came out is looked at before it goes.

use super::leftover::{is_ours, keep_aside};
use super::opening::{DIRECTORY, FILE, steps_below};
use super::rights::{refuse_append_only, take_after};
use super::swap::{Found, Mark};
use super::write::{DIR_MODE, Writer, Written, remove_tree, split};
use crate::PorchError;
use crate::files::{Content, UNFINISHED, base_name, join};
use crate::plan::Change;
use crate::tree::Tree;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fstat, linkat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

/// Longest name of a file.
const NAME_MAX: usize = 255;

/// One thing in a package.
#[derive(Debug, Clone, Copy)]
struct Item {
    mark: Mark,
    is_dir: bool,
    /// How many names it has.
    names: u64,
}

/// All things in a package by path.
type Inventory = BTreeMap<String, Item>;

/// The two names of an exchange: where the new package was built, and where it is now.
struct Exchanged<'n> {
    draft: &'n str,
    name: &'n str,
}

impl Writer<'_> {
    /// The whole package is built under an unfinished name beside it and then gets its own, in exchange for the old one if
    /// there is one.
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
        refuse_append_only(&parent).map_err(|error| PorchError::io(self.tree.full(parent_path), error))?;
        let placed = if self.plan.new {
            self.place_new(&parent, name).map_err(|error| self.busy(error))?
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

    /// A new package takes the place of an empty directory, and of none that something is mounted on.
    fn busy(&self, error: io::Error) -> PorchError {
        if Errno::from_io_error(&error) != Some(Errno::BUSY) {
            return self.at()(error);
        }
        let reason = "is an empty directory that is a mount of its own and cannot be replaced; mount the directory it is in";
        PorchError::unfit(self.tree.name(&self.plan.dir), reason)
    }

    fn place_new(&self, parent: &OwnedFd, name: &str) -> io::Result<Written> {
        // Half a package that a killed run left: nobody else has seen it under a name that counts.
        remove_tree(parent, UNFINISHED)?;
        let named = self.build(parent, UNFINISHED, name).and_then(|_| {
            // Replaces nothing but an empty directory.
            match renameat(parent, UNFINISHED, parent, name) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Ok(Written::Stale),
                Err(errno) => Err(errno.into()),
                Ok(()) => self.sync(parent).map(|()| Written::Done),
            }
        });
        match named {
            Ok(Written::Done) => Ok(Written::Done),
            // What failed is said first.
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
        let built = match built {
            // A package that is a mount of its own.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::XDEV) => return self.one_by_one(),
            built => built.map_err(self.at())?,
        };
        match renameat_with(parent, draft.as_str(), parent, name, RenameFlags::EXCHANGE) {
            Ok(()) => self
                .look_and_remove(parent, old, &Exchanged { draft: &draft, name }, &built)
                .map_err(self.at()),
            Err(errno) => {
                remove_tree(parent, draft.as_str()).map_err(self.at())?;
                match errno {
                    Errno::NOENT => Ok(Written::Stale),
                    // Such as a directory in a lower layer of an overlay, or one that something is mounted on.
                    Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV | Errno::BUSY => {
                        self.one_by_one()
                    }
                    errno => Err(self.at()(errno.into())),
                }
            }
        }
    }

    /// Where two directories cannot be exchanged, one file after the other: first those that are new. After a kill in between
    /// the next run finds less to do.
    fn one_by_one(&self) -> Result<Written, PorchError> {
        let (new, changed): (Vec<&Change>, Vec<&Change>) =
            self.plan.changes.iter().partition(|change| change.before.is_none());
        for change in new.into_iter().chain(changed) {
            let (inside, name) = change.path.rsplit_once('/').unwrap_or(("", &change.path));
            let place = join(&self.plan.dir, inside);
            self.make_path(&place)?;
            let Some(dir) = self.tree.enter(&place)? else { return Ok(Written::Stale) };
            let limit = change.before.as_ref().map_or(0, Vec::len);
            let written = match (Found::at(&dir, name, limit).map_err(self.at())?, &change.before) {
                (Found::File(old), Some(before)) if old.bytes == *before => self
                    .replace(&dir, name, change, &old.stat)
                    .map_err(|error| self.mounted(&change.path, error))?,
                (Found::Absent, None) => self.add(&dir, name, change).map_err(self.at())?,
                _ => Written::Stale,
            };
            if written == Written::Stale {
                return Ok(Written::Stale);
            }
        }
        Ok(Written::Done)
    }

    fn add(&self, dir: &OwnedFd, name: &str, change: &Change) -> io::Result<Written> {
        refuse_append_only(dir)?;
        remove_tree(dir, UNFINISHED)?;
        let file = Self::create(dir, UNFINISHED, &change.after)?;
        self.sync(&file)?;
        match renameat_with(dir, UNFINISHED, dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => self.sync(dir).map(|()| Written::Done),
            Err(errno) => {
                remove_tree(dir, UNFINISHED)?;
                if errno == Errno::EXIST { Ok(Written::Stale) } else { Err(errno.into()) }
            }
        }
    }

    /// The old package has come out: if it is what the new one was made from, it goes; else it goes back.
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
            // Somebody who was inside has put something there.
            Err(Errno::NOTEMPTY | Errno::EXIST) => keep_aside(parent, draft).map(|_| written),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether an old package holds what its successor was made from, and no more.
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
        // What somebody has removed does not come back.
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

    /// What a killed run left: removed when every file has another name still or is ours, else kept.
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
            let dir = steps_below(&top, inside)?;
            let found = Found::at(&dir, name, crate::yaml::BYTES_MAX)?;
            if !found.bytes().is_some_and(|bytes| is_ours(bytes, change)) {
                return keep_aside(parent, draft).map(|_| ());
            }
        }
        remove_tree(parent, draft)
    }

    /// Whether every file that is going to change is as the plan found it.
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

    fn read_back_placed(&self) -> Result<Written, PorchError> {
        let Some(change) = self.plan.changes.iter().find(|change| change.path == self.plan.file) else {
            return Ok(Written::Done);
        };
        let (inside, name) = self.plan.file.rsplit_once('/').unwrap_or(("", &self.plan.file));
        match self.tree.enter(&join(&self.plan.dir, inside))? {
            Some(dir) => self.read_back(&dir, name, &change.after),
            // Somebody was faster with something else.
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
            take_after(&top, &old, &fstat(&old)?)?;
            self.link_unchanged(&old, &top, "", &changes)?;
        }
        for (path, content) in changes {
            let (inside, _) = path.rsplit_once('/').unwrap_or(("", path));
            let mut dir = openat(&top, ".", DIRECTORY, Mode::empty())?;
            for step in inside.split('/').filter(|step| !step.is_empty()) {
                dir = self.subdirectory(&dir, step)?;
            }
            let file = Self::create(&dir, base_name(path), content)?;
            if !plan.new {
                Self::take_after_old(&file, parent, &join(name, path))?;
            }
            self.sync(&file)?;
            self.sync(&dir)?;
        }
        self.sync(&top)?;
        Ok(top)
    }

    /// What a changed file had besides its bytes, if it was there.
    fn take_after_old(file: &OwnedFd, parent: &OwnedFd, path: &str) -> io::Result<()> {
        let (inside, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = match steps_below(parent, inside) {
            Err(Errno::NOENT) => return Ok(()),
            dir => dir?,
        };
        match openat(&dir, name, FILE, Mode::empty()) {
            Err(Errno::NOENT) => Ok(()),
            old => {
                let old = old?;
                take_after(file, &old, &fstat(&old)?)
            }
        }
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
                take_after(&to, &from, &stat)?;
                self.link_unchanged(&from, &to, &path, changes)?;
                self.sync(&to)?;
            } else {
                linkat(old, name, new, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

fn open_below(dir: &OwnedFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Whether a file in a package that came out is as the plan found it, and nobody writes it.
fn holds(top: &OwnedFd, path: &str, change: &Change) -> io::Result<bool> {
    let (inside, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = steps_below(top, inside)?;
    let limit = change.before.as_ref().map_or(0, Vec::len);
    Ok(match Found::quiet_at(&dir, name, limit)? {
        Found::File(seen) => !seen.busy && Some(&seen.bytes) == change.before.as_ref(),
        _ => false,
    })
}

/// Everything in a directory, by path. Names that are not UTF-8 are told apart as far as their bytes show.
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

/// Removes from a directory what the inventory has, and leaves what has come there since.
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
