//! A file to its nodes. What the parser of Kubernetes' tools refuses and ours takes is refused first; what ours refuses and they take
//! is masked and read again.

use super::bounds::BYTES_MAX;
use super::error::YamlError;
use super::mask;
use super::node::Stream;
use super::reader::read;

/// The byte order mark that some editors write.
const BOM: &str = "\u{feff}";

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

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let behind = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(behind).collect()
}
