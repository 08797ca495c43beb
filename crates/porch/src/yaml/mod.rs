//! YAML as a tree in which every node knows its source bytes, so that one scalar can be replaced and every other byte
//! kept. Parsing expands no alias and builds no values: a document cannot grow by it. What an alias stands for is put in place
//! for reading alone, within bounds. Constructs that a
//! Kubernetes package does not need (duplicate keys, unbounded depth, several anchors on an edited node) are refused by
//! name.

mod alias;
mod edit;
mod mask;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

pub(crate) use edit::{Address, EditError, set_integer, set_integer_inside};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashSet;
use std::ops::Range;

/// The largest file that is read; the API server itself accepts objects of at most 1.5 MiB.
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// The deepest nesting; a Deployment needs about 12.
const DEPTH_MAX: usize = 100;
/// The largest number of nodes in one file.
const NODES_MAX: usize = 200_000;
/// The byte order mark that some editors write.
const BOM: &str = "\u{feff}";

/// Why a file cannot be read as YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum YamlError {
    #[error("is {0} bytes; at most {BYTES_MAX} are read")]
    TooLarge(usize),
    #[error("is not UTF-8")]
    Encoding,
    #[error("is not YAML at line {line}: {reason}")]
    Syntax { line: usize, reason: String },
    #[error("has the character U+{character:04X} at line {line}, which no tool of Kubernetes takes")]
    Character { line: usize, character: u32 },
    #[error("has a YAML directive (%) at line {line}, which no tool of Kubernetes takes")]
    Directive { line: usize },
    #[error("is nested deeper than {DEPTH_MAX} at line {0}")]
    TooDeep(usize),
    #[error("has more than {NODES_MAX} nodes")]
    TooMany,
    #[error("has the key '{key}' twice in one mapping, at line {line}")]
    DuplicateKey { key: String, line: usize },
    #[error("has an alias at line {line} that stands for itself, or for more than {max} nodes with those before it", max = alias::ALL_MAX)]
    Alias { line: usize },
}

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
    fn clone_head(&self) -> Node {
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

/// Why a file is refused by its size.
pub(crate) fn too_large() -> String {
    format!("is larger than {BYTES_MAX} bytes")
}

/// Parses a text that is only read: with aliases and merge keys replaced.
pub(crate) fn parse_expanded(bytes: &[u8]) -> Result<Stream, YamlError> {
    let stream = parse(bytes)?;
    Ok(stream.expanded().unwrap_or(stream))
}

/// Parses a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Stream, YamlError> {
    if bytes.len() > BYTES_MAX {
        return Err(YamlError::TooLarge(bytes.len()));
    }
    let whole = std::str::from_utf8(bytes).map_err(|_| YamlError::Encoding)?;
    let text = whole.strip_prefix(BOM).unwrap_or(whole);
    let shift = whole.len() - text.len();
    check_taken(text)?;
    match read(bytes, text, shift, None) {
        // The reported error is about the original text.
        Err(error @ YamlError::Syntax { .. }) => match mask::masked(text) {
            Some(masked) => {
                read(bytes, &masked, shift, Some(line_starts(bytes))).map_err(|again| match again {
                    YamlError::Syntax { .. } => error,
                    other => other,
                })
            }
            None => Err(error),
        },
        other => other,
    }
}

/// Whether go-yaml, by which Kubernetes' tools read, takes the character. NEXT LINE (U+0085) it takes for the end of a line and
/// this parser does not, so it counts as not taken.
fn is_taken(character: char) -> bool {
    !matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text is JSON, which kubectl reads as such: the texts in it may have any character but those below the blank.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::Deserializer::from_str(text)
            .into_iter::<serde::de::IgnoredAny>()
            .all(|document| document.is_ok())
}

/// Checks what those parsers refuse before they look at the structure, and this one takes.
fn check_taken(text: &str) -> Result<(), YamlError> {
    let line_at = |byte: usize| 1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count();
    // Most files have printable ASCII alone.
    if text.bytes().any(|byte| byte >= 0x7f || (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')))
        && let Some((at, character)) = text.char_indices().find(|(_, character)| !is_taken(*character))
        && !is_json(text)
    {
        return Err(YamlError::Character { line: line_at(at), character: character.into() });
    }
    let is_comment = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
    match text.lines().enumerate().find(|(_, line)| !is_comment(line)) {
        Some((before, line)) if line.starts_with('%') => Err(YamlError::Directive { line: before + 1 }),
        _ => Ok(()),
    }
}

/// Parses text that begins at byte `shift` of the file. `lines` has the line starts, if the text is rearranged.
fn read(bytes: &[u8], text: &str, shift: usize, lines: Option<Vec<usize>>) -> Result<Stream, YamlError> {
    let mut reader = Reader {
        source: bytes,
        places: Places::new(text, shift),
        lines,
        open: Vec::new(),
        collections: HashSet::new(),
        nodes: 0,
        stream: Stream::default(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError::Syntax {
            line: error.marker().line(),
            reason: error.info().to_owned(),
        })?;
        reader.take(event, span)?;
    }
    reader.stream.nodes = reader.nodes;
    alias::check(&reader.stream)?;
    Ok(reader.stream)
}

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let behind = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(behind).collect()
}

/// Converts the parser's positions (characters) to bytes of the file.
struct Places {
    /// Byte offset of each character; empty for pure ASCII, where both are equal.
    bytes: Vec<u32>,
    shift: usize,
    len: usize,
}

impl Places {
    fn new(text: &str, shift: usize) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(byte, _)| u32::try_from(byte).unwrap_or(u32::MAX)).collect()
        };
        Self { bytes, shift, len: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = if self.bytes.is_empty() {
            character
        } else {
            self.bytes.get(character).map_or(self.len, |byte| *byte as usize)
        };
        byte.min(self.len) + self.shift
    }
}

/// A collection that has begun and not ended.
enum Open {
    List(Node),
    Map { node: Node, key: Option<Node>, seen: HashSet<String> },
}

struct Reader<'s> {
    source: &'s [u8],
    places: Places,
    /// The line starts, if the parser's own count does not match the file.
    lines: Option<Vec<usize>>,
    open: Vec<Open>,
    /// The anchors of mappings and lists.
    collections: HashSet<usize>,
    nodes: usize,
    stream: Stream,
}

/// Whether a node is a mapping or a list, or an alias of one.
fn is_collection(node: &Node, anchors: &HashSet<usize>) -> bool {
    match &node.value {
        Value::Scalar { .. } => false,
        Value::List(_) | Value::Map { .. } => true,
        Value::Alias(anchor) => anchors.contains(anchor),
    }
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let node = |reader: &Self, value, anchor, tagged| Node {
            bytes: reader.places.byte(span.start.index())..reader.places.byte(span.end.index()),
            line: reader.line(span),
            value,
            anchor,
            tagged,
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                let scalar = node(self, value, anchor, tag.is_some());
                self.place(scalar)
            }
            Event::Alias(anchor) => {
                self.stream.aliased.insert(anchor);
                let alias = node(self, Value::Alias(anchor), 0, false);
                self.place(alias)
            }
            Event::SequenceStart(anchor, tag) => {
                let list = node(self, Value::List(Vec::new()), anchor, tag.is_some());
                self.begin(Open::List(list), span)
            }
            Event::MappingStart(anchor, tag) => {
                let flow = self.source.get(self.places.byte(span.start.index())) == Some(&b'{');
                let value = Value::Map { entries: Vec::new(), flow };
                let map = node(self, value, anchor, tag.is_some());
                self.begin(Open::Map { node: map, key: None, seen: HashSet::new() }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            // What follows a document without a mark, no tool of Kubernetes reads.
            Event::DocumentStart(false) if !self.stream.documents.is_empty() => {
                Err(self.not_taken(span, "a document has to begin with ---"))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn not_taken(&self, span: Span, reason: &str) -> YamlError {
        YamlError::Syntax { line: self.line(span), reason: reason.to_owned() }
    }

    fn line(&self, span: Span) -> usize {
        match &self.lines {
            None => span.start.line(),
            Some(starts) => starts.partition_point(|start| *start <= self.places.byte(span.start.index())),
        }
    }

    fn begin(&mut self, collection: Open, span: Span) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(YamlError::TooDeep(self.line(span)));
        }
        self.open.push(collection);
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), YamlError> {
        let Some(collection) = self.open.pop() else { return Ok(()) };
        let (Open::List(mut node) | Open::Map { mut node, .. }) = collection;
        if node.anchor != 0 {
            self.collections.insert(node.anchor);
        }
        node.bytes.end = self.places.byte(span.end.index()).max(node.bytes.start);
        // What a growing list reserves would be half of the memory of a file that is kept.
        match &mut node.value {
            Value::List(items) => items.shrink_to_fit(),
            Value::Map { entries, .. } => entries.shrink_to_fit(),
            _ => {}
        }
        self.place(node)
    }

    /// Adds a finished node to its parent.
    fn place(&mut self, node: Node) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(YamlError::TooMany);
        }
        match self.open.last_mut() {
            None => self.stream.documents.push(node),
            Some(Open::List(list)) => {
                if let Value::List(items) = &mut list.value {
                    items.push(node);
                }
            }
            Some(Open::Map { node: map, key, seen }) => match key.take() {
                // The tools of Kubernetes have no such keys: they read YAML as JSON. An alias is judged by what it stands for.
                None if is_collection(&node, &self.collections) => {
                    let reason =
                        "a mapping or a list is the key of a mapping, which no tool of Kubernetes takes";
                    return Err(YamlError::Syntax { line: node.line, reason: reason.to_owned() });
                }
                // The parser takes `: x`, which the tools of Kubernetes do not.
                None if node.bytes.is_empty() && node.anchor == 0 => {
                    return Err(YamlError::Syntax { line: node.line, reason: "a key is missing".to_owned() });
                }
                None => {
                    // The merge key may be repeated in practice, and is never followed here.
                    if let Some(name) = node.text().filter(|name| *name != "<<")
                        && !seen.insert(name.to_owned())
                    {
                        let key = name.chars().take(60).collect();
                        return Err(YamlError::DuplicateKey { key, line: node.line });
                    }
                    *key = Some(node);
                }
                Some(name) => {
                    if let Value::Map { entries, .. } = &mut map.value {
                        entries.push((name, node));
                    }
                }
            },
        }
        Ok(())
    }
}

/// The paths at which two files differ, at most `limit` of them. Scalars are compared with their style: `3` is not `"3"`.
pub(crate) fn differences(before: &Stream, after: &Stream, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    compare_lists(&before.documents, &after.documents, "", &mut found, limit);
    found
}

fn compare(before: &Node, after: &Node, path: &str, found: &mut Vec<String>, limit: usize) {
    if found.len() >= limit {
        return;
    }
    let same = match (&before.value, &after.value) {
        (Value::Scalar { text: a, plain: p }, Value::Scalar { text: b, plain: q }) => a == b && p == q,
        (Value::Alias(a), Value::Alias(b)) => a == b,
        (Value::List(a), Value::List(b)) => return compare_lists(a, b, path, found, limit),
        (Value::Map { entries: a, flow: f }, Value::Map { entries: b, flow: g }) if f == g => {
            return compare_maps(a, b, path, found, limit);
        }
        _ => false,
    };
    if !same || before.anchor != after.anchor || before.tagged != after.tagged {
        found.push(path.to_owned());
    }
}

fn compare_lists(before: &[Node], after: &[Node], path: &str, found: &mut Vec<String>, limit: usize) {
    if before.len() != after.len() {
        found.push(path.to_owned());
        return;
    }
    for (number, (a, b)) in before.iter().zip(after).enumerate() {
        compare(a, b, &format!("{path}/{number}"), found, limit);
    }
}

fn compare_maps(
    before: &[(Node, Node)],
    after: &[(Node, Node)],
    path: &str,
    found: &mut Vec<String>,
    limit: usize,
) {
    let name = |key: &Node| key.text().unwrap_or("?").to_owned();
    let (mut a, mut b) = (before.iter().peekable(), after.iter().peekable());
    while let (Some((key_a, value_a)), Some((key_b, value_b))) = (a.peek(), b.peek()) {
        if key_a.text() == key_b.text() {
            compare(value_a, value_b, &format!("{path}/{}", name(key_a)), found, limit);
            a.next();
        } else {
            // Present in the second only; any other difference shows up as a rest of the first.
            found.push(format!("{path}/{}", name(key_b)));
        }
        b.next();
        if found.len() >= limit {
            return;
        }
    }
    found.extend(a.chain(b).map(|(key, _)| format!("{path}/{}", name(key))));
}
