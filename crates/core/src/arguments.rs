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

#[cfg(test)]
mod tests {
    use super::*;

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
