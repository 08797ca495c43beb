//! Packages in a Git repository: one commit for each intent that changes something, on a branch of a work tree or a bare
//! repository, pushed when a remote is named. Somebody else's push in between is fetched, and the edit made again on top
//! of it. A run that is killed leaves the branch where it was or where it was to go.

mod branch;
mod explain;
mod journal;
mod place;
mod run;
mod tree;
mod worktree;

pub(crate) use place::shared_directory;

use crate::directory::Patience;
use crate::files::{Tree, join};
use crate::plan::{Change, Plan};
use crate::{Order, Outlook, PorchError, Repository};
use conductor_core::limits::REASON_MAX;
use conductor_core::scrub;
use run::Git;
use std::path::{Path, PathBuf};
use tree::CommitTree;

/// How often an edit is made again because somebody else pushed first.
const PUSHES_MAX: usize = 5;
/// How often because somebody committed to the local branch first.
const MOVES_MAX: usize = 5;
/// Where the tip of the remote branch is kept while we work on it.
const BASE: &str = "refs/conductor-loop/base";
/// What stands for "there is no such branch yet" in update-ref.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Makes a plan from what is in a tree.
pub(crate) type Planning<'p> = &'p dyn Fn(&dyn Tree) -> Result<Plan, PorchError>;

/// What was committed.
#[derive(Debug)]
pub(crate) struct Committed {
    pub plan: Plan,
    /// The new commit; `None` when nothing changed.
    pub commit: Option<String>,
    /// What the operator should know, though the order is done.
    pub note: Option<String>,
}

/// The directory to lock while working on the repository.
pub(crate) fn git_directory(repository: &Repository, patience: &Patience<'_>) -> Result<PathBuf, PorchError> {
    let git = Git::new(&repository.git, patience);
    check_mounted(&git)?;
    // The work trees of one repository share refs and objects, so they share the lock.
    let answer = git.run(&["rev-parse", "--path-format=absolute", "--git-common-dir"], &[])?;
    Ok(PathBuf::from(answer.line()))
}

/// The plan for the tip of the local branch; nothing is written.
pub(crate) fn preview(
    repository: &Repository,
    patience: &Patience<'_>,
    planning: Planning<'_>,
) -> Result<Plan, PorchError> {
    let git = Git::new(&repository.git, patience);
    check_mounted(&git)?;
    let tip = Target { git: &git, repository, git_dir: Path::new("") }.local_tip()?;
    planning(&CommitTree::read(&git, tip.as_deref(), &repository.directory, &repository.branch)?)
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
    check_work_tree(&git, git_dir)?;
    journal::recover(&git, git_dir)?;
    let target = Target { git: &git, repository, git_dir };
    match &repository.push {
        None => target.commit_locally(order, planning),
        Some(remote) => target.commit_and_push(remote, order, planning),
    }
}

/// What the operator named is written to, never a repository that lies around its bare mount point.
fn check_mounted(git: &Git<'_>) -> Result<(), PorchError> {
    if !place::is_empty(git.repository) {
        return Ok(());
    }
    let reason = "it is an empty directory; mount the repository there, or make one with `git init`";
    Err(git.failed(&["rev-parse"], reason, Outlook::Lasting))
}

/// A repository may name any directory as its work tree. Only the one that the operator named is written to.
fn check_work_tree(git: &Git<'_>, git_dir: &Path) -> Result<(), PorchError> {
    let configured = git.configured()?;
    let Some(work_tree) = &configured.work_tree else { return Ok(()) };
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

/// The tree with nothing in it.
fn empty_tree(git: &Git<'_>) -> Result<String, PorchError> {
    Ok(git.run(&["hash-object", "-t", "tree", "-w", "--stdin"], &[])?.line())
}

struct Target<'t> {
    git: &'t Git<'t>,
    repository: &'t Repository,
    git_dir: &'t Path,
}

impl Target<'_> {
    fn branch(&self) -> String {
        format!("refs/heads/{}", self.repository.branch)
    }

    fn tip_of(&self, name: &str) -> Result<Option<String>, PorchError> {
        let name = format!("{name}^{{commit}}");
        let answer = self.git.ask(&["rev-parse", "--verify", "--quiet", &name], &[], &[])?;
        if !answer.success && !answer.complaint().is_empty() {
            return Err(self.git.refused(&["rev-parse"], &answer, Outlook::Lasting));
        }
        Ok(Some(answer.line()).filter(|_| answer.success))
    }

    fn local_tip(&self) -> Result<Option<String>, PorchError> {
        self.tip_of(&self.branch())
    }

    fn plan(&self, tip: Option<&str>, planning: Planning<'_>) -> Result<Plan, PorchError> {
        let (directory, branch) = (&self.repository.directory, &self.repository.branch);
        planning(&CommitTree::read(self.git, tip, directory, branch)?)
    }

    fn commit_locally(&self, order: &Order, planning: Planning<'_>) -> Result<Committed, PorchError> {
        let mut moved = 0;
        loop {
            let tip = self.local_tip()?;
            let plan = self.plan(tip.as_deref(), planning)?;
            if plan.changes.is_empty() {
                return Ok(Committed { plan, commit: None, note: None });
            }
            let commit = self.make_commit(tip.as_deref(), &plan, order)?;
            match self.move_branch(tip.as_deref(), &commit) {
                // The branch was moved from the tip to the commit, so it has it, unless somebody took it back at once.
                Ok(note) if self.contains(&commit)? => {
                    return Ok(Committed { plan, commit: Some(commit), note });
                }
                Ok(_) if moved < MOVES_MAX => moved += 1,
                Ok(_) => {
                    let reason = format!("somebody moves {} as fast as we do", self.branch());
                    return Err(self.git.failed(&["update-ref"], reason, Outlook::Passing));
                }
                // Somebody who does not know our lock committed in between: again, on top of that.
                Err(_) if moved < MOVES_MAX && self.local_tip()? != tip => moved += 1,
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
        let refused = |reason: &str| {
            self.git.failed(&["push"], format!("{PUSHES_MAX} times in a row: {reason}"), Outlook::Passing)
        };
        let mut reason = String::new();
        for _ in 0..PUSHES_MAX {
            let tip = self.fetch(remote)?;
            let plan = self.plan(tip.as_deref(), planning)?;
            if plan.changes.is_empty() {
                let note = tip.and_then(|tip| self.follow_or_note(&tip));
                return Ok(Committed { plan, commit: None, note });
            }
            let commit = self.make_commit(tip.as_deref(), &plan, order)?;
            match self.push(remote, &commit)? {
                None => {
                    let note = self.follow_or_note(&commit);
                    return Ok(Committed { plan, commit: Some(commit), note });
                }
                Some(rejection) => reason = rejection,
            }
        }
        Err(refused(&reason))
    }

    /// The tip of the remote's branch, with its objects.
    fn fetch(&self, remote: &str) -> Result<Option<String>, PorchError> {
        let branch = self.branch();
        let listed = self.git.ask(&["ls-remote", "--quiet", "--", remote, &branch], &[], &[])?;
        if !listed.success {
            return Err(self.git.refused(&["ls-remote"], &listed, Outlook::Passing));
        }
        // git lists every ref that ends like that.
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        if !listed.lines().any(|line| line.split_once('\t').is_some_and(|(_, name)| name == branch)) {
            return Ok(None);
        }
        let wanted = format!("+{branch}:{BASE}");
        let fetched = self.git.ask(
            &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &wanted],
            &[],
            &[],
        )?;
        if !fetched.success {
            return Err(self.git.refused(&["fetch"], &fetched, Outlook::Passing));
        }
        self.tip_of(BASE)
    }

    /// `Some(reason)` when somebody else was faster.
    fn push(&self, remote: &str, commit: &str) -> Result<Option<String>, PorchError> {
        let wanted = format!("{commit}:{}", self.branch());
        let answer = self.git.ask(
            &["push", "--porcelain", "--no-verify", "--no-follow-tags", "--", remote, &wanted],
            &[],
            &[],
        )?;
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
        // The other side answered and does not want it; anything else may pass.
        let refused = reason.starts_with("[remote rejected]");
        let outlook = if refused { Outlook::Lasting } else { Outlook::Passing };
        Err(self.git.failed(&["push"], format!("{reason} {}", answer.complaint()), outlook))
    }

    fn contains(&self, commit: &str) -> Result<bool, PorchError> {
        match self.local_tip()? {
            Some(tip) if tip == commit => Ok(true),
            Some(tip) => Ok(self.git.ask(&["merge-base", "--is-ancestor", commit, &tip], &[], &[])?.success),
            None => Ok(false),
        }
    }

    /// The remote has it: that the local branch does not follow is only worth a note.
    fn follow_or_note(&self, commit: &str) -> Option<String> {
        self.follow(commit).unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Brings the local branch to a pushed commit where that loses nothing.
    fn follow(&self, commit: &str) -> Result<Option<String>, PorchError> {
        let tip = self.local_tip()?;
        match &tip {
            Some(tip) if tip == commit => return Ok(None),
            Some(tip) => {
                let ancestor = self.git.ask(&["merge-base", "--is-ancestor", tip, commit], &[], &[])?;
                if !ancestor.success {
                    let reason =
                        format!("pushed; the local {} has other commits and stays", self.repository.branch);
                    return Err(self.git.failed(&["merge-base"], reason, Outlook::Lasting));
                }
            }
            None => {}
        }
        self.move_branch(tip.as_deref(), commit)
    }

    fn make_commit(&self, tip: Option<&str>, plan: &Plan, order: &Order) -> Result<String, PorchError> {
        let index = self.git_dir.join("conductor-loop.index");
        // What a killed run left; the lock of the repository is ours.
        let clean = || {
            // A private index that stays behind is cleared by the next run.
            let _ = std::fs::remove_file(&index);
            let _ = std::fs::remove_file(index.with_extension("index.lock"));
        };
        clean();
        let tree = self.write_tree(tip, plan, &index.display().to_string());
        clean();
        let tree = tree?;
        let (name, address) =
            self.repository.author_parts().unwrap_or(("conductor-loop", "conductor-loop@localhost"));
        let author = [
            ("GIT_AUTHOR_NAME", name),
            ("GIT_AUTHOR_EMAIL", address),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", address),
        ];
        let key =
            self.repository.signing_key.as_ref().map(|key| format!("user.signingKey={}", key.display()));
        let mut arguments = Vec::new();
        if let Some(key) = &key {
            arguments.extend(["-c", "gpg.format=ssh", "-c", key.as_str()]);
        }
        arguments.extend(["commit-tree", tree.as_str(), "-F", "-"]);
        if key.is_some() {
            arguments.push("-S");
        }
        if let Some(tip) = tip {
            arguments.extend(["-p", tip]);
        }
        Ok(self.git.run_with(&arguments, &author, message(plan, order).as_bytes())?.line())
    }

    fn write_tree(&self, tip: Option<&str>, plan: &Plan, index: &str) -> Result<String, PorchError> {
        let with_index = [("GIT_INDEX_FILE", index)];
        let step = |arguments: &[&str], input: &[u8]| self.git.run_with(arguments, &with_index, input);
        step(&["read-tree", tip.unwrap_or("--empty")], &[])?;
        let mut lines = Vec::new();
        for Change { path, after, .. } in &plan.changes {
            let object = self.git.run(&["hash-object", "-w", "--stdin"], &after.bytes)?.line();
            let mode = if after.executable { "100755" } else { "100644" };
            let full = join(&join(&self.repository.directory, &plan.dir), path);
            lines.extend_from_slice(format!("{mode} {object}\t{full}\0").as_bytes());
        }
        step(&["update-index", "-z", "--index-info"], &lines)?;
        Ok(step(&["write-tree"], &[])?.line())
    }
}

/// Subject, what changed, and trailers that lead back to the intent.
fn message(plan: &Plan, order: &Order) -> String {
    let (key, intent) = (&order.intent.key, &order.intent);
    let from = plan.from.map_or_else(String::new, |from| format!("from {from} "));
    let mut text = format!(
        "Scale {key} {from}to {}\n\n{}: spec.replicas of the {}.\n\n",
        plan.to,
        join(&plan.dir, &plan.file),
        plan.kind
    );
    let seq = order.provenance.seq.map(|seq| seq.to_string());
    let trailers = [
        ("Intent-SHA256", Some(&order.provenance.sha256)),
        ("Intent-Correlation-ID", order.provenance.correlation_id.as_ref()),
        ("Intent-Seq", seq.as_ref()),
        ("Intent-Source", intent.source.as_ref()),
        ("Intent-Reason", intent.reason.as_ref()),
    ];
    for (name, value) in trailers {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(&scrub::shown(value, REASON_MAX));
            text.push('\n');
        }
    }
    text
}
