//! The search around a package for files that mention its object: which entries count, and how far the search goes. A
//! directory and a commit are searched by the same rules.

use crate::PorchError;
use crate::files::{
    Content, DEPTH_MAX, Files, KRMIGNORE, KUSTOMIZATIONS, PACKAGE_BYTES_MAX, SURVEY_MAX, base_name,
    decides_files, holds_objects, is_called_like_ours, is_hidden, join, makes_objects, may_make, parent,
    resolve,
};
use crate::kinds::Kinds;
use crate::text::{Text, mentions};
use std::collections::{BTreeSet, VecDeque};

/// The content that Git LFS leaves in place of a file kept elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// The content that git-annex leaves.
const ANNEX_POINTER: &[u8] = b"/annex/objects/";
/// The beginnings of files that git-crypt and Ansible have encrypted.
const ENCRYPTED: [&[u8]; 2] = [b"\0GITCRYPT\0", b"$ANSIBLE_VAULT;"];

/// The largest number of bytes that one search reads.
const BYTES_READ_MAX: u64 = 8 * PACKAGE_BYTES_MAX;
/// The largest number of bytes that one search holds in memory: of the files that mention its text.
const BYTES_HELD_MAX: usize = 16 << 20;
/// The number of directories and files opened beside a package that is edited.
const NEIGHBOURS_MAX: usize = 256;
/// The number of directories besides them that are called like the engine's own packages; they are opened last.
const OURS_MAX: usize = 64;
/// The number of files that one of these may have without being counted: the engine makes fewer.
const OURS_FILES_MAX: usize = 4;
/// The directory that a file system makes at its own top, for root alone.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// The object of a survey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'s> {
    /// The text that a file must mention.
    pub text: &'s str,
    /// What a kustomization that builds on the package elsewhere may mention besides.
    pub names: &'s [&'s str],
    /// A path below the directory to skip.
    pub except: Option<&'s str>,
    /// Whether the object states its namespace. To one that does not, Argo CD gives one.
    pub is_said: bool,
    /// The kinds that the object may have.
    pub kinds: Kinds<'s>,
    /// The bounds, and whether what exceeds a manifest is read.
    pub extent: Extent,
}

impl Search<'_> {
    /// Whether a file may decide about the object without naming it.
    pub(crate) fn is_decided_by(&self, name: &str, text: &Text<'_>) -> bool {
        text.decides_others(name) || (!self.is_said && text.gives_namespace())
    }
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Before a package is made: everything.
    Whole,
    /// Beside a package that is edited: a part that costs little.
    Beside,
    /// Elsewhere than around a package that is edited: only deployers, policies, autoscalers and kustomizations, and as little.
    Deployers,
}

impl Extent {
    /// The number of directories and files that are opened.
    fn opened_max(self) -> usize {
        match self {
            Extent::Whole => SURVEY_MAX,
            Extent::Beside | Extent::Deployers => NEIGHBOURS_MAX,
        }
    }

    /// The number of directories opened that are called like the engine's own.
    fn ours_max(self) -> usize {
        match self {
            Extent::Whole => SURVEY_MAX,
            Extent::Beside => OURS_MAX,
            Extent::Deployers => 0,
        }
    }
}

/// What a path of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Absent,
    Directory,
    File,
    /// A symbolic link or another entry, or one behind such an entry.
    Other,
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
    /// The submodules of a commit. Their files are in another repository.
    pub submodules: Vec<String>,
    /// Whether a file that counts for no deployer may hold the object itself.
    pub may_hold_object: bool,
    /// The bound that ended the search early.
    pub stopped: Option<String>,
}

impl Survey {
    /// Whether it is no more than the answer that nobody has the object and nothing decides about it, as far as was searched.
    pub(crate) fn has_found_nothing(&self, extent: Extent) -> bool {
        let is_whole = self.stopped.is_none() || extent != Extent::Whole;
        let holds = !self.files.is_empty() || self.may_hold_object;
        is_whole && !holds && self.skipped.is_empty() && self.submodules.is_empty()
    }
}

/// One running search.
pub(crate) struct Searching<'s> {
    /// The directory, from the root of the tree.
    dir: &'s str,
    search: Search<'s>,
    /// The path to skip: its directory and its name there.
    except: Option<(&'s str, &'s str)>,
    /// The directories to open, those nearest first.
    open: VecDeque<(String, usize)>,
    /// Those that are called like the engine's own.
    ours: VecDeque<(String, usize)>,
    ours_opened: usize,
    /// How many more entries of the directory just opened are not counted.
    uncounted: usize,
    opened: usize,
    listed: usize,
    bytes: u64,
    held: usize,
    pub survey: Survey,
}

impl<'s> Searching<'s> {
    pub(crate) fn new(dir: &'s str, search: Search<'s>) -> Self {
        let open = VecDeque::from([(String::new(), 0)]);
        let survey = Survey::default();
        Self {
            dir,
            search,
            except: search.except.map(|path| (parent(path), base_name(path))),
            open,
            ours: VecDeque::new(),
            ours_opened: 0,
            uncounted: 0,
            opened: 0,
            listed: 0,
            bytes: 0,
            held: 0,
            survey,
        }
    }

    /// The next directory to open, and its depth. Hundreds of packages that the engine made cost an edit little, and are
    /// no reason for a note.
    pub(crate) fn next(&mut self) -> Option<(String, usize)> {
        self.uncounted = 0;
        let next = self.open.pop_front().or_else(|| {
            self.ours_opened += 1;
            self.uncounted = 1 + OURS_FILES_MAX;
            self.ours.pop_front().filter(|_| self.ours_opened <= self.search.extent.ours_max())
        })?;
        self.opens();
        (!self.is_over()).then_some(next)
    }

    /// A directory in a directory of this depth.
    pub(crate) fn directory(&mut self, path: String, depth: usize) {
        if depth >= DEPTH_MAX {
            self.skip(path, "is too deep");
        } else if is_called_like_ours(base_name(&path)) {
            self.ours.push_back((path, depth + 1));
        } else {
            self.open.push_back((path, depth + 1));
        }
    }

    /// Whether a file of this name is read.
    pub(crate) fn reads(&self, name: &str) -> bool {
        holds_objects(name) || (self.search.extent == Extent::Whole && makes_objects(name))
    }

    /// Whether files larger than a manifest are read.
    pub(crate) fn reads_large_files(&self) -> bool {
        self.search.extent == Extent::Whole
    }

    /// Whether an entry counts, by its name and the path of its directory.
    pub(crate) fn wants(&mut self, below: &str, name: &str) -> bool {
        self.listed += 1;
        if self.listed > SURVEY_MAX {
            self.stop(format!("more than {SURVEY_MAX} entries"));
        }
        let is_excepted = self.except == Some((below, name));
        let is_the_file_system_s = below.is_empty() && name == OF_THE_FILE_SYSTEM;
        !(is_excepted || is_the_file_system_s || is_hidden(name))
    }

    /// Counts a directory or file that is about to be opened.
    pub(crate) fn opens(&mut self) {
        if let Some(rest) = self.uncounted.checked_sub(1) {
            self.uncounted = rest;
            return;
        }
        let max = self.search.extent.opened_max();
        if self.opened >= max {
            self.stop(format!("more than {max} directories and files"));
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

    /// A submodule of a commit. It hinders nothing, because most hold no manifests of this repository, but it is told.
    pub(crate) fn submodule(&mut self, path: String) {
        self.survey.submodules.push(path);
    }

    /// A file that was read.
    pub(crate) fn file(&mut self, path: String, name: &str, content: &Content) {
        self.bytes += content.bytes.len() as u64;
        if self.bytes > BYTES_READ_MAX {
            self.stop(format!("more than {BYTES_READ_MAX} bytes of manifests"));
        }
        let said = Text::of(&content.bytes);
        let decides = self.search.is_decided_by(name, &said);
        let is_named = || {
            let mut names = std::iter::once(&self.search.text).chain(self.search.names);
            names.any(|name| said.mentions(name))
        };
        let is_target = said.mentions(self.search.text);
        if self.search.extent == Extent::Deployers {
            self.survey.may_hold_object |= is_target && said.names_kind(self.search.kinds);
            let is_kustomization = KUSTOMIZATIONS.contains(&name);
            let is_of_deployer = decides
                || name == KRMIGNORE
                || (is_kustomization && is_named())
                || (is_target && said.aims());
            if !is_of_deployer {
                return;
            }
        }
        let is_mentioned = decides || is_target;
        let is_named = || mentions(path.as_bytes(), self.search.text);
        if let Some(reason) = absent_content(name, &content.bytes, is_named) {
            self.skip(path, reason);
        } else if !holds_objects(name) {
            if is_mentioned && said.says(|text| may_make(name, text)) {
                self.skip(path, "is a template or program that makes manifests");
            }
        } else if decides_files(name) || is_mentioned {
            self.held += content.bytes.len();
            if self.held > BYTES_HELD_MAX {
                let text = self.search.text;
                return self.stop(format!(
                    "more than {} MiB of manifests that mention {text}",
                    BYTES_HELD_MAX >> 20
                ));
            }
            self.survey.files.insert(path, content.clone());
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

    /// A symbolic link, which is not followed. It is no doubt if it certainly leads to no object, or to one that is met
    /// where it is. What cannot be told of it only for the moment is an error.
    pub(crate) fn link(
        &mut self,
        below: &str,
        path: String,
        target: Option<&str>,
        sort: impl FnOnce(&str) -> Result<Sort, PorchError>,
    ) -> Result<(), PorchError> {
        let leads = target
            .filter(|target| !target.starts_with('/'))
            .and_then(|target| resolve(&join(self.dir, below), target));
        let harmless = match leads.map(|leads| (sort(&leads), leads)) {
            Some((Err(error), _)) if error.is_passing() => return Err(error),
            Some((sort, leads)) => self.is_harmless(base_name(&path), &leads, sort.unwrap_or(Sort::Other)),
            None => false,
        };
        if !harmless {
            self.skip(path, "is a symbolic link");
        }
        Ok(())
    }

    /// Whether a link of this name may lead to this place, from the root.
    fn is_harmless(&self, name: &str, leads: &str, sort: Sort) -> bool {
        // A manifest is read under its own name, and a kustomization only where it is one.
        let is_read = holds_objects(base_name(leads)) && !decides_files(name);
        match sort {
            Sort::Absent => true,
            Sort::Directory => self.searches(leads),
            Sort::File => !holds_objects(name) || (is_read && self.searches(leads)),
            Sort::Other => (!holds_objects(name) || is_read) && self.searches(leads),
        }
    }

    /// Whether the search comes by a place, from the root, or another one has.
    fn searches(&self, place: &str) -> bool {
        let inner = if self.dir.is_empty() || place == self.dir {
            place.strip_prefix(self.dir)
        } else {
            place.strip_prefix(self.dir).and_then(|rest| rest.strip_prefix('/'))
        };
        inner.is_some_and(|inner| {
            inner.split('/').all(|name| !name.starts_with('.')) && inner.split('/').count() <= DEPTH_MAX
        })
    }
}

/// Why the content of a file is not known, if it is kept elsewhere or encrypted. Content kept elsewhere counts where a
/// manifest would be read, and is no larger than one may be. Encrypted files are secrets for the most part: one counts only
/// if its path names the object, and so does a template that is kept elsewhere.
fn absent_content(name: &str, bytes: &[u8], is_named: impl FnOnce() -> bool) -> Option<&'static str> {
    let reason = if bytes.starts_with(LFS_POINTER) {
        "is a Git LFS pointer in the place of a manifest, whose content is not here (git lfs pull),"
    } else if bytes.starts_with(ANNEX_POINTER) {
        "is a git-annex pointer in the place of a manifest, whose content is not here (git annex get),"
    } else {
        let is_encrypted = ENCRYPTED.iter().any(|begin| bytes.starts_with(begin));
        return (is_encrypted && is_named()).then_some("is encrypted");
    };
    let is_too_large = size_elsewhere(bytes).is_some_and(|size| size > PACKAGE_BYTES_MAX);
    (!is_too_large && (holds_objects(name) || is_named())).then_some(reason)
}

/// The size of content that is kept elsewhere, as its pointer says it: `size 123` of Git LFS, `-s123-` of git-annex.
fn size_elsewhere(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?;
    let of_annex = || text.lines().next()?.split('-').find_map(|part| part.strip_prefix('s')?.parse().ok());
    text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse().ok()).or_else(of_annex)
}

/// Whether the content of a file is kept elsewhere.
pub(crate) fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(LFS_POINTER) || bytes.starts_with(ANNEX_POINTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_is_not_here_is_no_silence() {
        let of = |bytes: &[u8], is_named: bool| absent_content("a.yaml", bytes, || is_named).is_some();
        for pointer in
            [&b"version https://git-lfs.github.com/spec/v1\n"[..], b"/annex/objects/SHA256E-s3--0.yaml\n"]
        {
            assert!(of(pointer, false) && is_pointer(pointer));
            let template = |is_named| absent_content("a.yaml.j2", pointer, || is_named).is_some();
            assert!(template(true) && !template(false), "a template of another name hinders nothing");
        }
        for encrypted in [&b"\0GITCRYPT\0\x01"[..], b"$ANSIBLE_VAULT;1.1;AES256\n"] {
            assert!(of(encrypted, true) && !of(encrypted, false), "a secret of another name hinders nothing");
        }
        assert!(!of(b"kind: Deployment\n", true));
        for (pointer, size) in [
            ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 99999999\n", 99_999_999),
            ("/annex/objects/SHA256E-s99999999--4d.json\n", 99_999_999),
        ] {
            assert_eq!(size_elsewhere(pointer.as_bytes()), Some(size));
            assert!(!of(pointer.as_bytes(), true), "no manifest is as large");
        }
    }
}
