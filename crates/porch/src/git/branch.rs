//! Moves a branch from the commit a plan was made on to its child, and the work trees that have it checked out with it,
//! or nothing. From before HEAD is read until the branch is moved, the index of every work tree is locked.

use super::journal::{Journal, added, settle};
use super::run::Git;
use super::worktree::{IndexLock, WorkTree, remove, work_trees};
use super::{NOTHING, Target, empty_tree};
use crate::{Outlook, PorchError};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Target<'_> {
    /// Moves the branch. Answers what the operator should know, though it is done.
    pub(super) fn move_branch(&self, from: Option<&str>, to: &str) -> Result<Option<String>, PorchError> {
        let branch = self.resolved()?;
        let trees = work_trees(self.git, self.git_dir)?;
        let locks = self.locks_git_takes(&branch, &trees);
        let journal = Journal { branch, from: from.map(ToOwned::to_owned), to: to.to_owned(), locks };
        // Before the first lock, so that none that a kill leaves stays without somebody who looks for it.
        journal.write(self.git_dir)?;
        let Ending { moved, left } = self.move_locked(&journal, &trees);
        // A git that was killed may have left a lock; the next run looks after it.
        if left == Left::Nothing && !journal.locks.iter().any(|lock| lock.exists()) {
            Journal::close(self.git_dir)?;
        }
        moved
    }

    /// The locks of all work trees are held in here.
    fn move_locked(&self, journal: &Journal, trees: &[WorkTree]) -> Ending {
        let nothing_done = |error| Ending { moved: Err(error), left: Left::Nothing };
        let mut locks = Vec::new();
        for tree in trees {
            match IndexLock::take(tree, self.git.patience) {
                Ok(lock) => locks.push(lock),
                Err(error) => return nothing_done(error),
            }
        }
        // Only now: whoever changes branches takes those locks first.
        let trees = if locks.is_empty() { Ok(Vec::new()) } else { work_trees(self.git, self.git_dir) };
        let trees = match trees {
            Ok(trees) => trees,
            Err(error) => return nothing_done(error),
        };
        let branch = journal.branch.as_str();
        if let Some((tree, what)) = trees.iter().find_map(|tree| Some((tree, tree.under_way(branch)?))) {
            let reason = format!("{what} of {branch} is under way in {}", tree.path.display());
            return nothing_done(self.git.failed(&["update-ref"], reason, Outlook::Passing));
        }
        let here: Vec<&WorkTree> =
            trees.iter().filter(|tree| tree.branch.as_deref() == Some(branch)).collect();
        let step = Step { from: journal.from.as_deref(), to: &journal.to, branch, here: &here };
        if let Err(error) = here.iter().try_for_each(|tree| self.check(tree, &step)) {
            return nothing_done(error);
        }
        match self.carry_out(&step) {
            Ok(()) => {
                let behind = self.finish(&step, &trees, journal).err();
                let left = if behind.is_some() { Left::Something } else { Left::Nothing };
                let note = behind.map(|error| {
                    format!("the branch is moved; a work tree follows with the next intent: {error}")
                });
                Ending { moved: Ok(note), left }
            }
            Err(error) => {
                let put_back = here.iter().try_for_each(|tree| settle(self.git, tree, journal));
                // What cannot be put back now is put back by the next run.
                let left = if put_back.is_err() { Left::Something } else { Left::Nothing };
                Ending { moved: Err(error), left }
            }
        }
    }

    /// The branch itself, where the name given is a symbolic one.
    fn resolved(&self) -> Result<String, PorchError> {
        let branch = self.branch();
        let answer = self.git.ask(&["symbolic-ref", "--quiet", &branch], &[], &[])?;
        if answer.success {
            return Ok(answer.line());
        }
        if answer.complaint().is_empty() {
            return Ok(branch);
        }
        Err(self.git.refused(&["symbolic-ref"], &answer, Outlook::Lasting))
    }

    /// The lock files that git makes when it moves a branch, as far as they are not there: those of others are no business
    /// of ours.
    fn locks_git_takes(&self, branch: &str, trees: &[WorkTree]) -> Vec<PathBuf> {
        let common = self.git_dir;
        // Named from the shared directory on, whatever links lead to it elsewhere.
        let own = |tree: &WorkTree| match tree.git_dir.file_name() {
            Some(name) if tree.git_dir != common => common.join("worktrees").join(name),
            _ => common.to_owned(),
        };
        let heads = trees.iter().map(|tree| own(tree).join("HEAD.lock"));
        let refs = [common.join(format!("{branch}.lock")), common.join("HEAD.lock")];
        heads.chain(refs).filter(|path| !path.exists()).collect()
    }

    /// Whether files and index can follow. Nothing is changed: git refuses here what has changes of its own.
    fn check(&self, tree: &WorkTree, step: &Step<'_>) -> Result<(), PorchError> {
        let there = Git { repository: &tree.path, patience: self.git.patience };
        let at = |error: io::Error| PorchError::io(&tree.path, error);
        let (new, old) = added(&there, step.from, step.to)?;
        let old: BTreeSet<&str> = old.iter().map(String::as_str).collect();
        for path in &new {
            if let Some(found) = in_the_way(&tree.path, path, &old).map_err(at)? {
                let reason = format!(
                    "{} is in the way and not in the repository, perhaps ignored; it is not overwritten: move it away, or \
                     commit it",
                    found.display()
                );
                return Err(there.failed(&["read-tree"], reason, Outlook::Lasting));
            }
        }
        tree.copy_index().map_err(at)?;
        let checked = self.refresh(tree).and_then(|()| self.read_tree(tree, step, &["-n"]));
        if checked.is_err() {
            remove(&tree.own_index()).map_err(at)?;
        }
        checked
    }

    /// A file that was only touched, or written again as it was, has not changed.
    fn refresh(&self, tree: &WorkTree) -> Result<(), PorchError> {
        let there = Git { repository: &tree.path, patience: self.git.patience };
        let own = tree.own_index().display().to_string();
        let arguments = ["update-index", "-q", "--refresh"];
        let answer = there.ask_plainly(&arguments, &[("GIT_INDEX_FILE", &own)], &[])?;
        let refused = there.refused(&arguments, &answer, Outlook::Lasting);
        // That some have changed is no failure here; whether they matter is seen next.
        if answer.success || !refused.is_passing() { Ok(()) } else { Err(refused) }
    }

    /// Files and a copy of the index, from one commit to the other.
    fn read_tree(&self, tree: &WorkTree, step: &Step<'_>, more: &[&str]) -> Result<(), PorchError> {
        let there = Git { repository: &tree.path, patience: self.git.patience };
        let own = tree.own_index().display().to_string();
        let empty = if step.from.is_none() { empty_tree(self.git)? } else { String::new() };
        let commits = [step.from.unwrap_or(&empty), step.to];
        let arguments = [&["read-tree", "-m", "-u", "--no-recurse-submodules"], more, &commits].concat();
        there.plainly(&arguments, &[("GIT_INDEX_FILE", &own)], &[]).map(drop)
    }

    fn carry_out(&self, step: &Step<'_>) -> Result<(), PorchError> {
        for tree in step.here {
            self.read_tree(tree, step, &[])?;
        }
        let message = "conductor-loop: commit package";
        // In the work tree, so that its HEAD keeps a log of it.
        let place = step.here.first().map_or(self.git.repository, |tree| &tree.path);
        let there = Git { repository: place, patience: self.git.patience };
        let arguments = ["update-ref", "-m", message, step.branch, step.to, step.from.unwrap_or(NOTHING)];
        there.run(&arguments, &[]).map(drop)
    }

    /// The branch is moved: the index follows, and so do work trees that came to the branch in the same instant.
    fn finish(&self, step: &Step<'_>, trees: &[WorkTree], journal: &Journal) -> Result<(), PorchError> {
        for tree in step.here {
            tree.publish_index().map_err(|error| PorchError::io(tree.index(), error))?;
        }
        if trees.len() > step.here.len() {
            let arrived = work_trees(self.git, self.git_dir)?;
            let known = |tree: &WorkTree| step.here.iter().any(|one| one.path == tree.path);
            for tree in
                arrived.iter().filter(|tree| tree.branch.as_deref() == Some(step.branch) && !known(tree))
            {
                settle(self.git, tree, journal)?;
            }
        }
        Ok(())
    }
}

/// How an attempt to move the branch ended.
struct Ending {
    moved: Result<Option<String>, PorchError>,
    left: Left,
}

/// Whether the journal is still needed.
#[derive(PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

struct Step<'s> {
    from: Option<&'s str>,
    to: &'s str,
    branch: &'s str,
    here: &'s [&'s WorkTree],
}

/// What lies where a new file is to be, or where a directory above it is to be, and is not part of the step.
fn in_the_way(top: &Path, path: &str, old: &BTreeSet<&str>) -> io::Result<Option<PathBuf>> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let part = path.get(..end).unwrap_or(path);
        let full = top.join(part);
        let is_dir = match fs::symlink_metadata(&full) {
            Ok(found) => found.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let below = format!("{part}/");
        let changes_too = old.contains(part)
            || old.range(below.as_str()..).next().is_some_and(|next| next.starts_with(&below));
        match (is_dir, end == path.len()) {
            (true, false) => {}
            _ if changes_too => return Ok(None),
            (true, true) if fs::read_dir(&full)?.next().is_none() => return Ok(None),
            _ => return Ok(Some(full)),
        }
    }
    Ok(None)
}
