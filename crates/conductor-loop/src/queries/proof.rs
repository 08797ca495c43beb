//! What proves what is said of an intent: its signed status, and its entries in the audit trail.

use crate::handoff::layout;
use crate::keys::check_status;
use conductor_core::Seq;
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::status_name;
use conductor_core::query::{Proof, ProofEntry, Shown};
use conductor_core::scrub;
use conductor_crypto::VerifyingKey;
use conductor_evidence::entry::Entry;
use conductor_evidence::{EntryResult, Event, entries_of};
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::io;

/// The most bytes shown of an actor or an event.
const WORD_MAX: usize = 100;

/// The status of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// It is not there yet.
    NotYet,
    /// It is the one of its name.
    Here,
    /// A later intent of its name has replaced it.
    Replaced,
}

/// Looks for what proves an intent.
pub(super) fn proof(
    handoff: &Dir,
    public: &io::Result<Vec<VerifyingKey>>,
    shown: &Shown,
    published: Published,
) -> Proof {
    let mut proof = Proof::default();
    let Some(seq) = shown.intent.seq else { return proof };
    match published {
        Published::NotYet => {}
        Published::Replaced => {
            proof.missing.push("the status of its name is that of a later intent".to_owned());
        }
        Published::Here => match signed_by(handoff, public, &shown.intent.file, seq) {
            Ok(key) => proof.signed_by = Some(key),
            Err(why) => proof.missing.push(format!("it has no genuine status: {why}")),
        },
    }
    match entries(handoff, shown, seq) {
        Ok(found) if found.is_empty() => {
            proof.missing.push("the audit trail has no entry of it near its time".to_owned());
        }
        Ok(found) => {
            if published != Published::NotYet && !found.iter().any(|entry| entry.event == Event::Filed.name())
            {
                proof.missing.push("the entry of its end is not near its time in the audit trail".to_owned());
            }
            proof.entries = found;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            proof.missing.push("no audit trail is kept here".to_owned());
        }
        Err(error) => proof.missing.push(format!("the audit trail cannot be read: {error}")),
    }
    proof
}

fn signed_by(
    handoff: &Dir,
    public: &io::Result<Vec<VerifyingKey>>,
    file: &str,
    seq: Seq,
) -> Result<String, String> {
    let public = public.as_ref().map_err(|error| format!("the public keys cannot be read: {error}"))?;
    let name = status_name(file);
    let read = handoff.sub(layout::STATUS).and_then(|status| status.read_plain(&name, STATUS_MAX));
    let genuine = check_status(&name, &read.map_err(|error| error.to_string())?, public)?;
    if genuine.seq == seq { Ok(genuine.key) } else { Err(format!("it is that of number {}", genuine.seq)) }
}

fn entries(handoff: &Dir, shown: &Shown, seq: Seq) -> io::Result<Vec<ProofEntry>> {
    let audit = handoff.sub(layout::PRIVATE)?.sub(layout::AUDIT)?;
    let times = shown.timeline.iter().map(|moment| moment.at).chain(shown.intent.at);
    let (from, to) =
        times.fold((Timestamp::MAX, Timestamp::MIN), |(from, to), at| (from.min(at), to.max(at)));
    Ok(entries_of(&audit, seq, from, to)?.into_iter().map(proof_entry).collect())
}

/// An entry as answers show it.
pub fn proof_entry(entry: Entry) -> ProofEntry {
    ProofEntry {
        number: entry.seq,
        at: entry.time,
        event: scrub::line(&entry.event, WORD_MAX),
        outcome: if entry.outcome == EntryResult::Success { "success" } else { "failure" }.to_owned(),
        actor: scrub::line(&entry.actor, WORD_MAX),
        recovered: entry.recovered,
        detail: entry.detail,
    }
}
