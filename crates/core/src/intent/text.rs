//! Accepted characters and identifiers, and the characters that are only shown escaped. Ranges are spelled out instead of
//! taken from a Unicode table, so that code and JSON Schema agree whatever version a library carries.

use std::fmt::Write;

/// Code points that no string of an intent may contain: controls but tab and line breaks, line and paragraph separators,
/// bidirectional embeddings, overrides and isolates (they reorder the displayed text), private use, noncharacters, a byte
/// order mark inside text. Characters that scripts and emoji need (joiners, directional marks, soft hyphens, tags and
/// variation selectors) are accepted. Source: Unicode general categories, threat A19.
const REFUSED: &[(u32, u32)] = &[
    (0x00, 0x08),
    (0x0B, 0x0C),
    (0x0E, 0x1F),
    (0x7F, 0x9F),
    (0x2028, 0x202E),
    (0x2065, 0x206F),
    (0xE000, 0xF8FF),
    (0xFDD0, 0xFDEF),
    (0xFEFF, 0xFEFF),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    (0x1FFFE, 0x1FFFF),
    (0x2FFFE, 0x2FFFF),
    (0x3FFFE, 0x3FFFF),
    (0x4FFFE, 0xE001F),
    (0xE0080, 0xE00FF),
    (0xE01F0, 0x10_FFFF),
];

/// Code points of accepted text that are shown as escapes, because they break a line or are invisible. The joiners U+200C
/// and U+200D are not among them: without them Persian, Hindi and emoji become other text.
const UNSEEN: &[(u32, u32)] = &[
    (0x09, 0x0A),
    (0x0D, 0x0D),
    (0xAD, 0xAD),
    (0x61C, 0x61C),
    (0x180E, 0x180E),
    (0x200B, 0x200B),
    (0x200E, 0x200F),
    (0x2060, 0x2064),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0020, 0xE007F),
];

/// The first character of `text` that no string may contain.
pub(super) fn suspicious(text: &str) -> Option<char> {
    find(text, |c| is_in(REFUSED, c))
}

/// The first character of `text` that a name or a quantity may not contain: a refused or an invisible one.
pub(super) fn not_in_a_line(text: &str) -> Option<char> {
    find(text, |c| !is_shown(c))
}

/// Whether a character is shown unchanged. Every other one is shown as an escape, wherever it comes from.
pub fn is_shown(c: char) -> bool {
    (' '..='~').contains(&c) || !(is_in(REFUSED, c) || is_in(UNSEEN, c))
}

fn find(text: &str, wanted: impl Fn(char) -> bool) -> Option<char> {
    if text.bytes().all(|b| (0x20..0x7F).contains(&b)) {
        return None;
    }
    text.chars().find(|c| wanted(*c))
}

fn is_in(ranges: &[(u32, u32)], c: char) -> bool {
    let point = u32::from(c);
    ranges.iter().any(|(from, to)| (*from..=*to).contains(&point))
}

/// The regular expression for text, as ECMA 262 with the `u` flag reads it.
pub(super) fn pattern() -> String {
    without(REFUSED.iter())
}

/// The regular expression for names and quantities.
pub(super) fn line_pattern() -> String {
    without(REFUSED.iter().chain(UNSEEN))
}

fn without<'r>(refused: impl Iterator<Item = &'r (u32, u32)>) -> String {
    let ranges = refused.fold(String::new(), |mut ranges, (from, to)| {
        // Writing to a String cannot fail.
        let _ = write!(ranges, "\\u{{{from:X}}}-\\u{{{to:X}}}");
        ranges
    });
    format!("^[^{ranges}]*$")
}

/// An RFC 1123 label: 1 to 63 of `a-z 0-9 -`, beginning and ending with a letter or digit.
pub fn is_label(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// An RFC 1123 subdomain: labels joined by dots, at most 253 characters.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// 1 to 64 of `A-Z a-z 0-9 . _ : / -`. Used in environments, logs and statuses, never in a path.
pub fn is_correlation_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/'))
}

/// A port name by the rules of Kubernetes (RFC 6335): up to 15 of `a-z 0-9 -`, with a letter, alphanumeric at both ends,
/// no two hyphens together.
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && is_label(text) && text.bytes().any(|b| b.is_ascii_lowercase()) && !text.contains("--")
}

/// A label value: up to 63, alphanumeric at both ends, `-`, `_`, `.` between; empty is allowed.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified_part(text)
}

/// A label key: an optional subdomain and `/`, then a name of up to 63 characters.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_qualified_part(text),
        Some((prefix, name)) => is_subdomain(prefix) && is_qualified_part(name),
    }
}

fn is_qualified_part(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// `vN`, `vNalphaM`, `vNbetaM`, optionally behind a group and `/`.
pub(super) fn is_api_version(text: &str) -> bool {
    let (group, version) = match text.split_once('/') {
        None => (None, text),
        Some((group, version)) => (Some(group), version),
    };
    group.is_none_or(is_subdomain) && is_version(version)
}

fn is_version(text: &str) -> bool {
    let number = |digits: &str| {
        !digits.is_empty()
            && digits.len() <= 4
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let Some(rest) = text.strip_prefix('v') else { return false };
    match rest.split_once("alpha").or_else(|| rest.split_once("beta")) {
        None => number(rest),
        Some((major, minor)) => number(major) && number(minor),
    }
}

/// `1s` to `9999s`, `1m` to `99m`, or `1h`; the value in seconds.
pub(super) fn timeout_secs(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    let fits = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty();
    let number: u64 = digits.parse().ok().filter(|_| fits)?;
    match unit {
        's' if digits.len() <= 4 => Some(number),
        'm' if digits.len() <= 2 => Some(number * 60),
        'h' if number == 1 => Some(3600),
        _ => None,
    }
}

/// RFC 3339: `2024-08-15T10:30:00Z`, optional fraction, offset or Z, of a valid day. Without offset and Z, as Python's
/// `isoformat` writes it, the time is UTC.
pub(super) fn is_date_time(text: &str) -> bool {
    let b = text.as_bytes();
    let read = |from: usize, len: usize| {
        let digits = b.get(from..from + len)?;
        let all_digits = digits.iter().all(u8::is_ascii_digit);
        all_digits.then(|| digits.iter().fold(0, |n, c| n * 10 + u32::from(c - b'0')))
    };
    let number = |from: usize, len: usize, low: u32, high: u32| {
        read(from, len).is_some_and(|n| (low..=high).contains(&n))
    };
    let mark = |at: usize, c: u8| b.get(at) == Some(&c);
    let last_day = read(0, 4).zip(read(5, 2)).map_or(0, |(year, month)| days_in(year, month));
    let date = mark(4, b'-') && mark(7, b'-') && number(8, 2, 1, last_day);
    let time = mark(10, b'T')
        && number(11, 2, 0, 23)
        && mark(13, b':')
        && number(14, 2, 0, 59)
        && mark(16, b':')
        && number(17, 2, 0, 59);
    let mut at = 19;
    if mark(at, b'.') {
        let digits = b.iter().skip(20).take_while(|c| c.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        at = 20 + digits;
    }
    let zulu = mark(at, b'Z') && b.len() == at + 1;
    let offset = (mark(at, b'+') || mark(at, b'-'))
        && number(at + 1, 2, 0, 23)
        && mark(at + 3, b':')
        && number(at + 4, 2, 0, 59)
        && b.len() == at + 6;
    date && time && (zulu || offset || b.len() == at)
}

/// The number of days in a month; 0 for an invalid month.
fn days_in(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}
