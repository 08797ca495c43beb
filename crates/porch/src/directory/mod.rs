//! Packages in a directory. Everything is reached through directory descriptors, one step at a time: a symbolic link
//! below the root is never followed and never replaced.

mod lock;
mod write;

pub use lock::Patience;
pub(crate) use lock::{Turns, hold};
pub(crate) use write::write;

use crate::PorchError;
use crate::files::{
    Content, DEPTH_MAX, FILES_MAX, Files, KPTFILE, PACKAGE_BYTES_MAX, Tree, UNFINISHED, Which, holds_objects,
    join,
};
use crate::yaml::BYTES_MAX;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode, Stat, fstat, open, openat, statat};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// A directory that packages are in.
#[derive(Debug)]
pub(crate) struct Directory {
    root: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the root; symbolic links on the way to it are the operator's own.
    pub(crate) fn open(path: &Path) -> Result<Self, PorchError> {
        let root = open(path, DIRECTORY, Mode::empty()).map_err(|errno| PorchError::io(path, errno))?;
        Ok(Self { root, path: path.to_owned() })
    }

    fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    /// A directory below the root; `None` when it is not there.
    fn enter(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
        let mut dir = openat(&self.root, ".", DIRECTORY, Mode::empty())
            .map_err(|errno| PorchError::io(&self.path, errno))?;
        for step in path.split('/').filter(|step| !step.is_empty()) {
            dir = match openat(&dir, step, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(PorchError::unfit(
                        self.name(path),
                        format!("'{step}' is not a directory (links are not followed)"),
                    ));
                }
                Err(errno) => return Err(PorchError::io(self.full(path), errno)),
            };
        }
        Ok(Some(dir))
    }
}

impl Tree for Directory {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let Some(start) = self.enter(dir)? else { return Ok(None) };
        let mut walk = Walk { tree: self, package: dir, which, files: Files::new(), bytes: 0, entries: 0 };
        walk.directory(&start, "", 0)?;
        Ok(Some(walk.files).filter(|_| walk.entries > 0))
    }

    fn is_package(&self, dir: &str) -> Result<bool, PorchError> {
        let Some(dir) = self.enter(dir)? else { return Ok(false) };
        Ok(statat(&dir, KPTFILE, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| is_regular(&stat)))
    }

    fn name(&self, path: &str) -> String {
        self.full(path).display().to_string()
    }
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

impl Walk<'_> {
    fn refuse<T>(&self, path: &str, reason: impl Into<String>) -> Result<T, PorchError> {
        Err(PorchError::unfit(self.tree.name(&join(self.package, path)), reason))
    }

    fn directory(&mut self, dir: &OwnedFd, below: &str, depth: usize) -> Result<(), PorchError> {
        if depth > DEPTH_MAX {
            return self.refuse(below, format!("is deeper than {DEPTH_MAX} directories"));
        }
        let at = |errno: Errno| PorchError::io(self.tree.full(&join(self.package, below)), errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).map_err(at)? {
            let entry = entry.map_err(at)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        for name in names {
            let Ok(name) = name.into_string() else { continue };
            self.entry(dir, &name, below, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, name: &str, below: &str, depth: usize) -> Result<(), PorchError> {
        let path = join(below, name);
        // What we left unfinished is not there; what else is hidden belongs to tools, and is copied but not searched.
        if name.ends_with(UNFINISHED) || name == ".git" {
            return Ok(());
        }
        self.entries += 1;
        if self.entries > FILES_MAX {
            return self.refuse("", format!("has more than {FILES_MAX} files"));
        }
        if name.starts_with('.') && self.which == Which::Objects {
            return Ok(());
        }
        let at = |errno: Errno| PorchError::io(self.tree.full(&join(self.package, &path)), errno);
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(at)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let next = openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(at)?;
                self.directory(&next, &path, depth + 1)
            }
            FileType::RegularFile if self.which == Which::All || holds_objects(name) => {
                self.file(dir, name, path)
            }
            FileType::RegularFile => Ok(()),
            // A copy without them would not be the package; a search does not look behind them.
            _ if self.which == Which::All => {
                self.refuse(&path, "is neither a file nor a directory; it is not copied")
            }
            _ => Ok(()),
        }
    }

    fn file(&mut self, dir: &OwnedFd, name: &str, path: String) -> Result<(), PorchError> {
        let at = |source: std::io::Error| PorchError::io(self.tree.full(&join(self.package, &path)), source);
        let Some((bytes, stat)) = read_file(dir, name, BYTES_MAX as u64).map_err(at)? else {
            return self.refuse(&path, "is no regular file");
        };
        if bytes.len() > BYTES_MAX {
            return self.refuse(&path, format!("is larger than {BYTES_MAX} bytes"));
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > PACKAGE_BYTES_MAX {
            return self.refuse("", format!("is larger than {PACKAGE_BYTES_MAX} bytes"));
        }
        let executable = stat.st_mode & 0o100 != 0;
        self.files.insert(path, Content { bytes, executable });
        Ok(())
    }
}

/// A regular file's bytes, one more than `limit` at most; `None` when it is something else.
fn read_file(dir: impl AsFd, name: &str, limit: u64) -> std::io::Result<Option<(Vec<u8>, Stat)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if !is_regular(&stat) {
        return Ok(None);
    }
    let expected = u64::try_from(stat.st_size).unwrap_or(0).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    std::fs::File::from(file).take(limit + 1).read_to_end(&mut bytes)?;
    Ok(Some((bytes, stat)))
}

/// The permission bits of a file or directory we create.
const fn mode(bits: RawMode) -> Mode {
    Mode::from_raw_mode(bits)
}
