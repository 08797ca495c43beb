//! Puts a plan into a directory, all or nothing: one changed file is replaced by rename, a new package appears by rename,
//! and several changed files are exchanged with the package as a whole. What is unfinished has one name, begins with a
//! dot, and is swept by whoever comes next.

use super::{DIRECTORY, Directory, mode, read_file};
use crate::PorchError;
use crate::files::{Content, Tree, UNFINISHED, base_name};
use crate::plan::Plan;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fchmod, fchown, fsync, linkat, mkdirat, openat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

const DIR_MODE: Mode = mode(0o750);
const FILE_MODE: Mode = mode(0o640);
const PROGRAM_MODE: Mode = mode(0o750);

/// Carries out a plan. `durable`: not back before it is on the disk. The caller holds the lock of the root.
pub(crate) fn write(tree: &Directory, plan: &Plan, durable: bool) -> Result<(), PorchError> {
    let (parent_path, name) = plan.dir.rsplit_once('/').unwrap_or(("", &plan.dir));
    let (inside, file) = plan.file.rsplit_once('/').unwrap_or(("", &plan.file));
    let at = |error: io::Error| PorchError::io(tree.full(&plan.dir), error);
    if !plan.dir.is_empty()
        && let Some(parent) = tree.enter(parent_path)?
    {
        remove_tree(&parent, UNFINISHED).map_err(at)?;
    }
    let holder = tree.enter(&crate::files::join(&plan.dir, inside))?;
    if let Some(holder) = &holder {
        remove_tree(holder, UNFINISHED).map_err(at)?;
    }
    let writer = Writer { durable };
    match (plan.changes.as_slice(), holder) {
        ([], _) => return Ok(()),
        ([change], Some(holder)) if !plan.new && change.path == plan.file => {
            writer.replace(&holder, file, &change.after).map_err(at)?;
        }
        (_, _) if plan.dir.is_empty() => {
            let reason =
                "more than one of its files would change, which cannot be done at once for the root itself";
            return Err(PorchError::unfit(tree.name(""), reason));
        }
        _ => {
            let parent = writer.make_path(tree, parent_path)?;
            writer.place(&parent, name, plan).map_err(at)?;
        }
    }
    read_back(tree, plan)
}

/// The object's file is read again: what is there is what was meant.
fn read_back(tree: &Directory, plan: &Plan) -> Result<(), PorchError> {
    let Some(change) = plan.changes.iter().find(|change| change.path == plan.file) else { return Ok(()) };
    let (inside, file) = plan.file.rsplit_once('/').unwrap_or(("", &plan.file));
    let dir = tree.enter(&crate::files::join(&plan.dir, inside))?;
    let found = dir.and_then(|dir| read_file(dir, file, change.after.bytes.len() as u64).ok().flatten());
    if found.is_some_and(|(bytes, _)| bytes == change.after.bytes) {
        return Ok(());
    }
    Err(PorchError::Check(format!("{} is not what was written", tree.name(&plan.dir))))
}

struct Writer {
    durable: bool,
}

impl Writer {
    fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        if self.durable { Ok(fsync(file)?) } else { Ok(()) }
    }

    /// A file that is complete before it gets its name. Keeps mode and, where we may, owner of the old one.
    fn replace(&self, dir: &OwnedFd, name: &str, content: &Content) -> io::Result<()> {
        let old = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file = self.create(dir, UNFINISHED, content)?;
        // Only root may give a file away; for anybody else it stays ours.
        let (user, group) = (rustix::fs::Uid::from_raw(old.st_uid), rustix::fs::Gid::from_raw(old.st_gid));
        let _ = fchown(&file, Some(user), Some(group));
        fchmod(&file, Mode::from_raw_mode(old.st_mode & 0o7777))?;
        self.sync(&file)?;
        let placed =
            renameat(dir, UNFINISHED, dir, name).map_err(io::Error::from).and_then(|()| self.sync(dir));
        if placed.is_err() {
            let _ = unlinkat(dir, UNFINISHED, AtFlags::empty());
        }
        placed
    }

    fn create(&self, dir: &OwnedFd, name: &str, content: &Content) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if content.executable { PROGRAM_MODE } else { FILE_MODE };
        let mut file = std::fs::File::from(openat(dir, name, flags, mode)?);
        let written = file.write_all(&content.bytes);
        if let Err(error) = written {
            let _ = unlinkat(dir, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file.into())
    }

    /// The directory above the package, made where it is missing.
    fn make_path(&self, tree: &Directory, path: &str) -> Result<OwnedFd, PorchError> {
        let mut dir = match tree.enter("")? {
            Some(root) => root,
            None => return Err(PorchError::io(tree.full(""), Errno::NOENT)),
        };
        for step in path.split('/').filter(|step| !step.is_empty()) {
            dir = self.subdirectory(&dir, step).map_err(|error| PorchError::io(tree.full(path), error))?;
        }
        Ok(dir)
    }

    fn subdirectory(&self, dir: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        match mkdirat(dir, name, DIR_MODE) {
            Ok(()) => self.sync(dir)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
    }

    /// Builds the package under the unfinished name beside it and gives it its own, in exchange for the old one.
    fn place(&self, parent: &OwnedFd, name: &str, plan: &Plan) -> io::Result<()> {
        let built = self.build(parent, name, plan).and_then(|()| {
            if plan.new {
                // Replaces nothing but an empty directory.
                renameat(parent, UNFINISHED, parent, name)?;
            } else {
                renameat_with(parent, UNFINISHED, parent, name, RenameFlags::EXCHANGE)?;
            }
            self.sync(parent)
        });
        if built.is_err() || !plan.new {
            // The half that failed, or the old package.
            let swept = remove_tree(parent, UNFINISHED);
            return built.and(swept);
        }
        built
    }

    fn build(&self, parent: &OwnedFd, name: &str, plan: &Plan) -> io::Result<()> {
        mkdirat(parent, UNFINISHED, DIR_MODE)?;
        let top = openat(parent, UNFINISHED, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let changes: BTreeMap<&str, &Content> =
            plan.changes.iter().map(|change| (change.path.as_str(), &change.after)).collect();
        if !plan.new {
            let old = openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            fchmod(&top, Mode::from_raw_mode(rustix::fs::fstat(&old)?.st_mode & 0o7777))?;
            self.link_unchanged(&old, &top, "", &changes)?;
        }
        for (path, content) in changes {
            let (inside, _) = path.rsplit_once('/').unwrap_or(("", path));
            let mut dir = openat(&top, ".", DIRECTORY, Mode::empty())?;
            for step in inside.split('/').filter(|step| !step.is_empty()) {
                dir = self.subdirectory(&dir, step)?;
            }
            let file = self.create(&dir, base_name(path), content)?;
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
            let path = crate::files::join(below, &text);
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
