//! A plan on the tip of a branch, and what is told of it.

use super::target::Target;
use super::tip::Tip;
use super::tree::CommitTree;
use crate::PorchError;
use crate::plan::Plan;
use crate::tree::Tree;

/// Makes a plan from what is in a tree.
pub(crate) type Planning<'p> = &'p dyn Fn(&dyn Tree) -> Result<Plan, PorchError>;

/// The result of a commit.
#[derive(Debug)]
pub(crate) struct Committed {
    pub plan: Plan,
    /// The branch; it may be the one that HEAD leads to.
    pub branch: String,
    /// The new commit; `None` if nothing changed.
    pub commit: Option<String>,
    /// A note for the operator, although the order is done.
    pub note: Option<String>,
}

impl Target<'_> {
    /// The plan, and what it was made from.
    pub(super) fn plan(
        &self,
        tip: &Tip,
        planning: Planning<'_>,
    ) -> Result<(CommitTree<'_>, Plan), PorchError> {
        let (directory, commit) = (&self.repository.directory, tip.commit.as_deref());
        let tree = CommitTree::read(self.git, commit, directory, &self.branch)?;
        let plan = planning(&tree)?;
        Ok((tree, plan))
    }

    /// A plan that is not carried out.
    pub(super) fn shown(&self, tip: Tip, planning: Planning<'_>) -> Result<Committed, PorchError> {
        let (_, plan) = self.plan(&tip, planning)?;
        Ok(self.done(plan, None, tip.note))
    }

    pub(super) fn done(&self, plan: Plan, commit: Option<String>, note: Option<String>) -> Committed {
        Committed { plan, branch: self.branch.clone(), commit, note }
    }
}
