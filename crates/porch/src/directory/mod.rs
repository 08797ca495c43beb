//! Packages in a directory. Every file is reached through directory descriptors, one step at a time: a symbolic link
//! below the root is never followed and never replaced.

mod leftover;
mod lock;
mod looks;
mod memo;
mod ordering;
mod package;
mod rights;
mod survey;
mod swap;
mod write;

pub(crate) use leftover::keep_aside;
pub use lock::Patience;
pub(crate) use lock::lock;
pub(crate) use memo::Memo;
pub(crate) use ordering::Durability;
pub(crate) use swap::{Draft, Found, Mark, Swap, swap};
pub(crate) use write::{Locks, Written, write};

use looks::{BELIEVED, RootId};

use crate::PorchError;
use crate::files::{
    Content, DEPTH_MAX, FILES_MAX, Files, NO_FILE, PACKAGE_BYTES_MAX, UNFINISHED, Which, base_name,
    decides_files, holds_objects, is_argo_source, is_hidden, join, parent,
};
use crate::plan::Plan;
use crate::survey::{Search, Survey};
use crate::tree::Tree;
use crate::yaml::{BYTES_MAX, too_large};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RawMode, ResolveFlags, Stat, fstat, open, openat, openat2, statat,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// Waits for nobody, whatever it turns out to be.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// No link on the way is followed, and nothing above the root is reached.
const BELOW: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A directory that contains packages.
#[derive(Debug)]
pub(crate) struct Directory {
    root: OwnedFd,
    path: PathBuf,
    /// What earlier searches have read.
    memo: Option<Arc<Memo>>,
    believing: Option<Believing>,
}

/// The looks of other searches that may be believed.
#[derive(Debug, Clone, Copy)]
struct Believing {
    since: Instant,
    root: RootId,
}

impl Directory {
    /// Opens the root; symbolic links on the way to it are the operator's own.
    pub(crate) fn open(path: &Path) -> Result<Self, PorchError> {
        Ok(Self { root: open_root(path)?, path: path.to_owned(), memo: None, believing: None })
    }

    /// Spares searches what earlier ones have read.
    pub(crate) fn remembering(self, memo: &Arc<Memo>) -> Self {
        Self { memo: Some(memo.clone()), ..self }
    }

    /// Lets searches rest on what others saw after the order came in, though no longer than [`BELIEVED`].
    pub(crate) fn believing(self, came: Option<Instant>) -> Result<Self, PorchError> {
        let Some(came) = came else { return Ok(self) };
        let stat = fstat(&self.root).map_err(|errno| PorchError::io(&self.path, errno))?;
        let oldest = Instant::now().checked_sub(BELIEVED).unwrap_or(came);
        let believing = Believing { since: came.max(oldest), root: (stat.st_dev, stat.st_ino) };
        Ok(Self { believing: Some(believing), ..self })
    }

    /// Makes searches see for themselves from now on.
    pub(crate) fn believe_nobody(&mut self) {
        self.believing = None;
    }

    /// A plan was carried out, or part of it: other searches do not rest on what was there before.
    pub(crate) fn wrote(&self, plan: &Plan) {
        let Some(memo) = &self.memo else { return };
        let now = Instant::now();
        let changed = plan.changes.iter().map(|change| join(&plan.dir, parent(&change.path)));
        // A new package is a new name in its directory, which may be new as well.
        let holders = plan.new.then(|| ancestors(&plan.dir)).into_iter().flatten().map(str::to_owned);
        changed.chain(holders).for_each(|dir| memo.looks.written(now, &dir));
    }

    /// The device of the root, if its file system keeps the order of data and renames.
    pub(crate) fn ordered_device(&self) -> Option<u64> {
        ordering::ordered_device(&self.root)
    }

    fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    /// A directory below the root; `None` if it does not exist.
    fn enter(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
        let steps = if path.is_empty() { "." } else { path };
        let entered = match openat2(&self.root, steps, DIRECTORY, Mode::empty(), BELOW) {
            // Old kernels and some sandboxes lack the call.
            Err(Errno::NOSYS | Errno::PERM) => steps_below(&self.root, path),
            entered => entered,
        };
        match entered {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let reason = "part of its path is no directory (symbolic links are not followed)";
                Err(PorchError::unfit(self.name(path), reason))
            }
            Err(errno) => Err(PorchError::io(self.full(path), errno)),
        }
    }
}

impl Tree for Directory {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let Some(start) = self.enter(dir)? else { return Ok(None) };
        let mut walk = Walk { tree: self, package: dir, which, files: Files::new(), bytes: 0, entries: 0 };
        walk.directory(start, "", 0)?;
        Ok(Some(walk.files).filter(|_| walk.entries > 0))
    }

    fn file(&self, path: &str) -> Result<Option<Content>, PorchError> {
        let found = match openat2(&self.root, path, FILE, Mode::empty(), BELOW) {
            Ok(file) => regular_file(&file, BYTES_MAX as u64),
            Err(Errno::NOENT) => return Ok(None),
            // What is in the way is found step by step; old kernels and some sandboxes lack the call.
            Err(_) => {
                let Some(holder) = self.enter(parent(path))? else { return Ok(None) };
                read_file(&holder, base_name(path), BYTES_MAX as u64)
            }
        };
        let unfit = |reason: String| Err(PorchError::unfit(self.name(path), reason));
        match found.map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(Read::File(content, _)) => Ok(Some(content)),
            Ok(Read::TooLarge) => unfit(too_large()),
            Ok(Read::Other) if is_directory(&self.root, path) => Ok(None),
            Ok(Read::Other) | Err((Some(Errno::LOOP), _)) => unfit(NO_FILE.to_owned()),
            Err((Some(Errno::NOENT), _)) => Ok(None),
            Err((_, error)) => Err(PorchError::io(self.full(path), error)),
        }
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError> {
        let Some(holder) = self.enter(dir)? else { return Ok(Vec::new()) };
        let listed = listing(holder).map_err(|errno| PorchError::io(self.full(dir), errno))?.1;
        let shown = listed.into_iter().filter(|(name, _)| !name.starts_with('.'));
        Ok(shown.map(|(name, kind)| if kind == FileType::Directory { name + "/" } else { name }).collect())
    }

    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        self.look(dir, search)
    }

    fn name(&self, path: &str) -> String {
        self.full(path).display().to_string()
    }
}

/// The directories above a path, up to the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut below = path;
    std::iter::from_fn(move || {
        let above = (!below.is_empty()).then(|| parent(below));
        below = above.unwrap_or_default();
        above
    })
}

/// Opens a directory named by the operator.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, PorchError> {
    open(path, DIRECTORY, Mode::empty()).map_err(|errno| PorchError::io(path, errno))
}

/// The names in a directory, sorted, with their types as far as the file system reports them.
fn listing(dir: OwnedFd) -> Result<(Dir, Vec<(String, FileType)>), Errno> {
    let mut listing = Dir::new(dir)?;
    let mut names = Vec::new();
    while let Some(entry) = listing.read() {
        let entry = entry?;
        // A name that is not UTF-8 is not one of ours.
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push((name.to_owned(), entry.file_type()));
        }
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((listing, names))
}

/// The type of an entry; some file systems do not report it in the listing.
fn known_type(dir: BorrowedFd<'_>, name: &str, listed: FileType) -> Result<FileType, Errno> {
    match listed {
        FileType::Unknown => {
            Ok(FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
        }
        known => Ok(known),
    }
}

fn is_directory(dir: impl AsFd, name: &str) -> bool {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

struct Walk<'w> {
    tree: &'w Directory,
    package: &'w str,
    which: Which,
    files: Files,
    bytes: u64,
    entries: usize,
}

/// One entry during a walk through a directory.
#[derive(Clone, Copy)]
struct Entry<'e> {
    dir: BorrowedFd<'e>,
    name: &'e str,
    kind: FileType,
    /// The path of the directory from the package.
    below: &'e str,
    depth: usize,
}

impl Walk<'_> {
    fn refuse<T>(&self, path: &str, reason: impl Into<String>) -> Result<T, PorchError> {
        Err(PorchError::unfit(self.tree.name(&join(self.package, path)), reason))
    }

    fn directory(&mut self, dir: OwnedFd, below: &str, depth: usize) -> Result<(), PorchError> {
        if depth > DEPTH_MAX {
            return self.refuse(below, format!("is deeper than {DEPTH_MAX} directories"));
        }
        let at = |errno: Errno| PorchError::io(self.tree.full(&join(self.package, below)), errno);
        let (listing, names) = listing(dir).map_err(at)?;
        let dir = listing.fd().map_err(at)?;
        names
            .into_iter()
            .try_for_each(|(name, kind)| self.entry(Entry { dir, name: &name, kind, below, depth }))
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<(), PorchError> {
        let Entry { dir, name, kind, below, depth } = entry;
        let path = join(below, name);
        // Our unfinished files count as absent; other hidden files belong to tools, and are copied but not searched.
        if name == UNFINISHED || name == ".git" {
            return Ok(());
        }
        self.entries += 1;
        if self.entries > FILES_MAX {
            return self.refuse("", format!("has more than {FILES_MAX} files"));
        }
        if is_hidden(name) && self.which == Which::Objects {
            return Ok(());
        }
        let at = |errno: Errno| PorchError::io(self.tree.full(&join(self.package, &path)), errno);
        let kind = known_type(dir, name, kind).map_err(at)?;
        match kind {
            FileType::Directory => {
                let next = openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(at)?;
                self.directory(next, &path, depth + 1)
            }
            FileType::RegularFile if self.which == Which::All || holds_objects(name) => {
                self.file(dir, name, path)
            }
            FileType::RegularFile => Ok(()),
            // Without it the others would be read as something else than they are.
            _ if decides_files(name) || is_argo_source(name) => self.refuse(&path, NO_FILE),
            // A copy without them would not be the package; a search ignores them.
            _ if self.which == Which::All => {
                self.refuse(&path, "is neither a file nor a directory; it is not copied")
            }
            _ => Ok(()),
        }
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &str, path: String) -> Result<(), PorchError> {
        let at = |source: std::io::Error| PorchError::io(self.tree.full(&join(self.package, &path)), source);
        let content = match read_file(dir, name, BYTES_MAX as u64).map_err(at)? {
            Read::File(content, _) => content,
            Read::TooLarge => return self.refuse(&path, too_large()),
            Read::Other => return self.refuse(&path, "is no regular file"),
        };
        self.bytes += content.bytes.len() as u64;
        if self.bytes > PACKAGE_BYTES_MAX {
            return self.refuse("", format!("is larger than {PACKAGE_BYTES_MAX} bytes"));
        }
        self.files.insert(path, content);
        Ok(())
    }
}

/// A directory below another one; no link on its way is followed.
fn steps_below(top: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let mut dir = openat(top, ".", DIRECTORY, Mode::empty())?;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        dir = openat(&dir, step, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(dir)
}

/// What reading an entry as a file gives.
enum Read {
    /// A regular file, and what the file system said of it before it was read.
    File(Content, Stat),
    /// A regular file of more bytes than the limit.
    TooLarge,
    /// Any other entry.
    Other,
}

/// Reads a regular file of at most `limit` bytes.
fn read_file(dir: impl AsFd, name: &str, limit: u64) -> std::io::Result<Read> {
    regular_file(&openat(dir, name, FILE, Mode::empty())?, limit)
}

/// Reads what has been opened, if it is a regular file of at most `limit` bytes.
fn regular_file(file: &OwnedFd, limit: u64) -> std::io::Result<Read> {
    let stat = fstat(file)?;
    if !is_regular(&stat) {
        return Ok(Read::Other);
    }
    if u64::try_from(stat.st_size).unwrap_or(0) > limit {
        return Ok(Read::TooLarge);
    }
    let bytes = read_open(file, &stat, limit)?;
    if bytes.len() as u64 > limit {
        return Ok(Read::TooLarge);
    }
    Ok(Read::File(Content { bytes, executable: stat.st_mode & 0o100 != 0 }, stat))
}

/// The bytes of an open regular file, about `limit` at most.
fn read_open(file: &OwnedFd, stat: &Stat, limit: u64) -> std::io::Result<Vec<u8>> {
    let expected = u64::try_from(stat.st_size).unwrap_or(0).min(limit);
    let mut bytes = vec![0; usize::try_from(expected).unwrap_or(0) + 1];
    let mut length = 0;
    // A regular file ends when a read returns less than requested; one byte more than expected reveals that it grew.
    loop {
        let room = bytes.get_mut(length..).unwrap_or_default();
        let (wanted, got) = (room.len(), rustix::io::retry_on_intr(|| rustix::io::read(file, &mut *room))?);
        length += got;
        if got < wanted || length as u64 > limit {
            break;
        }
        bytes.resize(2 * bytes.len(), 0);
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The permission bits of a file or directory we create.
const fn mode(bits: RawMode) -> Mode {
    Mode::from_raw_mode(bits)
}
