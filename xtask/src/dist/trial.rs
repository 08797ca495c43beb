//! A trial of an artifact: what comes of it, and the intent that is handed in.

use super::place::root;
use std::path::{Path, PathBuf};

/// The result of one step: a line for the table, or the reason it could not be tried.
pub(super) enum Tried {
    Good(String),
    NotTested(&'static str),
}

/// The specification's example intent, and the file name it is dropped under.
pub(super) fn example() -> (PathBuf, &'static str) {
    (root().join("examples/handoff/intent-scale-up-001.json"), "intent-scale-up-001.json")
}

/// Whether a status says success.
pub(super) fn succeeded(handoff: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(handoff.join("status").join(format!("{name}.status")));
    text.is_ok_and(|text| text.contains("\"status\": \"success\""))
}
