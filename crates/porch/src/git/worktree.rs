//! The work trees of a repository, and the lock that git's own programs take before they change one: `index.lock`. While
//! it is ours, nobody checks out, commits or resets there, so what was read of HEAD stays true until the branch is moved.

use super::run::Git;
use crate::directory::Patience;
use crate::{Outlook, PorchError};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What our lock files say. Nobody but us writes that, so under the lock of the repository one that is there is stale.
const OURS: &[u8] = b"conductor-loop moves a branch; git's own programs wait\n";
/// How long a lock of somebody else's git is waited for; it is held for milliseconds.
const WAIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// What git keeps while somebody is in the middle of something.
const UNDER_WAY: [&str; 3] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

/// One work tree.
#[derive(Debug, Clone)]
pub(super) struct WorkTree {
    pub path: PathBuf,
    /// Its own Git directory, with HEAD and index.
    pub git_dir: PathBuf,
    /// The branch it has checked out, in full; `None` when detached.
    pub branch: Option<String>,
    /// The commit it is at.
    pub head: Option<String>,
}

/// All work trees that are there. A bare repository without linked ones has none.
pub(super) fn work_trees(git: &Git<'_>, common: &Path) -> Result<Vec<WorkTree>, PorchError> {
    let listed = git.run(&["worktree", "list", "--porcelain"], &[])?.line();
    let mut found = Vec::new();
    // A paragraph for each; the main one first.
    for (number, paragraph) in listed.split("\n\n").enumerate() {
        let word = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        let Some(path) = word("worktree ").map(PathBuf::from) else { continue };
        if paragraph.lines().any(|line| line == "bare") {
            continue;
        }
        // Of a submodule git lists the Git directory; where it is checked out is only asked there.
        let path = if number == 0 && path == common { top_of(git)? } else { path };
        let git_dir = if number == 0 { Some(common.to_owned()) } else { linked_directory(&path) };
        // One that was removed, or is on a disk that is away, has nobody in it.
        let Some(git_dir) = git_dir.filter(|_| path.is_dir()) else { continue };
        let [branch, head] = ["branch ", "HEAD "].map(|name| word(name).map(ToOwned::to_owned));
        found.push(WorkTree { path, git_dir, branch, head });
    }
    Ok(found)
}

fn top_of(git: &Git<'_>) -> Result<PathBuf, PorchError> {
    Ok(PathBuf::from(git.run(&["rev-parse", "--show-toplevel"], &[])?.line()))
}

fn linked_directory(path: &Path) -> Option<PathBuf> {
    let line = fs::read_to_string(path.join(".git")).ok()?;
    Some(path.join(line.trim_end().strip_prefix("gitdir: ")?))
}

impl WorkTree {
    /// What somebody is in the middle of there, if it has to do with the branch.
    pub(super) fn under_way(&self, branch: &str) -> Option<&'static str> {
        let rebased = ["rebase-merge/head-name", "rebase-apply/head-name"].iter().any(|name| {
            fs::read_to_string(self.git_dir.join(name)).is_ok_and(|head| head.trim_end() == branch)
        });
        if rebased {
            return Some("a rebase");
        }
        let here = self.branch.as_deref() == Some(branch);
        (here && UNDER_WAY.iter().any(|name| self.git_dir.join(name).exists())).then_some("a merge")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Where the next index is made.
    pub(super) fn own_index(&self) -> PathBuf {
        self.git_dir.join("conductor-loop.index")
    }

    /// A copy of the index to work on; none where there is no index yet.
    pub(super) fn copy_index(&self) -> io::Result<()> {
        let own = self.own_index();
        remove(&own)?;
        remove(&own.with_extension("index.lock"))?;
        let modified = match fs::metadata(self.index()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            index => index?.modified()?,
        };
        fs::copy(self.index(), &own)?;
        // By the age of its index git knows which files it has to read to see whether they have changed since.
        fs::OpenOptions::new().write(true).open(&own)?.set_modified(modified)
    }

    /// Puts the copy in the place of the index.
    pub(super) fn publish_index(&self) -> io::Result<()> {
        fs::rename(self.own_index(), self.index())
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn lock_of(tree: &WorkTree) -> PathBuf {
    tree.git_dir.join("index.lock")
}

/// The index of a work tree, locked. Given back when dropped.
pub(super) struct IndexLock {
    path: PathBuf,
}

impl IndexLock {
    pub(super) fn is_of(&self, tree: &WorkTree) -> bool {
        self.path == lock_of(tree)
    }

    /// Takes it. The caller holds the lock of the repository.
    pub(super) fn take(tree: &WorkTree, patience: &Patience<'_>) -> Result<Self, PorchError> {
        let (path, draft) = (lock_of(tree), tree.git_dir.join("conductor-loop.lock"));
        let at = |error: io::Error| PorchError::io(&path, error);
        // Complete before it has its name, so that one that a kill leaves is known for ours.
        if let Err(error) = fs::write(&draft, OURS) {
            // The reason counts; the next one writes over it.
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
                    std::thread::sleep(PAUSE); // Nothing announces the end of another git.
                }
            }
        };
        let removed = remove(&draft).map_err(at);
        taken?;
        let lock = Self { path };
        removed.map(|()| lock)
    }
}

/// Gives the complete draft the name of the lock, if that is free.
fn name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        // Not every file system has hard links. There a kill in between leaves an empty lock, which is not known for ours.
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
        // One that stays is known for ours by the next run, and says to people what it is.
        let _ = remove(&self.path);
    }
}
