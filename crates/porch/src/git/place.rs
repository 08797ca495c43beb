//! The location of a repository's refs and objects, found without running git: the key of a queue shared by all its work trees.

#![expect(
    clippy::disallowed_methods,
    reason = "a repository is the operator's, and git names its files by path"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The directory that all work trees of the repository at `path` share, without symbolic links. If it cannot be
/// determined (missing, empty, not readable, no repository), `path` itself, as canonical as possible: always the same for
/// the same route.
pub(crate) fn shared_directory(path: &Path) -> PathBuf {
    find(path).unwrap_or_else(|| canonical(path))
}

/// The same; `None` where it cannot be told.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    let start = canonical(path);
    if is_empty(&start) {
        return None;
    }
    start.ancestors().find_map(git_directory).and_then(|found| fs::canonicalize(found).ok())
}

/// The branch that HEAD of the repository or work tree at `path` leads to, where its refs are files.
pub(super) fn head_branch(path: &Path) -> Option<String> {
    let head = canonical(path).ancestors().find_map(own_directory)?.join("HEAD");
    let branch = pointer(&head, "ref: refs/heads/")?;
    branch.to_str().map(ToOwned::to_owned)
}

/// Whether people work at `path`.
pub(super) fn is_work_tree(path: &Path) -> bool {
    path.join(".git").exists()
}

/// Whether it is an empty directory: the bare mount point of a repository that is not mounted. git would work in any
/// repository around it.
pub(super) fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The directory with HEAD and index of the work tree whose top is `top`, or of the bare repository `top`.
fn own_directory(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    if dot.is_dir() {
        Some(dot)
    } else if dot.is_file() {
        // A linked work tree or a submodule: a line that says where.
        Some(top.join(pointer(&dot, "gitdir: ")?))
    } else if top.join("HEAD").is_file() && (top.join("objects").is_dir() || top.join("commondir").is_file())
    {
        Some(top.to_owned())
    } else {
        None
    }
}

/// The shared directory of the repository whose top, or whose own directory, is `top`.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let own = own_directory(top)?;
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
