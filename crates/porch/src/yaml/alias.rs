//! Documents as a reader of Kubernetes sees them: with what an alias stands for in the place of the alias, and with the
//! fields that a merge key brings in. Only for reading: an edit needs the nodes as they are written. What all aliases of a
//! file bring in is bounded, and a file beyond the bound is refused, as the tools of Kubernetes refuse it.

use super::bounds::{ALIASED_MAX, DEPTH_MAX};
use super::error::YamlError;
use super::node::{Node, Stream, Value};
use std::collections::{HashMap, HashSet};

/// The bytes of text that count as a node more.
const TEXT_NODE: usize = 64;
/// The merge key.
const MERGE: &str = "<<";

/// Checks that no alias stands for itself, and that all together bring in a bounded number of nodes.
pub(super) fn check(stream: &Stream) -> Result<(), YamlError> {
    if stream.aliased.is_empty() {
        return Ok(());
    }
    let mut measure = Measure { anchors: anchors(stream), known: HashMap::new(), left: ALIASED_MAX };
    stream.documents.iter().try_for_each(|document| measure.written(document))
}

impl Stream {
    /// The same documents with aliases and merge keys replaced; `None` if there are none.
    pub(crate) fn expanded(&self) -> Option<Stream> {
        if self.aliased.is_empty() {
            return None;
        }
        let mut expansion = Expansion { anchors: anchors(self), nodes: 0 };
        let documents = self.documents.iter().map(|document| expansion.node(document)).collect();
        Some(Stream { documents, aliased: self.aliased.clone(), nodes: expansion.nodes })
    }
}

/// The nodes that have an anchor.
fn anchors(stream: &Stream) -> HashMap<usize, &Node> {
    let mut anchors = HashMap::new();
    stream.documents.iter().for_each(|document| collect(document, &mut anchors));
    anchors
}

fn collect<'n>(node: &'n Node, anchors: &mut HashMap<usize, &'n Node>) {
    if node.anchor != 0 {
        anchors.insert(node.anchor, node);
    }
    children(node).for_each(|child| collect(child, anchors));
}

/// Keys, values and items.
fn children(node: &Node) -> impl Iterator<Item = &Node> {
    node.entries().iter().flat_map(|(key, value)| [key, value]).chain(node.items())
}

/// The size of what an alias stands for.
#[derive(Clone, Copy)]
struct Extent {
    nodes: usize,
    height: usize,
}

struct Measure<'n> {
    anchors: HashMap<usize, &'n Node>,
    /// By anchor; `None` while it is measured, or if it stands for itself or for too much.
    known: HashMap<usize, Option<Extent>>,
    /// The rest of [`ALIASED_MAX`].
    left: usize,
}

impl Measure<'_> {
    /// Takes what each alias that is written in a node brings in from the rest. In the order of the file, so that the
    /// aliases in what a later one stands for are known.
    fn written(&mut self, node: &Node) -> Result<(), YamlError> {
        let Value::Alias(anchor) = node.value else {
            return children(node).try_for_each(|child| self.written(child));
        };
        let left = self.anchor(anchor).and_then(|extent| self.left.checked_sub(extent.nodes));
        self.left = left.ok_or(YamlError::Alias { line: node.line })?;
        Ok(())
    }

    fn anchor(&mut self, anchor: usize) -> Option<Extent> {
        if let Some(known) = self.known.get(&anchor) {
            return *known;
        }
        self.known.insert(anchor, None);
        let target = *self.anchors.get(&anchor)?;
        let extent = self.extent(target)?;
        self.known.insert(anchor, Some(extent));
        Some(extent)
    }

    fn extent(&mut self, node: &Node) -> Option<Extent> {
        let mut whole = match &node.value {
            Value::Alias(anchor) => return self.anchor(*anchor),
            Value::Scalar { text, .. } => Extent { nodes: 1 + text.len() / TEXT_NODE, height: 1 },
            Value::List(_) | Value::Map { .. } => Extent { nodes: 1, height: 1 },
        };
        for child in children(node) {
            let Extent { nodes, height } = self.extent(child)?;
            whole = Extent { nodes: whole.nodes + nodes, height: whole.height.max(height + 1) };
            if whole.nodes > ALIASED_MAX || whole.height > DEPTH_MAX {
                return None;
            }
        }
        Some(whole)
    }
}

struct Expansion<'n> {
    anchors: HashMap<usize, &'n Node>,
    /// The nodes so far.
    nodes: usize,
}

impl Expansion<'_> {
    fn node(&mut self, node: &Node) -> Node {
        self.nodes += 1;
        let value = match &node.value {
            Value::Alias(anchor) => match self.anchors.get(anchor) {
                Some(target) => return self.node(target),
                None => return node.clone(),
            },
            Value::Scalar { .. } => return node.clone(),
            Value::List(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            Value::Map { entries, flow } => {
                let own = entries.iter().map(|(key, value)| (self.node(key), self.node(value)));
                Value::Map { entries: merged(own.collect()), flow: *flow }
            }
        };
        Node { value, ..node.clone_head() }
    }
}

/// The entries with those that a merge key brings in. A field that is written out counts, then the first mapping that has it.
fn merged(entries: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    if !entries.iter().any(|(key, _)| key.text() == Some(MERGE)) {
        return entries;
    }
    let (merges, mut all): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, _)| key.text() == Some(MERGE));
    let mut known: HashSet<String> =
        all.iter().filter_map(|(key, _)| key.text().map(str::to_owned)).collect();
    for (_, value) in &merges {
        let sources = if value.items().is_empty() { std::slice::from_ref(value) } else { value.items() };
        for (key, value) in sources.iter().flat_map(Node::entries) {
            if key.text().is_none_or(|text| known.insert(text.to_owned())) {
                all.push((key.clone(), value.clone()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_expanded};
    use std::fmt::Write;

    fn text(source: &str, path: &[&str]) -> Option<String> {
        parse_expanded(source.as_bytes()).unwrap().documents[0].text_at(path).map(str::to_owned)
    }

    #[test]
    fn aliases_and_merge_keys_are_read_as_what_they_stand_for() {
        let wanted = |is: &str| Some(is.to_owned());
        assert_eq!(text("a: &n web\nb: {c: *n}\n", &["b", "c"]), wanted("web"));
        assert_eq!(text("x: &m {a: 1, b: 2}\ny: {<<: *m, b: 3}\n", &["y", "a"]), wanted("1"));
        assert_eq!(text("x: &m {a: 1, b: 2}\ny: {<<: *m, b: 3}\n", &["y", "b"]), wanted("3"));
        assert_eq!(text("x: &m {a: 1}\ny: &n {a: 2, b: 3}\nz: {<<: [*m, *n]}\n", &["z", "a"]), wanted("1"));
        assert_eq!(
            text("x: &m {a: 1}\ny: &n {<<: *m, b: 3}\nz:\n  <<: *n\n", &["z", "a"]),
            wanted("1"),
            "through another"
        );
        assert_eq!(text("&k name: web\nb: *k\n", &["b"]), wanted("name"), "of a key");
        assert_eq!(
            text("a: &k name\nb: {*k : web}\n", &["b", "name"]),
            wanted("web"),
            "in the place of a key"
        );
        let long = "x".repeat(5_000);
        assert_eq!(text(&format!("a: &n {long}\nb: *n\n"), &["b"]), Some(long), "of any length");
        assert!(parse(b"a: 1\n").unwrap().expanded().is_none());
    }

    #[test]
    fn a_file_whose_aliases_stand_for_too_much_is_refused_by_name() {
        let mut laughs = "a0: &a0 lol\nname: *a0\n".to_owned();
        for level in 1..30 {
            let _ = writeln!(laughs, "a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]", level - 1);
        }
        let many = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(1_000), "*a, ".repeat(60));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(5));
        let high = (1..200).fold("a0: &a0 []\n".to_owned(), |text, level| {
            format!("{text}a{level}: &a{level} [*a{}]\n", level - 1)
        });
        for (source, line) in [
            (laughs.as_str(), 10),
            (&many, 2),
            (&long, 2),
            (&high, 102),
            ("a: &a {b: *a}\n", 1),
            ("n: 1\na: &a\n  - &b [*b]\n", 3),
        ] {
            let error = parse(source.as_bytes()).map(drop).unwrap_err().to_string();
            assert!(error.contains(&format!("alias at line {line} ")), "{error}");
        }
    }
}
