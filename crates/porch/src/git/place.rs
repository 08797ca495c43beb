//! The location of a repository's refs and objects, found without running git: the key of a queue shared by all its work trees.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory that all work trees of the repository at `path` share, without symbolic links. If it cannot be
/// determined (missing, empty, not readable, no repository), `path` itself, as canonical as possible: always the same for
/// the same route.
pub(crate) fn shared_directory(path: &Path) -> PathBuf {
    let start = canonical(path);
    if is_empty(&start) {
        return start;
    }
    start.ancestors().find_map(git_directory).map_or(start.clone(), |found| canonical(&found))
}

/// Whether it is an empty directory: the bare mount point of a repository that is not mounted. git would work in any
/// repository around it.
pub(super) fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The shared directory of the repository with the work tree or Git directory `top`.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    let own = if dot.is_dir() {
        dot
    } else if dot.is_file() {
        // A linked work tree or a submodule: a line names its Git directory.
        top.join(pointer(&dot, "gitdir: ")?)
    } else if top.join("HEAD").is_file() && top.join("objects").is_dir() {
        top.to_owned()
    } else {
        return None;
    };
    match pointer(&own.join("commondir"), "") {
        Some(common) => Some(own.join(common)),
        None => Some(own),
    }
}

/// The path in a one-line file.
fn pointer(file: &Path, prefix: &str) -> Option<PathBuf> {
    let line = fs::read_to_string(file).ok()?;
    line.trim_end_matches(['\n', '\r']).strip_prefix(prefix).map(PathBuf::from)
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
