//! `state rebuild`: rebuilds a state that was damaged, lost or replaced by an older one, from its readable records and
//! from the statuses. Evidence that an intent was finished ends it; no number is used a second time.

use super::{CommandError, print};
use crate::config::Config;
use crate::daemon::{LastRuns, last_runs, shown, statuses};
use crate::handoff::{Finder, Handoff, StateFiles};
use crate::store::{self, Behind, Evidence, Extent, Ledger, Salvaged, Store, StoreError, TakenOver};
use conductor_core::Exit;
use std::sync::Arc;

/// The directories and lock of a command that changes the state in place of a daemon.
pub(super) struct Keeping {
    pub(super) places: Handoff,
    pub(super) files: StateFiles,
    pub(super) last: LastRuns,
}

impl Keeping {
    /// Takes the daemon's place; refused if one runs, or if an entry does not belong to this user.
    pub(super) fn open(config: &Config) -> Result<Self, CommandError> {
        Self::open_as(config, Finder::Keeper)
    }

    pub(super) fn open_as(config: &Config, who: Finder) -> Result<Self, CommandError> {
        let places = Handoff::open(config)?;
        let files = StateFiles::find(config, &places.path, &places.dirs.handoff, who)?;
        let last = last_runs(&places)?;
        Ok(Self { places, files, last })
    }

    /// The extent of the state, by all evidence.
    pub(super) fn shown(&self) -> Result<Extent, CommandError> {
        Ok(shown(&self.places, &self.files, &self.last)?)
    }

    /// What the directories tell of the state, besides its store.
    pub(super) fn evidence(&self) -> Result<Evidence, CommandError> {
        let told = statuses(&self.places.dirs.status)?;
        Ok(Evidence { told, extent: self.shown()?, salvaged: Salvaged::default() })
    }

    /// Moves the store that is here aside; returns its new name.
    pub(super) fn set_aside(&self, why: &str) -> Result<String, CommandError> {
        let aside = format!("{}.{why}-{}", store::FILE, jiff::Timestamp::now().as_second());
        Ok(self.files.dir.move_aside(store::FILE, &aside)?)
    }
}

/// `state rebuild`
pub fn state_rebuild(config: &Config) -> Result<Exit, CommandError> {
    let kept = Keeping::open(config)?;
    let evidence = kept.evidence()?;
    let StateFiles { dir, sealing, .. } = &kept.files;
    let (store, how, taken) = match Store::examine(Arc::clone(dir), sealing, Behind::Accepted) {
        Ok(candidate) => match candidate.believe() {
            Ok(store) => {
                let taken = store::take_over(&store, evidence)?;
                (store, "kept all its records".to_owned(), taken)
            }
            // A record that only the writing of all records again meets.
            Err(StoreError::Damaged(why)) => again(&kept, evidence, &why.to_string())?,
            Err(other) => return Err(other.into()),
        },
        Err(StoreError::Missing) => {
            let draft = Store::draft(Arc::clone(dir), sealing)?;
            let taken = store::take_over(&draft, evidence)?;
            (draft.complete()?, "there was none; begun anew".to_owned(), taken)
        }
        Err(StoreError::Damaged(why)) => again(&kept, evidence, &why.to_string())?,
        Err(other) => return Err(other.into()),
    };
    kept.files.accepted_keys()?;
    let (unfinished, remembered) = store.sizes()?;
    let text = format!(
        "store        {} ({how})\nfrom status  {}\ngiven up     {}\nunfinished   {unfinished}\nremembered   {remembered}\nlast number  {}\n",
        kept.files.path.display(),
        taken.told,
        taken.given_up,
        store.last_seq()?
    );
    print(text.as_bytes())
}

/// A new store with the readable records of the damaged one, which is kept beside it.
fn again(kept: &Keeping, evidence: Evidence, why: &str) -> Result<(Store, String, TakenOver), CommandError> {
    let StateFiles { dir, sealing, .. } = &kept.files;
    let salvaged = Store::salvage(dir, sealing)?;
    let draft = Store::draft(Arc::clone(dir), sealing)?;
    let taken = store::take_over(&draft, Evidence { salvaged, ..evidence })?;
    let aside = kept.set_aside("damaged")?;
    let how = format!(
        "{} outcomes and {} unfinished intents read of the damaged one, kept as {aside}: {why}",
        taken.outcomes, taken.unfinished
    );
    Ok((draft.complete()?, how, taken))
}
