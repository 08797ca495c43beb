//! What the planner reads packages from, a directory or a commit.

use crate::PorchError;
use crate::files::{Content, Files, Which};
use crate::survey::{Search, Survey};
use std::cell::RefCell;

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

/// A tree that remembers that the system lacked a descriptor or memory, whatever the reader makes of the error: what was not
/// read for that reason decides nothing.
pub(crate) struct Watched<'t> {
    tree: &'t dyn Tree,
    lacked: RefCell<Option<PorchError>>,
}

impl<'t> Watched<'t> {
    pub(crate) fn new(tree: &'t dyn Tree) -> Self {
        Self { tree, lacked: RefCell::default() }
    }

    /// The first such error.
    pub(crate) fn lacked(&self) -> Option<PorchError> {
        self.lacked.take()
    }

    fn noted<T>(&self, read: Result<T, PorchError>) -> Result<T, PorchError> {
        if let Err(error) = &read
            && error.is_exhausted()
        {
            let mut lacked = self.lacked.borrow_mut();
            *lacked = lacked.take().or_else(|| error.repeated());
        }
        read
    }
}

impl Tree for Watched<'_> {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        self.noted(self.tree.read(dir, which))
    }

    fn file(&self, path: &str) -> Result<Option<Content>, PorchError> {
        self.noted(self.tree.file(path))
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError> {
        self.noted(self.tree.names(dir))
    }

    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        self.noted(self.tree.survey(dir, search))
    }

    fn name(&self, path: &str) -> String {
        self.tree.name(path)
    }
}
