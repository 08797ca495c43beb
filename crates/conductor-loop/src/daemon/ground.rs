//! The basis of a session: the directories with their lock, and the store, opened in an order in which each vouches for the next.

use super::evidence;
use super::failure::Failure;
use super::kept::Kept;
use super::not_started::NotStarted;
use super::opening::open_store;
use crate::backup::clear_stale;
use crate::config::Config;
use crate::handoff::{Finder, Handoff, StateFiles};
use crate::keys::Keys;
use crate::runner::{LastRuns, RunTable};
use crate::store::{Ledger, Store};
use std::sync::Arc;

/// The open resources of a handoff directory during one session.
pub(super) struct Ground {
    pub(super) places: Handoff,
    /// The file system of the directory.
    pub(super) device: u64,
    pub(super) state: StateFiles,
    pub(super) store: Arc<dyn Ledger>,
    /// The same, for backups.
    pub(super) copied: Arc<Store>,
    pub(super) keys: Arc<Keys>,
    /// The name of the root key that seals the store; `None`: it is plain.
    pub(super) sealed_by: Option<String>,
    pub(super) kept: Kept,
    pub(super) run_table: RunTable,
    /// The run table of the last daemon.
    pub(super) last: LastRuns,
}

impl Ground {
    /// Opens the resources, for a first session or for one after the directory was missing from the file system `began_on`.
    pub(super) fn open(config: &Config, began_on: Option<u64>) -> Result<Self, Failure> {
        let places = match began_on {
            None => Handoff::open(config)?,
            Some(device) => Handoff::open_again(config, device)?,
        };
        let device = places.device()?;
        let state = StateFiles::find(config, &places.path, &places.dirs.handoff, Finder::Keeper)?;
        // A restore that was killed; what cannot be removed now is tried again at the next start.
        let _ = clear_stale(&state.dir);
        let (run_table, last) = evidence::run_table(&places)?;
        let store = Arc::new(open_store(&state, &places, &last)?);
        let sealed_by = store.sealed_by().map_err(NotStarted::Seal)?;
        let keys = state.accepted_keys()?;
        let kept = Kept::new(&places, &state, &store, &keys, config.fixed.state_dir.is_some());
        let copied = Arc::clone(&store);
        Ok(Self { places, device, state, store, copied, keys, sealed_by, kept, run_table, last })
    }
}
