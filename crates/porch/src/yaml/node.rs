//! The nodes of a file with their positions, the steps that lead to one, and what is asked of them.

use std::collections::HashSet;
use std::ops::Range;

/// One node and its position.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub bytes: Range<usize>,
    pub line: usize,
    pub value: Value,
    /// The parser's id of its anchor; 0 for none.
    pub anchor: usize,
    pub tagged: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map { entries: Vec<(Node, Node)>, flow: bool },
    Alias(usize),
}

/// One step of the path from a document to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

/// The keys of a path, written with dots.
pub(crate) fn keys(path: &str) -> Vec<Step> {
    path.split('.').map(|key| Step::Key(key.to_owned())).collect()
}

/// A file: its documents, and the anchors used by an alias.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub documents: Vec<Node>,
    pub aliased: HashSet<usize>,
    /// The number of nodes.
    pub nodes: usize,
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The value behind steps.
    pub(crate) fn walk(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Item(number) => node.items().get(*number),
        })
    }

    /// The text of the scalar at a path of keys.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Node::text)
    }

    /// The items of the list at a path of keys; none where there is no list.
    pub(crate) fn items_at(&self, path: &[&str]) -> &[Node] {
        self.at(path).map(Node::items).unwrap_or_default()
    }

    /// Everything but the value, with an empty scalar in its place.
    pub(super) fn clone_head(&self) -> Node {
        let value = Value::Scalar { text: String::new(), plain: true };
        Node { bytes: self.bytes.clone(), line: self.line, value, anchor: self.anchor, tagged: self.tagged }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; empty for any other node.
    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for any other node.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
}
