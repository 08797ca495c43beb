//! The repository, and where the artifacts lie in it.

use std::path::{Path, PathBuf};

/// The directory of the results.
pub(super) fn place() -> PathBuf {
    root().join("target/dist")
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
