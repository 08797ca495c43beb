//! What a start does with what an earlier daemon left, by the table in `conductor_core::stage`. Nothing here is lost
//! when it is interrupted: every step leaves a state that the same table covers.

use super::places::Places;
use super::{Failure, error_log, history};
use crate::clerk::{Settlement, Source};
use crate::runner::{LastRuns, kill_leftovers};
use crate::store::{OpenEntry, Store};
use crate::sys::dir::Kind;
use crate::sys::taken::TakenFiles;
use conductor_core::Code;
use conductor_core::name::TakenName;
use conductor_core::record::{Claim, LastSuccess, Outcome, Status};
use conductor_core::stage::{OnDisk, Resume, resume};
use std::collections::HashMap;
use std::sync::Arc;

/// What recovery found to do.
#[derive(Default)]
pub(super) struct Recovered {
    /// Outcomes to publish (again), and interrupted intents to give up.
    pub(super) settlements: Vec<Settlement>,
    /// Claims to run, in order of taking.
    pub(super) claims: Vec<Unrun>,
    /// Taken files without a record.
    pub(super) relook: Vec<TakenName>,
    /// The first unused sequence number.
    pub(super) next_seq: u64,
}

/// A durable claim that has no outcome.
pub(super) struct Unrun {
    pub(super) claim: Claim,
    pub(super) bytes: Arc<[u8]>,
    /// Starts of porch so far.
    pub(super) started: u32,
    /// The last success of its target.
    pub(super) last: Option<LastSuccess>,
}

/// Mode and porch as the status of a given-up intent names them.
pub(super) struct Labels<'l> {
    pub(super) mode: &'l str,
    pub(super) porch: &'l str,
}

pub(super) fn recover(
    places: &Places,
    store: &Store,
    last: &LastRuns,
    max_attempts: u32,
    labels: &Labels<'_>,
) -> Result<Recovered, Failure> {
    let broken = |error: crate::store::StoreError| {
        Failure::set_up(error.code(), format!("reading unfinished intents: {error}"))
    };
    let io =
        |error: std::io::Error| Failure::set_up(Code::DirectorySetup, format!("reading .conductor: {error}"));
    let entries = store.open_entries().map_err(broken)?;
    let unfinished: Vec<_> = entries
        .iter()
        .filter(|e| e.outcome.is_none())
        .filter_map(|e| Some((e.claim.as_ref()?.seq, e.claim.as_ref()?.sha256)))
        .collect();
    let staging = places.slots.path().display().to_string();
    for left in kill_leftovers(&last.lines, &unfinished, &staging) {
        tracing::warn!(process = left, "ended a porch that the last daemon had left running");
    }
    let mut taken: HashMap<u64, TakenName> =
        places.taken.all_taken().map_err(io)?.into_iter().map(|taken| (taken.seq, taken)).collect();
    let highest_taken = taken.keys().copied().max().unwrap_or(0);
    let mut recovered = Recovered {
        next_seq: store.last_seq().map_err(broken)?.max(highest_taken) + 1,
        ..Recovered::default()
    };
    for entry in entries {
        let seq = entry.outcome.as_ref().map(|o| o.seq).or(entry.claim.as_ref().map(|c| c.seq)).unwrap_or(0);
        let file = taken.remove(&seq);
        forget_returned(places, &entry);
        match resume_of(&entry, last, max_attempts) {
            Resume::Publish => recovered.settlements.extend(republish(entry, file)),
            Resume::GiveUp => recovered.settlements.extend(give_up(entry, file, max_attempts, labels)),
            Resume::Run { started } => {
                if let (Some(claim), Some(bytes)) = (entry.claim, entry.bytes) {
                    let last = store.last_success(&claim.key, &claim.name).map_err(broken)?;
                    recovered.claims.push(Unrun { claim, bytes, started, last });
                }
                // The bytes are in the store.
                if let Some(file) = file {
                    places.taken.remove_taken(&file).map_err(io)?;
                }
            }
            Resume::Look => {}
        }
    }
    for file in taken.into_values() {
        if store.is_settled(file.seq).map_err(broken)? {
            places.taken.remove_taken(&file).map_err(io)?;
        } else {
            recovered.relook.push(file);
        }
    }
    recovered.relook.sort_by_key(|file| file.seq);
    // Before the run lines are forgotten, what they proved is made durable.
    let counted: Vec<(u64, u32)> =
        recovered.claims.iter().map(|unrun| (unrun.claim.seq, unrun.started)).collect();
    store.write(|batch| batch.count_starts(&counted)).map_err(broken)?;
    // Private copies and drafts are made again from the store.
    for left in places.slots.clear().map_err(io)? {
        tracing::warn!(
            left = left.name,
            reason = left.reason,
            "what a run left in the staging directory cannot be removed; tried again at the next start"
        );
    }
    places.drafts.clear(None).map_err(io)?;
    Ok(recovered)
}

fn resume_of(entry: &OpenEntry, last: &LastRuns, max_attempts: u32) -> Resume {
    if entry.outcome.is_some() {
        return resume(OnDisk::Settled, max_attempts);
    }
    let seq = entry.claim.as_ref().map_or(0, |claim| claim.seq);
    let started = match entry.start {
        None => 0,
        // In this boot the run lines are complete: without one, the recorded start did not happen.
        Some((attempt, false)) if last.this_boot => {
            let happened = last.lines.iter().any(|line| line.seq == seq && line.attempt == attempt);
            if happened { attempt } else { attempt.saturating_sub(1) }
        }
        // Known to have happened, or after a power cut, when nobody knows: it counts, so that there are never more starts
        // than allowed.
        Some((attempt, _)) => attempt,
    };
    resume(OnDisk::Claimed { started }, max_attempts)
}

/// A power cut can undo the taking: the same file, by inode, time and size, stands in the handoff directory again while
/// its claim is durable. It is not a new intent.
fn forget_returned(places: &Places, entry: &OpenEntry) {
    let Some(claim) = &entry.claim else { return };
    if let Ok(meta) = places.handoff.stat(&claim.name)
        && meta.kind == Kind::File
        && (meta.id.1, meta.mtime_ns, meta.size) == (claim.inode, claim.mtime_ns, claim.size)
    {
        tracing::info!(
            seq = claim.seq,
            file = claim.name,
            "a file that was taken before the power cut is back; removed"
        );
        let _ = places.handoff.unlink(&claim.name);
    }
}

fn republish(entry: OpenEntry, file: Option<TakenName>) -> Option<Settlement> {
    let outcome = entry.outcome?;
    let raw = || TakenName { seq: outcome.seq, raw: outcome.name.as_bytes().into() };
    let (source, taken) = match entry.bytes {
        Some(bytes) => (Source::Bytes(bytes), file),
        None => (Source::Taken(file.unwrap_or_else(raw)), None),
    };
    Some(Settlement {
        outcome,
        source,
        report: entry.report,
        taken,
        republish: true,
        archived: false,
        renamed: false,
    })
}

fn give_up(
    entry: OpenEntry,
    file: Option<TakenName>,
    attempts: u32,
    labels: &Labels<'_>,
) -> Option<Settlement> {
    let (claim, bytes) = (entry.claim?, entry.bytes?);
    let history = Some(history::of_claim(&claim, Vec::new(), None));
    // Earlier starts may have ended by themselves and been tried again.
    let message = format!(
        "interrupted: the daemon or the machine stopped while porch ran, at the last of {attempts} starts"
    );
    let outcome = Outcome {
        status: Status::Failed,
        message,
        mode: labels.mode.to_owned(),
        porch_path: labels.porch.to_owned(),
        sha256: Some(claim.sha256),
        size: claim.size,
        correlation_id: claim.correlation_id,
        attempts,
        error_code: Some(Code::Interrupted),
        key: Some(claim.key),
        history,
        ..Outcome::blank(claim.seq, &claim.name, jiff::Timestamp::now())
    };
    let report = Some(error_log::render(&outcome, None, None));
    Some(Settlement {
        outcome,
        source: Source::Bytes(bytes),
        report,
        taken: file,
        republish: false,
        archived: false,
        renamed: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::RunLine;
    use conductor_core::Digest;
    use conductor_core::intent::{Kind, TargetKey};

    fn entry(start: Option<(u32, bool)>) -> OpenEntry {
        let claim = Claim {
            v: 1,
            seq: 7,
            name: "intent-a.json".into(),
            sha256: Digest([0; 32]),
            size: 0,
            uid: 0,
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            correlation_id: "c".into(),
            key: TargetKey { namespace: "n".into(), target: "t".into() },
            kind: Kind::Scaling,
            replicas: None,
            priority: 5,
            timeout_secs: None,
            reason: None,
            source: None,
            inode: 0,
            mtime_ns: 0,
        };
        OpenEntry { claim: Some(claim), bytes: None, start, outcome: None, report: None }
    }

    #[test]
    fn starts_are_neither_lost_nor_invented() {
        let ran = |attempt| RunLine { seq: 7, attempt, process: None };
        let same_boot = |lines: Vec<RunLine>| LastRuns { this_boot: true, lines };
        let rebooted = LastRuns { this_boot: false, lines: Vec::new() };
        let cases = [
            (None, same_boot(vec![]), Resume::Run { started: 0 }),
            // Recorded ahead, and the run line tells whether it happened.
            (Some((1, false)), same_boot(vec![ran(1)]), Resume::Run { started: 1 }),
            (Some((1, false)), same_boot(vec![]), Resume::Run { started: 0 }),
            (Some((3, false)), same_boot(vec![ran(2)]), Resume::Run { started: 2 }),
            (Some((3, false)), same_boot(vec![ran(3)]), Resume::GiveUp),
            // After a reboot nobody knows: it counts.
            (Some((1, false)), rebooted.clone(), Resume::Run { started: 1 }),
            (Some((3, false)), rebooted, Resume::GiveUp),
            // What an earlier recovery has counted stays counted, although its run line is gone.
            (Some((2, true)), same_boot(vec![]), Resume::Run { started: 2 }),
            (Some((3, true)), same_boot(vec![]), Resume::GiveUp),
        ];
        for (start, last, want) in cases {
            assert_eq!(resume_of(&entry(start), &last, 3), want, "{start:?} {last:?}");
        }
    }
}
