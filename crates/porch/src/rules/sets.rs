//! The Applications that an `ApplicationSet` makes, as far as its generators say in writing what they give: each as the `spec`
//! that Argo CD makes of the template. An expression whose value is not written there stays as it is.

use crate::yaml::{self, Node, Value};
use std::borrow::Cow;

/// The number of nodes that the Applications of one set may have together. One that makes more is taken by its template alone.
const NODES_MAX: usize = 20_000;
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
    let set = Set { node, template, is_go: node.text_at(&["spec", "goTemplate"]) == Some("true") };
    set.all().unwrap_or_else(|| plain(template).into_iter().collect())
}

struct Set<'n> {
    node: &'n Node,
    template: &'n Node,
    /// Whether its expressions are those of Go's templates.
    is_go: bool,
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
                made.push(self.one(whole, &values));
            }
        }
        Some(made)
    }

    fn one(&self, spec: &Node, values: &Values) -> Application<'n> {
        let mut spec = spec.clone();
        self.fill(&mut spec, values);
        let name = self.template.text_at(&["metadata", "name"]).unwrap_or_default();
        let mut is_patched = false;
        if let Some(text) = self.node.text_at(&["spec", "templatePatch"]) {
            let text = self.filled(text, values);
            let patch = yaml::parse_expanded(text.as_bytes()).ok().filter(|_| !text.contains("{{"));
            if let Some(stream) = patch {
                let of_spec = stream.documents.iter().filter_map(|document| document.get("spec"));
                spec = of_spec.fold(spec, |spec, patch| merged(&spec, patch));
                is_patched = true;
            }
        }
        Application { spec: Cow::Owned(spec), name: self.filled(name, values), is_patched }
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

    fn fill(&self, node: &mut Node, values: &Values) {
        match &mut node.value {
            Value::Scalar { text, .. } => *text = self.filled(text, values),
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item, values)),
            Value::Map { entries, .. } => entries.iter_mut().for_each(|(_, value)| self.fill(value, values)),
            Value::Alias(_) => {}
        }
    }

    /// A text with the expressions replaced whose values are known.
    fn filled(&self, text: &str, values: &Values) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, (inner, after))) =
            rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
        {
            filled.push_str(before);
            let key = inner.trim();
            let key = if self.is_go { key.strip_prefix('.') } else { Some(key) };
            match key.and_then(|key| values.iter().find(|(known, _)| known == key)) {
                Some((_, value)) => filled.push_str(value),
                None => filled.extend(["{{", inner, "}}"]),
            }
            rest = after;
        }
        filled + rest
    }
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
