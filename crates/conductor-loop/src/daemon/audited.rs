//! Which facts have an entry in the audit trail, and what is in it.

use crate::config::Config;
use crate::writer::admin_entry;
use conductor_core::confinement::{Confinement, Standing};
use conductor_core::fact::{DaemonFact, Fact, IntentFact, OperatorFact};
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::Run;
use conductor_core::record::{Claim, rfc3339};
use conductor_core::{Digest, scrub};
use conductor_crypto::sha256;
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record};

/// The first 48 bits of a root, which a floating-point number holds exactly.
pub(super) fn root48(root: &Digest) -> i64 {
    root.0.iter().take(6).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

/// The SHA-256 of the settings in force, each as a line `KEY=VALUE`.
pub(super) fn config_digest(config: &Config) -> Digest {
    sha256(config.lines().as_bytes())
}

/// The entry of a fact, if it has one of its own. Claims and outcomes have theirs in the batch that records them.
pub(super) fn entry_of(fact: Fact<'_>) -> Option<Record> {
    match fact {
        Fact::Intent(IntentFact::Started { claim, attempt }) => {
            Some(of_claim(Event::Started, EntryResult::Success, claim).with("attempt", attempt.get()))
        }
        Fact::Intent(IntentFact::RunEnded { claim, run, began: true, .. }) => Some(ended(claim, run)),
        Fact::Operator(fact) => of_operator(fact),
        Fact::Daemon(DaemonFact::Began { version, config, confinement }) => Some(
            Record::of(Event::Startup, EntryResult::Success)
                .with("version", version)
                .with("config_sha256", config)
                .with("confined", confinement.names(Standing::Active))
                .with("not_confined", not_confined(confinement)),
        ),
        Fact::Daemon(DaemonFact::Stopped { well }) => {
            let result = if well { EntryResult::Success } else { EntryResult::Failure };
            Some(Record::of(Event::Shutdown, result))
        }
        Fact::Daemon(DaemonFact::Expired { removed }) => {
            Some(Record::of(Event::Expired, EntryResult::Success).with("outcomes", removed))
        }
        Fact::Daemon(DaemonFact::BackedUp { file, bytes, uid, .. }) => Some(by(
            uid,
            Record::of(Event::BackedUp, EntryResult::Success).with("file", file).with("bytes", bytes),
        )),
        Fact::Daemon(DaemonFact::BackupFailed { reason, uid }) => {
            let reason = scrub::shown(reason, MESSAGE_MAX);
            Some(by(uid, Record::of(Event::BackedUp, EntryResult::Failure).with("reason", reason)))
        }
        Fact::Intent(_) | Fact::Daemon(_) | Fact::Place(_) => None,
    }
}

/// The parts that do not hold, each with its reason.
fn not_confined(confinement: &Confinement) -> String {
    let parts = confinement.0.iter().filter(|one| one.standing != Standing::Active);
    parts.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The entry with the operator as its actor, if one asked.
fn by(uid: Option<u32>, record: Record) -> Record {
    match uid {
        Some(uid) => Record { actor: user(uid), ..record },
        None => record,
    }
}

fn of_claim(event: Event, result: EntryResult, claim: &Claim) -> Record {
    Record {
        correlation_id: Some(claim.correlation_id.clone()),
        intent: Some(claim.seq),
        file: Some(claim.name.clone()),
        ..Record::of(event, result)
    }
}

fn ended(claim: &Claim, run: &Run) -> Record {
    let result = if run.ending.exit_code() == Some(0) { EntryResult::Success } else { EntryResult::Failure };
    let millis = u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX);
    let record = of_claim(Event::Ended, result, claim)
        .with("ending", scrub::shown(&run.describe(), MESSAGE_MAX))
        .with("duration_ms", millis);
    if run.command.is_empty() {
        return record;
    }
    record.with("command_sha256", sha256(run.command.join("\0").as_bytes()).to_string())
}

fn of_operator(fact: OperatorFact<'_>) -> Option<Record> {
    Some(match fact {
        OperatorFact::Purged { uid, outcomes, before } => {
            admin_entry(uid, "purge").with("outcomes", outcomes).with("before", rfc3339(before))
        }
        OperatorFact::SettingChanged { key, from, to } => Record::of(Event::Config, EntryResult::Success)
            .with("setting", key)
            .with("from", from)
            .with("to", to),
        OperatorFact::ReloadRefused { code, reason } => {
            Record::of(Event::Config, EntryResult::Failure).with("code", code.id()).with("reason", reason)
        }
        OperatorFact::AskerRefused { uid } => {
            Record { actor: user(uid), ..Record::of(Event::Denied, EntryResult::Failure) }
                .with("by", "local socket")
        }
        OperatorFact::TokenRefused => {
            Record { actor: "network".to_owned(), ..Record::of(Event::Denied, EntryResult::Failure) }
                .with("by", "token")
        }
        // A hold or release has its entry in the batch that records it.
        OperatorFact::Held { .. }
        | OperatorFact::Released { .. }
        | OperatorFact::RestartNeeded { .. }
        | OperatorFact::StopAsked { .. }
        | OperatorFact::StopAtOnce { .. } => return None,
    })
}
