//! `state rebuild`: rebuilds a state that was damaged, lost or replaced by an older one, from its readable records and
//! from the statuses. Evidence that an intent was finished ends it; no number is used a second time.

use super::{CommandError, print};
use crate::config::Config;
use crate::daemon::{LastRuns, last_runs, shown, statuses};
use crate::handoff::{Finder, Handoff, StateFiles};
use crate::store::{self, Behind, Extent, Hold, Ledger, Rescued, Salvaged, Store, StoreError, Work};
use conductor_core::record::{Outcome, Status};
use conductor_core::{Code, Exit};
use std::collections::HashMap;
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
        let places = Handoff::open(config)?;
        let files = StateFiles::find(config, &places.path, &places.dirs.handoff, Finder::Keeper)?;
        let last = last_runs(&places)?;
        Ok(Self { places, files, last })
    }

    /// The extent of the state, by all evidence.
    pub(super) fn shown(&self) -> Result<Extent, CommandError> {
        Ok(shown(&self.places, &self.files, &self.last)?)
    }
}

/// `state rebuild`
pub fn state_rebuild(config: &Config) -> Result<Exit, CommandError> {
    let kept = Keeping::open(config)?;
    let told = statuses(&kept.places.dirs.status)?;
    let shown = kept.shown()?;
    let StateFiles { dir, sealing, .. } = &kept.files;
    let (store, how) = match Store::examine(Arc::clone(dir), sealing, Behind::Accepted) {
        Ok(candidate) => match candidate.believe() {
            Ok(store) => (store, "kept all its records".to_owned()),
            // A record that only the writing of all records again meets.
            Err(StoreError::Damaged(why)) => again(&kept, &why.to_string())?,
            Err(other) => return Err(other.into()),
        },
        Err(StoreError::Missing) => {
            (Store::draft(Arc::clone(dir), sealing)?.complete()?, "there was none; begun anew".to_owned())
        }
        Err(StoreError::Damaged(why)) => again(&kept, &why.to_string())?,
        Err(other) => return Err(other.into()),
    };
    kept.files.accepted_keys()?;
    let count = store::add(&store, told.clone(), &shown)?;
    let given_up = give_up_passed(&store, &told)?;
    let (unfinished, remembered) = store.sizes()?;
    let text = format!(
        "store        {} ({how})\nfrom status  {}\ngiven up     {given_up}\nunfinished   {unfinished}\nremembered   {remembered}\nlast number  {}\n",
        kept.files.path.display(),
        count.imported,
        store.last_seq()?
    );
    print(text.as_bytes())
}

/// A new store with the readable records of the damaged one, which is kept beside it.
fn again(kept: &Keeping, why: &str) -> Result<(Store, String), CommandError> {
    let StateFiles { dir, sealing, .. } = &kept.files;
    let Salvaged { outcomes, open, held } = Store::salvage(dir, sealing)?;
    let draft = Store::draft(Arc::clone(dir), sealing)?;
    let read = outcomes.len();
    store::add(&draft, outcomes, &Extent::default())?;
    let saved = open.len();
    for Rescued { claim, bytes, start } in open {
        let starts = start.map(|start| (claim.seq, start)).into_iter().collect();
        draft.commit(&Work { starts, ..Work::claim(&claim, &bytes, false) })?;
    }
    draft.commit(&Work { holds: held.iter().map(Hold::Begins).collect(), ..Work::default() })?;
    let aside = format!("{}.damaged-{}", store::FILE, jiff::Timestamp::now().as_second());
    let aside = dir.move_aside(store::FILE, &aside)?;
    let how = format!(
        "{read} outcomes and {saved} unfinished intents read of the damaged one, kept as {aside}: {why}"
    );
    Ok((draft.complete()?, how))
}

/// Of two intents with one name, the later was taken after the earlier was filed, or follows it in the order of its
/// target. An older copy of the store may have the earlier as unfinished: whether it ran is unknown, and it does not run
/// again.
pub(super) fn give_up_passed(store: &Store, told: &[Outcome]) -> Result<u64, CommandError> {
    let latest: HashMap<&str, u64> =
        told.iter().map(|outcome| (outcome.name.as_str(), outcome.seq)).collect();
    let mut passed = Vec::new();
    store.unsettled(&mut |claim| {
        if latest.get(claim.name.as_str()).is_some_and(|seq| *seq > claim.seq) {
            passed.push(claim);
        }
    })?;
    for claim in &passed {
        let outcome = Outcome {
            status: Status::Failed,
            message: "its outcome was lost with the state; a later intent of its name has been filed"
                .to_owned(),
            sha256: Some(claim.sha256),
            size: claim.size,
            correlation_id: claim.correlation_id.clone(),
            error_code: Some(Code::Interrupted),
            key: Some(claim.key.clone()),
            ..Outcome::blank(claim.seq, &claim.name, jiff::Timestamp::now())
        };
        store.commit(&Work { imported: vec![&outcome], done: vec![claim.seq], ..Work::default() })?;
    }
    Ok(passed.len() as u64)
}
