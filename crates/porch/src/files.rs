//! The files of a package as the planner sees them, whether they lie in a directory or in a commit.

use crate::PorchError;
use std::collections::BTreeMap;

/// Deepest directory below a package that is looked at.
pub(crate) const DEPTH_MAX: usize = 16;
/// Most files of one package.
pub(crate) const FILES_MAX: usize = 2_000;
/// Most bytes of one package; it is held in memory.
pub(crate) const PACKAGE_BYTES_MAX: u64 = 64 << 20;
/// The name kpt gives the file that makes a directory a package.
pub(crate) const KPTFILE: &str = "Kptfile";
/// The names kustomize looks for.
pub(crate) const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The end of the names of our unfinished files. They begin with a dot, so that nobody reads them.
pub(crate) const UNFINISHED: &str = ".porch-tmp";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// Files by path, relative to the package, with `/`.
pub(crate) type Files = BTreeMap<String, Content>;

/// Which files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that can hold an object.
    Objects,
    /// All: a package that is copied.
    All,
}

/// Something packages are in: a directory or a commit. Paths are relative to its root; `""` is the root itself.
pub(crate) trait Tree {
    /// The files of a directory; `None` when there is nothing of that name or the directory is empty.
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError>;
    /// The Kptfile of a directory, if it has one.
    fn kptfile(&self, dir: &str) -> Result<Option<Vec<u8>>, PorchError>;
    /// How a path is named to people.
    fn name(&self, path: &str) -> String;
}

/// Whether a file of this name can hold objects.
pub(crate) fn holds_objects(name: &str) -> bool {
    let extension = std::path::Path::new(name).extension();
    extension.is_some_and(|e| e == "yaml" || e == "yml") || KUSTOMIZATIONS.contains(&name)
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `dir/name`, where either may be empty.
pub(crate) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() || name.is_empty() { format!("{dir}{name}") } else { format!("{dir}/{name}") }
}
