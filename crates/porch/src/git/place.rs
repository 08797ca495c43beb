//! Where a repository keeps its refs and objects, found out without running git: the name of a lane that all its work
//! trees share.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory that all work trees of the repository at `path` share, without symbolic links. Where it cannot be told
/// (not there, empty, not readable, no repository), `path` itself, as canonical as it can be had: always the same for the same
/// route.
pub(crate) fn shared_directory(path: &Path) -> PathBuf {
    let start = canonical(path);
    if is_empty(&start) {
        return start;
    }
    start.ancestors().find_map(git_directory).map_or(start.clone(), |found| canonical(&found))
}

/// Whether it is a directory with nothing in it: the bare mount point of a repository that is not mounted. git would work in
/// whatever repository lies around it.
pub(super) fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The shared directory of the repository whose top, or whose own directory, is `top`.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    let own = if dot.is_dir() {
        dot
    } else if dot.is_file() {
        // A linked work tree or a submodule: a line that says where.
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

/// The path in a file of one line.
fn pointer(file: &Path, prefix: &str) -> Option<PathBuf> {
    let line = fs::read_to_string(file).ok()?;
    line.trim_end_matches(['\n', '\r']).strip_prefix(prefix).map(PathBuf::from)
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
