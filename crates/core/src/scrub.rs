//! Text made safe: control characters become visible escapes, secrets become `[masked]`, length is bounded.
//! Everything that came from a file or from porch passes here before it reaches a log, a status or an error log.

use crate::digest::hex;
use crate::intent::text::is_shown;
use std::fmt::Write;

const MASK: &str = "[masked]";
/// Words before `=` or `:` whose value is a secret. Compared without case, dashes and underscores.
const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
];
/// Beginnings of tokens that are recognised without a key: cloud keys and repository tokens.
const SECRET_PREFIXES: &[&str] =
    &["AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "eyJhbGciOi"];

/// One line: escapes, at most `max` characters, `…` where it was cut.
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

/// One line of what somebody else wrote, for people: secrets masked, then as [`line`].
pub fn shown(text: &str, max: usize) -> String {
    line(&mask(text), max)
}

/// Several lines of a program's output: newlines stay, everything else is escaped, broken UTF-8 is shown
/// as `\xNN`, secrets are masked.
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

/// At most `max` bytes, with a mark where something was cut off.
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

/// Replaces what looks like a secret: values of secret-like keys, bearer tokens, credentials in URLs, key blocks
/// and well-known token forms. A help, not a promise: what nothing marks as a secret cannot be recognised.
pub fn mask(text: &str) -> String {
    let mut in_key_block = false;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            in_key_block = true;
            lines.push(MASK.to_owned());
            continue;
        }
        if in_key_block {
            in_key_block = !line.contains("-----END");
            continue;
        }
        lines.push(mask_line(line));
    }
    lines.join("\n")
}

fn mask_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut hide_next, mut after_key) = (false, false);
    for piece in line.split_inclusive([' ', ',', ';']) {
        let word = piece.trim_end_matches([' ', ',', ';']);
        let tail = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            out.push_str(tail);
            continue;
        }
        // `Authorization: Bearer xyz`: the word after the scheme is the secret, not the scheme.
        let scheme = word.trim_matches(['"', '\'']).to_ascii_lowercase();
        if hide_next && !matches!(scheme.as_str(), "bearer" | "basic" | "=" | ":") {
            out.push_str(MASK);
            hide_next = false;
        } else {
            let (shown, next) = mask_word(word);
            // `password = xyz`, in words of their own.
            let assigned = after_key && matches!(word, "=" | ":");
            hide_next = next || hide_next || assigned || scheme == "bearer";
            after_key = is_secret_key(word);
            out.push_str(&shown);
        }
        out.push_str(tail);
    }
    out
}

/// The word to show, and whether the next word is the value of this one.
fn mask_word(word: &str) -> (String, bool) {
    if let Some(masked) = mask_url(word) {
        return (masked, false);
    }
    if let Some(at) = word.find(['=', ':']) {
        let (key, value) = word.split_at(at);
        if is_secret_key(key) {
            let mark = value.chars().next().unwrap_or('=');
            let rest = value.get(1..).unwrap_or_default();
            return if rest.trim_matches(['"', '\'']).is_empty() {
                (word.to_owned(), true)
            } else {
                (format!("{key}{mark}{MASK}"), false)
            };
        }
    }
    if word.starts_with("--") && is_secret_key(word) {
        return (word.to_owned(), true);
    }
    match SECRET_PREFIXES.iter().find_map(|prefix| word.find(prefix)) {
        Some(at) if word.len() - at >= 16 => (format!("{}{MASK}", word.get(..at).unwrap_or_default()), false),
        _ => (word.to_owned(), false),
    }
}

fn is_secret_key(key: &str) -> bool {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SECRET_KEYS.iter().any(|secret| plain.ends_with(secret) || plain.ends_with(&format!("{secret}s")))
}

/// `scheme://user:password@host` with the password hidden.
fn mask_url(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let (user, host) = authority.rsplit_once('@')?;
    let user = user.split(':').next().unwrap_or_default();
    Some(format!("{scheme}://{user}:{MASK}@{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("äöüäöüäöü".into(), 12), "äö\n[cut]\n");
    }
    use proptest::prelude::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        let cases = [
            ("password=hunter2 next", "password=[masked] next"),
            ("DB_PASSWORD: hunter2", "DB_PASSWORD: [masked]"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [masked]"),
            (
                "push https://bob:s3cret@git.example/x.git failed",
                "push https://bob:[masked]@git.example/x.git failed",
            ),
            ("key AKIAIOSFODNN7EXAMPLE1 used", "key [masked] used"),
            ("--api-key 12345", "--api-key [masked]"),
            ("--verbose 12345 api-key 12345", "--verbose 12345 api-key 12345"),
            ("Bearer abc.def", "Bearer [masked]"),
            ("token = abc and more", "token = [masked] and more"),
            ("the token expired, a = b", "the token expired, a = b"),
            ("ghp_123456789012", "[masked]"),
            ("ghp_12345678901", "ghp_12345678901"),
            ("x-ghp_123456789012", "x-[masked]"),
            ("abcdefghijklmnopqrstuvwxyz-ghp_1", "abcdefghijklmnopqrstuvwxyz-ghp_1"),
            ("\"token\": \"abc\"", "\"token\": [masked]"),
            ("scaled cnf-simulator to 3: ok", "scaled cnf-simulator to 3: ok"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "[masked]\nb"),
        ];
        for (text, want) in cases {
            assert_eq!(mask(text), want);
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(line("a\x1b[2J\u{202e}b\n", 99), "a\\u{1b}[2J\\u{202e}b\\n");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(block(b"ok\n\xffx\x07"), "ok\n\\xffx\\u{7}");
    }

    proptest! {
        #[test]
        fn nothing_but_newlines_controls_a_terminal(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let out = block(&bytes);
            prop_assert!(out.chars().all(|c| c == '\n' || is_shown(c)));
        }
    }
}
