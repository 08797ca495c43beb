//! Where the files of an outcome are filed, and the path by which records and people name one: `processed/NAME` or `failed/NAME`.

use super::layout::{FAILED, PROCESSED};
use conductor_core::record::Status;
use std::fmt;

/// One of the two archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// Of successes.
    Processed,
    /// Of failures.
    Failed,
}

impl Archive {
    /// The one for outcomes of this status.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Success => Self::Processed,
            Status::Failed => Self::Failed,
        }
    }

    /// Its name in the handoff directory.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Processed => PROCESSED,
            Self::Failed => FAILED,
        }
    }
}

/// An archived file by its path from the handoff directory. Its text is what records hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivedAs<'n> {
    /// The archive it lies in.
    pub archive: Archive,
    /// Its name there.
    pub name: &'n str,
}

impl<'n> ArchivedAs<'n> {
    /// Reads what a record holds; none where it names no file in an archive.
    pub fn parse(text: &'n str) -> Option<Self> {
        let (folder, name) = text.split_once('/')?;
        let archive = [Archive::Processed, Archive::Failed].into_iter().find(|a| a.folder() == folder)?;
        let is_name = !matches!(name, "" | "." | "..") && !name.contains('/');
        is_name.then_some(Self { archive, name })
    }
}

impl fmt::Display for ArchivedAs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.archive.folder(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archived_file_is_named_by_archive_and_name_and_nothing_else_is() {
        for text in ["processed/intent-a.json", "failed/intent-a.2.json"] {
            assert_eq!(ArchivedAs::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "processed", "processed/", "status/intent-a.json", "failed/../x", "failed/..", "/failed/x"]
        {
            assert_eq!(ArchivedAs::parse(text), None, "{text}");
        }
    }
}
