//! The audit trail in the writer's batches. What the store has committed is appended before it is answered and before any file of it is
//! published, so nothing runs and nothing is filed without an entry; a crash in between takes entries that the next start makes again from
//! the store. The sync that covers the published files covers the trail; it asks for one of its own when an epoch has ended, and after an
//! entry of what is neither an intent nor a refusal.

use super::{Ack, Command, Full, Gathered, Holding, SPACE_RETRY, Stopped, WriterLoop};
use conductor_core::Code;
use conductor_core::record::{Claim, Outcome, Status};
use conductor_core::shortage::Shortage;
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record, Trail, TrailError};
use crossbeam_channel::Sender;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an entry of a fact waits for a batch that it can ride with.
const PENDING_MAX: Duration = Duration::from_secs(1);
/// How long the last segment may be without its name before the daemon ends: longer than two looks of one second at the directories.
const GONE_GRACE: Duration = Duration::from_secs(3);

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
    trail: Trail,
    pending: Vec<Record>,
    refusals: Arc<Refusals>,
    /// When pending entries, or the end of an epoch, are appended without a batch.
    due: Option<Instant>,
    /// Whether one of them asks for a sync.
    asks_sync: bool,
    /// Whether something was appended since the last sync began.
    unsynced: bool,
    /// Whether a failure to write the key of the epoch has been reported.
    complained: bool,
    /// Since when the last segment has had no name.
    gone_since: Option<Instant>,
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

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Appends the entries of a committed batch, behind those that waited. Waits on a full disk: nothing goes on unaudited.
    pub(super) fn audit(&mut self, gathered: &Gathered) -> Result<(), Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        let claims = gathered.claims.iter().map(|new| taken(&new.claim));
        auditing.pending.extend(claims);
        auditing
            .pending
            .extend(gathered.publications.iter().flat_map(|publication| filed(&publication.outcome)));
        auditing.pending.extend(gathered.holds.iter().map(|(holding, _)| held(holding)));
        auditing.asks_sync |= !gathered.holds.is_empty();
        while let Some(error) = self.append_pending()? {
            let code = self.tell_what_lacks(&error);
            if self.abandon.load(Ordering::Acquire) {
                return Err(self.fatal(code, &format!("stopped before the audit trail: {error}")));
            }
            std::thread::sleep(SPACE_RETRY); // Waits for space: nothing may go on before.
        }
        Ok(())
    }

    /// Tells why the trail waits: for space, or for a descriptor or memory.
    pub(super) fn tell_what_lacks(&mut self, error: &TrailError) -> Code {
        if let TrailError::NoSpace(_) = error {
            self.set_full(Some(Full::Files));
            return Code::DiskFull;
        }
        self.note_shortage(None, &error.to_string());
        Code::StoreFailed
    }

    /// Appends what waits, and ends the epoch, when it is time and no batch came.
    pub(super) fn audit_by_time(&mut self) -> Result<(), Stopped> {
        let now = (self.clock)();
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        if auditing.patience(now) > Duration::ZERO {
            return Ok(());
        }
        if auditing.gone_since.is_some() {
            self.look_at_segment()?;
        }
        let lacks = self.append_pending()?;
        if let (Some(error), Some(auditing)) = (lacks, &mut self.auditing) {
            auditing.due = Some(now + SPACE_RETRY);
            self.tell_what_lacks(&error);
        } else {
            self.has_room();
        }
        Ok(())
    }

    /// Appends what waits; the error is one after which all of it waits on.
    pub(super) fn append_pending(&mut self) -> Result<Option<TrailError>, Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(None) };
        let (before, epoch) = (auditing.trail.head(), auditing.trail.epoch());
        match auditing.trail.append(&auditing.pending, Timestamp::now()) {
            Ok(()) => {
                auditing.pending.clear();
                auditing.due = None;
                let head = auditing.trail.head();
                // The end of an epoch becomes durable, and its secret goes, also when nothing is published.
                let syncs = std::mem::take(&mut auditing.asks_sync) || auditing.trail.epoch() != epoch;
                if head != before {
                    auditing.unsynced = true;
                    self.head.set_audit(head);
                    (self.report)(vec![Ack::Audited(head)]);
                    if syncs {
                        self.published_since.get_or_insert((self.clock)());
                    }
                }
                self.end_shortage(None);
                Ok(None)
            }
            Err(error) if error.waits() => Ok(Some(error)),
            Err(error) => Err(self.fatal(Code::StoreFailed, &error.to_string())),
        }
    }

    /// Says that a sync begins. What it would make durable must still have its name.
    pub(super) fn audit_sync_begins(&mut self) -> Result<(), Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        auditing.unsynced = false;
        auditing.trail.sync_begins();
        self.look_at_segment()
    }

    /// Ends the daemon when the last segment has been without its name for a while. Where more than the trail is gone, whoever
    /// looks after the directories says so first, and puts back what it can.
    fn look_at_segment(&mut self) -> Result<(), Stopped> {
        let now = (self.clock)();
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        match auditing.trail.look_at_segment() {
            // What could not be looked at is looked at again with the next sync.
            Ok(()) => auditing.gone_since = None,
            Err(error) if error.waits() => auditing.gone_since = None,
            Err(error @ TrailError::Gone(_)) => {
                let since = *auditing.gone_since.get_or_insert(now);
                if now.duration_since(since) >= GONE_GRACE {
                    return Err(self.fatal(Code::AuditDamaged, &error.to_string()));
                }
            }
            Err(error) => return Err(self.fatal(Code::StoreFailed, &error.to_string())),
        }
        Ok(())
    }

    /// Says that a sync worked.
    pub(super) fn audit_synced(&mut self) {
        let Some(auditing) = &mut self.auditing else { return };
        match auditing.trail.synced() {
            Ok(()) => auditing.complained = false,
            // The key of the last epoch stays in the file, and still leads to the current one.
            Err(error) if error.waits() => {
                tracing::debug!(%error, "the key of the epoch is written after the next sync");
            }
            Err(error) if !auditing.complained => {
                auditing.complained = true;
                tracing::warn!(%error, "the secret of an ended epoch stays on the disk until its file can be written");
            }
            Err(_) => {} // Reported once.
        }
    }
}

/// The entry of an accepted intent.
pub fn taken(claim: &Claim) -> Record {
    let detail = object(json!({"sha256": claim.sha256, "size": claim.size, "target": claim.key.to_string()}));
    Record {
        correlation_id: Some(claim.correlation_id.clone()),
        intent: Some(claim.seq),
        file: Some(claim.name.clone()),
        actor: user(claim.uid),
        detail,
        ..Record::of(Event::Taken, EntryResult::Success)
    }
}

/// The entry of what an operator did.
pub fn admin(uid: u32, action: &str) -> Record {
    let record = Record { actor: user(uid), ..Record::of(Event::Admin, EntryResult::Success) };
    record.with("action", action)
}

fn held(holding: &Holding) -> Record {
    match holding {
        Holding::Held(held) => {
            admin(held.uid, "hold").with("target", held.target.as_str()).with("note", held.note.as_str())
        }
        Holding::Released { target, uid } => admin(*uid, "release").with("target", target.as_str()),
    }
}

/// The entries of an outcome: that it was filed, and before that, that the file was refused, or that an operator cancelled it.
pub fn filed(outcome: &Outcome) -> Vec<Record> {
    let of_file = |record| Record {
        correlation_id: Some(outcome.correlation_id.clone()),
        intent: Some(outcome.seq),
        file: Some(outcome.name.clone()),
        ..record
    };
    let code = outcome.error_code.map(Code::id);
    let known = json!({
        "sha256": outcome.sha256, "size": outcome.size, "attempts": outcome.attempts, "code": code,
        "exit_code": outcome.exit_code, "signal": outcome.signal, "duration_ms": outcome.duration_ms,
        "duplicate_of": outcome.duplicate_of, "target": outcome.key.as_ref().map(ToString::to_string),
    });
    let result = match outcome.status {
        Status::Success => EntryResult::Success,
        Status::Failed => EntryResult::Failure,
    };
    let refused = (outcome.key.is_none() && outcome.status == Status::Failed).then(|| {
        let actor =
            outcome.history.as_ref().map_or_else(|| "unknown".to_owned(), |history| user(history.uid));
        let detail = object(json!({"code": code}));
        Record { actor, detail, ..Record::of(Event::Refused, EntryResult::Failure) }
    });
    let cancelled_by = outcome.history.as_ref().and_then(|history| history.cancelled_by);
    let cancelled = cancelled_by.map(|uid| {
        let target = outcome.key.as_ref().map(ToString::to_string);
        admin(uid, "cancel").with("target", target)
    });
    let filed = Record { detail: object(known), ..Record::of(Event::Filed, result) };
    refused.into_iter().chain(cancelled).chain([filed]).map(of_file).collect()
}

/// The members of an object that are not null.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
