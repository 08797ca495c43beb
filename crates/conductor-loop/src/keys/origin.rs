//! Where root keys come from.

use std::path::{Path, PathBuf};

/// Where the root keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The file that the operator named.
    Given(PathBuf),
    /// A credential of the service manager.
    Credential(PathBuf),
    /// A file that was made beside the store: what steals the store steals the key.
    Made(PathBuf),
}

impl Origin {
    /// The key file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Given(path) | Self::Credential(path) | Self::Made(path) => path,
        }
    }

    /// Whether the keys lie beside what they protect.
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::Made(_))
    }
}
