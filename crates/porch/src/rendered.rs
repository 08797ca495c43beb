//! One object as kustomizations make it: its names, namespaces and labels so far, and the place of its number.

use crate::objects::Object;
use crate::rules::{Rule, Subject};
use crate::yaml::Step;
use std::rc::Rc;

/// The namespace that kustomize compares for an object that states none.
const NAMESPACE_OF_NONE: &str = "default";
/// The number of rules of one object that are told apart.
const RULES_MAX: usize = 16;

/// A place of a number outside the object itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: String,
    pub document: usize,
    pub path: Vec<Step>,
    /// If the document at `path` is itself text: the document in it, and the path to the number there.
    pub inside: Option<(usize, Vec<Step>)>,
    pub line: usize,
}

/// The place that decides the number of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    /// The object itself.
    Own,
    At(Place),
    /// An uneditable place; file, line and content.
    Elsewhere(String),
}

/// One rendered object.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub object: Rc<Object>,
    /// Its names so far, the final one last.
    pub names: Vec<String>,
    /// Its namespaces so far, the final one last; empty if none is stated.
    pub namespaces: Vec<String>,
    /// Labels added or changed so far, the last of a key counts.
    pub labels: Vec<(String, String)>,
    /// Whether something unread may have changed its labels too.
    pub relabelled: bool,
    pub number: Number,
    /// Its rules, if they are no longer those of the object as it is written.
    aims: Option<Vec<Rule>>,
    /// The file and line of its last renaming or move.
    pub moved: Option<String>,
    /// Why it is not certain that it is still the same object in the end: file, line and what is done there.
    pub lost: Option<String>,
}

impl Rendered {
    /// An object that nothing has changed.
    pub(crate) fn plain(object: Rc<Object>) -> Self {
        let (names, namespaces) = (vec![object.name.clone()], object.namespace.clone().into_iter().collect());
        Self {
            object,
            names,
            namespaces,
            labels: Vec::new(),
            relabelled: false,
            number: Number::Own,
            aims: None,
            moved: None,
            lost: None,
        }
    }

    /// The rules by which it decides the number of others.
    pub(crate) fn rules(&self) -> &[Rule] {
        self.aims.as_ref().unwrap_or(&self.object.rules)
    }

    /// Whether a rule may be for it, as an object of this namespace.
    pub(crate) fn may_be_under(&self, rule: &Rule, namespace: &str) -> bool {
        rule.may_be_for(self.subject(namespace))
    }

    /// The object in a namespace, for the rules of others.
    pub(crate) fn subject<'s>(&'s self, namespace: &'s str) -> Subject<'s> {
        let Object { group, version, kind, .. } = &*self.object;
        Subject { group, version, kind, names: &self.names, namespace }
    }

    /// Whether it scales another one down and runs its pods itself.
    pub(crate) fn succeeds(&self, other: &Self, namespace: &str) -> bool {
        self.rules().iter().any(|rule| rule.is_successor && other.may_be_under(rule, namespace))
    }

    /// Gives it other rules. If that is not certain, the present ones count too.
    pub(crate) fn aim(&mut self, mut new: Vec<Rule>, is_certain: bool) {
        if !is_certain {
            let more: Vec<Rule> = self.rules().iter().filter(|rule| !new.contains(rule)).cloned().collect();
            new.extend(more);
        }
        if new.len() > RULES_MAX {
            // One for each field stays, for any object: a later patch may aim that field alone.
            let mut fields = Vec::new();
            new.retain(|rule| {
                let is_first = rule.field.is_none() || !fields.contains(&rule.field);
                fields.push(rule.field);
                is_first
            });
            new.iter_mut().filter(|rule| rule.field.is_some()).for_each(Rule::aim_anywhere);
        }
        self.aims = Some(new);
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    pub(crate) fn may_be_in(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|known| known == namespace)
    }

    /// Its first and its present name, which kustomize's selectors compare.
    pub(crate) fn selected_names(&self) -> [&str; 2] {
        [self.names.first().map_or("", String::as_str), self.name()]
    }

    /// The same of its namespace; kustomize takes an object that states none for one of `default`.
    pub(crate) fn selected_namespaces(&self) -> [&str; 2] {
        [
            self.object.namespace.as_deref().unwrap_or(NAMESPACE_OF_NONE),
            self.namespace().unwrap_or(NAMESPACE_OF_NONE),
        ]
    }

    /// Its final name.
    pub(crate) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Its final namespace, if stated.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespaces.last().map(String::as_str)
    }

    /// Whether it has a label of this value; `None` if that cannot be determined.
    pub(crate) fn has_label(&self, key: &str, value: &str) -> Option<bool> {
        let mut all = self.labels.iter().rev().chain(&self.object.labels);
        let is = all.find(|(known, _)| known == key).is_some_and(|(_, known)| known == value);
        (!self.relabelled).then_some(is)
    }
}
