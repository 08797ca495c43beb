//! Text for display: what a terminal would obey is escaped, secrets are masked.

use super::secrets::mask;
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
