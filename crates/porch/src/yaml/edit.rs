//! One integer of one mapping is replaced, or added when it is absent; every other byte stays. The result is parsed
//! again and compared with what was there: it may differ at that one path only.

use super::{Node, Stream, Value, YamlError, differences, parse};
use std::ops::Range;

/// Why a value is not changed.
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
    Setter(usize),
    #[error("line {0}: there is no mapping to set the value in")]
    NoMapping(usize),
    #[error(
        "line {0}: the mapping is laid out in a way a value cannot be added to safely; add the field by hand once"
    )]
    Layout(usize),
    #[error("the result would not be what was meant ({0}); nothing was changed")]
    SelfCheck(String),
}

impl From<YamlError> for EditError {
    fn from(error: YamlError) -> Self {
        EditError::SelfCheck(format!("it {error}"))
    }
}

/// Sets the value at `path` of document `number` to `wanted`. Answers what was there, and the new bytes
/// unless they would be the same.
pub(crate) fn set_integer(
    source: &[u8],
    stream: &Stream,
    number: usize,
    path: &[&str],
    wanted: u32,
) -> Result<(Option<u32>, Option<Vec<u8>>), EditError> {
    let document = stream.documents.get(number).zip(path.split_last());
    let Some((root, (key, holders))) = document else { return Err(EditError::NoMapping(0)) };
    let map = unshared(stream, root, holders)?;
    let (from, place, text) = if let Some(node) = map.get(key) {
        let (from, place) = number_at(source, stream, node)?;
        (Some(from), place, wanted.to_string())
    } else {
        let (at, text) = insertion(source, map, key, wanted)?;
        (None, at..at, text)
    };
    if from == Some(wanted) {
        return Ok((from, None));
    }
    let after = splice(source, place, &text);
    let expected = format!("/{number}/{}", path.join("/"));
    let result = parse(&after)?;
    let found = differences(stream, &result, 2);
    if found != [expected] {
        return Err(EditError::SelfCheck(format!("it differs at {}", found.join(" and "))));
    }
    let is = result.documents.get(number).and_then(|root| root.at(path)?.text());
    if is != Some(wanted.to_string().as_str()) {
        return Err(EditError::SelfCheck(format!("the value is {is:?}")));
    }
    Ok((from, Some(after)))
}

fn splice(source: &[u8], place: Range<usize>, text: &str) -> Vec<u8> {
    let mut after = Vec::with_capacity(source.len() + text.len());
    after.extend_from_slice(source.get(..place.start).unwrap_or_default());
    after.extend_from_slice(text.as_bytes());
    after.extend_from_slice(source.get(place.end..).unwrap_or_default());
    after
}

/// The mapping at the path, when nothing on the way to it is used elsewhere or comes from elsewhere.
fn unshared<'n>(stream: &Stream, root: &'n Node, path: &[&str]) -> Result<&'n Node, EditError> {
    let mut node = root;
    for step in std::iter::once(None).chain(path.iter().map(Some)) {
        if let Some(key) = step {
            node = node.get(key).ok_or(EditError::NoMapping(root.line))?;
        }
        match &node.value {
            Value::Alias(_) => return Err(EditError::Shared(node.line)),
            _ if stream.aliased.contains(&node.anchor) => return Err(EditError::Shared(node.line)),
            Value::Map { .. } if node.get("<<").is_some() => return Err(EditError::Merged(node.line)),
            Value::Map { .. } => {}
            Value::Scalar { .. } | Value::List(_) => return Err(EditError::NoMapping(node.line)),
        }
    }
    Ok(node)
}

/// The number in a node and its bytes, which an anchor in front of it is not part of.
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
    // The bytes themselves are asked, so that a parser's idea of a position is never trusted.
    let place = node.bytes.end.saturating_sub(text.len()).max(node.bytes.start)..node.bytes.end;
    if text.is_empty()
        || !text.bytes().all(|byte| byte.is_ascii_digit())
        || (text.len() > 1 && text.starts_with('0'))
        || source.get(place.clone()) != Some(text.as_bytes())
    {
        return Err(not_a_number(text));
    }
    let rest = source.get(place.end..).unwrap_or_default();
    let line_end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    if String::from_utf8_lossy(rest.get(..line_end).unwrap_or_default()).contains("kpt-set:") {
        return Err(EditError::Setter(line));
    }
    text.parse().map(|number| (number, place)).map_err(|_| not_a_number(text))
}

/// Where `key: wanted` goes as the first entry of the mapping, and what is written there.
fn insertion(source: &[u8], map: &Node, key: &str, wanted: u32) -> Result<(usize, String), EditError> {
    let Value::Map { entries, flow } = &map.value else { return Err(EditError::NoMapping(map.line)) };
    if *flow {
        let text = if entries.is_empty() { format!("{key}: {wanted}") } else { format!("{key}: {wanted}, ") };
        return Ok((map.bytes.start + 1, text));
    }
    let (first, _) = entries.first().ok_or(EditError::NoMapping(map.line))?;
    let at = first.bytes.start;
    let before = source.get(..at).unwrap_or_default();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let indent = before.get(line_start..).unwrap_or_default();
    if first.anchor != 0 || first.tagged || !indent.iter().all(|byte| *byte == b' ') {
        return Err(EditError::Layout(first.line));
    }
    let windows = line_start >= 2 && before.get(line_start - 2) == Some(&b'\r');
    let end = if windows { "\r\n" } else { "\n" };
    Ok((at, format!("{key}: {wanted}{end}{}", " ".repeat(indent.len()))))
}
