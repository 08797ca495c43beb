//! The spelling of flags that Go programs accept, in front of a parser that knows the GNU one.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Go programs write `-flag` and `-flag=value`: one dash before a name of several letters becomes two. `-h`, `-V`,
/// negative numbers and everything after `--` stay as they are.
pub fn go_style(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut verbatim = false;
    words
        .map(|word| {
            verbatim |= word == "--";
            match word.as_bytes() {
                [b'-', first, second, ..] if !verbatim && first.is_ascii_alphabetic() && *second != b'=' => {
                    let mut long = b"-".to_vec();
                    long.extend(word.as_bytes());
                    OsString::from_vec(long)
                }
                _ => word,
            }
        })
        .collect()
}

/// The words that are not UTF-8, each with the flag it belongs to, for a message: clap says only that there is one.
/// `may_be`: flags whose values need not be UTF-8.
pub fn not_utf8(words: &[OsString], may_be: impl Fn(&str) -> bool) -> Option<String> {
    let mut named = Vec::new();
    let mut before = "";
    for word in words {
        let told = word.to_string_lossy();
        let (flag, value) = match told.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (flag, value),
            _ => (before, &*told),
        };
        if word.to_str().is_none() && !may_be(flag.trim_start_matches('-')) {
            named.push(format!("{flag} '{}'", value.escape_debug()).trim_start().to_owned());
        }
        before = word.to_str().filter(|word| word.starts_with('-')).unwrap_or_default();
    }
    (!named.is_empty()).then(|| format!("not UTF-8: {}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_utf8_are_named_with_their_flags() {
        let words =
            |list: &[&[u8]]| list.iter().map(|word| OsString::from_vec(word.to_vec())).collect::<Vec<_>>();
        let named = |list: &[&[u8]]| not_utf8(&words(list), |flag| flag == "out");
        assert_eq!(named(&[b"x", b"--handoff", b"in"]), None);
        assert_eq!(named(&[b"--out", b"\xff", b"--out=\xff"]), None);
        assert_eq!(named(&[b"--branch", b"o\xff"]).as_deref(), Some("not UTF-8: --branch 'o\u{fffd}'"));
        assert_eq!(
            named(&[b"--out", b"\xff", b"--branch=\xfe", b"--once", b"status", b"\xff"]).as_deref(),
            Some("not UTF-8: --branch '\u{fffd}', '\u{fffd}'")
        );
    }

    #[test]
    fn one_dash_before_a_long_name_becomes_two_and_nothing_else_changes() {
        let cases = [
            (&["-handoff", "x"][..], &["--handoff", "x"][..]),
            (&["-once=true", "--once", "word"], &["--once=true", "--once", "word"]),
            (&["-h", "-V", "-", "", "-5", "-5s", "-h=x"], &["-h", "-V", "-", "", "-5", "-5s", "-h=x"]),
            (&["-ab", "--", "-cd", "-ef"], &["--ab", "--", "-cd", "-ef"]),
        ];
        for (words, want) in cases {
            let spelled = go_style(words.iter().map(OsString::from));
            assert_eq!(spelled, want.iter().map(OsString::from).collect::<Vec<_>>());
        }
    }
}
