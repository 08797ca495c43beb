//! Searches the directories around a package for files that mention an object. No file here will be changed, so
//! unreadable and foreign entries are skipped.

use super::{Directory, is_regular, known_type, listing, read_file};
use crate::files::{
    Content, DEPTH_MAX, Search, Survey, decides_files, holds_objects, is_other_partial, join,
};
use crate::yaml::BYTES_MAX;
use rustix::fs::FileType;
use std::os::fd::BorrowedFd;

impl Directory {
    /// Searches the entries of a directory and those below it.
    pub(super) fn look(&self, dir: &str, search: Search<'_>) -> Survey {
        let mut survey = Survey { complete: true, ..Survey::default() };
        let mut open = vec![(String::new(), 0)];
        let mut entries = 0;
        while let Some((below, depth)) = open.pop() {
            let Ok(Some(holder)) = self.enter(&join(dir, &below)) else { continue };
            let Ok((listed, names)) = listing(holder) else { continue };
            let Ok(holder) = listed.fd() else { continue };
            for (name, kind) in names {
                let passed_over = below.is_empty() && search.except == Some(name.as_str());
                if passed_over || is_other_partial(&name) || (name.starts_with('.') && !decides_files(&name))
                {
                    continue;
                }
                let Ok(kind) = known_type(holder, &name, kind) else { continue };
                if kind == FileType::Directory && depth < DEPTH_MAX {
                    open.push((join(&below, &name), depth + 1));
                } else if kind != FileType::RegularFile || !holds_objects(&name) {
                    continue;
                } else if let Some(content) = mentioning(holder, &name, search.text) {
                    survey.files.insert(join(&below, &name), content);
                }
                entries += 1;
                if entries >= search.limit {
                    survey.complete = false;
                    return survey;
                }
            }
        }
        survey
    }
}

/// Reads a file that decides which others count, or that mentions the text.
fn mentioning(dir: BorrowedFd<'_>, name: &str, text: &str) -> Option<Content> {
    let (bytes, stat) = read_file(dir, name, BYTES_MAX as u64).ok()??;
    let said = std::str::from_utf8(&bytes).is_ok_and(|content| content.contains(text));
    let wanted = bytes.len() <= BYTES_MAX && is_regular(&stat) && (said || decides_files(name));
    wanted.then_some(Content { bytes, executable: stat.st_mode & 0o100 != 0 })
}
