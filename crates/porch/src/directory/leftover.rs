//! Leftovers of a killed run under the name for unfinished files. A leftover of our own (a draft, or the content that a
//! draft replaced) is removed. Any other content is another process's, displaced during an exchange; it is kept beside,
//! never removed.

use crate::plan::Change;
use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;

/// The name, with a number, for kept content of another process. It begins with a dot, so that no tool reads it.
const KEPT: &str = ".porch-kept";
/// The number of names tried.
const KEPT_MAX: u32 = 10_000;

/// Whether a file with these bytes can be ours: an edit of the one number in the current or the previous content.
pub(super) fn is_ours(bytes: &[u8], change: &Change) -> bool {
    let after = &change.after.bytes;
    let before = change.before.as_deref().unwrap_or_default();
    // A partial draft, or a whole one.
    if after.starts_with(bytes) || before == bytes {
        return true;
    }
    // An edit with another number. The number is at the place where `before` and `after` differ.
    let Some((start, end)) = number_in(after, before) else { return false };
    let (head, tail) = (after.get(..start).unwrap_or_default(), after.get(end..).unwrap_or_default());
    let Some(rest) = bytes.strip_prefix(head) else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest.get(digits..).unwrap_or_default();
    tail.starts_with(rest) // Equal, or a partial draft.
}

/// The number in the part of `after` that differs from `before`.
fn number_in(after: &[u8], before: &[u8]) -> Option<(usize, usize)> {
    let first = after.iter().zip(before).take_while(|(a, b)| a == b).count();
    let room = after.len().min(before.len()) - first;
    let last = after.iter().rev().zip(before.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let differs = after.get(first..after.len() - last)?;
    let at = differs.iter().rposition(u8::is_ascii_digit).map_or(first, |digit| first + digit);
    let digits_before = after.get(..at)?.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let digits_after = after.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (start, end) = (at - digits_before, at + digits_after);
    (start < end).then_some((start, end))
}

/// Gives foreign content a name of its own, and returns that name.
pub(crate) fn keep_aside(dir: &OwnedFd, name: &str) -> io::Result<String> {
    for number in 1..=KEPT_MAX {
        let kept = format!("{KEPT}-{number}");
        match renameat_with(dir, name, dir, &kept, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(kept),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EXIST.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Content;

    fn change(before: &str, after: &str) -> Change {
        let after = Content { bytes: after.into(), executable: false };
        Change { path: "f".to_owned(), before: Some(before.into()), after }
    }

    #[test]
    fn only_what_an_edit_can_have_made_is_ours() {
        let edit = change(
            "image: a:1.4\nreplicas: 12 # n\nport: 80\n",
            "image: a:1.4\nreplicas: 13 # n\nport: 80\n",
        );
        for ours in [
            "",
            "image: a:1",
            "image: a:1.4\nreplicas: 13 # n\nport: 80\n",
            "image: a:1.4\nreplicas: 12 # n\nport: 80\n",
            "image: a:1.4\nreplicas: 7 # n\nport: 80\n",
            "image: a:1.4\nreplicas: 100 # n\np",
        ] {
            assert!(is_ours(ours.as_bytes(), &edit), "{ours}");
        }
        for other in [
            "image: a:1.5\nreplicas: 12 # n\nport: 80\n",
            "image: a:1.4\nreplicas: 12 # n\nport: 81\n",
            "image: a:1.4\nreplicas: 12 # n\nport: 80\nmore: 1\n",
            "image: a:2",
        ] {
            assert!(!is_ours(other.as_bytes(), &edit), "{other}");
        }
        let inserted = change("spec:\n  paused: no\n", "spec:\n  replicas: 5\n  paused: no\n");
        assert!(is_ours(b"spec:\n  replicas: 70\n  paused: no\n", &inserted));
        assert!(!is_ours(b"spec:\n  replicas: 70\n  paused: yes\n", &inserted));
    }
}
