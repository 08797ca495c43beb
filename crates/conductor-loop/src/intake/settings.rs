//! What an intake works with: its directories, the names that it looks for, and the rules for judging files.

use super::book::Book;
use crate::payload::Budget;
use conductor_core::Seq;
use conductor_core::intent::Policy;
use conductor_core::name::Names;
use conductor_os::dir::Dir;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The limits on a file, and the time to wait for its writer. May change while running.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// Largest file that is read.
    pub max_file_size: u64,
    /// The operator's policy.
    pub policy: Policy,
    /// The longest time that a taken file waits for a writer that has it open.
    pub hold_max: Duration,
}

/// The configuration of the intake.
pub struct Settings {
    /// The handoff directory.
    pub handoff: Arc<Dir>,
    /// The path of the handoff directory, to notice its replacement.
    pub path: PathBuf,
    /// Sub-directories whose identity is checked, by name.
    pub places: Vec<(String, Arc<Dir>)>,
    /// The directory for taken files.
    pub taken: Arc<Dir>,
    /// The names of intents.
    pub names: Names,
    /// The rules for judging files.
    pub judging: Judging,
    /// The book of entries held back.
    pub book: Arc<Book>,
    /// Whether to use events at all (not on network file systems).
    pub events: bool,
    /// The first unused sequence number.
    pub next_seq: Seq,
    /// The memory budget: while it is used up, files stay in the handoff directory.
    pub budget: Arc<Budget>,
}
