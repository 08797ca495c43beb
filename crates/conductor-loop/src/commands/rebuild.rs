//! `state rebuild`: rebuilds a state that was damaged, lost or replaced by an older one, from its readable records and
//! from the statuses. Evidence that an intent was finished ends it; no number is used a second time.

use super::error::CommandError;
use super::stdout::print;
use super::trail::each_signed;
use crate::config::Config;
use crate::daemon::{LastRuns, Statuses, append_alone, last_runs, shown};
use crate::handoff::{Finder, Handoff, StateFiles, layout};
use crate::store::{self, Behind, Evidence, Extent, Ledger, Salvaged, Store, StoreError, TakenOver};
use crate::writer::admin_entry;
use conductor_core::Exit;
use conductor_evidence::entry::Entry;
use conductor_evidence::{Event, Record};
use conductor_os::dir::Dir;
use rustix::process::getuid;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io;
use std::iter;

/// The detail of an entry that says up to which number outcomes are known without entries of their own.
pub(super) const UP_TO: &str = "up_to";

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
    pub(super) fn evidence(&self) -> Result<Evidence<'_>, CommandError> {
        let told = Statuses::of(&self.places.dirs.status).map_err(StoreError::Open)?;
        let (told, extent, salvaged) = (Box::new(told), self.shown()?, Salvaged::default());
        Ok(Evidence { told, extent, salvaged, done: HashSet::new(), goes_on: false })
    }

    /// Appends to the audit trail what a command did to the state, unless the operator wants no trail.
    pub(super) fn record(&self, config: &Config, record: Record) -> Result<(), CommandError> {
        if config.fixed.audit {
            append_alone(&self.places, self.files.keys()?, record)?;
        }
        Ok(())
    }

    /// Takes over what a store lacks, and ends what the audit trail has as filed: the one that is here, or the one below `besides`.
    pub(super) fn take_over(
        &self,
        evidence: Evidence<'_>,
        store: &Store,
        besides: Option<&Dir>,
    ) -> Result<TakenOver, CommandError> {
        let mut waiting = HashMap::new();
        evidence.waiting(store, &mut |claim| {
            waiting.entry(claim.seq).or_insert((claim.name, claim.sha256.to_string()));
        })?;
        let mut done = HashSet::new();
        let mut entry = |entry: &Entry| {
            let Some(seq) = entry.intent.filter(|_| entry.is(Event::Filed)) else { return };
            let sha256 = entry.detail.get("sha256").and_then(Value::as_str);
            let is_it = |(name, digest): &(String, String)| {
                entry.file.as_ref() == Some(name) && sha256 == Some(digest.as_str())
            };
            if waiting.get(&seq).is_some_and(is_it) {
                done.insert(seq);
            }
        };
        let trails = iter::once(&*self.places.dirs.private).chain(besides);
        for above in trails.filter(|_| !waiting.is_empty()) {
            match above.sub(layout::AUDIT) {
                Ok(trail) => each_signed(&trail, &mut entry)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::Open(error).into()),
            }
        }
        Ok(Evidence { done, ..evidence }.take_over(store)?)
    }
}

/// Puts a draft in the place of the store that is here, which keeps the name that is returned.
pub(super) fn replace(draft: Store, why: &str) -> Result<(Store, Option<String>), StoreError> {
    draft.complete_over(&format!("{}.{why}-{}", store::FILE, jiff::Timestamp::now().as_second()))
}

/// `state rebuild`
pub fn state_rebuild(config: &Config) -> Result<Exit, CommandError> {
    let kept = Keeping::open(config)?;
    let evidence = kept.evidence()?;
    let (store, how, taken) = match kept.files.examine(Behind::Accepted) {
        Ok(candidate) => match candidate.believe() {
            Ok(store) => {
                let taken = kept.take_over(evidence, &store, None)?;
                (store, "kept all its records".to_owned(), taken)
            }
            // A record that only the writing of all records again meets.
            Err(StoreError::Damaged(why)) => again(&kept, evidence, &why.to_string())?,
            Err(other) => return Err(other.into()),
        },
        Err(StoreError::Missing) => {
            let draft = kept.files.draft()?;
            let taken = kept.take_over(evidence, &draft, None)?;
            (draft.complete()?, "there was none; begun anew".to_owned(), taken)
        }
        Err(StoreError::Damaged(why)) => again(&kept, evidence, &why.to_string())?,
        Err(other) => return Err(other.into()),
    };
    kept.files.accepted_keys()?;
    let (unfinished, remembered) = store.sizes()?;
    let last_seq = store.last_seq()?;
    let entry = admin_entry(getuid().as_raw(), "rebuild").with("store", how.as_str());
    let entry = entry.with("from_status", taken.told).with("given_up", taken.given_up);
    let entry = entry.with("ended", taken.ended);
    kept.record(config, entry.with(UP_TO, last_seq.get()))?;
    let text = format!(
        "store        {} ({how})\nfrom status  {}\ngiven up     {}\nended        {}\nunfinished   {unfinished}\nremembered   {remembered}\nlast number  {last_seq}\n",
        kept.files.path.display(),
        taken.told,
        taken.given_up,
        taken.ended
    );
    print(text.as_bytes())
}

/// A new store with the readable records of the damaged one, which is kept beside it.
fn again(
    kept: &Keeping,
    evidence: Evidence<'_>,
    why: &str,
) -> Result<(Store, String, TakenOver), CommandError> {
    let salvaged = kept.files.salvage()?;
    let draft = kept.files.draft()?;
    let evidence = Evidence { salvaged, ..evidence };
    let taken = kept.take_over(evidence, &draft, None)?;
    let (store, aside) = replace(draft, "damaged")?;
    let how = format!(
        "{} outcomes and {} unfinished intents read of the damaged one, kept as {}: {why}",
        taken.outcomes,
        taken.unfinished,
        aside.unwrap_or_default()
    );
    Ok((store, how, taken))
}
