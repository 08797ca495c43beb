//! The audit trail in the writer's batches. What the store has committed is appended before it is answered and before any file of it is
//! published, so nothing runs and nothing is filed without an entry; a crash in between takes entries that the next start makes again from
//! the store. The sync that covers the published files covers the trail; of its own it asks for one when an epoch has ended.

use super::{Ack, Command, Full, Gathered, SPACE_RETRY, Stopped, WriterLoop};
use conductor_core::Code;
use conductor_core::record::{Claim, Outcome, Status};
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record, Trail, TrailError};
use crossbeam_channel::Sender;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long an entry of a fact waits for a batch that it can ride with.
const PENDING_MAX: Duration = Duration::from_secs(1);

/// An open trail, and what it has to tell first.
#[derive(Debug)]
pub struct Audit {
    /// The trail.
    pub trail: Trail,
    /// The entries that a crash has taken from it, and that it became shorter: appended before anything else.
    pub first: Vec<Record>,
}

/// Leads entries of facts to the audit trail, from any thread.
pub struct AuditDoor(Sender<Command>);

impl AuditDoor {
    pub(super) fn of(commands: &Sender<Command>) -> Self {
        Self(commands.clone())
    }

    /// Passes an entry on.
    pub fn send(&self, record: Record) {
        // After the end of the writer it goes nowhere.
        let _ = self.0.send(Command::Audit(Box::new(record)));
    }
}

/// The trail, and the entries that wait for a batch.
pub(super) struct Auditing {
    trail: Trail,
    pending: Vec<Record>,
    /// When pending entries, or the end of an epoch, are appended without a batch.
    due: Option<Instant>,
}

impl Auditing {
    pub(super) fn new(Audit { trail, first }: Audit, now: Instant) -> Self {
        let due = (!first.is_empty()).then_some(now);
        Self { trail, pending: first, due }
    }

    /// Adds an entry, to be appended with the next batch or soon. A refused asker has one entry for all its tries until then.
    pub(super) fn add(&mut self, record: Record, now: Instant) {
        let same = |other: &&mut Record| other.event == Event::Denied && other.actor == record.actor;
        if record.event == Event::Denied
            && let Some(other) = self.pending.iter_mut().find(same)
        {
            let times = other.detail.get("times").and_then(Value::as_u64).unwrap_or(1);
            other.detail.insert("times".to_owned(), json!(times + 1));
            return;
        }
        self.pending.push(record);
        self.due.get_or_insert(now + PENDING_MAX);
    }

    /// The time until something is to be appended without a batch.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        let epoch = self.trail.patience(Timestamp::now());
        let epoch = Duration::try_from(epoch).unwrap_or(Duration::ZERO);
        match self.due {
            Some(due) => due.saturating_duration_since(now),
            None => epoch,
        }
    }

    pub(super) fn sync_begins(&mut self) {
        self.trail.sync_begins();
    }
}

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Appends the entries of a committed batch, behind those that waited. Waits on a full disk: nothing goes on unaudited.
    pub(super) fn audit(&mut self, gathered: &Gathered) -> Result<(), Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        let claims = gathered.claims.iter().map(|(claim, _, _)| taken(claim));
        auditing.pending.extend(claims);
        auditing
            .pending
            .extend(gathered.publications.iter().flat_map(|publication| filed(&publication.outcome)));
        while let Some(error) = self.append_pending()? {
            self.set_full(Some(Full::Files));
            if self.abandon.load(Ordering::Acquire) {
                return Err(self.fatal(Code::DiskFull, &format!("stopped before the audit trail: {error}")));
            }
            std::thread::sleep(SPACE_RETRY); // Waits for space: nothing may go on before.
        }
        Ok(())
    }

    /// Appends what waits, and ends the epoch, when it is time and no batch came.
    pub(super) fn audit_by_time(&mut self) -> Result<(), Stopped> {
        let now = (self.clock)();
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        if auditing.patience(now) > Duration::ZERO {
            return Ok(());
        }
        let before = auditing.trail.epoch();
        let lacking = self.append_pending()?;
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        if lacking.is_some() {
            auditing.due = Some(now + SPACE_RETRY);
        } else if auditing.trail.epoch() != before {
            // The end of an epoch becomes durable, and its secret goes, also when nothing is published.
            self.published_since.get_or_insert(now);
        }
        Ok(())
    }

    /// Appends what waits; the error is that of a full disk, after which all of it waits on.
    pub(super) fn append_pending(&mut self) -> Result<Option<TrailError>, Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(None) };
        let before = auditing.trail.head();
        match auditing.trail.append(&auditing.pending, Timestamp::now()) {
            Ok(()) => {
                auditing.pending.clear();
                auditing.due = None;
                let head = auditing.trail.head();
                if head != before {
                    self.head.set_audit(head);
                    (self.report)(vec![Ack::Audited(head)]);
                }
                Ok(None)
            }
            Err(error @ TrailError::NoSpace(_)) => Ok(Some(error)),
            Err(error) => Err(self.fatal(Code::StoreFailed, &error.to_string())),
        }
    }

    /// Says that a sync worked.
    pub(super) fn audit_synced(&mut self) {
        if let Some(auditing) = &mut self.auditing
            && let Err(error) = auditing.trail.synced()
        {
            // The key of the last epoch stays in the file, and still leads to the current one.
            tracing::debug!(%error, "the key of the epoch is written after the next sync");
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

/// The entries of an outcome: that it was filed, and before that, of a file that was refused, that it was.
pub fn filed(outcome: &Outcome) -> Vec<Record> {
    let of_file = |event, result, detail| Record {
        correlation_id: Some(outcome.correlation_id.clone()),
        intent: Some(outcome.seq),
        file: Some(outcome.name.clone()),
        detail,
        ..Record::of(event, result)
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
        Record { actor, ..of_file(Event::Refused, EntryResult::Failure, object(json!({"code": code}))) }
    });
    refused.into_iter().chain([of_file(Event::Filed, result, object(known))]).collect()
}

/// The members of an object that are not null.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
