//! What is to be written where, decided from what is there. Pure: trees are read, nothing is written.

use crate::files::{Content, Files, KPTFILE, KUSTOMIZATIONS, Tree, Which, base_name, join};
use crate::objects::{self, Found, Wanted};
use crate::routes::Assignment;
use crate::yaml::{EditError, set_integer};
use crate::{Form, Order, PorchError, template};
use conductor_core::intent::TargetKey;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Relative to the package.
    pub path: String,
    /// `None` when the file is new.
    pub before: Option<Vec<u8>>,
    pub after: Content,
}

/// What is to be done to one package.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The package's directory, relative to the root of the tree.
    pub dir: String,
    /// Whether the directory is to be made.
    pub new: bool,
    /// Empty when everything is as it should be.
    pub changes: Vec<Change>,
    /// The object's file, relative to the package.
    pub file: String,
    pub kind: String,
    /// `None` when the object or its field was not there.
    pub from: Option<u32>,
    pub to: u32,
}

/// How to write, besides what the intent says.
pub(crate) struct Style<'s> {
    pub form: Form,
    pub kustomize: bool,
    /// The package a new one is copied from.
    pub base: Option<&'s dyn Tree>,
}

struct Planner<'p> {
    tree: &'p dyn Tree,
    order: &'p Order,
    assignment: &'p Assignment,
    style: &'p Style<'p>,
    replicas: u32,
}

/// What one directory has to offer.
enum Place {
    Nothing,
    NoObject,
    Package(Plan),
}

/// Plans one order. The plan has passed its own check.
pub(crate) fn plan(
    tree: &dyn Tree,
    order: &Order,
    assignment: &Assignment,
    style: &Style<'_>,
) -> Result<Plan, PorchError> {
    let planner = Planner { tree, order, assignment, style, replicas: order.replicas()? };
    let plan = match &assignment.dir {
        Some(dir) => planner.at_or_new(dir)?,
        None => planner.at_default_places()?,
    };
    if plan.new {
        planner.check(&plan).map_err(|error| PorchError::Check(error.to_string()))?;
    }
    Ok(plan)
}

impl Planner<'_> {
    fn at_default_places(&self) -> Result<Plan, PorchError> {
        let key = &self.order.intent.key;
        if self.tree.kptfile("")?.is_some() {
            return self.at_root();
        }
        let own = template::package_name(&key.target, self.style.form)
            .ok_or_else(|| PorchError::unfit(&key.target, "the name is too long for a package directory"))?;
        let in_namespace = |name: &str| join(&key.namespace, name);
        let mut places = match (&self.assignment.package, self.style.form) {
            (Some(named), _) => vec![in_namespace(named), named.clone()],
            (None, Form::Direct) => {
                vec![in_namespace(&key.target), key.target.clone(), in_namespace(&own)]
            }
            (None, Form::Structured) => vec![in_namespace(&own)],
        };
        // A directory at the top may be a namespace's; only a Kptfile makes it a package.
        places.retain(|place| {
            place.contains('/') || self.tree.kptfile(place).is_ok_and(|found| found.is_some())
        });
        for place in &places {
            if let Place::Package(plan) = self.at(place)? {
                return Ok(plan);
            }
        }
        let new = if self.style.base.is_some() { key.target.clone() } else { own };
        match &self.assignment.package {
            Some(named) if *named != new && self.style.base.is_none() => Err(PorchError::Policy(format!(
                "the intent names the package '{named}', and {} has no such package that holds {}",
                self.tree.name(""),
                key.target
            ))),
            named => self.at_or_new(&in_namespace(named.as_ref().unwrap_or(&new))),
        }
    }

    /// The root itself is the package: it holds the object, or nothing is done.
    fn at_root(&self) -> Result<Plan, PorchError> {
        match self.at("")? {
            Place::Package(plan) => Ok(plan),
            Place::Nothing | Place::NoObject => Err(self.no_object("")),
        }
    }

    fn at_or_new(&self, dir: &str) -> Result<Plan, PorchError> {
        match self.at(dir)? {
            Place::Package(plan) => Ok(plan),
            Place::Nothing => self.new_package(dir),
            Place::NoObject => Err(self.no_object(dir)),
        }
    }

    fn no_object(&self, dir: &str) -> PorchError {
        let kind = self.assignment.kind.as_deref().unwrap_or("Deployment, StatefulSet or ReplicaSet");
        let key = &self.order.intent.key;
        let reason =
            format!("it holds no {kind} {} of the namespace {}", self.assignment.object, key.namespace);
        PorchError::unfit(self.tree.name(dir), reason)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.assignment.object,
            namespace: &self.order.intent.key.namespace,
            kind: self.assignment.kind.as_deref(),
            local: self.style.form == Form::Structured,
        }
    }

    fn at(&self, dir: &str) -> Result<Place, PorchError> {
        let Some(files) = self.tree.read(dir, Which::Objects)? else { return Ok(Place::Nothing) };
        let name = self.tree.name(dir);
        let Some(found) = objects::find(&files, &self.wanted(), &name)? else { return Ok(Place::NoObject) };
        if let (Some(named), true) = (&self.assignment.package, dir.is_empty())
            && let kptfile = self.tree.kptfile("")?.unwrap_or_default()
            && let kpt_name = objects::check_kptfile(&kptfile, &name, false)?
            && kpt_name.as_ref() != Some(named)
        {
            let found = kpt_name.unwrap_or_default();
            return Err(PorchError::Policy(format!(
                "the intent names the package '{named}', and {name} is '{found}'"
            )));
        }
        let (from, after) = self.edit(&files, &found, &name)?;
        let mut changes = Vec::new();
        if let (Some(after), Some(before)) = (after, files.get(&found.file)) {
            let after = Content { bytes: after, executable: before.executable };
            changes.push(Change { path: found.file.clone(), before: Some(before.bytes.clone()), after });
        }
        let has_kustomization = KUSTOMIZATIONS.iter().any(|name| files.contains_key(*name));
        if self.style.kustomize && found.file == template::PATCH && !has_kustomization {
            let text = template::component(&self.order.intent.key, base_name(dir));
            let after = Content { bytes: text.into_bytes(), executable: false };
            changes.push(Change { path: KUSTOMIZATIONS[0].to_owned(), before: None, after });
        }
        let (dir, file, kind) = (dir.to_owned(), found.file, found.kind);
        Ok(Place::Package(Plan { dir, new: false, changes, file, kind, from, to: self.replicas }))
    }

    fn edit(
        &self,
        files: &Files,
        found: &Found,
        package: &str,
    ) -> Result<(Option<u32>, Option<Vec<u8>>), PorchError> {
        let source = files.get(&found.file).map(|content| content.bytes.as_slice()).unwrap_or_default();
        set_integer(source, &found.stream, found.document, &["spec", "replicas"], self.replicas).map_err(
            |error| match error {
                EditError::SelfCheck(_) => PorchError::Check(error.to_string()),
                _ => PorchError::unfit(format!("{package}/{}", found.file), error.to_string()),
            },
        )
    }

    /// The files a new package begins with, and how they are named to people.
    fn model(&self, dir: &str) -> Result<(Files, String), PorchError> {
        if let Some(base) = self.style.base {
            let name = base.name("");
            return match base.read("", Which::All)? {
                Some(files) => Ok((files, name)),
                None => Err(PorchError::unfit(name, "the base package is not there or empty")),
            };
        }
        let name = self.tree.name(dir);
        if self.assignment.kind.as_deref().is_some_and(|kind| kind != "Deployment") {
            // Nobody knows what else such an object needs.
            return Err(PorchError::unfit(name, "there is no such package, and no base for it"));
        }
        let Style { form, kustomize, .. } = *self.style;
        let (namespace, target) = (self.order.intent.key.namespace.clone(), self.assignment.object.clone());
        let key = TargetKey { namespace, target };
        Ok((template::package(&key, self.replicas, base_name(dir), form, kustomize), name))
    }

    fn new_package(&self, dir: &str) -> Result<Plan, PorchError> {
        let (mut files, package) = self.model(dir)?;
        let found = objects::find(&files, &self.wanted(), &package)?;
        let found = found
            .ok_or_else(|| PorchError::unfit(&package, format!("it holds no {}", self.assignment.object)))?;
        let (from, after) = self.edit(&files, &found, &package)?;
        if let (Some(after), Some(content)) = (after, files.get_mut(&found.file)) {
            content.bytes = after;
        }
        let changes = files.into_iter().map(|(path, after)| Change { path, before: None, after }).collect();
        Ok(Plan {
            dir: dir.to_owned(),
            new: true,
            changes,
            file: found.file,
            kind: found.kind,
            from: from.filter(|_| self.style.base.is_some()),
            to: self.replicas,
        })
    }

    /// Parses what a new package is going to be, and asserts kind, name, namespace, replicas and the Kptfile. An edit needs
    /// no more than its own check: nothing but the one value differs from what was found.
    fn check(&self, plan: &Plan) -> Result<(), PorchError> {
        let files: Files =
            plan.changes.iter().map(|change| (change.path.clone(), change.after.clone())).collect();
        let ours = plan.new && self.style.base.is_none();
        if let Some(kptfile) = files.get(KPTFILE) {
            objects::check_kptfile(&kptfile.bytes, &plan.dir, ours)?;
        }
        let Some(content) = files.get(&plan.file) else { return Ok(()) };
        let found = objects::find(&files, &self.wanted(), &plan.dir)?;
        let found = found.filter(|found| found.file == plan.file && found.kind == plan.kind);
        let found = found.ok_or_else(|| PorchError::Check("the object is not where it was".to_owned()))?;
        match set_integer(&content.bytes, &found.stream, found.document, &["spec", "replicas"], plan.to) {
            Ok((Some(is), None)) if is == plan.to => Ok(()),
            other => Err(PorchError::Check(format!("replicas are not {}: {other:?}", plan.to))),
        }
    }
}
