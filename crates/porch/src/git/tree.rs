//! The packages of one commit, as the planner reads them. Objects are read by name, never checked out.

use super::run::Git;
use crate::PorchError;
use crate::files::{
    Content, FILES_MAX, Files, KPTFILE, PACKAGE_BYTES_MAX, Tree, Which, base_name, holds_objects, join,
};
use crate::yaml::BYTES_MAX;
use std::collections::BTreeMap;

/// One file, link or submodule of a commit.
#[derive(Debug)]
struct Entry {
    mode: String,
    object: String,
    size: usize,
}

/// A commit, or nothing yet.
pub(super) struct CommitTree<'g> {
    git: &'g Git<'g>,
    /// What packages lie under.
    directory: &'g str,
    /// By full path.
    entries: BTreeMap<String, Entry>,
    shown: String,
}

impl<'g> CommitTree<'g> {
    /// Lists a commit. Without one, everything is absent.
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
                // A name that is not UTF-8 is not one of ours.
                let Some((head, path)) =
                    std::str::from_utf8(line).ok().and_then(|line| line.split_once('\t'))
                else {
                    continue;
                };
                let mut words = head.split_ascii_whitespace();
                let (mode, _, object) = (words.next(), words.next(), words.next());
                let size = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
                if let (Some(mode), Some(object)) = (mode, object) {
                    entries.insert(
                        path.to_owned(),
                        Entry { mode: mode.to_owned(), object: object.to_owned(), size },
                    );
                }
            }
        }
        let shown = format!("{}:{branch}", git.repository.display());
        Ok(Self { git, directory, entries, shown })
    }

    /// A step of the path that is a file, a link or a submodule cannot be entered.
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
            let head = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let end = head + 1 + entry.size;
            let bytes = rest.get(head + 1..end).ok_or_else(|| {
                self.git.failed(&["cat-file"], format!("{path} cannot be read from the commit"), false)
            })?;
            files.insert(path.clone(), Content { bytes: bytes.to_vec(), executable: entry.mode == "100755" });
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        Ok(files)
    }
}

impl Tree for CommitTree<'_> {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let place = join(self.directory, dir);
        self.check_way(&place)?;
        let prefix = if place.is_empty() { String::new() } else { format!("{place}/") };
        let below = self.entries.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        let (mut objects, mut count, mut bytes) = (Vec::new(), 0, 0);
        for (path, entry) in below {
            count += 1;
            let inner = path.get(prefix.len()..).unwrap_or_default();
            let hidden = inner.split('/').any(|step| step.starts_with('.'));
            let wanted = which == Which::All || (!hidden && holds_objects(base_name(inner)));
            if !wanted || !entry.mode.starts_with("100") {
                continue;
            }
            bytes += entry.size as u64;
            if entry.size > BYTES_MAX || bytes > PACKAGE_BYTES_MAX || objects.len() >= FILES_MAX {
                return Err(PorchError::unfit(self.name(dir), format!("is too large at {inner}")));
            }
            objects.push((inner.to_owned(), entry));
        }
        if count == 0 { Ok(None) } else { self.contents(&objects).map(Some) }
    }

    fn kptfile(&self, dir: &str) -> Result<Option<Vec<u8>>, PorchError> {
        let path = join(&join(self.directory, dir), KPTFILE);
        let found = self.entries.get(&path).filter(|entry| entry.mode.starts_with("100"));
        let Some(entry) = found.filter(|entry| entry.size <= BYTES_MAX) else { return Ok(None) };
        Ok(self.contents(&[(path, entry)])?.into_values().next().map(|content| content.bytes))
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{}", self.shown, join(self.directory, path))
    }
}
