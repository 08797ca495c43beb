//! The location of a handoff directory's store, and the content of its public head.

use super::head::HeadFile;
use super::owned::{Owned, Use, Widened};
use super::{Unusable, layout};
use crate::config::Config;
use crate::keys::{self, KeyError, Keys};
use crate::store::{self, Behind, Candidate, Salvaged, Sealing, Store, StoreError};
use conductor_crypto::VerifyingKey;
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
    pub keys: Result<Arc<Keys>, Arc<KeyError>>,
    /// How the store is to be sealed.
    sealing: Sealing,
    /// Whether a sealed store is there.
    sealed: bool,
}

/// The process that looks for the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finder {
    /// A daemon, or a command that changes the state: missing parts are made, foreign ones are refused.
    Keeper,
    /// A command that puts another state in the place of this one: as a keeper, but the keys of this state may be lost.
    Replacer,
    /// A command that only looks, perhaps as another user.
    Looker,
}

impl StateFiles {
    /// Finds the state of a handoff directory.
    pub fn find(config: &Config, handoff_path: &Path, handoff: &Dir, who: Finder) -> Result<Self, Unusable> {
        let path = match &config.fixed.state_dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| Unusable::setting_up(dir, error))?,
            None => handoff_path.join(layout::PRIVATE).join(layout::STATE),
        };
        if who != Finder::Looker {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| Unusable::setting_up(&path, error))?;
        }
        let dir = Dir::open(&path).map_err(|error| Unusable::setting_up(&path, error))?;
        if who != Finder::Looker {
            let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Closed);
            owned.state(&path, &dir)?;
            owned.entry(handoff_path, handoff, layout::HEAD.as_ref(), Use::Filed)?;
        }
        let head = HeadFile::read(handoff);
        let sealed = matches!(&head, HeadFile::Ours(head) if head.sealed)
            && dir.has(store::FILE).map_err(|error| Unusable::setting_up(&path, error))?;
        let keys =
            with_places(config, handoff_path, Place { dir: &dir, path: &path, sealed }, |places| match who {
                Finder::Keeper => Keys::open(places).map(Ok),
                Finder::Replacer => Keys::for_another_state(places).map(Ok),
                Finder::Looker => Ok(Keys::look(places)),
            });
        let keys = keys?.map(Arc::new).map_err(Arc::new);
        let sealing = match &keys {
            Ok(keys) if config.fixed.encryption => Sealing::On(Arc::clone(keys.ring())),
            Ok(keys) => Sealing::Off(Arc::clone(keys.ring())),
            Err(error) => Sealing::Keyless(error.to_string()),
        };
        Ok(Self { path: path.join(store::FILE), dir: Arc::new(dir), head, keys, sealing, sealed })
    }

    /// Opens the store for reading; see [`Store::look`].
    pub fn look(&self) -> Result<Store, StoreError> {
        let store = Store::look(&self.dir, &self.sealing)?;
        self.expect_sealed(&store)?;
        Ok(store)
    }

    /// Opens the store to take it over; see [`Store::examine`].
    pub fn examine(&self, behind: Behind) -> Result<Candidate, StoreError> {
        let candidate = Store::examine(Arc::clone(&self.dir), &self.sealing, behind)?;
        self.expect_sealed(candidate.store())?;
        Ok(candidate)
    }

    /// A new store, which has its name once it is complete.
    pub fn draft(&self) -> Result<Store, StoreError> {
        Store::draft(Arc::clone(&self.dir), &self.sealing)
    }

    /// The same with everything of another one.
    pub fn copy_of(&self, from: &Store) -> Result<Store, StoreError> {
        from.copy_to(Arc::clone(&self.dir), &self.sealing)
    }

    /// The readable records of a damaged store.
    pub fn salvage(&self) -> Result<Salvaged, StoreError> {
        Store::salvage(&self.dir, &self.sealing)
    }

    /// The keys, if they could be found.
    pub fn keys(&self) -> Result<&Keys, Unusable> {
        self.keys.as_deref().map_err(unusable)
    }

    /// Refuses a plain store where the head tells of a sealed one, unless the operator wants a plain one.
    fn expect_sealed(&self, store: &Store) -> Result<(), StoreError> {
        match &self.head {
            HeadFile::Ours(head)
                if head.sealed && matches!(self.sealing, Sealing::On(_)) && store.sealed_by()?.is_none() =>
            {
                Err(StoreError::Plain { root: head.sealed_by.clone().unwrap_or_default() })
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> Place<'_> {
        let path = self.path.parent().unwrap_or(&self.path);
        Place { dir: &self.dir, path, sealed: self.sealed }
    }

    /// The keys, with their public halves kept beside the store, which has accepted them.
    pub fn accepted_keys(&self) -> Result<Arc<Keys>, Unusable> {
        let keys = self.keys.as_ref().map_err(unusable)?;
        keys.keep_public(&self.dir, self.place().path)?;
        Ok(Arc::clone(keys))
    }

    /// The keys, kept beside the store with the public keys of the state that is put in its place.
    pub fn keys_of_another(&self, public: &[VerifyingKey]) -> Result<Arc<Keys>, Unusable> {
        let keys = self.keys.as_ref().map_err(unusable)?;
        keys.keep_of_another(&self.dir, self.place().path, public)?;
        Ok(Arc::clone(keys))
    }

    /// The keys that a start would find; `None`: it would make one.
    pub fn keys_of_a_start(&self, config: &Config, handoff_path: &Path) -> Result<Option<Keys>, Unusable> {
        Ok(with_places(config, handoff_path, self.place(), Keys::check)?)
    }

    /// Adds a root key to the key file; see [`Keys::rotate`].
    pub fn rotate_keys(&self, config: &Config, handoff_path: &Path) -> Result<Keys, Unusable> {
        Ok(with_places(config, handoff_path, self.place(), Keys::rotate)?)
    }
}

/// The directory of a store.
#[derive(Debug, Clone, Copy)]
struct Place<'p> {
    dir: &'p Dir,
    path: &'p Path,
    /// Whether a sealed store is there.
    sealed: bool,
}

fn unusable(error: &Arc<KeyError>) -> Unusable {
    Unusable::Keys(Arc::clone(error))
}

/// Passes on where the keys of a state are looked for.
fn with_places<T>(
    config: &Config,
    handoff: &Path,
    state: Place<'_>,
    work: impl FnOnce(&keys::Places<'_>) -> T,
) -> T {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    work(&keys::Places {
        given: config.fixed.state_key_file.as_deref(),
        credentials: credentials.as_deref(),
        handoff,
        state: state.dir,
        state_path: state.path,
        sealed: state.sealed,
    })
}
