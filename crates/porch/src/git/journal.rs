//! The journal: the intended changes of a run to refs and work trees, in a file beside the refs. An existing one belongs
//! to a run that has ended, since we hold the lock of the repository: its leftovers are recognised by it and corrected.

#![expect(
    clippy::disallowed_methods,
    reason = "a repository is the operator's, and git names its files by path"
)]

use super::objects::empty_tree;
use super::run::{Answer, Git};
use super::worktree::{IndexLock, WorkTree, remove, work_trees};
use crate::{Outlook, PorchError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A lock file of a killed git is removed at this age: a living git holds it for milliseconds.
const STALE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// A step from one commit of a branch to another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The full name; not a symbolic ref.
    pub branch: String,
    /// `None` if the branch does not exist yet.
    pub from: Option<String>,
    pub to: String,
    /// Lock files that git may leave when it is killed, and that did not exist before.
    pub locks: Vec<PathBuf>,
    /// Work trees that have the branch checked out: they are corrected wherever their HEAD is later.
    #[serde(default)]
    pub trees: Vec<PathBuf>,
}

fn file(common: &Path) -> PathBuf {
    common.join("conductor-loop.journal")
}

/// One path of a commit: mode and object; `None` if it is absent.
type Version = Option<(String, String)>;

/// A path that the step changes.
pub(super) struct Changed {
    pub path: String,
    pub from: Version,
    pub to: Version,
}

impl Journal {
    /// Writes the journal to the disk, before any change.
    pub(super) fn write(&self, common: &Path) -> Result<(), PorchError> {
        let (path, draft) = (file(common), common.join("conductor-loop.journal.new"));
        let text = serde_json::to_vec(self).map_err(|error| PorchError::io(&path, error))?;
        let written = fs::File::create(&draft).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_data()
        });
        let named = written.and_then(|()| fs::rename(&draft, &path));
        named.map_err(|error| {
            // The journal is valid only under its own name.
            let _ = fs::remove_file(&draft);
            PorchError::io(&path, error)
        })
    }

    /// Whether the journal names only what our runs name: another writer must not choose files to remove.
    fn is_sound(&self, common: &Path) -> bool {
        let is_object = |name: &String| name.len() >= 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_lock = |path: &PathBuf| {
            path.strip_prefix(common)
                .is_ok_and(|below| below.components().all(|step| matches!(step, Component::Normal(_))))
                && path.extension().is_some_and(|end| end == "lock")
        };
        self.branch.starts_with("refs/heads/")
            && is_object(&self.to)
            && self.from.iter().all(is_object)
            && self.locks.iter().all(is_lock)
    }

    /// Whether the step changes, or may have changed, the work tree.
    fn concerns(&self, tree: &WorkTree) -> bool {
        tree.branch.as_ref() == Some(&self.branch) || self.trees.contains(&tree.path)
    }

    /// Removes the journal: everything is done, or put back.
    pub(super) fn close(common: &Path) -> Result<(), PorchError> {
        remove(&file(common)).map_err(|error| PorchError::io(file(common), error))
    }
}

/// Corrects the leftovers of a run that has ended. The caller holds the lock of the repository.
pub(super) fn recover(git: &Git<'_>, common: &Path) -> Result<(), PorchError> {
    let bytes = match fs::read(file(common)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(PorchError::io(file(common), error)),
    };
    let journal: Journal =
        serde_json::from_slice(&bytes).map_err(|error| PorchError::io(file(common), error))?;
    if !journal.is_sound(common) {
        let reason = format!("{} is not as we write it; look at it and remove it", file(common).display());
        return Err(git.failed(&["journal"], reason, Outlook::Lasting));
    }
    for lock in &journal.locks {
        remove_stale(git, lock)?;
    }
    // Without its commit there is nothing to compare with: it was on no branch, and garbage collection has removed it.
    if !git.ask(&["cat-file", "-e", &format!("{}^{{commit}}", journal.to)], &[], &[])?.success {
        return Journal::close(common);
    }
    for tree in work_trees(git, common)? {
        let lock = IndexLock::take(&tree, git.patience)?;
        // Read again: until now another process could change branches.
        let now = work_trees(git, common)?.into_iter().find(|one| one.path == tree.path);
        if let Some(tree) = now.filter(|tree| journal.concerns(tree)) {
            settle(git, &tree, &journal)?;
        }
        drop(lock);
    }
    Journal::close(common)
}

fn remove_stale(git: &Git<'_>, lock: &Path) -> Result<(), PorchError> {
    let at = |error: io::Error| PorchError::io(lock, error);
    let begin = Instant::now();
    loop {
        let modified = match fs::symlink_metadata(lock) {
            Ok(found) => found.modified().map_err(at)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(error)),
        };
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        // A clock that was set back makes the lock look young; then it is watched for that long.
        if age >= STALE || begin.elapsed() >= STALE {
            return remove(lock).map_err(at);
        }
        git.patience.look()?;
        std::thread::sleep(PAUSE); // The end of the lock's owner is not announced.
    }
}

/// Brings the changed paths of a work tree, whose index is locked, to its current HEAD. A file that is neither as before
/// the step nor as after it belongs to a person, and stays.
pub(super) fn settle(git: &Git<'_>, tree: &WorkTree, journal: &Journal) -> Result<(), PorchError> {
    let there = git.at(&tree.path);
    let at = |error: io::Error| PorchError::io(&tree.git_dir, error);
    let tip = there.ask(&["rev-parse", "--verify", "--quiet", "HEAD"], &[], &[])?;
    let tip = Some(tip.line()).filter(|line| tip.success && !line.is_empty());
    let changes = changes(&there, journal.from.as_deref(), &journal.to)?;
    let target = versions(&there, tip.as_deref(), &changes)?;
    let staged = staged(&there, &changes)?;
    let mut work = Work::default();
    for change in &changes {
        let (entry, wanted) = (staged.get(&change.path), target.get(&change.path));
        let object = |version: Option<&(String, String)>| version.map(|(_, object)| object.clone());
        let known = [object(change.from.as_ref()), object(change.to.as_ref())];
        let found = on_disk(&there, tree, &change.path)?;
        let is_ours = known.contains(&found) || is_part(&there, tree, change)?;
        if !known.contains(&object(entry)) || !is_ours {
            continue;
        }
        if entry != wanted {
            let nothing = ("0".to_owned(), "0".repeat(journal.to.len()));
            let (mode, object) = wanted.unwrap_or(&nothing);
            work.entries.extend_from_slice(format!("{mode} {object}\t{}\0", change.path).as_bytes());
        }
        if wanted.is_none() && found.is_some() {
            work.gone.push(tree.path.join(&change.path));
        } else if found != object(wanted) {
            work.write.extend_from_slice(format!("{}\0", change.path).as_bytes());
        }
    }
    tree.copy_index().map_err(at)?;
    work.carry_out(&there, tree)
}

/// The changes for a work tree.
#[derive(Default)]
struct Work {
    /// For the index.
    entries: Vec<u8>,
    /// Files to write from the index.
    write: Vec<u8>,
    /// Files to remove.
    gone: Vec<PathBuf>,
}

impl Work {
    fn carry_out(self, git: &Git<'_>, tree: &WorkTree) -> Result<(), PorchError> {
        let at = |error: io::Error| PorchError::io(&tree.git_dir, error);
        let own = tree.own_index().display().to_string();
        let with_index = [("GIT_INDEX_FILE", own.as_str())];
        if !self.entries.is_empty() {
            git.run_with(&["update-index", "-z", "--index-info"], &with_index, &self.entries)?;
        }
        if !self.write.is_empty() {
            git.plainly(&["checkout-index", "-f", "-u", "-z", "--stdin"], &with_index, &self.write)?;
        }
        for path in self.gone {
            remove(&path).map_err(at)?;
        }
        if self.entries.is_empty() && self.write.is_empty() {
            return remove(&tree.own_index()).map_err(at);
        }
        tree.publish_index().map_err(at)
    }
}

/// Whether a file is missing, or a prefix of the content that the step or its undoing writes there: so a git that was
/// killed or found no room leaves it.
fn is_part(git: &Git<'_>, tree: &WorkTree, change: &Changed) -> Result<bool, PorchError> {
    let full = tree.path.join(&change.path);
    if !is_reached(tree, &change.path)? {
        return Ok(false);
    }
    let bytes = match fs::symlink_metadata(&full) {
        Ok(found) if found.is_file() => fs::read(&full).map_err(|error| PorchError::io(&full, error))?,
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(PorchError::io(&full, error)),
    };
    let named = format!("--path={}", change.path);
    for (mode, object) in [&change.from, &change.to].into_iter().flatten() {
        let is_file = mode.starts_with("100");
        if is_file
            && git.plainly(&["cat-file", "--filters", &named, object], &[], &[])?.stdout.starts_with(&bytes)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The differences between two commits.
fn changes(git: &Git<'_>, from: Option<&str>, to: &str) -> Result<Vec<Changed>, PorchError> {
    let empty = if from.is_none() { empty_tree(git)? } else { String::new() };
    let answer = git.run(
        &["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", from.unwrap_or(&empty), to],
        &[],
    )?;
    changed(git, &answer)
}

/// Reads the lines of `--raw -z --no-abbrev`.
pub(super) fn changed(git: &Git<'_>, answer: &Answer) -> Result<Vec<Changed>, PorchError> {
    let mut fields =
        answer.stdout.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned());
    let mut found = Vec::new();
    // ":oldmode newmode oldobject newobject letter", then the path.
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let [old_mode, new_mode, old, new, _] = words.as_slice() else {
            return Err(git.failed(&["diff-tree"], format!("'{head}' is no change"), Outlook::Lasting));
        };
        let version =
            |mode: &str, object: &str| (mode != "000000").then(|| (mode.to_owned(), object.to_owned()));
        found.push(Changed { path, from: version(old_mode, old), to: version(new_mode, new) });
    }
    Ok(found)
}

/// Paths that a step adds.
pub(super) fn added(
    git: &Git<'_>,
    from: Option<&str>,
    to: &str,
) -> Result<(Vec<String>, Vec<String>), PorchError> {
    let all = changes(git, from, to)?;
    let paths = |wanted: fn(&Changed) -> bool| {
        all.iter().filter(|change| wanted(change)).map(|change| change.path.clone()).collect()
    };
    Ok((paths(|change| change.from.is_none()), paths(|change| change.from.is_some())))
}

/// The versions of the changed paths in a commit.
fn versions(
    git: &Git<'_>,
    commit: Option<&str>,
    changes: &[Changed],
) -> Result<BTreeMap<String, (String, String)>, PorchError> {
    let Some(commit) = commit else { return Ok(BTreeMap::new()) };
    // The whole listing: the paths may exceed a command line.
    let listed = git.run(&["ls-tree", "-r", "-z", "--full-tree", commit], &[])?;
    Ok(chosen(&listed.stdout, changes, |words| match words {
        [mode, _, object] => Some(((*mode).to_owned(), (*object).to_owned())),
        _ => None,
    }))
}

/// The versions of the changed paths in the index.
fn staged(git: &Git<'_>, changes: &[Changed]) -> Result<BTreeMap<String, (String, String)>, PorchError> {
    let listed = git.run(&["ls-files", "-s", "-z", "--full-name"], &[])?;
    Ok(chosen(&listed.stdout, changes, |words| match words {
        [mode, object, "0"] => Some(((*mode).to_owned(), (*object).to_owned())),
        // In the middle of a merge: not one of our versions.
        _ => Some((String::new(), String::new())),
    }))
}

fn chosen(
    listing: &[u8],
    changes: &[Changed],
    read: fn(&[&str]) -> Option<(String, String)>,
) -> BTreeMap<String, (String, String)> {
    let wanted: std::collections::BTreeSet<&str> =
        changes.iter().map(|change| change.path.as_str()).collect();
    let lines = listing.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, path)| wanted.contains(path))
        .filter_map(|(head, path)| Some((path.to_owned(), read(&head.split(' ').collect::<Vec<_>>())?)))
        .collect()
}

/// Whether only directories lead to a path, as far as they exist. An entry that replaced one of them belongs to another
/// process.
fn is_reached(tree: &WorkTree, path: &str) -> Result<bool, PorchError> {
    for (end, _) in path.match_indices('/') {
        let full = tree.path.join(path.get(..end).unwrap_or_default());
        match fs::symlink_metadata(&full) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(PorchError::io(&full, error)),
        }
    }
    Ok(true)
}

/// The object id of a file in the work tree; `None` if it is missing, and an empty id if it is neither file nor link.
fn on_disk(git: &Git<'_>, tree: &WorkTree, path: &str) -> Result<Option<String>, PorchError> {
    let full = tree.path.join(path);
    let at = |error: io::Error| PorchError::io(&full, error);
    if !is_reached(tree, path)? {
        return Ok(Some(String::new()));
    }
    let kind = match fs::symlink_metadata(&full) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    let named = format!("--path={path}");
    let answer = if kind.is_symlink() {
        let target = fs::read_link(&full).map_err(at)?.into_os_string().into_encoded_bytes();
        git.run(&["hash-object", "--no-filters", "--stdin"], &target)?
    } else if kind.is_file() {
        git.plainly(&["hash-object", &named, "--stdin"], &[], &fs::read(&full).map_err(at)?)?
    } else {
        return Ok(Some(String::new()));
    };
    Ok(Some(answer.line()))
}
