//! The events of the YAML library to nodes, each with its bytes in the file.

use super::alias;
use super::bounds::{DEPTH_MAX, NODES_MAX};
use super::error::YamlError;
use super::node::{Node, Stream, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashSet;

/// Parses text that begins at byte `shift` of the file. `lines` has the line starts, if the text is rearranged.
pub(super) fn read(
    bytes: &[u8],
    text: &str,
    shift: usize,
    lines: Option<Vec<usize>>,
) -> Result<Stream, YamlError> {
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
