//! Where the programs of a cluster are kept, and its files.

use crate::dist::root;
use std::path::PathBuf;

/// Where the programs are kept and one cluster has its files.
pub(super) fn place() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    cache.map_or_else(|| root().join("target/cluster"), |path| PathBuf::from(path).join("conductor-loop"))
}

/// The files of the cluster that runs.
pub(super) fn run_place() -> PathBuf {
    place().join("run")
}
