//! A volume that Kubernetes fills from a `ConfigMap`: its files are links through one link, `..data`, to a directory of this
//! moment. A change makes another directory and replaces that link, so every file changes at once and none half.

use std::path::{Path, PathBuf};

/// The link that is replaced when the volume's content changes.
const LINK: &str = "..data";

/// Such a volume, and the content that was last seen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projected {
    link: PathBuf,
    seen: PathBuf,
}

impl Projected {
    /// The volume that this file is in, if it is in one.
    pub(super) fn around(file: &Path) -> Option<Self> {
        let link = file.parent()?.join(LINK);
        let seen = std::fs::read_link(&link).ok()?;
        Some(Self { link, seen })
    }

    /// Whether the content was exchanged since the last look.
    pub fn was_exchanged(&mut self) -> bool {
        match std::fs::read_link(&self.link) {
            Ok(now) if now != self.seen => {
                self.seen = now;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_exchange_is_seen_once_and_a_plain_directory_has_none() {
        let volume = tempfile::tempdir().unwrap();
        let path = |name: &str| volume.path().join(name);
        std::fs::write(path("config.toml"), "").unwrap();
        assert_eq!(Projected::around(&path("config.toml")), None);
        symlink("..first", path(LINK)).unwrap();
        let mut projected = Projected::around(&path("config.toml")).unwrap();
        assert!(!projected.was_exchanged());
        symlink("..second", path("..data_tmp")).unwrap();
        std::fs::rename(path("..data_tmp"), path(LINK)).unwrap();
        assert!(projected.was_exchanged() && !projected.was_exchanged());
        std::fs::remove_file(path(LINK)).unwrap();
        assert!(!projected.was_exchanged(), "a volume that is gone has no new content");
    }
}
