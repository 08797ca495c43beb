//! Searches the directories around a package for files that mention an object. No file here will be changed: what cannot
//! be read is noted and skipped.

use super::memo::{Memo, Names, Seen};
use super::{Directory, Read, known_type, listing, read_file};
use crate::PorchError;
use crate::files::{PACKAGE_BYTES_MAX, base_name, join, parent};
use crate::survey::{Search, Searching, Sort, Survey};
use crate::yaml::BYTES_MAX;
use conductor_os::wall_ns;
use rustix::fs::{AtFlags, Dir, FileType, fstat, readlinkat, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

const UNREADABLE: &str = "cannot be read";

/// One directory of a search. It is opened when something of it has to be read.
struct Holder<'d> {
    tree: &'d Directory,
    /// Its path from the root.
    path: String,
    /// Its path from where the search began, and its depth there.
    below: String,
    depth: usize,
    open: Option<Dir>,
    /// The time at which the search began.
    now: i64,
}

impl Holder<'_> {
    /// The names in it; `None` if it is not there.
    fn names(&mut self) -> Result<Option<Names>, PorchError> {
        let known = self.known(&self.path).and_then(|(memo, seen)| memo.names(&seen));
        if known.is_some() {
            return Ok(known);
        }
        let Some(dir) = self.tree.enter(&self.path)? else { return Ok(None) };
        let at = |errno: Errno| PorchError::io(self.tree.full(&self.path), errno);
        let seen = self.tree.memo.as_ref().map(|_| fstat(&dir)).transpose().map_err(at)?;
        let (dir, names) = listing(dir).map_err(at)?;
        let names = Names::from(names);
        if let (Some(memo), Some(stat)) = (&self.tree.memo, seen) {
            memo.keep_names(Seen::of(&stat), &names, self.now);
        }
        self.open = Some(dir);
        Ok(Some(names))
    }

    /// Its descriptor; `None` if it is no longer there.
    fn opened(&mut self) -> Result<Option<BorrowedFd<'_>>, PorchError> {
        let at = |errno: Errno| PorchError::io(self.tree.full(&self.path), errno);
        if self.open.is_none() {
            let Some(dir) = self.tree.enter(&self.path)? else { return Ok(None) };
            self.open = Some(Dir::new(dir).map_err(at)?);
        }
        self.open.as_ref().map(|dir| dir.fd().map_err(at)).transpose()
    }

    /// What may be known of an entry. A name that leads elsewhere meanwhile is another entry.
    fn known(&self, path: &str) -> Option<(&Memo, Seen)> {
        let memo = self.tree.memo.as_deref()?;
        let path = if path.is_empty() { "." } else { path };
        let stat = statat(&self.tree.root, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((memo, Seen::of(&stat)))
    }

    /// Looks at one entry.
    fn look_at(
        &mut self,
        searching: &mut Searching<'_>,
        name: &str,
        kind: FileType,
    ) -> Result<(), PorchError> {
        let at =
            |errno: Errno, holder: &Self| PorchError::io(holder.tree.full(&join(&holder.path, name)), errno);
        let kind = match kind {
            FileType::Unknown => match self.opened()?.map(|dir| known_type(dir, name, kind)) {
                None | Some(Err(Errno::NOENT)) => return Ok(()),
                Some(known) => known.map_err(|errno| at(errno, self))?,
            },
            known => known,
        };
        let path = join(&self.below, name);
        match kind {
            FileType::Directory => searching.directory(path, self.depth),
            FileType::Symlink => {
                let target = match self.opened()?.map(|dir| readlinkat(dir, name, Vec::new())) {
                    // It has been replaced or removed since it was listed.
                    None | Some(Err(Errno::NOENT | Errno::INVAL)) => return Ok(()),
                    Some(target) => target.map_err(|errno| at(errno, self))?,
                };
                let tree = self.tree;
                searching.link(&self.below, path, target.to_str().ok(), |leads| tree.sort_of(leads))?;
            }
            FileType::RegularFile if searching.reads(name) => self.take(searching, name, path)?,
            _ => {}
        }
        Ok(())
    }

    /// Reads one file.
    fn take(&mut self, searching: &mut Searching<'_>, name: &str, path: String) -> Result<(), PorchError> {
        searching.opens();
        let known = self.known(&join(&self.path, name)).and_then(|(memo, seen)| memo.file(&seen));
        if let Some(content) = known {
            searching.file(path, name, &content);
            return Ok(());
        }
        let limit = if searching.reads_large_files() { PACKAGE_BYTES_MAX } else { BYTES_MAX as u64 };
        let (now, memo) = (self.now, self.tree.memo.clone());
        let Some(holder) = self.opened()? else { return Ok(()) };
        match read_file(holder, name, limit) {
            Ok(Read::File(content, stat)) if content.bytes.len() <= BYTES_MAX => {
                if let Some(memo) = memo {
                    memo.keep_file(Seen::of(&stat), &content, now);
                }
                searching.file(path, name, &content);
            }
            Ok(Read::File(content, _)) => searching.large_file(path, Some(&content.bytes)),
            Ok(Read::TooLarge) => searching.large_file(path, None),
            // It has been replaced or removed since it was listed.
            Ok(Read::Other) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(PorchError::io(self.tree.full(&join(&self.path, name)), error)),
        }
        Ok(())
    }
}

/// Notes what cannot be read.
fn unread(searching: &mut Searching<'_>, path: String, error: PorchError) -> Result<(), PorchError> {
    if error.is_exhausted() {
        return Err(error);
    }
    searching.skip(path, UNREADABLE);
    Ok(())
}

impl Directory {
    /// Searches the entries of a directory and those below it. What cannot be read is noted; but where the system lacks a
    /// descriptor or memory, nothing is known of it.
    pub(super) fn look(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        let mut searching = Searching::new(dir, search);
        let now = wall_ns();
        while let Some((below, depth)) = searching.next() {
            let path = join(dir, &below);
            let mut holder = Holder { tree: self, path, below, depth, open: None, now };
            match holder.names() {
                Ok(Some(names)) => {
                    for (name, kind) in names.iter() {
                        if searching.wants(&holder.below, name) {
                            let looked = holder.look_at(&mut searching, name, *kind);
                            let path = || join(&holder.below, name);
                            looked.or_else(|error| unread(&mut searching, path(), error))?;
                        }
                        if searching.is_over() {
                            return Ok(searching.survey);
                        }
                    }
                }
                Ok(None) => {}
                Err(error) => unread(&mut searching, holder.below, error)?,
            }
        }
        Ok(searching.survey)
    }

    /// What a path is; no link on its way is followed.
    fn sort_of(&self, path: &str) -> Result<Sort, PorchError> {
        let Some(holder) = self.enter(parent(path))? else { return Ok(Sort::Absent) };
        if path.is_empty() {
            return Ok(Sort::Directory);
        }
        match statat(&holder, base_name(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Sort::Directory,
                FileType::RegularFile => Sort::File,
                _ => Sort::Other,
            }),
            Err(Errno::NOENT) => Ok(Sort::Absent),
            Err(errno) => Err(PorchError::io(self.full(path), errno)),
        }
    }
}
