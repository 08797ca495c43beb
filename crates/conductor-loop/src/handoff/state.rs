//! The location of a handoff directory's store, and the content of its public head.

use super::head::HeadFile;
use super::owned::{Owned, Use, Widened};
use super::{Unusable, layout};
use crate::config::Config;
use crate::store;
use conductor_os::dir::Dir;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The location of the store, and the content of `.conductor-state.json`.
pub struct StateFiles {
    /// The store's directory.
    pub dir: Arc<Dir>,
    /// Absolute path of the store.
    pub path: PathBuf,
    /// The file at the head's name.
    pub head: HeadFile,
}

/// The process that looks for the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finder {
    /// A daemon, or a command that changes the state: missing parts are made, foreign ones are refused.
    Keeper,
    /// A command that only looks, perhaps as another user.
    Looker,
}

impl StateFiles {
    /// Finds the state of a handoff directory.
    pub fn find(config: &Config, handoff_path: &Path, handoff: &Dir, who: Finder) -> Result<Self, Unusable> {
        let path = match &config.fixed.state_dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| Unusable::setting_up(dir, &error))?,
            None => handoff_path.join(layout::PRIVATE).join(layout::STATE),
        };
        if who == Finder::Keeper {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| Unusable::setting_up(&path, &error))?;
        }
        let dir = Dir::open(&path).map_err(|error| Unusable::setting_up(&path, &error))?;
        if who == Finder::Keeper {
            let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Closed);
            owned.state(&path, &dir)?;
            owned.entry(handoff_path, handoff, layout::HEAD.as_ref(), Use::Filed)?;
        }
        Ok(Self { dir: Arc::new(dir), path: path.join(store::FILE), head: HeadFile::read(handoff) })
    }
}
