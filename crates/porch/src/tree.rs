//! What the planner reads packages from, a directory or a commit.

use crate::PorchError;
use crate::files::{Content, Files, Which};
use crate::survey::{Search, Survey};

/// A container of packages: a directory or a commit. Paths are relative to its root; `""` is the root itself.
pub(crate) trait Tree {
    /// The files of a directory; `None` if it does not exist or is empty.
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError>;
    /// One file; `None` if nothing or a directory is there. Any other entry, and one that is too large, is refused.
    fn file(&self, path: &str) -> Result<Option<Content>, PorchError>;
    /// The names in a directory, except hidden ones; directories end with a slash.
    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError>;
    /// Searches a directory and those below it for files that mention a text. What cannot be read is noted.
    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError>;
    /// The display name of a path.
    fn name(&self, path: &str) -> String;
}
