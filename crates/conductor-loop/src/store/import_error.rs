//! Why a file cannot be imported.

use std::io;

/// The format that an export names.
pub(super) const FORMAT: &str = "conductor-loop state";
/// Version of the export; independent of the store's layout.
pub(super) const EXPORT_VERSION: u32 = 1;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read, or is no text.
    #[error("the file cannot be read as UTF-8 text: {0}")]
    Unreadable(#[source] io::Error),
    /// It would be read in part only.
    #[error("the file has more than {most} bytes")]
    TooLarge {
        /// The most that are read.
        most: u64,
    },
    /// It is the export of another program, or of another version.
    #[error("it says '{format}' version {version}; expected '{FORMAT}' version {EXPORT_VERSION}")]
    OtherFormat {
        /// The format that it names.
        format: String,
        /// The version that it names.
        version: u32,
    },
    /// A line of an export is no record.
    #[error("line {line}: {source}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A record of an export has another version.
    #[error("line {line}: record version {version}")]
    RecordVersion {
        /// The line, from 1.
        line: usize,
        /// The version.
        version: u8,
    },
    /// It is in neither form.
    #[error("neither an export nor a Go state file: {0}")]
    Neither(#[source] serde_json::Error),
    /// It is of a Go version that is not known.
    #[error("a Go state file of unknown version '{0}'")]
    GoVersion(String),
}
