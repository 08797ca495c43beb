//! The engine: assigns an order to its place, locks the place, plans, and carries out the plan.

use crate::directory::{self, Directory, Durability, Locks, Memo, Patience, Written, lock};
use crate::files::join;
use crate::outcome::{Applied, ObjectName, Outcome, Replicas};
use crate::plan::{Plan, Style, plan};
use crate::routes::Assignment;
use crate::tree::Tree;
use crate::{Form, Order, PorchError, Repository, Routes, git};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The settings shared by all orders.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory for packages that belong to no repository.
    pub out: PathBuf,
    /// The form of new packages.
    pub form: Form,
    /// Whether a structured package gets a kustomize Component.
    pub kustomize: bool,
    /// The package that new ones are copied from, unless a route names another.
    pub base: Option<PathBuf>,
    /// The operator's routes.
    pub routes: Routes,
    /// The repository for packages without a route, instead of `out`.
    pub repository: Option<Repository>,
    /// Whether packages in directories are on the disk when an order is done; otherwise the caller syncs (the previous
    /// package is safe in any case).
    pub durable: bool,
}

impl Settings {
    /// Direct form into a directory, at the default places, synced before an order is done.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            form: Form::Direct,
            kustomize: false,
            base: None,
            routes: Routes::default(),
            repository: None,
            durable: true,
        }
    }
}

/// How often an order is planned again because another process changed the package meanwhile.
const PLANS_MAX: u32 = 20;
/// The pause for that process to finish, longer each time.
const PLAN_PAUSE: Duration = Duration::from_micros(500);

/// The package engine. Threads may share it.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// The device of the output directory, if its file system keeps the order of data and renames; determined once.
    ordered: OnceLock<Option<u64>>,
    /// What searches around packages in the output directory have read.
    memo: Arc<Memo>,
}

impl Engine {
    /// Makes an engine; nothing is opened yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ordered: OnceLock::new(), memo: Arc::default() }
    }

    /// Carries an order out.
    pub fn apply(&self, order: &Order, patience: &Patience<'_>) -> Result<Applied, PorchError> {
        order.replicas()?;
        let assignment = self.settings.routes.assign(order)?;
        match self.repository(&assignment) {
            None => self.in_directory(order, &assignment, patience),
            Some(repository) => self.in_repository(order, &assignment, repository, patience),
        }
    }

    /// The result that [`Engine::apply`] would have. Nothing is written or locked.
    pub fn preview(&self, order: &Order, patience: &Patience<'_>) -> Result<Applied, PorchError> {
        order.replicas()?;
        let assignment = self.settings.routes.assign(order)?;
        let Some(repository) = self.repository(&assignment) else {
            let tree = Directory::open(&self.settings.out)?.remembering(&self.memo);
            let plan = self.plan(&tree, order, &assignment)?;
            let outcome = Outcome { dry_run: true, ..self.outcome(order, &assignment, &plan, None) };
            return Ok(Applied { outcome, changes: plan.changes });
        };
        let planning = |tree: &dyn Tree| self.plan(tree, order, &assignment);
        let shown = git::preview(repository, patience, &planning)?;
        let outcome = self.outcome(order, &assignment, &shown.plan, Some(repository));
        let note = both(outcome.note.as_deref(), shown.note.as_deref());
        let outcome = Outcome { dry_run: true, branch: Some(shown.branch), note, ..outcome };
        Ok(Applied { outcome, changes: shown.plan.changes })
    }

    /// Whether an order may lead to a repository.
    pub fn uses_git(&self) -> bool {
        self.settings.routes.uses_git() || self.settings.repository.is_some()
    }

    /// Every repository that an order may lead to, as [`Engine::repository_of`] names it.
    pub fn repositories(&self) -> Vec<PathBuf> {
        let all = self.settings.routes.repositories().chain(self.settings.repository.as_ref());
        let mut places: Vec<PathBuf> = all.map(|repository| git::shared_directory(&repository.git)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// The repository of an order: the canonical path of the directory shared by all its work trees, which
    /// [`Engine::apply`] locks. `None` if the order goes to a directory, or if [`Engine::apply`] would refuse it before
    /// touching anything. Reads a few small files, runs no process, never waits.
    pub fn repository_of(&self, order: &Order) -> Option<PathBuf> {
        // `apply` reports the reason of a refusal.
        let assignment = self.settings.routes.assign(order).ok()?;
        self.repository(&assignment).map(|repository| git::shared_directory(&repository.git))
    }

    fn repository<'r>(&'r self, assignment: &'r Assignment) -> Option<&'r Repository> {
        assignment.repository.as_ref().or(self.settings.repository.as_ref())
    }

    fn plan(&self, tree: &dyn Tree, order: &Order, assignment: &Assignment) -> Result<Plan, PorchError> {
        let Settings { form, kustomize, .. } = self.settings;
        let kustomize = kustomize || assignment.kustomize;
        let base = assignment.base.as_ref().or(self.settings.base.as_ref());
        let base = base.map(|path| Directory::open(path)).transpose()?;
        let base = base.as_ref().map(|base| base as &dyn Tree);
        plan(tree, order, assignment, &Style { form, kustomize, base })
    }

    fn in_directory(
        &self,
        order: &Order,
        assignment: &Assignment,
        patience: &Patience<'_>,
    ) -> Result<Applied, PorchError> {
        let out = &self.settings.out;
        let mut tree = Directory::open(out)?.remembering(&self.memo).believing(order.came)?;
        let ordered = *self.ordered.get_or_init(|| tree.ordered_device());
        let durability = Durability { at_once: self.settings.durable, ordered };
        let mut locks = Locks::default();
        for turn in 1..=PLANS_MAX {
            let plan = self.plan(&tree, order, assignment)?;
            let written = directory::write(&tree, &plan, durability, patience, locks);
            tree.wrote(&plan);
            if written? == Written::Done {
                let outcome = self.outcome(order, assignment, &plan, None);
                return Ok(Applied { outcome, changes: plan.changes });
            }
            patience.look()?;
            // The end of a write by somebody who does not lock is not announced.
            std::thread::sleep(PLAN_PAUSE * turn);
            locks = Locks::take(&tree, &plan, patience)?;
            tree.believe_nobody();
        }
        Err(PorchError::Contended { place: out.display().to_string(), plans: PLANS_MAX })
    }

    fn in_repository(
        &self,
        order: &Order,
        assignment: &Assignment,
        repository: &Repository,
        patience: &Patience<'_>,
    ) -> Result<Applied, PorchError> {
        let git_dir = git::git_directory(repository, patience)?;
        let shown = git_dir.display().to_string();
        let _lock = lock(directory::open_root(&git_dir)?, &shown, patience)?;
        let planning = |tree: &dyn Tree| self.plan(tree, order, assignment);
        let done = git::commit(repository, &git_dir, order, patience, &planning)?;
        let outcome = self.outcome(order, assignment, &done.plan, Some(repository));
        let pushed_to = repository.push.clone().filter(|_| done.commit.is_some());
        let note = both(outcome.note.as_deref(), done.note.as_deref());
        let branch = Some(done.branch);
        let outcome = Outcome { branch, commit: done.commit, pushed_to, note, ..outcome };
        Ok(Applied { outcome, changes: done.plan.changes })
    }

    fn outcome(
        &self,
        order: &Order,
        assignment: &Assignment,
        plan: &Plan,
        repository: Option<&Repository>,
    ) -> Outcome {
        let package = match repository {
            None => self.settings.out.join(&plan.dir).display().to_string(),
            Some(repository) => join(&repository.directory, &plan.dir),
        };
        Outcome {
            package,
            file: plan.file.clone(),
            object: ObjectName {
                kind: plan.kind.clone(),
                name: assignment.object.clone(),
                namespace: order.intent.key.namespace.clone(),
            },
            replicas: Replicas { from: plan.from, to: plan.to },
            form: self.settings.form,
            partial: plan.partial,
            changed: !plan.changes.is_empty(),
            dry_run: false,
            files: plan.changes.iter().map(|change| change.path.clone()).collect(),
            repository: repository.map(|repository| repository.git.display().to_string()),
            branch: None,
            commit: None,
            pushed_to: None,
            note: both(
                (plan.partial && plan.new).then(|| partial_note(plan, order)).as_deref(),
                plan.note.as_deref(),
            ),
        }
    }
}

/// Two notes as one.
fn both(first: Option<&str>, second: Option<&str>) -> Option<String> {
    let notes: Vec<&str> = first.into_iter().chain(second).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The note for a package that has only a part of the object.
fn partial_note(plan: &Plan, order: &Order) -> String {
    let key = &order.intent.key;
    format!(
        "only a part of the {} {key} is here, for server-side apply onto the one in the cluster; put the owner's package in its place",
        plan.kind
    )
}
