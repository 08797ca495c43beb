//! The effect of a kustomize patch on the number of one object, and the place of that number in the patch.

use crate::glob;
use crate::kinds::group_of;
use crate::rendered::{Place, Rendered};
use crate::yaml::{Node, Step, Value};

/// One document of a patch, and its position.
pub(crate) struct Patch<'n> {
    pub target: Option<&'n Node>,
    pub document: &'n Node,
    pub file: &'n str,
    /// The document's number in its file, or in its enclosing text.
    pub number: usize,
    /// The path to that text in the kustomization, and its first line.
    pub inline: Option<(Vec<Step>, usize)>,
}

/// The effect of a patch on an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Sets(Place),
    /// It decides the number in an uneditable way: the line, and the effect.
    Decides(usize, String),
    Renames(String),
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

    /// A strategic-merge patch.
    fn merge(&self, path: &[Step]) -> Vec<Effect> {
        if self.document.text_at(&["$patch"]) == Some("delete") {
            return vec![Effect::Decides(self.line(self.document), "deletes it".to_owned())];
        }
        let relabels = self.document.at(&["metadata", "labels"]).map(|_| Effect::Relabels);
        let number = self.document.walk(path).map(|node| match node.text() {
            Some("null") => Effect::Decides(self.line(node), "removes its number of replicas".to_owned()),
            _ => Effect::Sets(self.place(path.to_vec(), node)),
        });
        relabels.into_iter().chain(number).collect()
    }

    /// One operation of a JSON patch.
    fn operation(&self, number: usize, operation: &Node, path: &[Step]) -> Option<Effect> {
        let (name, pointer) = (operation.text_at(&["op"]), operation.text_at(&["path"]));
        let steps = pointer.map(pointer_steps)?;
        let value = [Step::Item(number), Step::Key("value".to_owned())];
        let line = self.line(operation);
        match (name, steps_as_text(&steps).as_slice()) {
            (Some("add" | "replace"), ["metadata", "name"]) => {
                return operation.text_at(&["value"]).map(|new| Effect::Renames(new.to_owned()));
            }
            (Some("test"), ["metadata", ..]) => return None,
            (_, ["metadata"] | ["metadata", "labels", ..]) => return Some(Effect::Relabels),
            _ => {}
        }
        let rest = path.strip_prefix(steps.as_slice())?;
        let whole: Vec<Step> = value.iter().chain(rest).cloned().collect();
        match (name, self.document.walk(&whole)) {
            (Some("add" | "replace"), Some(node)) => Some(Effect::Sets(self.place(whole, node))),
            (Some("test"), _) if !rest.is_empty() => None,
            (Some("test"), _) => Some(Effect::Decides(line, "tests for a number of replicas".to_owned())),
            _ => Some(Effect::Decides(line, "replaces or removes its number of replicas".to_owned())),
        }
    }

    fn line(&self, node: &Node) -> usize {
        self.inline.as_ref().map_or(node.line, |(_, first)| first + node.line - 1)
    }

    fn place(&self, path: Vec<Step>, node: &Node) -> Place {
        let (file, line) = (self.file.to_owned(), self.line(node));
        match &self.inline {
            None => Place { file, document: self.number, path, inside: None, line },
            Some((outer, _)) => {
                Place { file, document: 0, path: outer.clone(), inside: Some((self.number, path)), line }
            }
        }
    }
}

/// The steps of a JSON pointer.
fn pointer_steps(pointer: &str) -> Vec<Step> {
    let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    steps.map(Step::Key).collect()
}

fn steps_as_text(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| if let Step::Key(key) = step { key.as_str() } else { "" }).collect()
}

/// Whether a selector of kustomize (kind, name, namespace, group, labels) selects an object; `None` if that cannot be
/// determined.
pub(crate) fn selects(selector: &Node, object: &Rendered) -> Option<bool> {
    let mut sure = true;
    let mut agrees =
        |key: &str, values: &[&str]| match selector.text_at(&[key]).filter(|text| !text.is_empty()) {
            None => true,
            Some(pattern) => {
                let is = values.iter().map(|value| is_like(pattern, value)).reduce(either).flatten();
                sure &= is.is_some();
                is.unwrap_or(true)
            }
        };
    let names: Vec<&str> = object.names.iter().map(String::as_str).collect();
    let spaces: Vec<&str> = object.namespaces.iter().map(String::as_str).collect();
    let same = agrees("kind", &[&object.object.kind])
        && agrees("group", &[&object.object.group])
        && agrees("name", &names)
        && (spaces.is_empty() || agrees("namespace", &spaces));
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

fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// Whether a text matches an anchored regular expression of the simple sort: `.*`, alternatives, nothing else.
fn is_like(pattern: &str, text: &str) -> Option<bool> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    if pattern.contains(['(', ')', '[', ']', '{', '}', '\\', '+', '?']) {
        return None;
    }
    let one_is = pattern.split('|').map(|one| {
        // Any other sign of an expression makes it more than that.
        let plain = one.split(".*").all(|part| !part.contains(['.', '*', '^', '$']));
        plain.then(|| glob::matches(&one.replace(".*", "*"), text))
    });
    one_is.reduce(either).flatten()
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
