//! Searches the directories around a package for files that mention an object. No file here will be changed: what cannot
//! be read is noted and skipped.

use super::{Directory, is_regular, known_type, listing, read_file};
use crate::files::{Content, DEPTH_MAX, PACKAGE_BYTES_MAX, holds_objects, join};
use crate::survey::{Search, Searching, Survey, may_lead_to_objects};
use crate::yaml::BYTES_MAX;
use rustix::fs::{FileType, readlinkat};
use std::os::fd::BorrowedFd;

const UNREADABLE: &str = "cannot be read";

impl Directory {
    /// Searches the entries of a directory and those below it.
    pub(super) fn look(&self, dir: &str, search: Search<'_>) -> Survey {
        let mut searching = Searching::new(search);
        let mut open = vec![(String::new(), 0)];
        while let Some((below, depth)) = open.pop() {
            searching.opens();
            if searching.is_over() {
                break;
            }
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
                    FileType::Directory if depth < DEPTH_MAX => open.push((path, depth + 1)),
                    FileType::Directory => searching.skip(path, "is too deep"),
                    FileType::Symlink if may_lead_to_objects(&name) => {
                        let target = readlinkat(holder, name.as_str(), Vec::new()).ok();
                        let target = target.as_ref().and_then(|target| target.to_str().ok());
                        searching.link(&below, path, target);
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
}

/// Reads one file.
fn take(searching: &mut Searching<'_>, dir: BorrowedFd<'_>, name: &str, path: String) {
    searching.opens();
    match read_file(dir, name, BYTES_MAX as u64) {
        Ok(Some((bytes, stat))) if bytes.len() <= BYTES_MAX && is_regular(&stat) => {
            let executable = stat.st_mode & 0o100 != 0;
            searching.file(path, name, Content { bytes, executable });
        }
        Ok(Some(_)) => {
            let whole = read_file(dir, name, PACKAGE_BYTES_MAX).ok().flatten();
            let whole = whole.filter(|(bytes, _)| bytes.len() as u64 <= PACKAGE_BYTES_MAX);
            searching.large_file(path, whole.as_ref().map(|(bytes, _)| bytes.as_slice()));
        }
        // It has been replaced or removed since it was listed.
        Ok(None) => {}
        Err(_) => searching.skip(path, UNREADABLE),
    }
}
