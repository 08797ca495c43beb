//! Documents as a reader of Kubernetes sees them: with what an alias stands for in the place of the alias, and with the
//! fields that a merge key brings in. Only for reading: an edit needs the nodes as they are written. The expansion is
//! bounded, and an alias that exceeds the bound stays one.

use super::{DEPTH_MAX, Node, Stream, Value};
use std::collections::HashMap;

/// The largest number of nodes that one alias brings in.
const ALIAS_MAX: usize = 2_000;
/// The largest number of nodes that all aliases of a file bring in.
const ALL_MAX: usize = 50_000;
/// The longest text that an alias brings in; a name is shorter.
const TEXT_MAX: usize = 1_000;
/// The merge key.
const MERGE: &str = "<<";

impl Stream {
    /// The same documents with aliases and merge keys replaced; `None` if there are none.
    pub(crate) fn expanded(&self) -> Option<Stream> {
        if self.aliased.is_empty() {
            return None;
        }
        let mut anchors = HashMap::new();
        self.documents.iter().for_each(|document| collect(document, &mut anchors));
        let mut expansion = Expansion { anchors, left: ALL_MAX };
        let documents = self.documents.iter().map(|document| expansion.node(document, 0)).collect();
        let nodes = self.nodes + ALL_MAX - expansion.left;
        Some(Stream { documents, aliased: self.aliased.clone(), nodes })
    }
}

/// The nodes that have an anchor.
fn collect<'n>(node: &'n Node, anchors: &mut HashMap<usize, &'n Node>) {
    if node.anchor != 0 {
        anchors.insert(node.anchor, node);
    }
    for value in node.entries().iter().map(|(_, value)| value).chain(node.items()) {
        collect(value, anchors);
    }
}

struct Expansion<'n> {
    anchors: HashMap<usize, &'n Node>,
    /// The rest of [`ALL_MAX`].
    left: usize,
}

impl Expansion<'_> {
    fn node(&mut self, node: &Node, depth: usize) -> Node {
        let value = match &node.value {
            Value::Alias(anchor) => return self.alias(*anchor, depth).unwrap_or_else(|| node.clone()),
            Value::Scalar { .. } => return node.clone(),
            Value::List(items) => Value::List(items.iter().map(|item| self.node(item, depth + 1)).collect()),
            Value::Map { entries, flow } => {
                let own = entries.iter().map(|(key, value)| (key.clone(), self.node(value, depth + 1)));
                Value::Map { entries: merged(own.collect()), flow: *flow }
            }
        };
        Node { value, ..node.clone_head() }
    }

    /// What an alias stands for, if it is within the bounds.
    fn alias(&mut self, anchor: usize, depth: usize) -> Option<Node> {
        let target = *self.anchors.get(&anchor)?;
        let mut price = 0;
        if depth > DEPTH_MAX || !is_small(target, &self.anchors, 0, &mut price) {
            return None;
        }
        self.left = self.left.checked_sub(price)?;
        Some(self.node(target, depth + 1))
    }
}

/// Whether a node with all that its aliases stand for has at most [`ALIAS_MAX`] nodes. `price` counts them.
fn is_small(node: &Node, anchors: &HashMap<usize, &Node>, depth: usize, price: &mut usize) -> bool {
    *price += 1;
    if *price > ALIAS_MAX || depth > DEPTH_MAX {
        return false;
    }
    match &node.value {
        Value::Scalar { text, .. } => text.len() <= TEXT_MAX,
        Value::Alias(anchor) => {
            anchors.get(anchor).is_none_or(|target| is_small(target, anchors, depth + 1, price))
        }
        Value::List(items) => items.iter().all(|item| is_small(item, anchors, depth + 1, price)),
        Value::Map { entries, .. } => {
            entries.iter().all(|(_, value)| is_small(value, anchors, depth + 1, price))
        }
    }
}

/// The entries with those that a merge key brings in. A field that is written out counts, then the first mapping that has it.
fn merged(entries: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    if !entries.iter().any(|(key, _)| key.text() == Some(MERGE)) {
        return entries;
    }
    let (merges, mut all): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, _)| key.text() == Some(MERGE));
    for (_, value) in &merges {
        let sources = if value.items().is_empty() { std::slice::from_ref(value) } else { value.items() };
        for (key, value) in sources.iter().flat_map(Node::entries) {
            if !all.iter().any(|(known, _)| known.text() == key.text()) {
                all.push((key.clone(), value.clone()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::{YamlError, parse};
    use std::fmt::Write;

    fn text(source: &str, path: &[&str]) -> Option<String> {
        let stream = parse(source.as_bytes()).unwrap();
        let stream = stream.expanded().unwrap_or(stream);
        stream.documents[0].text_at(path).map(str::to_owned)
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
        assert!(parse(b"a: 1\n").unwrap().expanded().is_none());
    }

    #[test]
    fn an_alias_that_grows_beyond_the_bound_stays_one() -> Result<(), YamlError> {
        let mut laughs = "a0: &a0 lol\nname: *a0\n".to_owned();
        for level in 1..30 {
            let _ = writeln!(laughs, "a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]", level - 1);
        }
        let stream = parse(laughs.as_bytes())?.expanded().unwrap();
        assert_eq!(stream.documents[0].text_at(&["name"]), Some("lol"));
        assert!(format!("{stream:?}").len() < 50 << 20);
        let itself = parse(b"a: &a {b: *a}\nn: &n web\nc: *n\n")?.expanded().unwrap();
        assert_eq!(itself.documents[0].text_at(&["c"]), Some("web"));
        Ok(())
    }
}
