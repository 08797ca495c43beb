//! The location of a handoff directory's store, and the content of its public head.

use super::head::HeadFile;
use super::owned::{Owned, Use, Widened};
use super::{Unusable, layout};
use crate::config::Config;
use crate::keys::{self, KeyError, Keys};
use crate::store::{self, Sealing};
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
    /// The keys; a command that only looks may go on without them.
    pub keys: Result<Arc<Keys>, KeyError>,
    /// How the store is sealed.
    pub sealing: Sealing,
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
        let keys = with_keys(config, handoff_path, &path, &dir, |places| match who {
            Finder::Keeper => Keys::open(places).map(Ok),
            Finder::Looker => Ok(Keys::look(places)),
        });
        let keys = keys.map_err(|error| unusable(&error))?.map(Arc::new);
        let sealing = match &keys {
            Ok(keys) if config.fixed.encryption => Sealing::On(Arc::clone(keys.ring())),
            Ok(keys) => Sealing::Off(Arc::clone(keys.ring())),
            Err(error) => Sealing::Keyless(error.to_string()),
        };
        let head = HeadFile::read(handoff);
        Ok(Self { path: path.join(store::FILE), dir: Arc::new(dir), head, keys, sealing })
    }

    /// Adds a root key to the key file; see [`Keys::rotate`].
    pub fn rotate(config: &Config, handoff_path: &Path, handoff: &Dir) -> Result<Keys, Unusable> {
        let found = Self::find(config, handoff_path, handoff, Finder::Keeper)?;
        let state_path = found.path.parent().unwrap_or(&found.path);
        with_keys(config, handoff_path, state_path, &found.dir, Keys::rotate)
            .map_err(|error| unusable(&error))
    }
}

fn unusable(error: &KeyError) -> Unusable {
    Unusable::new(error.code(), error.to_string())
}

/// Passes on where the keys of a state are looked for.
fn with_keys<T>(
    config: &Config,
    handoff: &Path,
    state_path: &Path,
    state: &Dir,
    work: impl FnOnce(&keys::Places<'_>) -> T,
) -> T {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    work(&keys::Places {
        given: config.fixed.state_key_file.as_deref(),
        credentials: credentials.as_deref(),
        handoff,
        state,
        state_path,
    })
}
