//! Searches the directories around a package for files that mention an object. No file here will be changed: what cannot
//! be read is noted and skipped.

use super::listing::{known_type, listing};
use super::looks::{Entries, Saw};
use super::memo::{Memo, Names, Seen};
use super::reading::{Read, read_file};
use super::root::Directory;
use crate::PorchError;
use crate::files::{Content, PACKAGE_BYTES_MAX, base_name, join, parent};
use crate::survey::{Search, Searching, Sort, Survey};
use crate::yaml::BYTES_MAX;
use conductor_os::wall_ns;
use rustix::fs::{AtFlags, Dir, FileType, fstat, readlinkat, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

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
    /// What was seen so far, if it may be kept for other orders.
    saw: Option<Vec<(String, Saw)>>,
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

    /// Notes what an entry is for other orders; `None`: the directory has what each has to look at for itself.
    fn note(&mut self, name: &str, saw: Option<Saw>) {
        match (&mut self.saw, saw) {
            (Some(seen), Some(saw)) => seen.push((name.to_owned(), saw)),
            (seen, _) => *seen = None,
        }
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
        let mut saw = Saw::of(kind);
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
            FileType::RegularFile if searching.reads(name) => {
                saw = self.take(searching, name, path)?.map(Saw::File);
            }
            _ => {}
        }
        self.note(name, saw);
        Ok(())
    }

    /// Reads one file; `None` if it is none, or too large for a manifest.
    fn take(
        &mut self,
        searching: &mut Searching<'_>,
        name: &str,
        path: String,
    ) -> Result<Option<Arc<Content>>, PorchError> {
        searching.opens();
        let known = self.known(&join(&self.path, name)).and_then(|(memo, seen)| memo.file(&seen));
        if let Some(content) = known {
            searching.file(path, name, &content);
            return Ok(Some(content));
        }
        let limit = if searching.reads_large_files() { PACKAGE_BYTES_MAX } else { BYTES_MAX as u64 };
        let (now, memo) = (self.now, self.tree.memo.clone());
        let Some(holder) = self.opened()? else { return Ok(None) };
        match read_file(holder, name, limit) {
            Ok(Read::File(content, stat)) if content.bytes.len() <= BYTES_MAX => {
                let content = Arc::new(content);
                if let Some(memo) = memo {
                    memo.keep_file(Seen::of(&stat), &content, now);
                }
                searching.file(path, name, &content);
                return Ok(Some(content));
            }
            Ok(Read::File(content, _)) => searching.large_file(path, Some(&content.bytes)),
            Ok(Read::TooLarge) => searching.large_file(path, None),
            // It has been replaced or removed since it was listed.
            Ok(Read::Other) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(PorchError::io(self.tree.full(&join(&self.path, name)), error)),
        }
        Ok(None)
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

/// Whether a search needs no more of a directory than what another one saw.
fn suffices(entries: &Entries, searching: &Searching<'_>) -> bool {
    entries.iter().all(|(name, saw)| !matches!(saw, Saw::Unread) || !searching.reads(name))
}

/// Looks at the entries of a directory as another search saw them.
fn look_at_seen(searching: &mut Searching<'_>, entries: &Entries, below: &str, depth: usize) {
    for (name, saw) in entries.iter() {
        if searching.wants(below, name) {
            match saw {
                Saw::Directory => searching.directory(join(below, name), depth),
                Saw::File(content) if searching.reads(name) => {
                    searching.opens();
                    searching.file(join(below, name), name, content);
                }
                _ => {}
            }
        }
        if searching.is_over() {
            return;
        }
    }
}

impl Directory {
    /// Searches the entries of a directory and those below it. What cannot be read is noted; but where the system lacks a
    /// descriptor or memory, nothing is known of it.
    pub(super) fn look(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        let (survey, rests_on_others) =
            self.search(dir, search, self.believing.map(|believing| believing.since))?;
        if !rests_on_others || survey.has_found_nothing(search.extent) {
            return Ok(survey);
        }
        Ok(self.search(dir, search, None)?.0)
    }

    /// Searches, resting on looks of other searches since then; whether it did.
    fn search(
        &self,
        dir: &str,
        search: Search<'_>,
        since: Option<Instant>,
    ) -> Result<(Survey, bool), PorchError> {
        let mut searching = Searching::new(dir, search);
        let now = wall_ns();
        let mut rests_on_others = false;
        while let Some((below, depth)) = searching.next() {
            let path = join(dir, &below);
            let seen = since.and_then(|since| self.seen_since(since, &path));
            if let Some(entries) = seen.filter(|entries| suffices(entries, &searching)) {
                rests_on_others = true;
                look_at_seen(&mut searching, &entries, &below, depth);
                if searching.is_over() {
                    break;
                }
                continue;
            }
            let saw = self.believing.is_some().then(Vec::new);
            let holder = Holder { tree: self, path, below, depth, open: None, now, saw };
            self.look_into(holder, &mut searching)?;
            if searching.is_over() {
                break;
            }
        }
        Ok((searching.survey, rests_on_others))
    }

    /// Looks at the entries of one directory, until a bound is reached.
    fn look_into(&self, mut holder: Holder<'_>, searching: &mut Searching<'_>) -> Result<(), PorchError> {
        let began = Instant::now();
        let names = match holder.names() {
            Ok(Some(names)) => names,
            Ok(None) => return Ok(()),
            Err(error) => return unread(searching, holder.below, error),
        };
        for (name, kind) in names.iter() {
            if searching.wants(&holder.below, name) {
                if let Err(error) = holder.look_at(searching, name, *kind) {
                    holder.saw = None;
                    unread(searching, join(&holder.below, name), error)?;
                }
            } else {
                holder.note(name, Saw::of(*kind));
            }
            if searching.is_over() {
                return Ok(());
            }
        }
        if let (Some(memo), Some(believing), Some(saw)) = (&self.memo, self.believing, holder.saw) {
            memo.looks.keep(began, believing.root, &holder.path, saw);
        }
        Ok(())
    }

    fn seen_since(&self, since: Instant, path: &str) -> Option<Entries> {
        self.memo.as_ref()?.looks.since(since, self.believing?.root, path)
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
