//! Searches the directories around a package for files that mention an object. No file here will be changed: what cannot
//! be read is noted and skipped.

use super::{Directory, is_regular, known_type, listing, read_open};
use crate::files::{Content, PACKAGE_BYTES_MAX, base_name, holds_objects, join, parent};
use crate::survey::{Search, Searching, Sort, Survey};
use crate::yaml::BYTES_MAX;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

const UNREADABLE: &str = "cannot be read";

impl Directory {
    /// Searches the entries of a directory and those below it.
    pub(super) fn look(&self, dir: &str, search: Search<'_>) -> Survey {
        let mut searching = Searching::new(dir, search);
        while let Some((below, depth)) = searching.next() {
            let Ok(holder) = self.enter(&join(dir, &below)) else {
                searching.skip(below, UNREADABLE);
                continue;
            };
            let Some(holder) = holder else { continue };
            let Ok((listed, names)) = listing(holder) else {
                searching.skip(below, UNREADABLE);
                continue;
            };
            let Ok(holder) = listed.fd() else { continue };
            for (name, kind) in names {
                if !searching.wants(&below, &name) {
                    continue;
                }
                let Ok(kind) = known_type(holder, &name, kind) else { continue };
                let path = join(&below, &name);
                match kind {
                    FileType::Directory => searching.directory(path, depth),
                    FileType::Symlink => {
                        let target = readlinkat(holder, name.as_str(), Vec::new()).ok();
                        let target = target.as_ref().and_then(|target| target.to_str().ok());
                        searching.link(&below, path, target, |leads| self.sort_of(leads));
                    }
                    FileType::RegularFile if holds_objects(&name) => {
                        take(&mut searching, holder, &name, path);
                    }
                    _ => {}
                }
                if searching.is_over() {
                    return searching.survey;
                }
            }
        }
        searching.survey
    }

    /// What a path is; no link on its way is followed.
    fn sort_of(&self, path: &str) -> Sort {
        let holder = match self.enter(parent(path)) {
            Ok(Some(holder)) => holder,
            Ok(None) => return Sort::Absent,
            Err(_) => return Sort::Other,
        };
        if path.is_empty() {
            return Sort::Directory;
        }
        match statat(&holder, base_name(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Sort::Directory,
                FileType::RegularFile => Sort::File,
                _ => Sort::Other,
            },
            Err(Errno::NOENT) => Sort::Absent,
            Err(_) => Sort::Other,
        }
    }
}

/// Reads one file.
fn take(searching: &mut Searching<'_>, dir: BorrowedFd<'_>, name: &str, path: String) {
    searching.opens();
    match read(dir, name, searching.reads_large_files()) {
        Ok(Some((Some(bytes), stat))) if bytes.len() <= BYTES_MAX => {
            let executable = stat.st_mode & 0o100 != 0;
            searching.file(path, name, Content { bytes, executable });
        }
        Ok(Some((bytes, _))) => searching.large_file(path, bytes.as_deref()),
        // It has been replaced or removed since it was listed.
        Ok(None) => {}
        Err(_) => searching.skip(path, UNREADABLE),
    }
}

/// A regular file; its bytes only if they are not too many.
fn read(dir: BorrowedFd<'_>, name: &str, large: bool) -> std::io::Result<Option<(Option<Vec<u8>>, Stat)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file?,
    };
    let stat = fstat(&file)?;
    if !is_regular(&stat) {
        return Ok(None);
    }
    let limit = if large { PACKAGE_BYTES_MAX } else { BYTES_MAX as u64 };
    if u64::try_from(stat.st_size).unwrap_or(0) > limit {
        return Ok(Some((None, stat)));
    }
    let bytes = read_open(&file, &stat, limit)?;
    Ok(Some(((bytes.len() as u64 <= limit).then_some(bytes), stat)))
}
