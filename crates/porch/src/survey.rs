//! The search around a package for files that mention its object: which entries count, and how far the search goes. A
//! directory and a commit are searched by the same rules.

use crate::files::{
    Content, Files, PACKAGE_BYTES_MAX, SURVEY_MAX, decides_files, holds_objects, is_other_partial, resolve,
};
use std::collections::BTreeSet;

/// The largest number of bytes that one search reads.
const BYTES_READ_MAX: u64 = 4 * PACKAGE_BYTES_MAX;
/// The directory that a file system makes at its own top, for root alone.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// The object of a survey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'s> {
    /// The text that a file must mention.
    pub text: &'s str,
    /// A name in the directory to skip.
    pub except: Option<&'s str>,
    /// The number of directories and files that are opened.
    pub limit: usize,
}

/// The result of a survey below a directory. Paths are relative to that directory.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The files that can contain an object and mention the text, and those that decide which others count.
    pub files: Files,
    /// The other files that can contain an object.
    pub silent: BTreeSet<String>,
    /// The entries that could not be searched, and why.
    pub skipped: Vec<(String, &'static str)>,
    /// The bound that ended the search early.
    pub stopped: Option<String>,
}

/// One running search.
pub(crate) struct Searching<'s> {
    search: Search<'s>,
    opened: usize,
    listed: usize,
    bytes: u64,
    pub survey: Survey,
}

impl<'s> Searching<'s> {
    pub(crate) fn new(search: Search<'s>) -> Self {
        Self { search, opened: 0, listed: 0, bytes: 0, survey: Survey::default() }
    }

    /// Whether an entry counts, by its name and the path of its directory.
    pub(crate) fn wants(&mut self, below: &str, name: &str) -> bool {
        self.listed += 1;
        if self.listed > SURVEY_MAX {
            self.stop(format!("it has more than {SURVEY_MAX} entries"));
        }
        let excepted = below.is_empty() && (self.search.except == Some(name) || name == OF_THE_FILE_SYSTEM);
        !excepted && !is_other_partial(name) && (!name.starts_with('.') || decides_files(name))
    }

    /// Counts a directory or file that is about to be opened.
    pub(crate) fn opens(&mut self) {
        if self.opened >= self.search.limit {
            self.stop(format!("it has more than {} directories and files", self.search.limit));
        }
        self.opened += 1;
    }

    /// Whether a bound ended the search.
    pub(crate) fn is_over(&self) -> bool {
        self.survey.stopped.is_some()
    }

    fn stop(&mut self, reason: String) {
        self.survey.stopped.get_or_insert(reason);
    }

    pub(crate) fn skip(&mut self, path: String, reason: &'static str) {
        self.survey.skipped.push((path, reason));
    }

    /// A file that was read.
    pub(crate) fn file(&mut self, path: String, name: &str, content: Content) {
        self.bytes += content.bytes.len() as u64;
        if self.bytes > BYTES_READ_MAX {
            self.stop(format!("it has more than {BYTES_READ_MAX} bytes of manifests"));
        }
        if decides_files(name) || mentions(&content.bytes, self.search.text) {
            self.survey.files.insert(path, content);
        } else {
            self.survey.silent.insert(path);
        }
    }

    /// A file larger than a manifest may be: it only matters if it mentions the text, or has an end that was not read.
    pub(crate) fn large_file(&mut self, path: String, read: Option<&[u8]>) {
        self.bytes += read.map_or(0, <[u8]>::len) as u64;
        match read {
            Some(bytes) if !mentions(bytes, self.search.text) => drop(self.survey.silent.insert(path)),
            _ => self.skip(path, "is too large for a manifest"),
        }
    }

    /// A symbolic link, which is not followed. One that leads to a place within the search is met there.
    pub(crate) fn link(&mut self, below: &str, path: String, target: Option<&str>) {
        let leads =
            target.filter(|target| !target.starts_with('/')).and_then(|target| resolve(below, target));
        let is_met = leads.is_some_and(|place| place.split('/').all(|name| !name.starts_with('.')));
        if !is_met {
            self.skip(path, "is a symbolic link");
        }
    }
}

/// Whether a link of this name can lead to objects: to a manifest, or to a directory.
pub(crate) fn may_lead_to_objects(name: &str) -> bool {
    holds_objects(name) || !name.contains('.')
}

/// Whether a text stands in a file by itself, not as a part of a longer name.
pub(crate) fn mentions(bytes: &[u8], text: &str) -> bool {
    let content = String::from_utf8_lossy(bytes);
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    content.match_indices(text).any(|(at, _)| {
        let around = content.as_bytes();
        let before = at.checked_sub(1).and_then(|before| around.get(before));
        !is_part(before) && !is_part(around.get(at + text.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_the_whole_name() {
        for (content, is) in [
            ("name: web\n", true),
            ("name: \"web\"", true),
            ("path: ../web/", true),
            ("web", true),
            ("web.yaml", true),
            ("name: webhook", false),
            ("name: my-web", false),
            ("name: web-2 # not web2", false),
            ("name: web-2 # web", true),
        ] {
            assert_eq!(mentions(content.as_bytes(), "web"), is, "{content}");
        }
        assert!(mentions(b"\xff name: web", "web"), "a file that is not UTF-8 is refused by name later");
    }
}
