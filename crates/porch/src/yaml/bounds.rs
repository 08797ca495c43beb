//! The bounds of a file that is read, each against a file that was made to be expensive.

/// The largest file that is read; the API server itself accepts objects of at most 1.5 MiB.
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// The deepest nesting; a Deployment needs about 12.
pub(super) const DEPTH_MAX: usize = 100;
/// The largest number of nodes in one file.
pub(super) const NODES_MAX: usize = 200_000;
/// The largest number of nodes that all aliases of a file bring in.
pub(super) const ALIASED_MAX: usize = 50_000;

/// Why a file is refused by its size.
pub(crate) fn too_large() -> String {
    format!("is larger than {BYTES_MAX} bytes")
}
