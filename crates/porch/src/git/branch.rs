//! Moves a branch from the plan's base commit to its child, together with the work trees that have it checked out, or not
//! at all. From before HEAD is read until the branch is moved, the index of every work tree is locked.

use super::explain::{Refused, explain, is_unwritable, unwritable};
use super::journal::{Journal, added, settle};
use super::objects::empty_tree;
use super::target::Target;
use super::tip::Refs;
use super::worktree::{IndexLock, WorkTree, remove, sketched, work_trees};
use crate::{Outlook, PorchError};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Target<'_> {
    /// Moves the branch. Answers what the operator should know, though it is done.
    /// `known` are the paths that the step adds and those that it changes, where they are known.
    pub(super) fn move_branch(
        &self,
        refs: &Refs,
        to: &str,
        known: Option<Paths>,
    ) -> Result<Option<String>, PorchError> {
        let branch = refs.resolved.clone().unwrap_or_else(|| self.branch());
        let trees = match sketched(self.git, self.git_dir)? {
            Some(trees) => trees,
            None => work_trees(self.git, self.git_dir)?,
        };
        let locks = self.locks_git_takes(&branch, &trees);
        let mut journal = Journal {
            trees: paths(&on(&trees, &branch)),
            from: refs.tip.clone(),
            to: to.to_owned(),
            branch,
            locks,
        };
        // Before the first lock, so that no lock left by a kill lacks a journal entry.
        journal.write(self.git_dir)?;
        let Ending { moved, left } = self.move_locked(&mut journal, trees, known);
        // A git that was killed may have left a lock; the next run looks after it.
        if left == Left::Nothing && !journal.locks.iter().any(|lock| lock.exists()) {
            Journal::close(self.git_dir)?;
        }
        moved
    }

    /// The locks of all work trees are held in here.
    fn move_locked(&self, journal: &mut Journal, trees: Vec<WorkTree>, known: Option<Paths>) -> Ending {
        let nothing_done = |error| Ending { moved: Err(error), left: Left::Nothing };
        let Locked { trees, locks } = match self.lock(trees) {
            Ok(locked) => locked,
            Err(error) => return nothing_done(error),
        };
        let here = on(&trees, &journal.branch);
        if journal.trees != paths(&here) {
            journal.trees = paths(&here);
            if let Err(error) = journal.write(self.git_dir) {
                return nothing_done(error);
            }
        }
        let journal = &*journal;
        let branch = journal.branch.as_str();
        for tree in &trees {
            let reason = match tree.under_way(branch) {
                Ok(None) => continue,
                Ok(Some(what)) => format!("{what} of {branch} is under way in {}", tree.path.display()),
                Err(error) => return nothing_done(error),
            };
            return nothing_done(self.git.failed(&["update-ref"], reason, Outlook::Passing));
        }
        let step = Step { from: journal.from.as_deref(), to: &journal.to, branch, here: &here, paths: known };
        if let Err(error) = here.iter().try_for_each(|tree| self.check(tree, &step)) {
            return nothing_done(self.unless_left(&step, error));
        }
        match self.carry_out(&step) {
            Ok(()) => {
                let behind = self.finish(&step, &locks, journal).err();
                let left = if behind.is_some() { Left::Something } else { Left::Nothing };
                let note = behind.map(|error| {
                    format!("the branch is moved; a work tree follows with the next intent: {error}")
                });
                Ending { moved: Ok(note), left }
            }
            Err(error) => {
                let put_back = here.iter().try_for_each(|tree| settle(self.git, tree, journal));
                // The next run restores anything that cannot be put back now.
                let left = if put_back.is_err() { Left::Something } else { Left::Nothing };
                Ending { moved: Err(error), left }
            }
        }
    }

    /// The refusal of a work tree, or a temporary failure if a checkout was just leaving the branch there.
    fn unless_left(&self, step: &Step<'_>, refusal: PorchError) -> PorchError {
        let left = |now: &WorkTree| {
            let before = step.here.iter().find(|tree| tree.git_dir == now.git_dir);
            before.is_some_and(|before| (&before.branch, &before.head) != (&now.branch, &now.head))
        };
        match work_trees(self.git, self.git_dir).map(|trees| trees.into_iter().find(left)) {
            Ok(Some(tree)) => {
                let reason = format!("another process changes branches in {}", tree.path.display());
                self.git.failed(&["read-tree"], reason, Outlook::Passing)
            }
            Ok(None) => refusal,
            Err(error) => error,
        }
    }

    /// Locks the work trees, including any that are added meanwhile.
    fn lock(&self, mut trees: Vec<WorkTree>) -> Result<Locked, PorchError> {
        let mut locks: Vec<IndexLock> = Vec::new();
        loop {
            let before = locks.len();
            for tree in &trees {
                if !locks.iter().any(|lock| lock.is_of(tree)) {
                    locks.push(IndexLock::take(tree, self.git.patience)?);
                }
            }
            if locks.len() == before {
                return Ok(Locked { trees, locks });
            }
            // Only now: a git that changes branches takes those locks first.
            trees = work_trees(self.git, self.git_dir)?;
        }
    }

    /// The lock files that git makes when it moves a branch, without existing ones: those belong to other processes.
    fn locks_git_takes(&self, branch: &str, trees: &[WorkTree]) -> Vec<PathBuf> {
        let common = self.git_dir;
        // Relative to the shared directory, even if links lead to it from elsewhere.
        let own = |tree: &WorkTree| match tree.git_dir.file_name() {
            Some(name) if tree.git_dir != common => common.join("worktrees").join(name),
            _ => common.to_owned(),
        };
        let heads = trees.iter().map(|tree| own(tree).join("HEAD.lock"));
        let refs = [common.join(format!("{branch}.lock")), common.join("HEAD.lock")];
        heads.chain(refs).filter(|path| !path.exists()).collect()
    }

    /// Whether files and index can follow the branch. Nothing is changed: git refuses files with changes of their own.
    fn check(&self, tree: &WorkTree, step: &Step<'_>) -> Result<(), PorchError> {
        let there = self.git.at(&tree.path);
        let at = |error: io::Error| PorchError::io(&tree.path, error);
        let (new, old) = match &step.paths {
            Some(known) => known.clone(),
            None => added(&there, step.from, step.to)?,
        };
        if let Some(path) = new.iter().find(|path| is_unwritable(path)) {
            let reason = unwritable(&there, path, step.to);
            return Err(there.failed(&["read-tree"], reason, Outlook::Lasting));
        }
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
        let checked = self.read_tree(tree, step, &["-n"]).or_else(|_| {
            // What was only touched has not changed: looked at only where it matters.
            self.refresh(tree)?;
            let tried = self.read_tree(tree, step, &["-n"]);
            tried.map_err(|refusal| {
                explain(&there, Refused { from: step.from, to: step.to, old: &old, refusal })
            })
        });
        if checked.is_err() {
            remove(&tree.own_index()).map_err(at)?;
        }
        checked
    }

    /// Refreshes the index: a file that was only touched, or rewritten with the same content, has not changed.
    fn refresh(&self, tree: &WorkTree) -> Result<(), PorchError> {
        let there = self.git.at(&tree.path);
        let own = tree.own_index().display().to_string();
        let arguments = ["update-index", "-q", "--refresh"];
        let answer = there.ask_plainly(&arguments, &[("GIT_INDEX_FILE", &own)], &[])?;
        let refused = there.refused(&arguments, &answer, Outlook::Lasting);
        // Changed files are no failure here; the next step decides whether they matter.
        if answer.success || !refused.is_passing() { Ok(()) } else { Err(refused) }
    }

    /// Moves files and a copy of the index from one commit to the other.
    fn read_tree(&self, tree: &WorkTree, step: &Step<'_>, more: &[&str]) -> Result<(), PorchError> {
        let there = self.git.at(&tree.path);
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
        // In the work tree, so that its HEAD gets a reflog entry.
        let place = step.here.first().map_or(self.git.repository, |tree| &tree.path);
        let there = self.git.at(place);
        // An empty old value means "the branch does not exist yet", in repositories of every format.
        let arguments = ["update-ref", "-m", message, step.branch, step.to, step.from.unwrap_or_default()];
        there.run(&arguments, &[]).map(drop)
    }

    /// After the branch is moved, the index follows. Git's own programs release an index before they write HEAD, so a
    /// work tree may have come to the branch, or left it, since HEAD was read; that is corrected.
    fn finish(&self, step: &Step<'_>, locks: &[IndexLock], journal: &Journal) -> Result<(), PorchError> {
        for tree in step.here {
            tree.publish_index().map_err(|error| PorchError::io(tree.index(), error))?;
        }
        if locks.is_empty() {
            return Ok(());
        }
        for tree in work_trees(self.git, self.git_dir)?.iter().filter(|tree| step.is_astray(tree)) {
            let locked = locks.iter().any(|lock| lock.is_of(tree));
            let lock = if locked { None } else { Some(IndexLock::take(tree, self.git.patience)?) };
            settle(self.git, tree, journal)?;
            drop(lock);
        }
        Ok(())
    }
}

/// Paths that a step adds, and paths that it changes.
type Paths = (Vec<String>, Vec<String>);

/// Work trees whose indexes are locked.
struct Locked {
    trees: Vec<WorkTree>,
    locks: Vec<IndexLock>,
}

/// The work trees that have the branch checked out.
fn on<'t>(trees: &'t [WorkTree], branch: &str) -> Vec<&'t WorkTree> {
    trees.iter().filter(|tree| tree.branch.as_deref() == Some(branch)).collect()
}

fn paths(trees: &[&WorkTree]) -> Vec<PathBuf> {
    trees.iter().map(|tree| tree.path.clone()).collect()
}

/// The result of an attempt to move the branch.
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
    paths: Option<Paths>,
}

impl Step<'_> {
    /// Whether files and index of a work tree do not match its HEAD: it was changed and is not at the new commit, or it
    /// was not changed and is on the branch.
    fn is_astray(&self, tree: &WorkTree) -> bool {
        let changed = self.here.iter().any(|one| one.git_dir == tree.git_dir);
        let arrived = tree.head.as_deref() == Some(self.to);
        let belongs = tree.branch.as_deref() == Some(self.branch);
        if changed { !arrived } else { belongs }
    }
}

/// The entry at the place of a new file, or of a directory above it, that is not part of the step.
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
