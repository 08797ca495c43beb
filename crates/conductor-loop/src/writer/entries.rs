//! The entries of the audit trail about intents and operators, each made of the record that it tells of.

use super::message::Holding;
use conductor_core::Code;
use conductor_core::record::{Claim, Outcome, Status};
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record};
use serde_json::{Map, Value, json};

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

pub(super) fn held(holding: &Holding) -> Record {
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
