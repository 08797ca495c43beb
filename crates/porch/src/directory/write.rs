//! Puts a plan into a directory, all or nothing: one changed file is exchanged with its complete successor, a new package
//! appears by rename, and several changed files are exchanged with the package as a whole. What is unfinished has one
//! name, begins with a dot, and is swept by whoever comes next.

use super::leftover::{is_ours, keep_aside};
use super::lock::{Patience, lock};
use super::opening::{DIRECTORY, FILE};
use super::ordering::Durability;
use super::rights::{refuse_append_only, take_after};
use super::root::Directory;
use super::swap::{Draft, Found, Mark, Swap, swap};
use crate::PorchError;
use crate::files::{Content, UNFINISHED, join};
use crate::plan::{Change, Plan};
use crate::tree::Tree;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// The permission bits of the directories and files that we create.
pub(super) const DIR_MODE: Mode = Mode::from_raw_mode(0o750);
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const PROGRAM_MODE: Mode = Mode::from_raw_mode(0o750);

/// Whether a plan was carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// What the plan was made from is not what is there now: plan again.
    Stale,
}

/// Carries out a plan, if what it was made from is still there. What it replaces is never lost. `locks` are those taken
/// before the plan was made; where they are not the plan's, they are released.
pub(crate) fn write(
    tree: &Directory,
    plan: &Plan,
    durability: Durability,
    patience: &Patience<'_>,
    locks: Locks,
) -> Result<Written, PorchError> {
    let edits = edits(plan);
    // A package that is exchanged as a whole is removed at once: the new one has to be on the disk before.
    let at_once = durability.at_once || (!plan.new && !edits);
    let locks = if locks.are_of(plan) {
        locks
    } else {
        // Before others are taken: this order would wait for itself.
        drop(locks);
        Locks::default()
    };
    let writer = Writer { tree, plan, durability: Durability { at_once, ..durability }, patience, locks };
    match plan.changes.as_slice() {
        [] => Ok(Written::Done),
        [change] if edits => writer.edit(change),
        _ => writer.place(),
    }
}

/// Whether a plan is carried out by replacing one file.
fn edits(plan: &Plan) -> bool {
    matches!(plan.changes.as_slice(), [change] if !plan.new && change.path == plan.file)
}

/// Locked directories of a tree by path, in the order in which [`Writer`] locks them. Whoever holds them while it plans
/// is not overtaken by those who plan first: under steady traffic on one package each comes to its turn.
#[derive(Debug, Default)]
pub(crate) struct Locks(Vec<(String, OwnedFd)>);

impl Locks {
    /// Takes the locks that a plan needs, as far as its directories are there.
    pub(crate) fn take(tree: &Directory, plan: &Plan, patience: &Patience<'_>) -> Result<Self, PorchError> {
        let mut held = Vec::new();
        for path in Self::paths(plan) {
            let Some(dir) = tree.enter(&path)? else { break };
            let dir = lock(dir, &tree.name(&path), patience)?;
            held.push((path, dir));
        }
        Ok(Self(held))
    }

    fn paths(plan: &Plan) -> Vec<String> {
        let dir = plan.dir.clone();
        if edits(plan) {
            let holder = plan.file.rsplit_once('/').map(|(inside, _)| join(&dir, inside));
            return std::iter::once(dir).chain(holder).collect();
        }
        let parent = split(&dir).map(|(parent, _)| parent.to_owned());
        parent.into_iter().chain((!plan.new).then_some(dir)).collect()
    }

    /// Whether these are the first of the plan's locks: what is locked after them keeps the order of all.
    fn are_of(&self, plan: &Plan) -> bool {
        let paths = Self::paths(plan);
        self.0.len() <= paths.len() && self.0.iter().zip(&paths).all(|((held, _), path)| held == path)
    }

    /// The lock on a path, which lasts as long as this or what is returned.
    fn of(&self, path: &str) -> Option<io::Result<OwnedFd>> {
        self.0.iter().find(|(held, _)| held == path).map(|(_, dir)| dir.try_clone())
    }
}

pub(super) struct Writer<'w> {
    pub tree: &'w Directory,
    pub plan: &'w Plan,
    pub durability: Durability,
    pub patience: &'w Patience<'w>,
    locks: Locks,
}

impl Writer<'_> {
    pub(super) fn at(&self) -> impl Fn(io::Error) -> PorchError {
        let path = self.tree.full(&self.plan.dir);
        move |error| PorchError::io(&path, error)
    }

    /// What cannot be replaced because something is mounted on it says so.
    pub(super) fn mounted(&self, name: &str, error: io::Error) -> PorchError {
        if Errno::from_io_error(&error) != Some(Errno::BUSY) {
            return self.at()(error);
        }
        let reason = "is a mount of its own (a bind-mounted file) and cannot be replaced; mount the directory it is in";
        PorchError::unfit(self.tree.name(&join(&self.plan.dir, name)), reason)
    }

    pub(super) fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        if self.durability.at_once { Ok(fsync(file)?) } else { Ok(()) }
    }

    /// A directory of the tree, locked, and still the one of that name; `None` when it is not.
    pub(super) fn locked(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
        let dir = if let Some(held) = self.locks.of(path) {
            held.map_err(|error| PorchError::io(self.tree.full(path), error))?
        } else {
            let Some(dir) = self.tree.enter(path)? else { return Ok(None) };
            lock(dir, &self.tree.name(path), self.patience)?
        };
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
        let limit = change.before.as_ref().map_or(0, Vec::len);
        match Found::at(dir, name, limit).map_err(self.at())? {
            Found::File(old) if Some(&old.bytes) == change.before.as_ref() => {
                match self.replace(dir, name, change, &old.stat).map_err(|error| self.mounted(name, error))? {
                    Written::Done => self.read_back(dir, name, &change.after),
                    Written::Stale => Ok(Written::Stale),
                }
            }
            _ => Ok(Written::Stale),
        }
    }

    /// The object's file is read again: what is there is what was meant, or somebody has written it after us.
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

    /// A file that is complete before it gets its name. Keeps mode and attributes of the old one and, where we may, its owner.
    pub(super) fn replace(
        &self,
        dir: &OwnedFd,
        name: &str,
        change: &Change,
        old: &Stat,
    ) -> io::Result<Written> {
        refuse_append_only(dir)?;
        let original = openat(dir, name, FILE, Mode::empty())?;
        let file = match Self::create(dir, UNFINISHED, &change.after) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::clear(dir, change)?;
                Self::create(dir, UNFINISHED, &change.after)?
            }
            created => created?,
        };
        let remove = || unlinkat(dir, UNFINISHED, AtFlags::empty());
        let placed = self.complete(&file, &original, old).and_then(|mark| {
            // Nobody is to find a writer at it, and its number is not to become another file's as long as it is compared.
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
                Self::discard(dir)?;
                Ok(Written::Stale)
            }
            Ok(Swap::Unsettled) => keep_aside(dir, UNFINISHED).map(|_| Written::Stale),
            Err(error) => {
                // What failed is more use to whoever reads than that its remains could not be removed either.
                let _ = Self::clear(dir, change);
                Err(error)
            }
        }
    }

    /// Owner, mode, attributes, and the bytes on the disk, as far as the exchange must not overtake them.
    fn complete(&self, file: &OwnedFd, original: &OwnedFd, old: &Stat) -> io::Result<Mark> {
        let new = fstat(file)?;
        take_after(file, original, old)?;
        // If the exchange reached the disk before the new bytes, a power cut would lose both versions: so the bytes go first.
        let ordered = !self.durability.at_once && self.durability.ordered == Some(new.st_dev);
        if !ordered || conductor_os::raw::begin_writing(file).is_err() {
            fsync(file)?; // Its owner and mode as well.
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
        // Where two names cannot be exchanged, what is written between this look and the rename is lost.
        if !expected(&Found::at(dir, name, limit)?) {
            return Ok(Swap::Undone);
        }
        renameat(dir, draft.name, dir, name)?;
        Ok(Swap::Done)
    }

    /// Removes a draft that did not get in. A draft is a file: anything else is somebody's, whom an exchange of his own met in the
    /// middle of ours.
    fn discard(dir: &OwnedFd) -> io::Result<()> {
        match Found::at(dir, UNFINISHED, 0)? {
            Found::Link(_) | Found::Other(_) => keep_aside(dir, UNFINISHED).map(|_| ()),
            Found::Absent => Ok(()),
            Found::File(_) => Ok(unlinkat(dir, UNFINISHED, AtFlags::empty())?),
        }
    }

    /// Removes what a killed run left; the directory is locked. What is not ours is kept: a draft is a file or, of a package, a
    /// directory.
    fn clear(dir: &OwnedFd, change: &Change) -> io::Result<()> {
        match Found::at(dir, UNFINISHED, crate::yaml::BYTES_MAX)? {
            Found::File(seen) if !is_ours(&seen.bytes, change) => keep_aside(dir, UNFINISHED).map(|_| ()),
            Found::Link(_) => keep_aside(dir, UNFINISHED).map(|_| ()),
            Found::Other(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                keep_aside(dir, UNFINISHED).map(|_| ())
            }
            _ => remove_tree(dir, UNFINISHED),
        }
    }

    pub(super) fn create(dir: &OwnedFd, name: &str, content: &Content) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if content.executable { PROGRAM_MODE } else { FILE_MODE };
        let mut file = std::fs::File::from(openat(dir, name, flags, mode)?);
        let written = file.write_all(&content.bytes);
        if let Err(error) = written {
            // The failure that is told is that of the writing; a leftover is cleared by the next run.
            let _ = unlinkat(dir, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file.into())
    }
}

/// Removes a file or a directory with all that is in it; fine if it is not there.
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

/// The directory a path is in, and its name there; `None` for the root.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() { None } else { Some(path.rsplit_once('/').unwrap_or(("", path))) }
}
