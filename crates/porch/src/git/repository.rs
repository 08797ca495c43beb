//! The repository that a route leads to: where its refs and objects are, and whether it is the one that the operator means.

use super::place;
use super::run::Git;
use crate::directory::Patience;
use crate::{Outlook, PorchError, Repository};
use std::path::{Path, PathBuf};

/// The directory to lock during work on the repository.
pub(crate) fn git_directory(repository: &Repository, patience: &Patience<'_>) -> Result<PathBuf, PorchError> {
    let git = Git::new(&repository.git, patience);
    check_mounted(&git)?;
    // The work trees of one repository share refs and objects, so they share the lock.
    if let Some(found) = place::find(&repository.git) {
        return Ok(found);
    }
    let answer = git.run(&["rev-parse", "--path-format=absolute", "--git-common-dir"], &[])?;
    Ok(PathBuf::from(answer.line()))
}

/// Checks that the path itself is the repository: a repository around a bare mount point is never written.
pub(super) fn check_mounted(git: &Git<'_>) -> Result<(), PorchError> {
    if !place::is_empty(git.repository) {
        return Ok(());
    }
    let reason = "it is an empty directory; mount the repository there, or make one with `git init`";
    Err(git.failed(&["rev-parse"], reason, Outlook::Lasting))
}

/// Checks the work tree: a repository may name any directory as its work tree, but only the operator's is written.
pub(super) fn check_work_tree(git: &Git<'_>, git_dir: &Path) -> Result<(), PorchError> {
    let configured = git.configured()?;
    let Some(work_tree) = configured.work_tree() else { return Ok(()) };
    let at = |path: &Path| std::fs::canonicalize(path).map_err(|error| PorchError::io(path, error));
    let named = at(&git_dir.join(work_tree))?;
    if at(git.repository)?.starts_with(&named) {
        return Ok(());
    }
    let reason = format!(
        "core.worktree leads to {}, which is not where the route leads; name that directory, or unset core.worktree",
        named.display()
    );
    Err(git.failed(&["config"], reason, Outlook::Lasting))
}
