//! What a file says, before it is parsed: whether it names an object, or may decide about others without naming them.

use crate::files::is_argo_source;
use std::borrow::Cow;

/// Groups of objects that may decide a number without naming the object, and what these say besides.
const DECIDERS: [(&str, &[&str]); 15] = [
    ("kustomize.toolkit.fluxcd.io/", &["patches"]),
    ("kustomize.toolkit.fluxcd.io/", &["components"]),
    ("kustomize.toolkit.fluxcd.io/", &["namePrefix"]),
    ("kustomize.toolkit.fluxcd.io/", &["targetNamespace"]),
    ("kustomize.toolkit.fluxcd.io/", &["nameSuffix"]),
    ("argoproj.io/", &["Application", "kustomize"]),
    ("argoproj.io/", &["Application", "ignoreDifferences"]),
    ("argoproj.io/", &["ApplicationSet", "templatePatch"]),
    ("policy.karmada.io/", &["OverridePolicy"]),
    ("placement.kubernetes-fleet.io/", &["ResourceOverride"]),
    ("kyverno.io/", &["mutat"]),
    ("kyverno.io/", &["MutatingPolicy"]),
    ("mutations.gatekeeper.sh/", &["location"]),
    ("kapp.k14s.io/", &["rebaseRules"]),
    ("admissionregistration.k8s.io/", &["MutatingAdmissionPolicy"]),
];
/// The number of characters behind `apiVersion` in which its value stands.
const VERSION_MAX: usize = 80;

/// The text of a file. UTF-16 is known by the mark at its beginning; Windows' shells write it.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let read: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        // Checking all at once is several times as fast as looking for the place of an error.
        _ => return str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
    };
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(read));
    char::decode_utf16(units).map(|sign| sign.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Whether a text stands in a file by itself, not as a part of a longer name.
pub(crate) fn mentions(bytes: &[u8], text: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    says(&text_of(bytes), |content| {
        content.match_indices(text).any(|(at, _)| {
            let around = content.as_bytes();
            let before = at.checked_sub(1).and_then(|before| around.get(before));
            !is_part(before) && !is_part(around.get(at + text.len()))
        })
    })
}

/// Whether a file may hold an object that decides about others without naming them: a deployer with patches of what it
/// deploys, or a policy.
pub(crate) fn decides_others(name: &str, bytes: &[u8]) -> bool {
    is_argo_source(name)
        || says(&text_of(bytes), |content| {
            content.match_indices("apiVersion").any(|(at, key)| {
                let rest = content.get(at + key.len()..).unwrap_or_default();
                let end = rest.char_indices().nth(VERSION_MAX).map_or(rest.len(), |(end, _)| end);
                let version = rest.get(..end).unwrap_or_default();
                DECIDERS.iter().any(|(group, words)| {
                    version.contains(group) && words.iter().all(|word| content.contains(word))
                })
            })
        })
}

/// Whether a text passes a test as it is written, or with what its escapes stand for.
pub(crate) fn says(text: &str, passes: impl Fn(&str) -> bool) -> bool {
    passes(text) || unescaped(text).is_some_and(|plain| passes(&plain))
}

/// The text with what the escapes of JSON and YAML stand for in their place, as far as names have such characters; `None`
/// without any. Where it is no quoted text, they stand for themselves; then it is only read in vain.
fn unescaped(text: &str) -> Option<String> {
    let stands_for_another = |(at, _): (usize, &str)| {
        matches!(
            text.as_bytes().get(at + 1),
            Some(b'u' | b'x' | b'U' | b'/' | b'n' | b'r' | b't' | b'\n' | b'\r')
        )
    };
    if !text.match_indices('\\').any(stands_for_another) {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        let kind = after.chars().next();
        let (stands_for, left) = match kind {
            Some('u') => number(after, 4),
            Some('x') => number(after, 2),
            Some('U') => number(after, 8),
            Some('/') => after.get(1..).map(|left| (Some('/'), left)),
            // They end a name.
            Some('n' | 'r' | 't') => after.get(1..).map(|left| (Some(' '), left)),
            // An escaped line break, with the blanks that the next line begins with.
            Some('\n' | '\r') => Some((None, after.trim_start())),
            _ => None,
        }
        .map_or((None, None), |(sign, left)| (sign, Some(left)));
        plain.push_str(before);
        if let Some(left) = left {
            plain.extend(stands_for);
            rest = left;
        } else {
            // Any other escape, with what it escapes.
            let (kept, left) = after.split_at(kind.map_or(0, char::len_utf8));
            plain.push('\\');
            plain.push_str(kept);
            rest = left;
        }
    }
    plain.push_str(rest);
    (plain != text).then_some(plain)
}

/// The character of an escape with this many digits, and what follows it.
fn number(escape: &str, digits: usize) -> Option<(Option<char>, &str)> {
    let number = u32::from_str_radix(escape.get(1..=digits)?, 16).ok()?;
    Some((Some(char::from_u32(number)?), escape.get(digits + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_escapes_is_that_name() {
        for (text, is) in [
            (r#""w\u0065b""#, true),
            (r#""\x77eb""#, true),
            (r#""we\U00000062""#, true),
            ("\"we\\\n    b\"", true),
            (r#""apps\/web""#, true),
            (r#""api\nweb""#, true),
            (r#""w\\u0065b""#, false),
            (r#""w\u00e9b""#, false),
            (r#""w\u00""#, false),
            (r"web\", true),
        ] {
            assert_eq!(mentions(text.as_bytes(), "web"), is, "{text}");
        }
        assert_eq!(unescaped(r#"{"a": "\"b\""}"#), None, "what stands for itself");
    }

    #[test]
    fn a_mention_is_the_whole_name() {
        for (content, is) in [
            ("name: web\n", true),
            ("name: \"web\"", true),
            ("path: ../web/", true),
            ("web", true),
            ("web.yaml", true),
            ("name: webhook", false),
            ("name: my-web", false),
            ("name: web-2 # not web2", false),
            ("name: web-2 # web", true),
        ] {
            assert_eq!(mentions(content.as_bytes(), "web"), is, "{content}");
        }
        assert!(mentions(b"\xff name: web", "web"), "a file that is not UTF-8 is refused by name later");
        let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(mark).chain("name: web\n".encode_utf16()).flat_map(bytes).collect()
        };
        assert!(mentions(&wide(0xfeff, u16::to_le_bytes), "web"), "UTF-16 of Windows");
        assert!(
            mentions(&wide(0xfeff, u16::to_be_bytes), "web")
                && !mentions(&wide(0xfeff, u16::to_be_bytes), "api")
        );
    }
}
