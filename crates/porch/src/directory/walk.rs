//! The walk through a package: every file that counts, within bounds. What stands in the way of reading it whole is refused.

use super::listing::{known_type, listing};
use super::opening::DIRECTORY;
use super::reading::{Read, read_file};
use super::root::Directory;
use crate::PorchError;
use crate::files::{
    DEPTH_MAX, FILES_MAX, Files, NO_FILE, PACKAGE_BYTES_MAX, UNFINISHED, Which, decides_files, holds_objects,
    is_argo_source, is_hidden, join,
};
use crate::tree::Tree;
use crate::yaml::{BYTES_MAX, too_large};
use rustix::fs::{FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The files of the package that is open as `start`; `None` if it has no entry.
pub(super) fn files_of(
    tree: &Directory,
    package: &str,
    which: Which,
    start: OwnedFd,
) -> Result<Option<Files>, PorchError> {
    let mut walk = Walk { tree, package, which, files: Files::new(), bytes: 0, entries: 0 };
    walk.directory(start, "", 0)?;
    Ok(Some(walk.files).filter(|_| walk.entries > 0))
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
