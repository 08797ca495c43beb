//! One commit for one order: made on the tip of the branch and moved into it, or pushed, and made again where somebody was faster.

use super::journal;
use super::planning::{Committed, Planning};
use super::repository::check_work_tree;
use super::run::Git;
use super::target::Target;
use crate::directory::Patience;
use crate::{Order, Outlook, PorchError, Repository};
use std::path::Path;

/// How often an edit is repeated because another process pushed first.
const PUSHES_MAX: usize = 5;
/// How often an edit is repeated because another process committed to the local branch first.
const MOVES_MAX: usize = 50;

/// Plans on the tip of the branch and commits the plan. The caller holds the lock of `git_dir`.
pub(crate) fn commit(
    repository: &Repository,
    git_dir: &Path,
    order: &Order,
    patience: &Patience<'_>,
    planning: Planning<'_>,
) -> Result<Committed, PorchError> {
    let git = Git::new(&repository.git, patience);
    if repository.push.is_some() || git.configured()?.is_partial() {
        git.check_remotes()?;
    }
    check_work_tree(&git, git_dir)?;
    journal::recover(&git, git_dir)?;
    let target = Target::new(&git, repository, git_dir)?;
    match &repository.push {
        None => target.commit_locally(order, planning),
        Some(remote) => target.commit_and_push(remote, order, planning),
    }
}

impl Target<'_> {
    fn commit_locally(&self, order: &Order, planning: Planning<'_>) -> Result<Committed, PorchError> {
        let mut moved = 0;
        loop {
            let refs = self.refs()?;
            let tip = self.local_tip(&refs)?;
            let (base, plan) = self.plan(&tip, planning)?;
            if plan.changes.is_empty() {
                return Ok(self.done(plan, None, None));
            }
            let commit = self.make_commit(tip.commit.as_deref(), &base, &plan, order)?;
            match self.move_branch(&refs, &commit, Some(self.paths(&plan))) {
                // The branch was moved from the tip to the commit, so it has it, unless somebody took it back at once.
                Ok(note) if self.contains(&commit)? => {
                    return Ok(self.done(plan, Some(commit), together(tip.note, note)));
                }
                Ok(_) if moved < MOVES_MAX => moved += 1,
                Ok(_) => {
                    let reason = format!("another process keeps moving {}", self.branch());
                    return Err(self.git.failed(&["update-ref"], reason, Outlook::Passing));
                }
                // A process that ignores our lock committed in between: repeat on top of that.
                Err(_) if moved < MOVES_MAX && self.refs()?.tip != refs.tip => moved += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn commit_and_push(
        &self,
        remote: &str,
        order: &Order,
        planning: Planning<'_>,
    ) -> Result<Committed, PorchError> {
        let place = self.place_of_push(remote)?;
        let refused = |reason: &str| {
            self.git.failed(&["push"], format!("{PUSHES_MAX} times in a row: {reason}"), Outlook::Passing)
        };
        let mut reason = String::new();
        for _ in 0..PUSHES_MAX {
            let tip = self.remote_tip(&place, &self.refs()?)?;
            let tip = self.fetched(&place, tip)?;
            let (base, plan) = self.plan(&tip, planning)?;
            if plan.changes.is_empty() {
                // The start of a missing branch is no reason to create it.
                let tip = tip.commit.filter(|_| tip.note.is_none());
                let note = tip.and_then(|tip| self.follow_or_note(&tip, None));
                return Ok(self.done(plan, None, note));
            }
            let commit = self.make_commit(tip.commit.as_deref(), &base, &plan, order)?;
            match self.push(remote, &commit)? {
                None => {
                    let followed = self.follow_or_note(&commit, tip.commit.as_ref());
                    let note = together(tip.note, followed);
                    return Ok(self.done(plan, Some(commit), note));
                }
                Some(rejection) => reason = rejection,
            }
        }
        Err(refused(&reason))
    }
}

/// Joins two notes into one.
fn together(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}
