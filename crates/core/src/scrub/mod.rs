//! Makes text safe: control characters become visible escapes, secrets become `[masked]`, length is bounded. All text
//! from a file or from porch is scrubbed before it reaches a log, a status or an error log.

mod arguments;
mod blocks;
mod keys;
mod programs;
mod scanner;
mod shapes;
#[cfg(test)]
mod tests;
mod value;

use crate::digest::hex;
use crate::intent::text::is_shown;
use std::fmt::Write;

/// One line: escaped, at most `max` characters, with `…` at the cut.
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (count, c) in text.chars().enumerate() {
        if count >= max {
            out.push('…');
            break;
        }
        push_escaped(&mut out, c);
    }
    out
}

/// One line of foreign text, for display: secrets masked, then escaped and cut as by [`line`].
pub fn shown(text: &str, max: usize) -> String {
    line(&mask(text), max)
}

/// Several lines of a program's output: newlines stay, other controls are escaped, invalid UTF-8 is shown as `\xNN`,
/// secrets are masked.
pub fn block(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\n' { out.push('\n') } else { push_escaped(&mut out, c) }
        }
        for byte in chunk.invalid() {
            out.push_str("\\x");
            out.push_str(&hex(&[*byte]));
        }
    }
    mask(&out)
}

/// At most `max` bytes, with a mark at the cut.
pub fn cut(mut text: String, max: usize) -> String {
    const MARK: &str = "\n[cut]\n";
    if text.len() > max {
        let at =
            (0..=max.saturating_sub(MARK.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
        text.push_str(MARK);
    }
    text
}

/// The end of a text that was cut, from its first whole line: half a line may be half a secret whose mark was in the
/// other half.
pub fn from_next_line(tail: &[u8]) -> &[u8] {
    const LINE_MAX: usize = 4 << 10;
    let near = tail.get(..LINE_MAX).unwrap_or(tail);
    let at = near.iter().position(|b| *b == b'\n').or_else(|| near.iter().position(|b| *b == b' '));
    tail.get(at.map_or(near.len(), |at| at + 1)..).unwrap_or_default()
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if !is_shown(c) => {
            out.push_str("\\u{");
            // Writing to a String cannot fail.
            let _ = write!(out, "{:x}", u32::from(c));
            out.push('}');
        }
        c => out.push(c),
    }
}

/// Masks likely secrets: values of secret-like names in every notation, bearer tokens, credentials in URLs and on command
/// lines, key blocks and well-known token forms. A help, not a promise: an unmarked secret cannot be recognised. The time
/// grows linearly with the text.
pub fn mask(text: &str) -> String {
    scanner::counted(text).0
}

/// Whether a name announces that its value is a secret.
pub fn announces_secret(name: &str) -> bool {
    use keys::Key;
    !matches!(keys::classify(name), Key::None | Key::Naming | Key::Value | Key::Weak)
}
