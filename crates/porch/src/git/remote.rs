//! A commit that goes to a remote: the push, and the local branch that follows it where that loses nothing.

use super::objects::Found;
use super::target::Target;
use crate::{Outlook, PorchError};
use conductor_core::scrub;

/// Largest commit that is looked at.
const COMMIT_MAX: usize = 64 << 20;

impl Target<'_> {
    /// `Some(reason)` if another process was faster.
    pub(super) fn push(&self, remote: &str, commit: &str) -> Result<Option<String>, PorchError> {
        let wanted = format!("{commit}:{}", self.branch());
        // One branch is pushed, whatever else the remote is configured for.
        let one = format!("remote.{remote}.mirror=false");
        let mut arguments =
            if self.git.configured()?.is_mirror(remote) { vec!["-c", &one] } else { Vec::new() };
        arguments.extend(["push", "--porcelain", "--progress", "--no-verify", "--no-follow-tags"]);
        arguments.extend(["--no-recurse-submodules", "--", remote, wanted.as_str()]);
        let answer = self.git.ask(&arguments, &[], &[])?;
        if answer.success {
            return Ok(None);
        }
        let report = String::from_utf8_lossy(&answer.stdout).into_owned();
        let line = report.lines().find(|line| line.starts_with('!')).unwrap_or_default();
        let reason = scrub::line(line.rsplit('\t').next().unwrap_or_default(), 200);
        let raced = reason.starts_with("[rejected]")
            || reason.contains("cannot lock ref")
            || reason.contains("failed to update ref");
        if raced {
            return Ok(Some(reason));
        }
        // The remote answered and refuses the push, or has a ref that ends with the branch's full name, which a person
        // has to remove; any other failure may be temporary.
        let refused =
            reason.starts_with("[remote rejected]") || answer.stderr.contains("matches more than one");
        let outlook = if refused { Outlook::Lasting } else { Outlook::Passing };
        Err(self.git.failed(&["push"], format!("{reason} {}", answer.complaint()), outlook))
    }

    /// Whether the branch has a commit.
    pub(super) fn contains(&self, commit: &str) -> Result<bool, PorchError> {
        // Asked of the git that reads objects, which looks at the refs anew.
        let name = format!("{}^{{commit}}", self.branch());
        match self.git.object(&name, COMMIT_MAX)? {
            Found::Object(tip) if tip.id == commit => Ok(true),
            Found::Object(tip) => {
                Ok(self.git.ask(&["merge-base", "--is-ancestor", commit, &tip.id], &[], &[])?.success)
            }
            Found::Missing | Found::TooLarge => Ok(false),
        }
    }

    /// The remote has it: that the local branch does not follow is only worth a note.
    pub(super) fn follow_or_note(&self, commit: &str, known: Option<&String>) -> Option<String> {
        self.follow(commit, known).unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Brings the local branch to a pushed commit where that loses nothing.
    /// `known` is an ancestor of it.
    fn follow(&self, commit: &str, known: Option<&String>) -> Result<Option<String>, PorchError> {
        let refs = self.refs()?;
        match &refs.tip {
            Some(tip) if tip == commit => return Ok(None),
            Some(tip) if known == Some(tip) => {}
            Some(tip) => {
                let ancestor = self.git.ask(&["merge-base", "--is-ancestor", tip, commit], &[], &[])?;
                if !ancestor.success {
                    let reason = format!("pushed; the local {} has other commits and stays", self.branch);
                    return Err(self.git.failed(&["merge-base"], reason, Outlook::Lasting));
                }
            }
            None => {}
        }
        self.move_branch(&refs, commit, None)
    }
}
