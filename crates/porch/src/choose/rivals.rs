//! What else decides a number: the rules of other objects, and what Flux and Argo CD deploy from a directory.

use super::{Scaled, View, is_below};
use crate::files::{parent, resolve};
use crate::objects::{Object, SOURCE};
use crate::rendered::Rendered;
use crate::rules::{ARGO_CONFIG, Part, Rule, is_filled_in, of_patch};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The number of directories of deployers that are looked at. What deploys from others may concern any file.
const DIRECTORIES_MAX: usize = 1_000;

/// What is known of the directories that Flux and Argo CD deploy. Rules by the thousand may name the same ones.
#[derive(Default)]
pub(super) struct Deployed {
    /// By directory and file; `None` if the directory is not here.
    known: RefCell<BTreeMap<(String, String), Option<bool>>>,
}

impl View<'_, '_> {
    /// Another setting that decides the number of the object.
    pub(crate) fn rival(&self, of: &Rendered) -> Option<String> {
        let others = self.built.objects.iter();
        let mut others = others.filter(|other| {
            self.is_of_namespace(other)
                || is_remote_rule(&other.object)
                || other.rules().iter().any(Rule::says_space)
        });
        let found = others.find_map(|other| {
            let is_for = |rule: &&Rule| {
                (!rule.is_for_unsaid || of.namespace().is_none())
                    && of.may_be_under(rule, self.wanted.namespace)
                    && self.reaches(&other.object, rule, &of.object.file)
                    && self.decides(rule, of)
            };
            Some((&other.object, other.rules().iter().find(is_for)?))
        });
        let (other, rule) = found?;
        let does = rule.does(of.subject(self.wanted.namespace));
        Some(format!("{} {} {does}; change that instead", self.line_of(other), other.shown()))
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

    /// Any part of the package that would conflict over the number of an object kept in another file; of one that is not
    /// there yet if there is none.
    pub(crate) fn rival_of(&self, of: Scaled<'_>) -> Option<String> {
        let object = Object {
            file: of.file.to_owned(),
            document: 0,
            path: Vec::new(),
            line: 0,
            group: of.group.to_owned(),
            version: of.version.to_owned(),
            kind: of.kind.to_owned(),
            name: self.wanted.name.to_owned(),
            namespace: of.is_said.then(|| self.wanted.namespace.to_owned()),
            local: false,
            held: None,
            whole: true,
            labels: Vec::new(),
            rules: Vec::new(),
            deploys: Vec::new(),
            made: Vec::new(),
        };
        // Which labels it has is not known here.
        let mut rendered = Rendered::plain(Rc::new(object));
        rendered.relabelled = true;
        self.rival(&rendered)
    }

    /// What deploys an object of no stated namespace to the wanted one.
    pub(crate) fn deployed_by(&self, object: &Rendered) -> Option<String> {
        let to = |other: &&Rendered| {
            other.object.deploys.iter().any(|(dir, namespace)| {
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
        let is_here = |(_, space): &(String, String)| space == self.wanted.namespace || is_filled_in(space);
        self.deploys(dir, file).unwrap_or_else(|| {
            rule.is_for_one_name() && (by.deploys.is_empty() || by.deploys.iter().any(is_here))
        })
    }

    /// Whether what a rule's deployer adds to a build, if that is what the rule is about, may decide the number of an object.
    /// What is not here, or cannot be read, may.
    fn decides(&self, rule: &Rule, of: &Rendered) -> bool {
        let path = match &rule.part {
            None => return true,
            Some(Part::Component(path) | Part::Patch { path, .. }) => path,
        };
        let place = rule.dir().and_then(|dir| self.world.place_of(dir).ok().flatten());
        let Some(path) = place.and_then(|place| resolve(&place, path)) else { return true };
        match &rule.part {
            Some(Part::Patch { is_aimed, .. }) => self.patches(&path, *is_aimed, of),
            _ => match self.site().component(&path, of) {
                Ok(Some(with)) => {
                    let is_here = with.namespace().is_none_or(|space| space == self.wanted.namespace);
                    with.number != of.number || with.lost.is_some() || with.name() != of.name() || !is_here
                }
                Ok(None) | Err(_) => true,
            },
        }
    }

    /// Whether a file may hold a patch that decides the number of an object.
    fn patches(&self, path: &str, is_aimed: bool, of: &Rendered) -> bool {
        let Ok(Some(_)) = self.world.named(path) else { return true };
        let Ok(stream) = self.world.stream(path) else { return true };
        let rules = of_patch(&stream.documents, self.wanted.kinds);
        let is_for = |rule: &Rule| of.may_be_under(rule, self.wanted.namespace);
        rules.iter().any(|rule| is_aimed || is_for(rule))
    }

    /// Whether a directory of the repository, in whose path an asterisk is any text, holds a file, or has a kustomization that
    /// brings it in; `None` if that directory is not here.
    fn deploys(&self, dir: &str, file: &str) -> Option<bool> {
        let key = (dir.to_owned(), file.to_owned());
        let known = self.deployed.known.borrow().get(&key).copied();
        if let Some(known) = known {
            return known;
        }
        if self.deployed.known.borrow().len() >= DIRECTORIES_MAX {
            return Some(true);
        }
        let (head, rest) = match dir.split_once('*') {
            Some((head, _)) => dir.split_at(head.rfind('/').map_or(0, |slash| slash + 1)),
            None => (dir, ""),
        };
        // A directory that cannot be looked at may hold or bring in any file.
        let found = match self.world.place_of(head) {
            _ if !rest.is_empty() && self.world.root_is_like(dir) => Some(true),
            Ok(Some(place)) if rest.is_empty() => {
                Some(place.is_empty() || is_below(&place, file) || self.brings(&place, file))
            }
            Ok(Some(place)) => self.deploys_like(&place, rest, file),
            Ok(None) => None,
            Err(_) => Some(true),
        };
        self.deployed.known.borrow_mut().insert(key, found);
        found
    }

    /// Whether any of the directories below a place that are like a pattern holds a file or brings it in; `None` if none is like
    /// it.
    fn deploys_like(&self, place: &str, pattern: &str, file: &str) -> Option<bool> {
        let pattern = pattern.trim_end_matches('/');
        // What cannot be looked through may bring it in.
        let Ok(Some(like)) = self.world.directories_like(place, pattern) else { return Some(true) };
        let mut holds =
            like.iter().map(|dir| dir.is_empty() || is_below(dir, file) || self.brings(dir, file));
        (!like.is_empty()).then(|| holds.any(|is| is))
    }

    /// Whether the kustomization of a directory brings a file in. One that cannot be built may.
    fn brings(&self, dir: &str, file: &str) -> bool {
        // It counts whether or not a search has come by it.
        let built = self.world.named_kustomization(dir).and_then(|_| self.site().directory(dir));
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
            | "GitRepo"
            | "HelmRelease"
            | "HelmChart"
            | "ClusterOverridePolicy"
            | "ClusterResourceOverride"
            | "ClusterPolicy"
            | "MutatingPolicy"
            | "MutatingAdmissionPolicy"
            | SOURCE
    ) || object.group == "mutations.gatekeeper.sh"
        || (object.kind == "ConfigMap" && object.name == ARGO_CONFIG)
}
