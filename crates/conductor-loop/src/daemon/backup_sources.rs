//! What a session's backups are made of.

use crate::backup::{BackupError, Series};
use crate::config::{Backups, Config};
use crate::keys::Keys;
use crate::store::Store;
use conductor_os::dir::Dir;
use std::sync::Arc;

/// What a session's backups are made of.
pub(super) struct BackUp {
    /// What is needed as long as the backup takes.
    pub(super) rest: Arc<Rest>,
    /// What a session does not end without: it is held while it is copied.
    pub(super) store: Arc<Store>,
}

/// The settings, directories and keys of backups.
pub(super) struct Rest {
    pub(super) settings: Backups,
    pub(super) state: Arc<Dir>,
    pub(super) private: Arc<Dir>,
    pub(super) keys: Arc<Keys>,
}

impl BackUp {
    /// `None`: the operator names no directory for backups.
    pub(super) fn of(
        config: &Config,
        store: Arc<Store>,
        state: &Arc<Dir>,
        private: &Arc<Dir>,
        keys: &Arc<Keys>,
    ) -> Option<Self> {
        let settings = config.fixed.backups.clone()?;
        let (state, private, keys) = (Arc::clone(state), Arc::clone(private), Arc::clone(keys));
        Some(Self { rest: Arc::new(Rest { settings, state, private, keys }), store })
    }
}

impl Rest {
    /// The series that the backups belong to.
    pub(super) fn series(&self) -> Result<Series, BackupError> {
        Series::of(&self.state).map_err(BackupError::of("reading or writing the id of its backups"))
    }
}
