//! The packages of one commit, as the planner reads them. Only the directories that are asked for are read, by name, and
//! nothing is checked out.

use super::objects::{Found, Object};
use super::run::Git;
use crate::files::{
    Content, FILES_MAX, Files, NO_FILE, PACKAGE_BYTES_MAX, Which, base_name, decides_files, holds_objects,
    is_argo_source, is_hidden, join,
};
use crate::survey::{Search, Searching, Sort, Survey};
use crate::tree::Tree;
use crate::yaml::{BYTES_MAX, too_large};
use crate::{Outlook, PorchError};
use conductor_crypto::git_name;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Largest listing of one directory, and largest commit.
const LISTING_MAX: usize = 64 << 20;
/// Most entries of a package that are gone through, whatever they are.
const ENTRIES_MAX: usize = 100_000;
/// Longest path that a symbolic link leads to.
const LINK_MAX: usize = 4096;
/// Deepest directory of a package that is gone through.
const STEPS_MAX: usize = 64;
/// How git names a directory in a listing.
pub(super) const DIRECTORY: &str = "40000";

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is in the listing.
    pub mode: String,
    pub name: Vec<u8>,
    pub object: String,
}

impl Entry {
    pub(super) fn is_dir(&self) -> bool {
        self.mode.trim_start_matches('0') == DIRECTORY
    }

    fn is_link(&self) -> bool {
        self.mode == "120000"
    }

    fn is_submodule(&self) -> bool {
        self.mode == "160000"
    }

    fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// A commit, or an empty tree before the first one.
pub(super) struct CommitTree<'g> {
    git: &'g Git<'g>,
    /// The directory above the packages.
    directory: &'g str,
    /// The directory of everything; `None` before the first commit.
    root: Option<String>,
    /// Directories that were read, by path; `None` for what is no directory or not there.
    read: RefCell<BTreeMap<String, Option<Rc<Vec<Entry>>>>>,
    shown: String,
}

impl<'g> CommitTree<'g> {
    /// Looks at a commit. Without one, everything is absent.
    pub(super) fn read(
        git: &'g Git<'g>,
        commit: Option<&str>,
        directory: &'g str,
        branch: &str,
    ) -> Result<Self, PorchError> {
        let shown = format!("{}:{branch}", git.repository.display());
        let root = commit.map(|commit| root_of(git, commit)).transpose()?;
        Ok(Self { git, directory, root, read: RefCell::default(), shown })
    }

    /// The directory of everything.
    pub(super) fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    /// The entries of a directory of the commit; `None` when there is no directory of that path.
    pub(super) fn entries(&self, path: &str) -> Result<Option<Rc<Vec<Entry>>>, PorchError> {
        if let Some(known) = self.read.borrow().get(path) {
            return Ok(known.clone());
        }
        let object = match path.rsplit_once('/') {
            _ if path.is_empty() => self.root.clone(),
            split => {
                let (above, name) = split.unwrap_or(("", path));
                let above = self.entries(above)?;
                let is_it = |entry: &&Entry| entry.name == name.as_bytes() && entry.is_dir();
                above.and_then(|entries| entries.iter().find(is_it).map(|entry| entry.object.clone()))
            }
        };
        let entries = object.map(|object| self.listing(&object, path).map(Rc::new)).transpose()?;
        self.read.borrow_mut().insert(path.to_owned(), entries.clone());
        Ok(entries)
    }

    fn listing(&self, object: &str, path: &str) -> Result<Vec<Entry>, PorchError> {
        let Found::Object(Object { kind, bytes, .. }) = self.git.object(object, LISTING_MAX)? else {
            return Err(self.damaged(path, object));
        };
        let whole = kind == "tree" && git_name("tree", &bytes, object.len()) == object;
        whole
            .then(|| entries_of(&bytes, object.len() / 2))
            .flatten()
            .ok_or_else(|| self.damaged(path, object))
    }

    fn entry(&self, path: &str) -> Result<Option<Entry>, PorchError> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.entries(above)?;
        Ok(above.and_then(|entries| entries.iter().find(|entry| entry.name == name.as_bytes()).cloned()))
    }

    /// Refuses a path that leads through a file, a link or a submodule.
    fn check_way(&self, path: &str) -> Result<(), PorchError> {
        let steps = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        for step in steps.chain(std::iter::once(path)).filter(|step| !step.is_empty()) {
            match self.entry(step)? {
                None => return Ok(()),
                Some(entry) if entry.is_dir() => {}
                Some(entry) => {
                    let is = if entry.is_submodule() {
                        "is a submodule, whose files are in another repository: name that one in a route"
                    } else {
                        "is not a directory in the commit"
                    };
                    let reason = format!("'{step}' {is}");
                    return Err(PorchError::unfit(self.name(path), reason));
                }
            }
        }
        Ok(())
    }

    /// The bytes of a file; `None` when they are more than a package's file may have.
    fn content(&self, path: &str, entry: &Entry) -> Result<Option<Content>, PorchError> {
        match self.git.object(&entry.object, BYTES_MAX)? {
            Found::TooLarge => Ok(None),
            // Not all ways of git to read an object look whether it is that one.
            Found::Object(Object { kind, bytes, .. })
                if kind == "blob" && git_name("blob", &bytes, entry.object.len()) == entry.object =>
            {
                Ok(Some(Content { bytes, executable: entry.mode == "100755" }))
            }
            _ => Err(self.damaged(path, &entry.object)),
        }
    }

    /// One entry of a survey that is no directory.
    fn search_file(
        &self,
        searching: &mut Searching<'_>,
        below: &str,
        path: String,
        entry: &Entry,
    ) -> Result<(), PorchError> {
        let name = base_name(&path).to_owned();
        if entry.is_link() {
            let target = match self.git.object(&entry.object, LINK_MAX)? {
                Found::Object(Object { bytes, .. }) => String::from_utf8(bytes).ok(),
                _ => None,
            };
            let sort = |leads: &str| self.sort_of(&join(self.directory, leads));
            searching.link(below, path, target.as_deref(), sort)?;
        } else if entry.is_submodule() {
            searching.submodule(path);
        } else if entry.is_file() && searching.reads(&name) {
            searching.opens();
            match self.content(&path, entry)? {
                Some(content) => searching.file(path, &name, &content),
                None if searching.reads_large_files() => {
                    match self.git.object(&entry.object, LISTING_MAX)? {
                        Found::Object(Object { bytes, .. }) => searching.large_file(path, Some(&bytes)),
                        _ => searching.large_file(path, None),
                    }
                }
                None => searching.large_file(path, None),
            }
        }
        Ok(())
    }

    /// What a path is; no link on its way is followed.
    fn sort_of(&self, path: &str) -> Result<Sort, PorchError> {
        let steps = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        for step in steps.filter(|step| !step.is_empty()) {
            match self.entry(step)? {
                Some(entry) if entry.is_dir() => {}
                None => return Ok(Sort::Absent),
                Some(_) => return Ok(Sort::Other),
            }
        }
        if path.is_empty() {
            return Ok(Sort::Directory);
        }
        Ok(match self.entry(path)? {
            None => Sort::Absent,
            Some(entry) if entry.is_dir() => Sort::Directory,
            Some(entry) if entry.is_file() => Sort::File,
            Some(_) => Sort::Other,
        })
    }

    fn damaged(&self, path: &str, object: &str) -> PorchError {
        let reason = format!(
            "the object {object} of {path} is damaged or missing; look with 'git fsck', fetch it again or restore it"
        );
        self.git.failed(&["cat-file"], reason, Outlook::Lasting)
    }
}

/// The directory that a commit is of.
fn root_of(git: &Git<'_>, commit: &str) -> Result<String, PorchError> {
    if let Found::Object(Object { kind, bytes, .. }) = git.object(commit, LISTING_MAX)?
        && kind == "commit"
        && let Some(line) = String::from_utf8_lossy(&bytes).lines().next()
        && let Some(tree) = line.strip_prefix("tree ")
    {
        return Ok(tree.to_owned());
    }
    let reason = format!(
        "the commit {commit} is damaged or missing; look with 'git fsck', fetch it again or restore it"
    );
    Err(git.failed(&["cat-file"], reason, Outlook::Lasting))
}

/// Reads a listing: MODE SP NAME NUL and the object's name in bytes.
fn entries_of(bytes: &[u8], width: usize) -> Option<Vec<Entry>> {
    let (mut rest, mut entries) = (bytes, Vec::new());
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ')?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let mode = String::from_utf8(rest.get(..blank)?.to_vec()).ok()?;
        let name = rest.get(blank + 1..end)?.to_vec();
        let object = conductor_core::digest::hex(rest.get(end + 1..end + 1 + width)?);
        rest = rest.get(end + 1 + width..)?;
        entries.push(Entry { mode, name, object });
    }
    Some(entries)
}

/// What one reading of a package goes through.
struct Walk<'w, 'g> {
    tree: &'w CommitTree<'g>,
    dir: &'w str,
    which: Which,
    seen: usize,
    bytes: u64,
    files: Files,
}

impl Walk<'_, '_> {
    fn too_large<T>(&self, inner: &str) -> Result<T, PorchError> {
        Err(PorchError::unfit(self.tree.name(self.dir), format!("is too large at {inner}")))
    }

    fn directory(&mut self, place: &str, inner: &str, depth: usize) -> Result<(), PorchError> {
        let Some(entries) = self.tree.entries(place)? else { return Ok(()) };
        for entry in entries.iter() {
            self.seen += 1;
            // A name that is not UTF-8 is not one of ours.
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            let path = join(inner, name);
            if self.seen > ENTRIES_MAX || depth > STEPS_MAX {
                return self.too_large(&path);
            }
            let hidden = is_hidden(name) && self.which == Which::Objects;
            if entry.is_dir() {
                if !hidden {
                    self.directory(&join(place, name), &path, depth + 1)?;
                }
                continue;
            }
            let wanted = self.which == Which::All || (!hidden && holds_objects(name));
            if wanted && !entry.is_file() && (decides_files(name) || is_argo_source(name)) {
                return Err(PorchError::unfit(self.tree.name(&join(self.dir, &path)), NO_FILE));
            }
            if !wanted || !entry.is_file() {
                continue;
            }
            let Some(content) = self.tree.content(&path, entry)? else { return self.too_large(&path) };
            self.bytes += content.bytes.len() as u64;
            if self.bytes > PACKAGE_BYTES_MAX || self.files.len() >= FILES_MAX {
                return self.too_large(&path);
            }
            self.files.insert(path, content);
        }
        Ok(())
    }
}

impl Tree for CommitTree<'_> {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let place = join(self.directory, dir);
        self.check_way(&place)?;
        let mut walk = Walk { tree: self, dir, which, seen: 0, bytes: 0, files: Files::new() };
        walk.directory(&place, "", 0)?;
        Ok(Some(walk.files).filter(|_| walk.seen > 0))
    }

    fn file(&self, path: &str) -> Result<Option<Content>, PorchError> {
        let path = join(self.directory, path);
        let unfit = |reason: String| Err(PorchError::unfit(format!("{}/{path}", self.shown), reason));
        match self.entry(&path)? {
            None => Ok(None),
            Some(entry) if entry.is_dir() => Ok(None),
            Some(entry) if !entry.is_file() => unfit(NO_FILE.to_owned()),
            Some(entry) => {
                self.content(&path, &entry)?.map_or_else(|| unfit(too_large()), |found| Ok(Some(found)))
            }
        }
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError> {
        let Some(entries) = self.entries(&join(self.directory, dir))? else { return Ok(Vec::new()) };
        let shown = entries.iter().filter_map(|entry| {
            let name = std::str::from_utf8(&entry.name).ok().filter(|name| !name.starts_with('.'))?;
            Some(match entry {
                entry if entry.is_dir() => format!("{name}/"),
                entry if entry.is_submodule() => format!("{name} (a submodule)"),
                _ => name.to_owned(),
            })
        });
        Ok(shown.collect())
    }

    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        let mut searching = Searching::new(dir, search);
        while let Some((below, depth)) = searching.next() {
            let place = join(&join(self.directory, dir), &below);
            let Some(entries) = self.entries(&place)? else { continue };
            for entry in entries.iter() {
                let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
                if searching.wants(&below, name) {
                    let path = join(&below, name);
                    if entry.is_dir() {
                        searching.directory(path, depth);
                    } else {
                        self.search_file(&mut searching, &below, path, entry)?;
                    }
                }
                if searching.is_over() {
                    return Ok(searching.survey);
                }
            }
        }
        Ok(searching.survey)
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{}", self.shown, join(self.directory, path))
    }
}
