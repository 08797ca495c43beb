//! Replaces one integer of one mapping, or adds it if it is absent; every other byte stays. The result is parsed again
//! and compared with the source: it may differ at that one path only.

use super::difference::differences;
use super::error::YamlError;
use super::node::{Node, Step, Stream, Value};
use super::parser::parse;
use std::ops::Range;

/// What marks a setter of kpt before 1.0.
const OLD_SETTERS: [&str; 4] = ["\"$kpt-set\"", "\"$openapi\"", "\"x-kustomize\"", "io.k8s.cli.setters"];

/// Why a value cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error(
        "line {0}: the value is shared through an anchor or alias; changing it would change more than one field"
    )]
    Shared(usize),
    #[error("line {0}: merge keys (<<) decide part of this mapping; write the fields out")]
    Merged(usize),
    #[error("line {line}: '{found}' is not a plain decimal number")]
    NotANumber { line: usize, found: String },
    #[error("line {0}: the value is set by a kpt setter (kpt-set); change the setter")]
    Setter(usize, Vec<String>),
    #[error("line {0}: the value is an expression of ytt (#@); change what it stands for")]
    Computed(usize),
    #[error("line {0}: there is no mapping to set the value in")]
    NoMapping(usize),
    #[error(
        "line {0}: the mapping is laid out in a way a value cannot be added to safely; add the field by hand once"
    )]
    Layout(usize),
    #[error("line {0}: the number stands in text that is folded or escaped; write it as a literal block (|)")]
    Folded(usize),
    #[error("the result would not be the intended one ({0}); nothing was changed")]
    SelfCheck(String),
}

impl EditError {
    /// The same of text that begins on a line.
    fn below(mut self, first: usize) -> Self {
        match &mut self {
            Self::Shared(line)
            | Self::Merged(line)
            | Self::NotANumber { line, .. }
            | Self::Setter(line, _)
            | Self::Computed(line)
            | Self::NoMapping(line)
            | Self::Layout(line)
            | Self::Folded(line) => *line += first.saturating_sub(1),
            Self::SelfCheck(_) => {}
        }
        self
    }
}

impl From<YamlError> for EditError {
    fn from(error: YamlError) -> Self {
        EditError::SelfCheck(format!("it {error}"))
    }
}

/// The previous value, and the new bytes if they differ.
pub(crate) type Edited = (Option<u32>, Option<Vec<u8>>);

/// The place of a value, existing or not, and the text to write there.
struct Replacement {
    from: Option<u32>,
    place: Range<usize>,
    text: String,
}

/// Sets the value at `path` of document `number` to `wanted`.
pub(crate) fn set_integer(
    source: &[u8],
    stream: &Stream,
    number: usize,
    path: &[Step],
    wanted: u32,
) -> Result<Edited, EditError> {
    let Replacement { from, place, text } = locate(source, stream, number, path, wanted)?;
    if from == Some(wanted) {
        return Ok((from, None));
    }
    let after = splice(source, place, &text);
    verify(stream, &parse(&after)?, number, path, &wanted.to_string())?;
    Ok((from, Some(after)))
}

/// A node of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    /// Which document of the stream.
    pub(crate) document: usize,
    /// The way from its root.
    pub(crate) steps: &'a [Step],
}

/// Sets the value at `inner` in a document that is itself the text of the scalar at `outer`, such as a patch that is written
/// inline.
pub(crate) fn set_integer_inside(
    source: &[u8],
    stream: &Stream,
    outer: Address<'_>,
    inner: Address<'_>,
    wanted: u32,
) -> Result<Edited, EditError> {
    let root = stream.documents.get(outer.document).ok_or(EditError::NoMapping(0))?;
    if let Some((_, way)) = outer.steps.split_last() {
        unshared(stream, root, way)?;
    }
    let node = root.walk(outer.steps).ok_or(EditError::NoMapping(0))?;
    if matches!(node.value, Value::Alias(_)) || stream.aliased.contains(&node.anchor) {
        return Err(EditError::Shared(node.line));
    }
    let text = node.text().ok_or(EditError::NoMapping(node.line))?;
    let within = parse(text.as_bytes())?;
    let found = locate(text.as_bytes(), &within, inner.document, inner.steps, wanted);
    let found = found.map_err(|error| error.below(node.line))?;
    if found.from == Some(wanted) {
        return Ok((found.from, None));
    }
    let start = outside(source, node, text, found.place.start).ok_or(EditError::Folded(node.line))?;
    let place = start..start + found.place.len();
    if source.get(place.clone()) != text.as_bytes().get(found.place.clone()) {
        return Err(EditError::Folded(node.line));
    }
    let after = splice(source, place, &found.text);
    let expected = String::from_utf8(splice(text.as_bytes(), found.place, &found.text)).unwrap_or_default();
    verify(&within, &parse(expected.as_bytes())?, inner.document, inner.steps, &wanted.to_string())?;
    verify(stream, &parse(&after)?, outer.document, outer.steps, &expected)?;
    Ok((found.from, Some(after)))
}

/// The byte of the file for a byte of a scalar's text, if the text stands there unchanged.
fn outside(source: &[u8], node: &Node, text: &str, at: usize) -> Option<usize> {
    let raw = std::str::from_utf8(source.get(node.bytes.clone())?).ok()?;
    let verbatim = raw.find(text).filter(|_| !text.contains('\n'));
    if let Some(begin) = verbatim {
        return Some(node.bytes.start + begin + at);
    }
    // A literal block: each line without its indentation. The parser's span begins at the first line that is not empty.
    let head = source.get(..node.bytes.start)?;
    let header_end = head.trim_ascii_end().len();
    let header = source.get(line_start(source, header_end)..header_end)?;
    if !is_literal_header(std::str::from_utf8(header).ok()?) {
        return None;
    }
    let body = header_end + head.get(header_end..)?.iter().position(|byte| *byte == b'\n')? + 1;
    let lines = std::str::from_utf8(source.get(body..)?).ok()?;
    let indent =
        lines.lines().find(|line| !line.trim().is_empty())?.bytes().take_while(|byte| *byte == b' ').count();
    let before = text.get(..at)?;
    let (line, column) = (before.matches('\n').count(), before.rsplit('\n').next()?.len());
    let start: usize = lines.split_inclusive('\n').take(line).map(str::len).sum();
    Some(body + start + indent + column)
}

/// Whether a line ends with `|`, perhaps with `-` or `+` and a comment behind it.
fn is_literal_header(line: &str) -> bool {
    line.match_indices(['|', '>']).any(|(at, mark)| {
        let rest = line.get(at + 1..).unwrap_or_default().trim_start_matches(['-', '+']);
        mark == "|" && (rest.trim_start().is_empty() || rest.trim_start().starts_with('#'))
    })
}

/// Checks that only the one value differs, and that it is the intended one.
fn verify(
    before: &Stream,
    after: &Stream,
    number: usize,
    path: &[Step],
    wanted: &str,
) -> Result<(), EditError> {
    let step = |step: &Step| match step {
        Step::Key(key) => format!("/{key}"),
        Step::Item(item) => format!("/{item}"),
    };
    let expected = format!("/{number}{}", path.iter().map(step).collect::<String>());
    let found = differences(before, after, 2);
    if found != [expected] {
        return Err(EditError::SelfCheck(format!("it differs at {}", found.join(" and "))));
    }
    let is = after.documents.get(number).and_then(|root| root.walk(path)?.text());
    if is != Some(wanted) {
        return Err(EditError::SelfCheck(format!("the value is {is:?}")));
    }
    Ok(())
}

fn locate(
    source: &[u8],
    stream: &Stream,
    number: usize,
    path: &[Step],
    wanted: u32,
) -> Result<Replacement, EditError> {
    let document = stream.documents.get(number).zip(path.split_last());
    let Some((root, (last, holders))) = document else { return Err(EditError::NoMapping(0)) };
    let holder = unshared(stream, root, holders)?;
    let key = match last {
        Step::Key(key) => key,
        Step::Item(item) => {
            let node = holder.items().get(*item).ok_or(EditError::NoMapping(holder.line))?;
            let (from, place) = number_at(source, stream, node)?;
            return Ok(Replacement { from: Some(from), place, text: wanted.to_string() });
        }
    };
    if !matches!(holder.value, Value::Map { .. }) {
        return Err(EditError::NoMapping(holder.line));
    }
    let Some((name, value)) = holder.entries().iter().find(|(name, _)| name.text() == Some(key)) else {
        let (at, text) = insertion(source, root, holder, key, wanted)?;
        return Ok(Replacement { from: None, place: at..at, text });
    };
    if is_unset(stream, value) {
        let (place, text) = unset(source, name, value, wanted)?;
        return Ok(Replacement { from: None, place, text });
    }
    let (from, place) = number_at(source, stream, value)?;
    Ok(Replacement { from: Some(from), place, text: wanted.to_string() })
}

/// Whether a value counts as unset: renderers write it so, and the API accepts it.
fn is_unset(stream: &Stream, node: &Node) -> bool {
    let Value::Scalar { text, plain: true } = &node.value else { return false };
    !node.tagged
        && !stream.aliased.contains(&node.anchor)
        && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
}

/// The bytes of a null and the number; after the colon if there is no value.
fn unset(source: &[u8], key: &Node, value: &Node, wanted: u32) -> Result<(Range<usize>, String), EditError> {
    let text = value.text().unwrap_or_default();
    // The parser reports a plain `~` as an empty value.
    let place = value.bytes.end.saturating_sub(text.len()).max(value.bytes.start)..value.bytes.end;
    if !text.is_empty() && source.get(place.clone()) == Some(text.as_bytes()) {
        setter_free(source, place.end, value.line)?;
        return Ok((place, wanted.to_string()));
    }
    let colon =
        source.get(key.bytes.end..).unwrap_or_default().iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    let at = key.bytes.end + colon.unwrap_or_default();
    if value.anchor != 0 || source.get(at) != Some(&b':') {
        return Err(EditError::Layout(key.line));
    }
    setter_free(source, at, key.line)?;
    Ok((at + 1..at + 1, format!(" {wanted}")))
}

fn splice(source: &[u8], place: Range<usize>, text: &str) -> Vec<u8> {
    let mut after = Vec::with_capacity(source.len() + text.len());
    after.extend_from_slice(source.get(..place.start).unwrap_or_default());
    after.extend_from_slice(text.as_bytes());
    after.extend_from_slice(source.get(place.end..).unwrap_or_default());
    after
}

/// The collection at the path, if no node on the way is shared through an anchor or alias.
fn unshared<'n>(stream: &Stream, root: &'n Node, path: &[Step]) -> Result<&'n Node, EditError> {
    let mut node = root;
    for step in std::iter::once(None).chain(path.iter().map(Some)) {
        if let Some(step) = step {
            node = node.walk(std::slice::from_ref(step)).ok_or(EditError::NoMapping(node.line))?;
        }
        match &node.value {
            Value::Alias(_) => return Err(EditError::Shared(node.line)),
            _ if stream.aliased.contains(&node.anchor) => return Err(EditError::Shared(node.line)),
            Value::Map { .. } if node.get("<<").is_some() => return Err(EditError::Merged(node.line)),
            // It may be the key that is looked for.
            Value::Map { entries, .. }
                if entries.iter().any(|(key, _)| matches!(key.value, Value::Alias(_))) =>
            {
                return Err(EditError::Shared(node.line));
            }
            Value::Map { .. } | Value::List(_) => {}
            Value::Scalar { .. } => return Err(EditError::NoMapping(node.line)),
        }
    }
    Ok(node)
}

/// The number in a node and its byte range, without an anchor before it.
fn number_at(source: &[u8], stream: &Stream, node: &Node) -> Result<(u32, Range<usize>), EditError> {
    let line = node.line;
    let not_a_number = |found: &str| EditError::NotANumber { line, found: found.chars().take(40).collect() };
    let text = match &node.value {
        Value::Alias(_) => return Err(EditError::Shared(line)),
        _ if stream.aliased.contains(&node.anchor) => return Err(EditError::Shared(line)),
        Value::Scalar { text, plain: true } if !node.tagged => text,
        Value::Scalar { text, .. } => return Err(not_a_number(text)),
        Value::List(_) | Value::Map { .. } => return Err(not_a_number("a collection")),
    };
    // The bytes themselves are checked, so that a parser's position is never trusted.
    let place = node.bytes.end.saturating_sub(text.len()).max(node.bytes.start)..node.bytes.end;
    if text.is_empty()
        || !text.bytes().all(|byte| byte.is_ascii_digit())
        || (text.len() > 1 && text.starts_with('0'))
        || source.get(place.clone()) != Some(text.as_bytes())
    {
        return Err(not_a_number(text));
    }
    setter_free(source, place.end, line)?;
    text.parse().map(|number| (number, place)).map_err(|_| not_a_number(text))
}

/// Checks that no kpt setter or expression of ytt governs the rest of this line.
fn setter_free(source: &[u8], at: usize, line: usize) -> Result<(), EditError> {
    let rest = source.get(at..).unwrap_or_default();
    let line_end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    let text = String::from_utf8_lossy(rest.get(..line_end).unwrap_or_default());
    if let Some((_, setter)) = text.split_once("kpt-set:") {
        let names = setter.split("${").skip(1).filter_map(|name| name.split_once('}'));
        return Err(EditError::Setter(line, names.map(|(name, _)| name.trim().to_owned()).collect()));
    }
    if text.trim_start_matches([':', ' ', '\t']).starts_with("#@") {
        return Err(EditError::Computed(line));
    }
    // Before kpt 1.0 a comment of JSON named the setter.
    if OLD_SETTERS.iter().any(|mark| text.contains(mark)) {
        return Err(EditError::Setter(line, Vec::new()));
    }
    Ok(())
}

/// The position of `key: wanted` as the first entry of the mapping, and the text to insert there.
fn insertion(
    source: &[u8],
    root: &Node,
    map: &Node,
    key: &str,
    wanted: u32,
) -> Result<(usize, String), EditError> {
    let Value::Map { entries, flow } = &map.value else { return Err(EditError::NoMapping(map.line)) };
    if *flow {
        return Ok(flow_insertion(source, root, map, key, wanted));
    }
    let (first, _) = entries.first().ok_or(EditError::NoMapping(map.line))?;
    let at = first.bytes.start;
    let before = source.get(..at).unwrap_or_default();
    let start = line_start(source, at);
    let indent = before.get(start..).unwrap_or_default();
    if first.anchor != 0 || first.tagged || !indent.iter().all(|byte| *byte == b' ') {
        return Err(EditError::Layout(first.line));
    }
    let windows = start >= 2 && before.get(start - 2) == Some(&b'\r');
    let end = if windows { "\r\n" } else { "\n" };
    let indent = " ".repeat(indent.len());
    Ok((above_comments(source, start), format!("{indent}{key}: {wanted}{end}")))
}

fn line_start(source: &[u8], at: usize) -> usize {
    let before = source.get(..at).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// Lines of comment directly above a field explain that field.
fn above_comments(source: &[u8], mut start: usize) -> usize {
    while start > 0 {
        let above = line_start(source, start - 1);
        let line = source.get(above..start).unwrap_or_default().trim_ascii();
        if !line.starts_with(b"#") {
            break;
        }
        start = above;
    }
    start
}

/// An insertion in the style of its neighbours: with quotes in JSON, on a line of its own if each has one.
fn flow_insertion(source: &[u8], root: &Node, map: &Node, key: &str, wanted: u32) -> (usize, String) {
    let Some((first, _)) = map.entries().first() else {
        let quoted =
            root.entries().first().is_some_and(|(name, _)| source.get(name.bytes.start) == Some(&b'"'));
        let text = if quoted { format!("\"{key}\": {wanted}") } else { format!("{key}: {wanted}") };
        return (map.bytes.start + 1, text);
    };
    let quoted = source.get(first.bytes.start) == Some(&b'"');
    let colon = source.get(first.bytes.end) == Some(&b':');
    let tight =
        quoted && colon && !matches!(source.get(first.bytes.end + 1), Some(b' ' | b'\t' | b'\n' | b'\r'));
    let gap = if tight { "" } else { " " };
    let text = if quoted { format!("\"{key}\":{gap}{wanted},") } else { format!("{key}: {wanted},") };
    let start = line_start(source, first.bytes.start);
    let indent = source.get(start..first.bytes.start).unwrap_or_default();
    if start > map.bytes.start && indent.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        let windows = start >= 2 && source.get(start - 2) == Some(&b'\r');
        let end = if windows { "\r\n" } else { "\n" };
        let indent = String::from_utf8_lossy(indent).into_owned();
        return (above_comments(source, start), format!("{indent}{text}{end}"));
    }
    (map.bytes.start + 1, format!("{text}{gap}"))
}
