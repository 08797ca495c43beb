//! Explains why a work tree cannot follow: git names only a file; the message adds its state and the remedy.

use super::journal::changed;
use super::run::Git;
use crate::{Outlook, PorchError};
use std::collections::BTreeSet;

/// A step that git refused in a work tree.
pub(super) struct Refused<'r> {
    pub from: Option<&'r str>,
    pub to: &'r str,
    /// Paths that the step changes and that were there before.
    pub old: &'r BTreeSet<&'r str>,
    pub refusal: PorchError,
}

/// What git says before a path that it writes nowhere, such as one through `.git`.
const INVALID: &str = "invalid path '";

/// The refusal, or the same with what is staged there, or with the commit that brought a path that git does not write. A checkout that began before a commit and went on after it stages
/// the commit's reverse; so does a person who takes it back. That is somebody's work, and never undone.
pub(super) fn explain(git: &Git<'_>, refused: Refused<'_>) -> PorchError {
    if let Some(reason) = invalid(git, &refused) {
        return git.failed(&["read-tree"], reason, Outlook::Lasting);
    }
    match staged(git, &refused) {
        Ok(Some(reason)) if !refused.refusal.is_passing() => {
            git.failed(&["read-tree"], reason, Outlook::Lasting)
        }
        // Without an explanation, the refusal itself is returned.
        _ => refused.refusal,
    }
}

fn invalid(git: &Git<'_>, refused: &Refused<'_>) -> Option<String> {
    let PorchError::Git { reason, .. } = &refused.refusal else { return None };
    let path = reason.split_once(INVALID)?.1.split('\'').next()?;
    Some(unwritable(git, path, refused.to))
}

/// Whether a path leads into a Git directory, in which git never writes for a commit.
pub(super) fn is_unwritable(path: &str) -> bool {
    path.split('/').any(|step| step.eq_ignore_ascii_case(".git"))
}

/// Says which commit up to `to` has brought a path that git does not write.
pub(super) fn unwritable(git: &Git<'_>, path: &str, to: &str) -> String {
    let log = ["log", "-1", "--format=the commit %h of %an", to, "--", &format!(":(literal){path}")];
    let found = git.run(&log, &[]).ok().map(|answer| answer.line()).filter(|line| !line.is_empty());
    let commit = found.unwrap_or_else(|| format!("a commit up to {to}"));
    format!(
        "{commit} has the path {path}, which git writes into no work tree; remove it from the branch (`git revert`)"
    )
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
