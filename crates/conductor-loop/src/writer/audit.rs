//! An open audit trail, the entries that wait for a batch, and the door through which others hand theirs in. Nothing is appended here:
//! that is a step of the writer (`trail`).

use super::message::Command;
use conductor_core::shortage::Shortage;
use conductor_evidence::{Event, Record, Trail};
use crossbeam_channel::Sender;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an entry of a fact waits for a batch that it can ride with.
const PENDING_MAX: Duration = Duration::from_secs(1);
/// How long the last segment may be without its name before the daemon ends: longer than two looks of one second at the directories.
pub(super) const GONE_GRACE: Duration = Duration::from_secs(3);

/// An open trail, and what it has to tell first.
#[derive(Debug)]
pub struct Audit {
    /// The trail.
    pub trail: Trail,
    /// The entries that a crash has taken from it, and that it became shorter: appended before anything else.
    pub first: Vec<Record>,
}

/// Leads entries of facts to the audit trail, from any thread.
pub struct AuditDoor {
    commands: Sender<Command>,
    refusals: Arc<Refusals>,
}

impl AuditDoor {
    pub(super) fn of(commands: &Sender<Command>, refusals: &Arc<Refusals>) -> Self {
        Self { commands: commands.clone(), refusals: Arc::clone(refusals) }
    }

    /// Passes an entry on.
    pub fn send(&self, record: Record) {
        let command = if record.event != Event::Denied {
            Command::Audit(Box::new(record))
        } else if self.refusals.add(record) {
            Command::Denied
        } else {
            return; // The command that leads to it has been sent.
        };
        // After the end of the writer it goes nowhere.
        let _ = self.commands.send(command);
    }
}

/// The entries of refused askers until the writer reads them: one for each, however often they ask, and however long the writer waits
/// for space.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Record>>);

impl Refusals {
    /// Counts a refusal. Returns whether its asker had none.
    fn add(&self, record: Record) -> bool {
        let mut of_each = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match of_each.get_mut(&record.actor) {
            Some(other) => {
                count_also(other, &record);
                false
            }
            None => of_each.insert(record.actor.clone(), record).is_none(),
        }
    }

    fn take(&self) -> BTreeMap<String, Record> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts the refusals of an entry with those of another.
fn count_also(other: &mut Record, record: &Record) {
    let times = |record: &Record| record.detail.get("times").and_then(Value::as_u64).unwrap_or(1);
    let sum = times(other) + times(record);
    other.detail.insert("times".to_owned(), json!(sum));
}

/// The trail, and the entries that wait for a batch.
pub(super) struct Auditing {
    pub(super) trail: Trail,
    pub(super) pending: Vec<Record>,
    pub(super) refusals: Arc<Refusals>,
    /// When pending entries, or the end of an epoch, are appended without a batch.
    pub(super) due: Option<Instant>,
    /// Whether one of them asks for a sync.
    pub(super) asks_sync: bool,
    /// Whether something was appended since the last sync began.
    pub(super) unsynced: bool,
    /// Whether a failure to write the key of the epoch has been reported.
    pub(super) complained: bool,
    /// Since when the last segment has had no name.
    pub(super) gone_since: Option<Instant>,
    /// The shortage that stands against an entry.
    pub(super) shortage: Shortage<Instant>,
}

impl Auditing {
    pub(super) fn new(Audit { trail, first }: Audit, now: Instant) -> Self {
        let due = (!first.is_empty()).then_some(now);
        let asks_sync = !first.is_empty();
        let refusals = Arc::default();
        Self {
            trail,
            pending: first,
            refusals,
            due,
            asks_sync,
            unsynced: false,
            complained: false,
            gone_since: None,
            shortage: Shortage::default(),
        }
    }

    /// Adds an entry: that of a run is appended with the next batch or soon, any other at once, and synced within a second.
    pub(super) fn add(&mut self, record: Record, now: Instant) {
        if matches!(record.event, Event::Started | Event::Ended) {
            self.due.get_or_insert(now + PENDING_MAX);
        } else {
            self.due = Some(now);
            self.asks_sync = true;
        }
        self.pending.push(record);
    }

    /// Adds the entries of refused askers, each with the number of its tries. Whoever is refused causes no sync.
    pub(super) fn add_refusals(&mut self, now: Instant) {
        for (actor, record) in self.refusals.take() {
            let same = |other: &&mut Record| other.event == Event::Denied && other.actor == actor;
            match self.pending.iter_mut().find(same) {
                Some(other) => count_also(other, &record),
                None => self.pending.push(record),
            }
        }
        self.due.get_or_insert(now + PENDING_MAX);
    }

    pub(super) fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }

    /// Whether something was appended that no sync covers.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// The time until something is to be appended without a batch.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        let epoch = self.trail.patience(Timestamp::now());
        let epoch = Duration::try_from(epoch).unwrap_or(Duration::ZERO);
        let due = self.due.map_or(epoch, |due| due.saturating_duration_since(now));
        let gone = self.gone_since.map(|since| (since + GONE_GRACE).saturating_duration_since(now));
        gone.map_or(due, |gone| gone.min(due))
    }
}
