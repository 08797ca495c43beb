//! Packages in a Git repository: one commit for each intent that changes something, on a branch of a work tree or a bare
//! repository, pushed if a remote is configured. A concurrent push of another process is fetched, and the edit repeated
//! on top of it. A run that is killed leaves the branch at its old or its new commit.

mod apart;
mod branch;
mod cat_file;
mod environment;
mod explain;
mod inspect;
mod journal;
mod making;
mod memory_file;
mod objects;
mod place;
mod run;
mod settings;
mod tip;
mod tree;
mod worktree;

pub use environment::{git_environment, left_out_of_git};
pub use inspect::Remark;
pub(crate) use place::shared_directory;

use crate::directory::Patience;
use crate::files::join;
use crate::plan::{Change, Plan};
use crate::tree::Tree;
use crate::{Order, Outlook, PorchError, Repository};
use conductor_core::scrub;
use objects::Found;
use run::Git;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tip::Tip;
use tree::CommitTree;

/// How often an edit is repeated because another process pushed first.
const PUSHES_MAX: usize = 5;
/// How often an edit is repeated because another process committed to the local branch first.
const MOVES_MAX: usize = 50;
/// Largest commit that is looked at.
const COMMIT_MAX: usize = 64 << 20;
/// Where the tip of the remote branch is kept while we work on it.
const BASE: &str = "refs/conductor-loop/base";
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

/// The plan for the tip of the branch, the remote's if it is pushed; nothing is written into the repository.
pub(crate) fn preview(
    repository: &Repository,
    patience: &Patience<'_>,
    planning: Planning<'_>,
) -> Result<Committed, PorchError> {
    let git = Git::new(&repository.git, patience);
    check_mounted(&git)?;
    let target = Target::new(&git, repository, Path::new(""))?;
    if git.configured()?.is_partial() {
        git.check_remotes()?;
    }
    let Some(remote) = &repository.push else {
        let tip = target.local_tip(&target.refs()?)?;
        return target.shown(tip, planning);
    };
    git.check_remotes()?;
    let remote = target.place_of_push(remote)?;
    let tip = target.remote_tip(&remote, &target.refs()?)?;
    let Some(wanted) = tip.remote_ref.clone() else { return target.shown(tip, planning) };
    // Missing objects are fetched beside the repository.
    let own = apart::Scratch::new()?;
    let git = git.apart(&shared_directory(&repository.git).join("objects"), own.path());
    let beside = Target::new(&git, repository, Path::new(""))?;
    beside.fetch(&remote, &wanted)?;
    beside.shown(tip, planning)
}

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

/// Checks that the path itself is the repository: a repository around a bare mount point is never written.
fn check_mounted(git: &Git<'_>) -> Result<(), PorchError> {
    if !place::is_empty(git.repository) {
        return Ok(());
    }
    let reason = "it is an empty directory; mount the repository there, or make one with `git init`";
    Err(git.failed(&["rev-parse"], reason, Outlook::Lasting))
}

/// Checks the work tree: a repository may name any directory as its work tree, but only the operator's is written.
fn check_work_tree(git: &Git<'_>, git_dir: &Path) -> Result<(), PorchError> {
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

/// The empty tree.
fn empty_tree(git: &Git<'_>) -> Result<String, PorchError> {
    Ok(git.run(&["hash-object", "-t", "tree", "-w", "--stdin"], &[])?.line())
}

struct Target<'t> {
    git: &'t Git<'t>,
    repository: &'t Repository,
    git_dir: &'t Path,
    /// The branch, without `refs/heads/`.
    branch: String,
    /// Files that this run has written.
    written: RefCell<BTreeSet<String>>,
}

impl<'t> Target<'t> {
    fn new(git: &'t Git<'t>, repository: &'t Repository, git_dir: &'t Path) -> Result<Self, PorchError> {
        let branch = tip::branch_of(git, repository)?;
        Ok(Self { git, repository, git_dir, branch, written: RefCell::default() })
    }

    fn branch(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The plan, and what it was made from.
    fn plan(&self, tip: &Tip, planning: Planning<'_>) -> Result<(CommitTree<'_>, Plan), PorchError> {
        let (directory, commit) = (&self.repository.directory, tip.commit.as_deref());
        let tree = CommitTree::read(self.git, commit, directory, &self.branch)?;
        let plan = planning(&tree)?;
        Ok((tree, plan))
    }

    /// The paths that a plan adds, and those that it changes.
    fn paths(&self, plan: &Plan) -> (Vec<String>, Vec<String>) {
        let full = |change: &Change| {
            (join(&join(&self.repository.directory, &plan.dir), &change.path), change.before.is_none())
        };
        let (new, old): (Vec<_>, Vec<_>) = plan.changes.iter().map(full).partition(|(_, is_new)| *is_new);
        let names = |paths: Vec<(String, bool)>| paths.into_iter().map(|(path, _)| path).collect();
        (names(new), names(old))
    }

    fn shown(&self, tip: Tip, planning: Planning<'_>) -> Result<Committed, PorchError> {
        let (_, plan) = self.plan(&tip, planning)?;
        Ok(self.done(plan, None, tip.note))
    }

    fn done(&self, plan: Plan, commit: Option<String>, note: Option<String>) -> Committed {
        Committed { plan, branch: self.branch.clone(), commit, note }
    }

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

    /// `Some(reason)` if another process was faster.
    fn push(&self, remote: &str, commit: &str) -> Result<Option<String>, PorchError> {
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

    fn contains(&self, commit: &str) -> Result<bool, PorchError> {
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
    fn follow_or_note(&self, commit: &str, known: Option<&String>) -> Option<String> {
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

/// Joins two notes into one.
fn together(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}
