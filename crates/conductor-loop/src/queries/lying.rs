//! Why an entry is still in the handoff directory, decided in one place: for entries that the intake has left, for
//! entries not yet scanned, and for entries while no daemon runs.

use super::rows::sighted_row;
use crate::handoff::layout::PRIVATE;
use conductor_core::Code;
use conductor_core::name::{NameVerdict, Names};
use conductor_core::query::{Reason, Row};
use conductor_os::dir::{Dir, Kind, Meta};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Whether a daemon will take the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    /// A daemon runs, and its next scan will come.
    Turns,
    /// No daemon runs.
    Rests,
}

/// Why an entry is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lying {
    /// It cannot be taken.
    Left {
        /// The reason as a code.
        code: Code,
        /// The reason in words.
        why: String,
    },
    /// Its name is not that of an intent.
    OtherName,
    /// The next scan will find it.
    Unseen,
    /// The next daemon will take it.
    NotRunning,
}

impl Lying {
    /// The reason's word, text and advice.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Left { code, why } => Reason::new(
                "left",
                format!("{}: {why}; tried again at each scan", code.title()),
                code.remedy(),
            ),
            Self::OtherName => Reason::new(
                "other-name",
                "ignored: its name matches neither intent-*.json nor a --pattern",
                "Rename it to intent-NAME.json; or give the daemon a --pattern of its name.",
            ),
            Self::Unseen => Reason::new(
                "unseen",
                "it lies in the handoff directory and has not been looked at yet",
                "Nothing: the next scan sees it. Where the daemon is not ready, `conductor-loop status` says why.",
            ),
            Self::NotRunning => {
                Reason::new("not-running", "it is to be taken, and no daemon runs", "Start the daemon.")
            }
        }
    }
}

/// The row of such an entry.
pub fn entry_row(name: &[u8], mtime_ns: i64, lying: &Lying) -> Row {
    let row = sighted_row(name, mtime_ns, lying.reason());
    match lying {
        Lying::Left { code, .. } => Row { error_code: Some(*code), ..row },
        _ => row,
    }
}

/// Why the entry of this name is still there, as far as a look tells; `None`: there is no such entry.
pub(super) fn lying(handoff: &Dir, names: &Names, name: &[u8], turns: Loop) -> Option<Lying> {
    let meta = match handoff.stat(OsStr::from_bytes(name)) {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => return None,
        Err(error) => return Some(Lying::Left { code: Code::NotTakeable, why: error.to_string() }),
    };
    if names.judge(name) == NameVerdict::Ignore {
        return Some(Lying::OtherName);
    }
    if meta.kind == Kind::Directory {
        return Some(Lying::Left { code: Code::DirectoryLeft, why: "it is a directory".to_owned() });
    }
    if turns == Loop::Turns {
        return Some(Lying::Unseen);
    }
    Some(match in_the_way(handoff, name, &meta) {
        Some(why) => Lying::Left { code: Code::NotTakeable, why },
        None => Lying::NotRunning,
    })
}

/// The obstacle that would keep the daemon's user, who owns the private part, from renaming this entry.
fn in_the_way(handoff: &Dir, name: &[u8], meta: &Meta) -> Option<String> {
    for (what, fixed) in
        [("it", handoff.is_fixed(OsStr::from_bytes(name))), ("the handoff directory", handoff.is_fixed("."))]
    {
        if fixed {
            return Some(format!(
                "{what} is immutable or append-only (lsattr shows it, chattr -i -a ends it)"
            ));
        }
    }
    let (dir, daemon) = (handoff.meta().ok()?, handoff.stat(PRIVATE).ok()?.uid);
    if daemon == 0 {
        return None;
    }
    if dir.uid == daemon && dir.mode & 0o300 != 0o300 {
        return Some(format!(
            "its owner, user {daemon}, may not write the handoff directory (mode {:04o})",
            dir.mode
        ));
    }
    let sticky = dir.mode & 0o1000 != 0 && dir.uid != daemon && meta.uid != daemon;
    sticky.then(|| {
        format!("the handoff directory is sticky, and neither it nor the file belongs to the daemon's user {daemon}")
    })
}
