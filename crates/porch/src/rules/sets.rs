//! The Applications that an `ApplicationSet` makes, as far as its generators say in writing what they give: each as the `spec`
//! that Argo CD makes of the template. An expression whose value is not written there stays as it is.

use crate::yaml::{self, Node, Value};
use std::borrow::Cow;
use std::cell::Cell;

/// The number of nodes that the Applications of one set may have together. One that makes more is taken by its template alone.
const NODES_MAX: usize = 20_000;
/// The number of bytes that the values and texts of the Applications of one set may have together: a value is put in wherever the
/// template names it.
const BYTES_MAX: usize = 8 << 20;
/// The depth of generators within generators.
const DEPTH_MAX: usize = 3;

/// The values that one Application is made with, by name.
type Values = Vec<(String, String)>;

/// One Application.
pub(super) struct Application<'n> {
    pub spec: Cow<'n, Node>,
    /// Its own name.
    pub name: String,
    /// Whether its patch was put into it, if it has one.
    pub is_patched: bool,
}

/// The Applications of an object of Argo CD.
pub(super) fn applications<'n>(node: &'n Node, kind: &str) -> Vec<Application<'n>> {
    let plain = |holder: &'n Node| {
        let name = holder.text_at(&["metadata", "name"]).unwrap_or_default().to_owned();
        let spec = Cow::Borrowed(holder.get("spec")?);
        Some(Application { spec, name, is_patched: false })
    };
    let template = node.at(&["spec", "template"]).filter(|_| kind == "ApplicationSet");
    let Some(template) = template else { return plain(node).into_iter().collect() };
    let is_go = node.text_at(&["spec", "goTemplate"]) == Some("true");
    let set = Set { node, template, is_go, left: Cell::new(BYTES_MAX) };
    set.all().unwrap_or_else(|| plain(template).into_iter().collect())
}

struct Set<'n> {
    node: &'n Node,
    template: &'n Node,
    /// Whether its expressions are those of Go's templates.
    is_go: bool,
    /// How many of [`BYTES_MAX`] are left.
    left: Cell<usize>,
}

impl<'n> Set<'n> {
    /// What it makes; `None` if it makes too much or nothing is known of it.
    fn all(&self) -> Option<Vec<Application<'n>>> {
        let generators =
            self.node.at(&["spec", "generators"]).map(Node::items).filter(|all| !all.is_empty())?;
        let spec = self.template.get("spec")?;
        let mut left = NODES_MAX;
        let mut made = Vec::new();
        for generator in generators {
            let own = own_template(generator);
            let whole = own.and_then(|own| own.get("spec")).map(|own| merged(spec, own));
            let whole = whole.as_ref().unwrap_or(spec);
            for values in self.values(generator, 0)? {
                left = left.checked_sub(1 + size(whole))?;
                made.push(self.one(whole, &values)?);
            }
        }
        Some(made)
    }

    /// Counts bytes; `None` if they are too many.
    fn take(&self, bytes: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(bytes)?);
        Some(())
    }

    fn one(&self, spec: &Node, values: &Values) -> Option<Application<'n>> {
        let mut spec = spec.clone();
        self.fill(&mut spec, values)?;
        let name = self.template.text_at(&["metadata", "name"]).unwrap_or_default();
        let mut is_patched = false;
        if let Some(text) = self.node.text_at(&["spec", "templatePatch"]) {
            let text = self.filled(text, values)?;
            let patch = yaml::parse_expanded(text.as_bytes()).ok().filter(|_| !text.contains("{{"));
            if let Some(stream) = patch {
                let of_spec = stream.documents.iter().filter_map(|document| document.get("spec"));
                spec = of_spec.fold(spec, |spec, patch| merged(&spec, patch));
                is_patched = true;
            }
        }
        Some(Application { spec: Cow::Owned(spec), name: self.filled(name, values)?, is_patched })
    }

    /// The values that a generator gives, each for one Application. One of a sort that is not known gives one without a value.
    fn values(&self, generator: &Node, depth: usize) -> Option<Vec<Values>> {
        let unknown = || vec![Values::new()];
        if let Some(elements) =
            generator.at(&["list", "elements"]).map(Node::items).filter(|all| !all.is_empty())
        {
            return Some(elements.iter().map(written).collect());
        }
        if let Some(directories) = generator.at(&["git", "directories"]) {
            let prefix = generator.text_at(&["git", "pathParamPrefix"]).filter(|prefix| !prefix.is_empty());
            let is_kept = |entry: &&Node| entry.text_at(&["exclude"]) != Some("true");
            let paths =
                directories.items().iter().filter(is_kept).filter_map(|entry| entry.text_at(&["path"]));
            let all: Vec<Values> = paths.map(|path| self.of_path(path, prefix)).collect();
            return Some(if all.is_empty() { unknown() } else { all });
        }
        let inner = generator.items_at(&["matrix", "generators"]);
        if inner.is_empty() || depth >= DEPTH_MAX {
            return Some(unknown());
        }
        let mut all = unknown();
        for generator in inner {
            let more = self.values(generator, depth + 1)?;
            if all.len() * more.len() > NODES_MAX {
                return None;
            }
            self.take(bytes(&all) * more.len() + bytes(&more) * all.len())?;
            let with = |values: &Values| {
                more.iter().map(|more| [values.as_slice(), more].concat()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        Some(all)
    }

    /// What is given for the directories that a pattern stands for: with an asterisk, any of them.
    fn of_path(&self, path: &str, prefix: Option<&str>) -> Values {
        if path.contains(['?', '[', '{', '\\']) {
            return Values::new();
        }
        let key = prefix.map_or_else(|| "path".to_owned(), |prefix| format!("{prefix}.path"));
        let whole = if self.is_go { format!("{key}.path") } else { key.clone() };
        let last = path.rsplit('/').next().unwrap_or(path);
        vec![(whole, path.to_owned()), (format!("{key}.basename"), last.to_owned())]
    }

    fn fill(&self, node: &mut Node, values: &Values) -> Option<()> {
        match &mut node.value {
            Value::Scalar { text, .. } => *text = self.filled(text, values)?,
            Value::List(items) => items.iter_mut().try_for_each(|item| self.fill(item, values))?,
            Value::Map { entries, .. } => {
                entries.iter_mut().try_for_each(|(_, value)| self.fill(value, values))?;
            }
            Value::Alias(_) => {}
        }
        Some(())
    }

    /// A text with the expressions replaced whose values are known; `None` if that is too much.
    fn filled(&self, text: &str, values: &Values) -> Option<String> {
        self.take(text.len())?;
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, (inner, after))) =
            rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
        {
            filled.push_str(before);
            let key = inner.trim();
            let key = if self.is_go { key.strip_prefix('.') } else { Some(key) };
            match key.and_then(|key| values.iter().find(|(known, _)| known == key)) {
                Some((_, value)) => {
                    self.take(value.len())?;
                    filled.push_str(value);
                }
                None => filled.extend(["{{", inner, "}}"]),
            }
            rest = after;
        }
        Some(filled + rest)
    }
}

/// The number of bytes of values and their names.
fn bytes(all: &[Values]) -> usize {
    all.iter().flatten().map(|(name, value)| name.len() + value.len()).sum()
}

/// The values that an element of a list says, those within others by their path.
fn written(element: &Node) -> Values {
    let mut values = Values::new();
    let mut open = vec![(String::new(), element)];
    while let Some((before, node)) = open.pop() {
        for (key, value) in node.entries() {
            let Some(key) = key.text() else { continue };
            let path = if before.is_empty() { key.to_owned() } else { format!("{before}.{key}") };
            match value.text() {
                Some(text) => values.push((path, text.to_owned())),
                None => open.push((path, value)),
            }
        }
    }
    values
}

/// The template that a generator has of its own.
fn own_template(generator: &Node) -> Option<&Node> {
    generator.entries().iter().find_map(|(_, of)| of.get("template"))
}

/// A node with what another says put over it. A list takes the place of a list.
fn merged(base: &Node, over: &Node) -> Node {
    let (Value::Map { entries: old, flow }, Value::Map { entries: new, .. }) = (&base.value, &over.value)
    else {
        return over.clone();
    };
    let mut entries: Vec<(Node, Node)> = old.clone();
    for (key, value) in new {
        match entries.iter_mut().find(|(known, _)| known.text() == key.text()) {
            Some((_, known)) => *known = merged(known, value),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    Node { value: Value::Map { entries, flow: *flow }, ..base.clone() }
}

/// The number of nodes.
fn size(node: &Node) -> usize {
    let values = node.entries().iter().map(|(_, value)| value).chain(node.items());
    1 + values.map(size).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of what a set with these generators makes, and whether it was taken by its template alone.
    fn made(generators: &str, label: &str) -> (Vec<String>, bool) {
        let text = format!(
            "spec:\n  generators: [{generators}]\n  template:\n    metadata: {{name: '{{{{x}}}}'}}\n    \
             spec: {{labels: [{}]}}\n",
            vec![label; 100].join(", ")
        );
        let stream = yaml::parse_expanded(text.as_bytes()).unwrap();
        let all = applications(&stream.documents[0], "ApplicationSet");
        let is_plain = all.iter().all(|one| matches!(one.spec, Cow::Borrowed(_)));
        (all.into_iter().map(|one| one.name).collect(), is_plain)
    }

    #[test]
    fn a_set_is_made_as_far_as_it_has_a_bound_in_bytes_as_well_as_in_number() {
        let list = |values: &[String]| {
            let elements: Vec<String> = values.iter().map(|value| format!("{{x: {value}}}")).collect();
            format!("{{list: {{elements: [{}]}}}}", elements.join(", "))
        };
        let short = ["a".to_owned(), "b".to_owned()];
        assert_eq!(made(&list(&short), "'{{x}}'"), (short.to_vec(), false));
        let by_template = (vec!["{{x}}".to_owned()], true);
        // One value of 100 KB in a hundred places is 10 MB.
        assert_eq!(made(&list(&["y".repeat(100_000)]), "'{{x}}'"), by_template);
        // So is one of 1 KB of each of a hundred in a matrix with a hundred others.
        let hundred: Vec<String> = (0..100).map(|n| format!("{n}{}", "y".repeat(1_000))).collect();
        let matrix = format!("{{matrix: {{generators: [{0}, {0}]}}}}", list(&hundred));
        assert_eq!(made(&matrix, "z"), by_template);
    }
}
