//! The archives of an outcome's files, and the path that names such a file in records and texts: `processed/NAME` or
//! `failed/NAME`.

use super::layout::{FAILED, PROCESSED};
use conductor_core::record::Status;
use std::fmt;

/// One of the two archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// The archive of successes.
    Processed,
    /// The archive of failures.
    Failed,
}

impl Archive {
    /// The archive for outcomes of this status.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Success => Self::Processed,
            Status::Failed => Self::Failed,
        }
    }

    /// The archive's name in the handoff directory.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Processed => PROCESSED,
            Self::Failed => FAILED,
        }
    }
}

/// An archived file by its path from the handoff directory, as in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivedAs<'n> {
    /// The file's archive.
    pub archive: Archive,
    /// The file's name in the archive.
    pub name: &'n str,
}

impl<'n> ArchivedAs<'n> {
    /// Parses the path in a record; `None` if it names no file in an archive.
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
