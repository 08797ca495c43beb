//! Explains why a work tree cannot follow: git names only a file; the message adds its state and the remedy.

use super::journal::changed;
use super::run::Git;
use crate::{Outlook, PorchError};
use std::collections::BTreeSet;

/// A step that git refused in a work tree.
pub(super) struct Refused<'r> {
    pub from: Option<&'r str>,
    /// Paths that the step changes and that existed before.
    pub old: &'r BTreeSet<&'r str>,
    pub refusal: PorchError,
}

/// The refusal, completed by the staged changes there. A checkout that began before a commit and continued after it
/// stages the commit's reverse; so does a person who reverts it. That is another's work, and never undone.
pub(super) fn explain(git: &Git<'_>, refused: Refused<'_>) -> PorchError {
    match staged(git, &refused) {
        Ok(Some(reason)) if !refused.refusal.is_passing() => {
            git.failed(&["read-tree"], reason, Outlook::Lasting)
        }
        // Without an explanation, the refusal itself is returned.
        _ => refused.refusal,
    }
}

fn staged(git: &Git<'_>, refused: &Refused<'_>) -> Result<Option<String>, PorchError> {
    let Some(from) = refused.from else { return Ok(None) };
    let arguments = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", from];
    let all = changed(git, &git.run(&arguments, &[])?)?;
    let Some(change) = all.iter().find(|change| refused.old.contains(change.path.as_str())) else {
        return Ok(None);
    };
    let what = match &change.to {
        None => "it is removed there".to_owned(),
        Some((_, object)) => {
            let found = format!("--find-object={object}");
            let log = ["log", "-1", "--format=%h", &found, from, "--", &change.path];
            match git.run(&log, &[])?.line() {
                commit if commit.is_empty() => "with changes of its own".to_owned(),
                commit => format!(
                    "as it was before {commit}; perhaps another process changed branches while that was made"
                ),
            }
        }
    };
    let (place, path) = (git.repository.display(), &change.path);
    Ok(Some(format!(
        "{path} is staged in {place}, {what}; look with 'git -C {place} diff HEAD -- {path}', and commit it, or take what \
         the branch has with 'git -C {place} restore --staged --worktree -- {path}'"
    )))
}
