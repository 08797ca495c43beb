//! The packages of one commit, as the planner reads them. Objects are read by id, never checked out.

use super::run::Git;
use crate::files::{
    Content, FILES_MAX, Files, KRMIGNORE, PACKAGE_BYTES_MAX, Search, Survey, Tree, Which, base_name,
    decides_files, holds_objects, is_other_partial, join, parent,
};
use crate::yaml::BYTES_MAX;
use crate::{Outlook, PorchError};
use conductor_crypto::is_git_blob;
use std::collections::BTreeMap;

/// One file, link or submodule of a commit.
#[derive(Debug)]
struct Entry {
    mode: String,
    object: String,
    /// `None` for a submodule, and for an object that git cannot read.
    size: Option<usize>,
}

/// A commit, or an empty tree before the first one.
pub(super) struct CommitTree<'g> {
    git: &'g Git<'g>,
    /// The directory above the packages.
    directory: &'g str,
    /// The entries by full path.
    entries: BTreeMap<String, Entry>,
    shown: String,
}

impl<'g> CommitTree<'g> {
    /// Lists a commit. Without a commit, every path is absent.
    pub(super) fn read(
        git: &'g Git<'g>,
        commit: Option<&str>,
        directory: &'g str,
        branch: &str,
    ) -> Result<Self, PorchError> {
        let mut entries = BTreeMap::new();
        if let Some(commit) = commit {
            let answer = git.run(&["ls-tree", "-r", "-z", "-l", "--full-tree", commit], &[])?;
            for line in answer.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
                let Some((head, path)) = divide(line) else {
                    let line = String::from_utf8_lossy(line);
                    let reason = format!("'{line}' is no line of a listing");
                    return Err(git.failed(&["ls-tree"], reason, Outlook::Lasting));
                };
                // A name that is not UTF-8 is not one of ours.
                if let Ok(path) = std::str::from_utf8(path) {
                    entries.insert(path.to_owned(), head);
                }
            }
        }
        let shown = format!("{}:{branch}", git.repository.display());
        Ok(Self { git, directory, entries, shown })
    }

    /// Refuses a path that leads through a file, a link or a submodule.
    fn check_way(&self, path: &str) -> Result<(), PorchError> {
        let steps = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        for step in steps.chain(std::iter::once(path)).filter(|step| !step.is_empty()) {
            if self.entries.contains_key(step) {
                let reason = format!("'{step}' is not a directory in the commit");
                return Err(PorchError::unfit(self.name(path), reason));
            }
        }
        Ok(())
    }

    /// Everything below a directory, by the path from there.
    fn below(&self, place: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let prefix = if place.is_empty() { String::new() } else { format!("{place}/") };
        let from = self.entries.range(prefix.clone()..);
        from.map_while(move |(path, entry)| Some((path.strip_prefix(&prefix)?, entry)))
    }

    fn contents(&self, objects: &[(String, &Entry)]) -> Result<Files, PorchError> {
        let mut request = String::new();
        for (_, entry) in objects {
            request.push_str(&entry.object);
            request.push('\n');
        }
        let answer = self.git.run(&["cat-file", "--batch"], request.as_bytes())?;
        let mut rest = answer.stdout.as_slice();
        let mut files = Files::new();
        for (path, entry) in objects {
            // OBJECT SP type SP size LF content LF
            let head = format!("{} blob {}\n", entry.object, self.size(path, entry)?);
            let content = rest.strip_prefix(head.as_bytes()).and_then(|rest| {
                let (bytes, after) = rest.split_at_checked(self.size(path, entry).ok()?)?;
                Some((bytes, after.strip_prefix(b"\n")?))
            });
            let Some((bytes, after)) = content.filter(|(bytes, _)| is_git_blob(&entry.object, bytes)) else {
                return Err(self.damaged(path, entry));
            };
            files.insert(path.clone(), Content { bytes: bytes.to_vec(), executable: entry.mode == "100755" });
            rest = after;
        }
        Ok(files)
    }

    /// The size of a blob. An object without a size is damaged or missing, and never an empty file.
    fn size(&self, path: &str, entry: &Entry) -> Result<usize, PorchError> {
        entry.size.ok_or_else(|| self.damaged(path, entry))
    }

    fn damaged(&self, path: &str, entry: &Entry) -> PorchError {
        let reason = format!(
            "the object {} of {path} is damaged or missing; look with 'git fsck', fetch it again or restore it",
            entry.object
        );
        self.git.failed(&["cat-file"], reason, Outlook::Lasting)
    }
}

/// Parses one line of `ls-tree -l`: MODE SP type SP OBJECT SP+ SIZE TAB path.
fn divide(line: &[u8]) -> Option<(Entry, &[u8])> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (head, path) = (std::str::from_utf8(line.get(..tab)?).ok()?, line.get(tab + 1..)?);
    let words: Vec<&str> = head.split_ascii_whitespace().collect();
    let [mode, _, object, size] = words.as_slice() else { return None };
    Some((Entry { mode: (*mode).to_owned(), object: (*object).to_owned(), size: size.parse().ok() }, path))
}

impl Tree for CommitTree<'_> {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let place = join(self.directory, dir);
        self.check_way(&place)?;
        let (mut objects, mut count, mut bytes) = (Vec::new(), 0, 0);
        for (inner, entry) in self.below(&place) {
            count += 1;
            let hidden = inner.split('/').any(|step| step.starts_with('.') && step != KRMIGNORE);
            let wanted = which == Which::All || (!hidden && holds_objects(base_name(inner)));
            if !wanted || !entry.mode.starts_with("100") {
                continue;
            }
            let size = self.size(inner, entry)?;
            bytes += size as u64;
            if size > BYTES_MAX || bytes > PACKAGE_BYTES_MAX || objects.len() >= FILES_MAX {
                return Err(PorchError::unfit(self.name(dir), format!("is too large at {inner}")));
            }
            objects.push((inner.to_owned(), entry));
        }
        if count == 0 { Ok(None) } else { self.contents(&objects).map(Some) }
    }

    fn file(&self, path: &str) -> Result<Option<Content>, PorchError> {
        let path = join(self.directory, path);
        let found = self.entries.get(&path).filter(|entry| entry.mode.starts_with("100"));
        let Some(entry) = found else { return Ok(None) };
        if self.size(&path, entry)? > BYTES_MAX {
            return Ok(None);
        }
        Ok(self.contents(&[(path, entry)])?.into_values().next())
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError> {
        let mut names: Vec<String> = self
            .below(&join(self.directory, dir))
            .filter(|(inner, _)| !inner.starts_with('.'))
            .map(|(inner, _)| inner.split_inclusive('/').next().unwrap_or(inner).to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        let (mut objects, mut bytes, mut complete) = (Vec::new(), 0, true);
        for (inner, entry) in self.below(&join(self.directory, dir)) {
            let top = inner.split('/').next();
            let dirs = parent(inner).split('/');
            let hidden = dirs.into_iter().any(|step| step.starts_with('.') || is_other_partial(step));
            let name = base_name(inner);
            let counts = holds_objects(name) && (!name.starts_with('.') || decides_files(name));
            let Some(size) = entry
                .size
                .filter(|_| top != search.except && !hidden && counts && entry.mode.starts_with("100"))
            else {
                continue;
            };
            bytes += size as u64;
            if objects.len() >= search.limit || bytes > PACKAGE_BYTES_MAX {
                complete = false;
                break;
            }
            if size <= BYTES_MAX {
                objects.push((inner.to_owned(), entry));
            }
        }
        let mut files = if objects.is_empty() { Files::new() } else { self.contents(&objects)? };
        files.retain(|path, content| {
            decides_files(base_name(path))
                || std::str::from_utf8(&content.bytes).is_ok_and(|c| c.contains(search.text))
        });
        Ok(Survey { files, complete })
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{}", self.shown, join(self.directory, path))
    }
}
