//! What else decides a number: the rules of other objects, and what Flux and Argo CD deploy from a directory.

use super::{View, is_below};
use crate::files::parent;
use crate::kustomize;
use crate::objects::Object;
use crate::rendered::Rendered;
use crate::rules::Rule;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The number of directories of deployers that are looked at. What deploys from others may concern any file.
const DIRECTORIES_MAX: usize = 1_000;

/// What is known of the directories that Flux and Argo CD deploy. Rules by the thousand may name the same ones.
pub(super) struct Deployed {
    /// By directory and file; `None` if the directory is not here.
    known: RefCell<BTreeMap<(String, String), Option<bool>>>,
    /// What is left for building their kustomizations.
    left: Cell<usize>,
}

impl Default for Deployed {
    fn default() -> Self {
        Self { known: RefCell::default(), left: Cell::new(kustomize::SPENT_MAX) }
    }
}

impl View<'_, '_> {
    /// Another setting that decides the number of the object.
    pub(crate) fn rival(&self, of: &Rendered) -> Option<String> {
        let others = self.built.objects.iter();
        let mut others = others.filter(|other| self.is_of_namespace(other) || is_remote_rule(&other.object));
        let found = others.find_map(|other| {
            let is_for = |rule: &&Rule| {
                rule.may_be_for(&of.object.kind, &of.names)
                    && self.reaches(&other.object, rule, &of.object.file)
            };
            Some((&other.object, other.rules().iter().find(is_for)?))
        });
        let (other, rule) = found?;
        Some(format!("{} {} {}; change that instead", self.line_of(other), other.shown(), rule.does))
    }

    /// Whether an object is of the wanted namespace. Where objects must state theirs, one that does not counts below a
    /// directory of the namespace's name, and directly in the directory that is looked through.
    fn is_of_namespace(&self, object: &Rendered) -> bool {
        let dir = parent(&object.object.file);
        let here = || {
            !self.wanted.said
                || dir == self.world.dir
                || dir.split('/').any(|step| step == self.wanted.namespace)
        };
        object.namespace().map_or_else(here, |name| name == self.wanted.namespace)
    }

    /// Any part of the package that would conflict over the number of an object of this kind and name kept in another file;
    /// an empty one if there is none yet.
    pub(crate) fn rival_of(&self, kind: &str, file: &str) -> Option<String> {
        let object = Object {
            file: file.to_owned(),
            document: 0,
            path: Vec::new(),
            line: 0,
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            name: self.wanted.name.to_owned(),
            namespace: None,
            local: false,
            whole: true,
            labels: Vec::new(),
            rules: Vec::new(),
            deploys: None,
            release: None,
        };
        self.rival(&Rendered::plain(Rc::new(object)))
    }

    /// What deploys an object of no stated namespace to the wanted one.
    pub(crate) fn deployed_by(&self, object: &Rendered) -> Option<String> {
        let to = |other: &&Rendered| {
            other.object.deploys.as_ref().is_some_and(|(dir, namespace)| {
                namespace == self.wanted.namespace && self.deploys(dir, &object.object.file) == Some(true)
            })
        };
        let other = self.built.objects.iter().find(to)?;
        Some(format!("{} {}", self.line_of(&other.object), other.object.shown()))
    }

    /// Whether a rule of an object reaches a file. One for a directory that is not here may concern what it names, unless it
    /// deploys to another namespace, and not what it chooses by an expression.
    fn reaches(&self, by: &Object, rule: &Rule, file: &str) -> bool {
        let Some(dir) = rule.dir() else { return true };
        let is_here = |to: &(String, String)| to.1 == self.wanted.namespace;
        self.deploys(dir, file)
            .unwrap_or_else(|| rule.is_for_one_name() && by.deploys.as_ref().is_none_or(is_here))
    }

    /// Whether a directory of the repository holds a file, or has a kustomization that brings it in; `None` if that
    /// directory is not here.
    fn deploys(&self, dir: &str, file: &str) -> Option<bool> {
        let key = (dir.to_owned(), file.to_owned());
        let known = self.deployed.known.borrow().get(&key).copied();
        if let Some(known) = known {
            return known;
        }
        if self.deployed.known.borrow().len() >= DIRECTORIES_MAX {
            return Some(true);
        }
        let is_in = |place: &str| place.is_empty() || is_below(place, file);
        let found = self.world.place_of(dir).map(|place| is_in(&place) || self.brings(&place, file));
        self.deployed.known.borrow_mut().insert(key, found);
        found
    }

    /// Whether the kustomization of a directory brings a file in. One that cannot be built may.
    fn brings(&self, dir: &str, file: &str) -> bool {
        // It counts whether or not a search has come by it.
        let built = self.world.named_kustomization(dir).and_then(|_| {
            let left = &self.deployed.left;
            kustomize::build_within(self.world, self.wanted.kinds, &self.texts, dir, left)
        });
        match built {
            Ok(built) => {
                built.named.contains(file)
                    || built.named.contains(parent(file))
                    || built.objects.iter().any(|object| object.object.file == file)
            }
            Err(_) => true,
        }
    }
}

/// Objects that act on a namespace they are not in.
pub(super) fn is_remote_rule(object: &Object) -> bool {
    matches!(
        object.kind.as_str(),
        "Kustomization"
            | "Application"
            | "ApplicationSet"
            | "HelmRelease"
            | "HelmChart"
            | "ClusterOverridePolicy"
    )
}
