//! The branch that an order goes to.

use super::place;
use super::run::Git;
use crate::files::join;
use crate::plan::{Change, Plan};
use crate::{Outlook, PorchError, Repository};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// One branch of one repository, and what this run has written there.
pub(super) struct Target<'t> {
    pub(super) git: &'t Git<'t>,
    pub(super) repository: &'t Repository,
    pub(super) git_dir: &'t Path,
    /// The branch, without `refs/heads/`.
    pub(super) branch: String,
    /// Files that this run has written.
    pub(super) written: RefCell<BTreeSet<String>>,
}

impl<'t> Target<'t> {
    pub(super) fn new(
        git: &'t Git<'t>,
        repository: &'t Repository,
        git_dir: &'t Path,
    ) -> Result<Self, PorchError> {
        let branch = branch_of(git, repository)?;
        Ok(Self { git, repository, git_dir, branch, written: RefCell::default() })
    }

    /// The full name of the branch.
    pub(super) fn branch(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The paths that a plan adds, and those that it changes.
    pub(super) fn paths(&self, plan: &Plan) -> (Vec<String>, Vec<String>) {
        let full = |change: &Change| {
            (join(&join(&self.repository.directory, &plan.dir), &change.path), change.before.is_none())
        };
        let (new, old): (Vec<_>, Vec<_>) = plan.changes.iter().map(full).partition(|(_, is_new)| *is_new);
        let names = |paths: Vec<(String, bool)>| paths.into_iter().map(|(path, _)| path).collect();
        (names(new), names(old))
    }
}

/// The branch to commit to: the one that is named, or the one HEAD leads to.
fn branch_of(git: &Git<'_>, repository: &Repository) -> Result<String, PorchError> {
    if let Some(branch) = &repository.branch {
        return Ok(branch.clone());
    }
    if git.configured()?.has_ref_files()
        && let Some(branch) = place::head_branch(git.repository)
    {
        return Ok(branch);
    }
    let answer = git.ask(&["symbolic-ref", "--quiet", "HEAD"], &[], &[])?;
    if !answer.success && !answer.complaint().is_empty() {
        return Err(git.refused(&["symbolic-ref"], &answer, Outlook::Lasting));
    }
    answer.line().strip_prefix("refs/heads/").map(ToOwned::to_owned).ok_or_else(|| {
        let reason = "HEAD leads to no branch (it is detached); name the branch to commit to (branch)";
        git.failed(&["symbolic-ref"], reason, Outlook::Lasting)
    })
}
