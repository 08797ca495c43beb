//! The work trees of a repository, and the lock that git's own programs take before they change one: `index.lock`. While
//! we hold it, no git checks out, commits or resets there, so HEAD stays as read until the branch is moved.

#![expect(
    clippy::disallowed_methods,
    reason = "a repository is the operator's, and git names its files by path"
)]

use super::run::Git;
use crate::directory::Patience;
use crate::{Outlook, PorchError};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The content of our lock files. No other program writes it, so under the lock of the repository an existing one is stale.
const OURS: &[u8] = b"conductor-loop moves a branch; git's own programs wait\n";
/// How long to wait for the lock of another git; git holds it for milliseconds.
const WAIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// Files that git keeps during an unfinished operation.
const UNDER_WAY: [&str; 3] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

/// One work tree.
#[derive(Debug, Clone)]
pub(super) struct WorkTree {
    pub path: PathBuf,
    /// Its own Git directory, with HEAD and index.
    pub git_dir: PathBuf,
    /// The branch it has checked out, in full; `None` when detached.
    pub branch: Option<String>,
    /// Its current commit.
    pub head: Option<String>,
}

/// All existing work trees. A bare repository without linked ones has none.
pub(super) fn work_trees(git: &Git<'_>, common: &Path) -> Result<Vec<WorkTree>, PorchError> {
    if git.configured()?.is_bare() && !common.join("worktrees").exists() {
        return Ok(Vec::new());
    }
    let listed = git.run(&["worktree", "list", "--porcelain"], &[])?.line();
    let mut found = Vec::new();
    // A paragraph for each work tree; the main one first.
    for (number, paragraph) in listed.split("\n\n").enumerate() {
        let word = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        let Some(path) = word("worktree ").map(PathBuf::from) else { continue };
        if paragraph.lines().any(|line| line == "bare") {
            continue;
        }
        // For a submodule git lists the Git directory; only a command there tells the place of its checkout.
        let path = if number == 0 && path == common { top_of(git)? } else { path };
        let git_dir = if number == 0 { Some(common.to_owned()) } else { linked_directory(&path) };
        // A work tree that was removed, or is on an absent disk, is skipped.
        let Some(git_dir) = git_dir.filter(|_| path.is_dir()) else { continue };
        let [branch, head] = ["branch ", "HEAD "].map(|name| word(name).map(ToOwned::to_owned));
        found.push(WorkTree { path, git_dir, branch, head });
    }
    Ok(found)
}

/// The same as far as files tell, without asking git: what to lock before it is asked. `None` where they do not tell enough.
pub(super) fn sketched(git: &Git<'_>, common: &Path) -> Result<Option<Vec<WorkTree>>, PorchError> {
    let configured = git.configured()?;
    if configured.is_bare() || configured.work_tree().is_some() || !configured.has_ref_files() {
        return Ok(None);
    }
    let main = common.parent().filter(|_| common.file_name().is_some_and(|name| name == ".git"));
    let Some(main) = main else { return Ok(None) };
    let at = |path: &Path, git_dir: &Path| {
        let head = fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
        let branch = head.trim_end().strip_prefix("ref: ").map(ToOwned::to_owned);
        WorkTree { path: path.to_owned(), git_dir: git_dir.to_owned(), branch, head: None }
    };
    let mut found = vec![at(main, common)];
    let listed = fs::read_dir(common.join("worktrees")).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let linked = match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return Ok(None),
        Ok(linked) => linked,
    };
    for entry in linked {
        // Absolute, or from here on.
        let told = fs::read_to_string(entry.path().join("gitdir")).unwrap_or_default();
        let path = entry.path().join(told.trim_end()).parent().map(ToOwned::to_owned);
        if let Some((path, git_dir)) = path.and_then(|path| linked_directory(&path).map(|dir| (path, dir))) {
            found.push(at(&path, &git_dir));
        }
    }
    Ok(Some(found))
}

fn top_of(git: &Git<'_>) -> Result<PathBuf, PorchError> {
    Ok(PathBuf::from(git.run(&["rev-parse", "--show-toplevel"], &[])?.line()))
}

/// Its own Git directory, by one name only, whatever links lead there.
fn linked_directory(path: &Path) -> Option<PathBuf> {
    let line = fs::read_to_string(path.join(".git")).ok()?;
    fs::canonicalize(path.join(line.trim_end().strip_prefix("gitdir: ")?)).ok()
}

impl WorkTree {
    /// The unfinished operation there, if it involves the branch. An error: what git keeps of it is there and cannot be read.
    pub(super) fn under_way(&self, branch: &str) -> Result<Option<&'static str>, PorchError> {
        for name in ["rebase-merge/head-name", "rebase-apply/head-name"] {
            if self.kept(name)?.trim_end() == branch {
                return Ok(Some("a rebase"));
            }
        }
        // `rebase --update-refs` writes three lines for each other branch that it takes along.
        if self.kept("rebase-merge/update-refs")?.lines().step_by(3).any(|name| name == branch) {
            return Ok(Some("a rebase"));
        }
        if self.branch.as_deref() != Some(branch) {
            return Ok(None);
        }
        // `git am` stays on the branch. Its `--abort` takes nothing back once the branch has moved.
        if self.has("rebase-apply/applying")? {
            return Ok(Some("`git am`"));
        }
        for name in UNDER_WAY {
            if self.has(name)? {
                return Ok(Some("a merge"));
            }
        }
        Ok(None)
    }

    /// A file of its Git directory; empty if there is none.
    fn kept(&self, name: &str) -> Result<String, PorchError> {
        let path = self.git_dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(PorchError::io(path, error)),
        }
    }

    fn has(&self, name: &str) -> Result<bool, PorchError> {
        let path = self.git_dir.join(name);
        path.try_exists().map_err(|error| PorchError::io(path, error))
    }

    pub(super) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// The path of the next index.
    pub(super) fn own_index(&self) -> PathBuf {
        self.git_dir.join("conductor-loop.index")
    }

    /// Copies the index to work on; no copy if there is no index yet.
    pub(super) fn copy_index(&self) -> io::Result<()> {
        let own = self.own_index();
        remove(&own)?;
        remove(&own.with_extension("index.lock"))?;
        let modified = match fs::metadata(self.index()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            index => index?.modified()?,
        };
        fs::copy(self.index(), &own)?;
        // git uses the age of its index to decide which files it must read again.
        fs::OpenOptions::new().write(true).open(&own)?.set_modified(modified)
    }

    /// Renames the copy over the index.
    pub(super) fn publish_index(&self) -> io::Result<()> {
        fs::rename(self.own_index(), self.index())
    }
}

/// Removes a file, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn lock_of(tree: &WorkTree) -> PathBuf {
    tree.git_dir.join("index.lock")
}

/// The lock on a work tree's index. Released when dropped.
pub(super) struct IndexLock {
    path: PathBuf,
}

impl IndexLock {
    pub(super) fn is_of(&self, tree: &WorkTree) -> bool {
        self.path == lock_of(tree)
    }

    /// Takes the lock. The caller holds the lock of the repository.
    pub(super) fn take(tree: &WorkTree, patience: &Patience<'_>) -> Result<Self, PorchError> {
        let (path, draft) = (lock_of(tree), tree.git_dir.join("conductor-loop.lock"));
        let at = |error: io::Error| PorchError::io(&path, error);
        // Complete before it has its name, so that a lock left by a kill is recognised as ours.
        if let Err(error) = fs::write(&draft, OURS) {
            // The first error counts; the next run overwrites the draft.
            let _ = fs::remove_file(&draft);
            return Err(at(error));
        }
        let begin = Instant::now();
        let taken = loop {
            match name(&draft, &path) {
                Ok(()) => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => break Err(at(error)),
            }
            match fs::read(&path) {
                Ok(content) if content == OURS => remove(&path).map_err(at)?,
                _ if begin.elapsed() > WAIT => {
                    break Err(PorchError::Git {
                        step: "index".to_owned(),
                        repository: tree.path.display().to_string(),
                        reason: format!(
                            "another git works there, or was killed there: '{}' exists; remove it when no git runs",
                            path.display()
                        ),
                        outlook: Outlook::Passing,
                    });
                }
                _ => {
                    patience.look()?;
                    std::thread::sleep(PAUSE); // The end of another git is not announced.
                }
            }
        };
        let removed = remove(&draft).map_err(at);
        taken?;
        let lock = Self { path };
        removed.map(|()| lock)
    }
}

/// Renames the complete draft to the lock's name, if that is free.
fn name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        // Some file systems have no hard links. There a kill in between leaves an empty lock, which is not recognised as ours.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            fs::File::create_new(path)?.write_all(OURS)
        }
        linked => linked,
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        // A lock that stays is recognised as ours by the next run, and its text informs people.
        let _ = remove(&self.path);
    }
}
