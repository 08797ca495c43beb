//! The effect of a kustomize patch on the number of one object, and the place of that number in the patch.

use crate::glob;
use crate::kinds::group_of;
use crate::rendered::{Place, Rendered};
use crate::rules::Rule;
use crate::yaml::{Node, Step, Value};

/// What a patch of an object's kind, name or namespace does.
const ANOTHER: &str = "makes another object of it";

/// One document of a patch, and its position.
pub(crate) struct Patch<'n> {
    pub target: Option<&'n Node>,
    pub document: &'n Node,
    pub file: &'n str,
    /// The document's number in its file, or in its enclosing text.
    pub number: usize,
    /// The path to that text in the kustomization, and its first line.
    pub inline: Option<(Vec<Step>, usize)>,
    /// The way to it, if it is an item of a List.
    pub within: Vec<Step>,
    /// The options of its entry in the kustomization.
    pub options: Option<&'n Node>,
}

/// The effect of a patch on an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Sets(Place),
    /// It decides the number in an uneditable way: the line, and the effect.
    Decides(usize, String),
    Renames(String),
    /// It puts the object into another namespace.
    Moves(String),
    /// It makes another object of it, or one that cannot be determined: the line, and the effect.
    Loses(usize, String),
    /// It may change labels.
    Relabels,
}

impl Patch<'_> {
    /// Whether the patch applies to the object; `None` if that cannot be determined.
    pub(crate) fn is_for(&self, object: &Rendered) -> Option<bool> {
        let Some(target) = self.target else {
            let said = |path: &[&str]| self.document.text_at(path);
            let namespace = said(&["metadata", "namespace"]).filter(|name| !name.is_empty());
            let same = said(&["kind"]) == Some(&object.object.kind)
                && said(&["apiVersion"]).map(group_of) == Some(&object.object.group)
                && said(&["metadata", "name"]).is_some_and(|name| object.is_called(name))
                && namespace.is_none_or(|name| object.may_be_in(name));
            return Some(same);
        };
        selects(target, object)
    }

    /// The effects on an object with its number at `path`, in order. Nothing follows what decides the number for good.
    pub(crate) fn effects(&self, path: &[Step]) -> Vec<Effect> {
        let Value::List(operations) = &self.document.value else { return self.merge(path) };
        let mut effects = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            effects.extend(self.operation(number, operation, path));
            if let Some(Effect::Decides(..)) = effects.last() {
                break;
            }
        }
        effects
    }

    /// The rules of an object after the patch; `None` if it leaves them as they are.
    pub(crate) fn aims(&self, rules: &[Rule]) -> Option<Vec<Rule>> {
        if self.deletes() {
            return Some(Vec::new());
        }
        let mut all = rules.to_vec();
        for rule in &mut all {
            let Some(field) = rule.field else { continue };
            match &self.document.value {
                Value::List(operations) => {
                    for operation in operations {
                        aim(rule, field, operation);
                    }
                }
                _ => {
                    if let Some(named) = self.document.at(&["spec", field]) {
                        rule.aim(named.text_at(&["kind"]), named.text_at(&["name"]));
                    }
                }
            }
        }
        (all != rules).then_some(all)
    }

    /// Whether it is a merge that deletes the object.
    fn deletes(&self) -> bool {
        self.document.text_at(&["$patch"]) == Some("delete")
    }

    /// A strategic-merge patch.
    fn merge(&self, path: &[Step]) -> Vec<Effect> {
        if self.deletes() {
            return vec![Effect::Decides(self.line(self.document), "deletes it".to_owned())];
        }
        let relabels = self.document.at(&["metadata", "labels"]).map(|_| Effect::Relabels);
        let number = self.document.walk(path).map(|node| match node.text() {
            Some("null") => Effect::Decides(self.line(node), "removes its number of replicas".to_owned()),
            _ => Effect::Sets(self.place(path.to_vec(), node)),
        });
        let number = number.or_else(|| self.removed(path));
        self.identity().into_iter().chain(relabels).chain(number).collect()
    }

    /// Whether a merge without the number removes what holds it.
    fn removed(&self, path: &[Step]) -> Option<Effect> {
        (0..path.len()).find_map(|depth| {
            let holder = self.document.walk(path.get(..depth)?)?;
            let goes = match holder.text() {
                Some(text) => matches!(text, "" | "~" | "null" | "Null" | "NULL"),
                None => matches!(holder.text_at(&["$patch"]), Some("delete" | "replace")),
            };
            let does = || "removes its number of replicas".to_owned();
            goes.then(|| Effect::Decides(self.line(holder), does()))
        })
    }

    /// What a merge with a target does to kind and name, which kustomize only takes over on request.
    fn identity(&self) -> Option<Effect> {
        let target = self.target?;
        let allows = |option: &str| self.options.and_then(|all| all.text_at(&[option])) == Some("true");
        let new = self.document.text_at(&["metadata", "name"]);
        if allows("allowKindChange") && self.document.text_at(&["kind"]) != target.text_at(&["kind"]) {
            return Some(Effect::Loses(self.line(self.document), "may change its kind".to_owned()));
        }
        new.filter(|_| allows("allowNameChange")).map(|name| Effect::Renames(name.to_owned()))
    }

    /// One operation of a JSON patch.
    fn operation(&self, number: usize, operation: &Node, path: &[Step]) -> Option<Effect> {
        let (name, pointer) = (operation.text_at(&["op"]), operation.text_at(&["path"]));
        let steps = pointer.map(pointer_steps)?;
        let line = self.line(operation);
        let from = operation.text_at(&["from"]).map(pointer_steps);
        match (name, from) {
            (Some("move"), Some(from)) if is_identity(&from) => {
                return Some(Effect::Loses(line, ANOTHER.to_owned()));
            }
            (Some("move" | "copy"), Some(from)) if path.starts_with(&from) => {
                return Some(Effect::Decides(
                    line,
                    "takes its number of replicas to another field".to_owned(),
                ));
            }
            _ => {}
        }
        if name == Some("test") {
            let holds = path.starts_with(&steps);
            return holds.then(|| Effect::Decides(line, "tests for a number of replicas".to_owned()));
        }
        let new = operation.text_at(&["value"]).filter(|_| matches!(name, Some("add" | "replace")));
        match (new, steps_as_text(&steps).as_slice()) {
            (Some(new), ["metadata", "name"]) => return Some(Effect::Renames(new.to_owned())),
            (Some(new), ["metadata", "namespace"]) => return Some(Effect::Moves(new.to_owned())),
            (_, ["metadata", "labels", ..]) => return Some(Effect::Relabels),
            _ if is_identity(&steps) => {
                return Some(Effect::Loses(line, ANOTHER.to_owned()));
            }
            _ => {}
        }
        let rest = path.strip_prefix(steps.as_slice())?;
        let value = [Step::Item(number), Step::Key("value".to_owned())];
        let whole: Vec<Step> = value.iter().chain(rest).cloned().collect();
        match (name, self.document.walk(&whole)) {
            (Some("add" | "replace"), Some(node)) => Some(Effect::Sets(self.place(whole, node))),
            _ => Some(Effect::Decides(line, "replaces or removes its number of replicas".to_owned())),
        }
    }

    fn line(&self, node: &Node) -> usize {
        self.inline.as_ref().map_or(node.line, |(_, first)| first + node.line - 1)
    }

    fn place(&self, path: Vec<Step>, node: &Node) -> Place {
        let path = self.within.iter().cloned().chain(path).collect();
        let (file, line) = (self.file.to_owned(), self.line(node));
        match &self.inline {
            None => Place { file, document: self.number, path, inside: None, line },
            Some((outer, _)) => {
                Place { file, document: 0, path: outer.clone(), inside: Some((self.number, path)), line }
            }
        }
    }
}

/// What an operation of a JSON patch does to a rule that names its object in a field of `spec`.
fn aim(rule: &mut Rule, field: &str, operation: &Node) {
    let name = operation.text_at(&["op"]);
    let Some(pointer) = operation.text_at(&["path"]).filter(|_| name != Some("test")) else { return };
    let steps = pointer_steps(pointer);
    let value = operation.get("value").filter(|_| matches!(name, Some("add" | "replace")));
    match (steps_as_text(&steps).as_slice(), value) {
        (["spec", is, "name"], Some(new)) if *is == field && new.text().is_some() => {
            rule.aim(None, new.text());
        }
        (["spec", is, "kind"], Some(new)) if *is == field && new.text().is_some() => {
            rule.aim(new.text(), None);
        }
        (["spec", is], Some(new)) if *is == field && new.text_at(&["name"]).is_some() => {
            rule.aim(new.text_at(&["kind"]), new.text_at(&["name"]));
        }
        (["spec", is, "name"], _) if *is == field => rule.aim_at_any_name(),
        (["spec", is, "kind"], _) if *is == field => rule.aim_at_any_kind(),
        (["spec", is], _) if *is == field => rule.aim_anywhere(),
        ([] | ["spec"], _) => rule.aim_anywhere(),
        _ => {}
    }
}

/// Whether what a pointer leads to holds the kind, name or namespace of an object.
fn is_identity(steps: &[Step]) -> bool {
    matches!(
        steps_as_text(steps).as_slice(),
        [] | ["kind" | "apiVersion" | "metadata"] | ["metadata", "name" | "namespace"]
    )
}

/// The steps of a JSON pointer.
fn pointer_steps(pointer: &str) -> Vec<Step> {
    let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    steps.map(Step::Key).collect()
}

fn steps_as_text(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| if let Step::Key(key) = step { key.as_str() } else { "" }).collect()
}

/// Whether a selector of kustomize (kind, group, version, name, namespace, labels) selects an object; `None` if that cannot
/// be determined.
pub(crate) fn selects(selector: &Node, object: &Rendered) -> Option<bool> {
    let mut sure = true;
    let mut agrees =
        |key: &str, values: &[&str]| match selector.text_at(&[key]).filter(|text| !text.is_empty()) {
            None => true,
            Some(pattern) => {
                let is =
                    values.iter().map(|value| glob::is_like(pattern, value)).reduce(glob::either).flatten();
                sure &= is.is_some();
                is.unwrap_or(true)
            }
        };
    let same = agrees("kind", &[&object.object.kind])
        && agrees("group", &[&object.object.group])
        && agrees("version", &[&object.object.version])
        && agrees("name", &object.selected_names())
        && agrees("namespace", &object.selected_namespaces());
    if !same {
        return Some(false);
    }
    if selector.get("annotationSelector").is_some() {
        sure = false;
    }
    match selector.text_at(&["labelSelector"]).map(|text| has_labels(text, object)) {
        Some(Some(false)) => return Some(false),
        Some(None) => sure = false,
        _ => {}
    }
    sure.then_some(true)
}

/// Whether an object has the labels of a selector of equalities.
fn has_labels(selector: &str, object: &Rendered) -> Option<bool> {
    let mut all = true;
    for part in selector.split(',') {
        let (key, value) = part.split_once("==").or_else(|| part.split_once('='))?;
        if key.ends_with('!') || part.contains(['(', ')']) {
            return None;
        }
        let (key, value) = (key.trim(), value.trim());
        all &= object.has_label(key, value)?;
    }
    Some(all)
}
