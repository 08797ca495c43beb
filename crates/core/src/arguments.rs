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
