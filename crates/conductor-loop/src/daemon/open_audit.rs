//! The audit trail of a session: opened, held against the store, and what a crash took from it made again.

use super::failure::Failure;
use super::ground::Ground;
use super::not_started::{NotStarted, READING_UNFINISHED};
use super::recover::Recovered;
use crate::config::Config;
use crate::handoff::{Handoff, HeadFile, layout};
use crate::keys::Keys;
use crate::store::{Ledger, StoreError};
use crate::writer::{Audit, filed_entries, taken_entry};
use conductor_core::Seq;
use conductor_crypto::SealKey;
use conductor_evidence::trail::SEGMENT_MAX;
use conductor_evidence::{EntryResult, Event, Opened, Record, Setup, Trail, TrailError, recorded};
use conductor_os::dir::Dir;
use conductor_os::{BOOT_ID, boot_id};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The newest unfinished intents that a start looks for in the trail. Only those of the last moments before a crash can be missing.
const LOOKED_FOR: usize = 65_536;

/// What the key that seals the secret of an epoch is derived for.
const COVER: &str = "conductor audit epoch secret";

fn directory(places: &Handoff) -> Result<Arc<Dir>, Failure> {
    let dir = places.dirs.private.ensure(layout::AUDIT, 0o700);
    let attempt = || format!("opening {}", layout::private(layout::AUDIT));
    dir.map(Arc::new).map_err(|error| Failure::refused(attempt(), error))
}

fn setup(dir: &Arc<Dir>, keys: &Keys) -> Result<Setup, Failure> {
    let boot = boot_id().map_err(|error| Failure::refused(format!("reading {BOOT_ID}"), error))?;
    Ok(Setup {
        dir: Arc::clone(dir),
        identity: keys.ring().newest().identity(),
        covers: keys.ring().keys().filter_map(|root| SealKey::new(&root.derive(COVER))).collect(),
        boot: boot.chars().take(8).collect(),
        now: Timestamp::now(),
        segment_max: SEGMENT_MAX,
    })
}

/// Appends one entry, durably, for a command that has taken the daemon's place.
pub fn append_alone(places: &Handoff, keys: &Keys, record: Record) -> Result<(), Failure> {
    let dir = directory(places)?;
    let head = HeadFile::read(&places.dirs.handoff);
    let appended = Trail::open(setup(&dir, keys)?).and_then(|(mut trail, _)| {
        // With this entry the trail could be as long again as the head says.
        let records: Vec<Record> = lost(&trail, &head).into_iter().chain([record]).collect();
        trail.append(&records, Timestamp::now())?;
        trail.sync_begins();
        let synced = dir.sync_file_system();
        synced.map_err(|source| TrailError::Io { what: "syncing the audit trail".to_owned(), source })?;
        trail.synced()
    });
    Ok(appended.map_err(NotStarted::Trail)?)
}

/// Opens the trail of a handoff directory; `None`: the operator wants none.
pub(super) fn open_audit(
    config: &Config,
    ground: &Ground,
    found: &Recovered,
) -> Result<Option<Audit>, Failure> {
    let Ground { places, keys, store, .. } = ground;
    let store = &**store;
    if !config.fixed.audit {
        tracing::warn!("no audit trail is kept (--audit-enabled=false)");
        return Ok(None);
    }
    let dir = directory(places)?;
    let (trail, opened) = Trail::open(setup(&dir, keys)?).map_err(NotStarted::Trail)?;
    tell(opened);
    let unreadable = NotStarted::records(READING_UNFINISHED);
    let wanted = wanted(found);
    let there = recorded(&dir, trail.end(), &wanted, since(store, &wanted).map_err(&unreadable)?)
        .map_err(|source| TrailError::Io { what: "reading the audit trail".to_owned(), source })
        .map_err(NotStarted::Trail)?;
    let missing = wanted.difference(&there);
    let recovered =
        missing.map(|of| made_again(store, of)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let recovered: Vec<Record> = recovered.into_iter().flatten().collect();
    let lost = lost(&trail, &ground.state.head);
    if !recovered.is_empty() {
        tracing::info!(
            entries = recovered.len(),
            "entries that the last daemon's end took from the audit trail are made again"
        );
    }
    let first = lost.into_iter().chain(recovered).collect();
    Ok(Some(Audit { trail, first }))
}

/// The entry of a trail that is shorter than the public head says that it was: its end, or all of it, was removed or lost.
fn lost(trail: &Trail, head: &HeadFile) -> Option<Record> {
    let has = trail.head().size;
    let known = head.audit().filter(|known| known.size > has)?;
    tracing::error!(
        had = known.size,
        has,
        "the audit trail is shorter than it was: a power cut, or somebody, took its end; an entry says so"
    );
    let record = Record::of(Event::Lost, EntryResult::Failure);
    Some(record.with("had", known.size).with("has", has).with("root", known.root.to_string()))
}

fn tell(Opened { cut, key_lost }: Opened) {
    if cut > 0 {
        tracing::info!(
            bytes = cut,
            "the audit trail ended in bytes that were not signed; they are removed, and an entry says so"
        );
    }
    if key_lost {
        tracing::warn!(
            "the key of the audit trail's epoch is gone; a new epoch begins, which the identity key vouches for"
        );
    }
}

/// The entries that unfinished intents must have.
fn wanted(found: &Recovered) -> BTreeSet<(Seq, Event)> {
    let claims = found.claims.iter().map(|unrun| unrun.claim.seq);
    let parked = found.parked.values().flatten().map(|parked| parked.seq);
    let given_up = found.given_up.iter().map(|publication| publication.outcome.seq);
    let taken = claims.chain(parked).chain(given_up).map(|seq| (seq, Event::Taken));
    let mut wanted: BTreeSet<(Seq, Event)> = BTreeSet::new();
    let again = found.again.iter().flat_map(|again| [(again.seq, Event::Taken), (again.seq, Event::Filed)]);
    for one in taken.chain(again) {
        wanted.insert(one);
        if wanted.len() > LOOKED_FOR {
            wanted.pop_first();
        }
    }
    wanted
}

/// The time before which none of these can have an entry.
fn since(store: &dyn Ledger, wanted: &BTreeSet<(Seq, Event)>) -> Result<Timestamp, StoreError> {
    let Some((seq, event)) = wanted.first() else { return Ok(Timestamp::MAX) };
    let claimed = match event {
        Event::Taken => store.claim(*seq)?.map(|(claim, _)| claim.taken_at),
        _ => None,
    };
    let time = match claimed {
        // A file that was refused has no claim.
        None => store.outcome(*seq)?.map(|outcome| outcome.finished_at),
        claimed => claimed,
    };
    // A clock that was set back meanwhile gave later entries earlier times.
    Ok(time.unwrap_or(Timestamp::MIN).min(Timestamp::now()))
}

fn made_again(store: &dyn Ledger, of: &(Seq, Event)) -> Result<Vec<Record>, StoreError> {
    let (seq, event) = *of;
    let records = match event {
        Event::Taken => store.claim(seq)?.map(|(claim, _)| vec![taken_entry(&claim)]),
        _ => store.outcome(seq)?.map(|outcome| filed_entries(&outcome)),
    };
    let again = |record| Record { recovered: true, ..record };
    Ok(records.unwrap_or_default().into_iter().map(again).collect())
}
