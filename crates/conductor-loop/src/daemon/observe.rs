//! The one place that reports facts: as a log line, in the metrics, in the audit trail, and in the summary of this run of the daemon. Set-up,
//! which happens before there is a loop, logs by itself.

use super::audited::entry_of;
use super::health::Health;
use super::summary::Summary;
use crate::telemetry::Metrics;
use conductor_core::confinement::{Confinement, Standing};
use conductor_core::fact::{DaemonFact, Fact, IntentFact, OperatorFact, PlaceFact};
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::Run;
use conductor_core::query::{Covers, EVERYTHING};
use conductor_core::record::{Claim, Outcome, Status};
use conductor_core::{Attempt, Code, NotReady, scrub};
use std::sync::Arc;
use std::time::Duration;

/// The time after which a handled input is logged: it keeps questions waiting for half of their time limit.
const LONG: Duration = Duration::from_secs(1);

/// Observes for the loop, which alone has the summary.
pub(super) struct Observer<'s> {
    pub(super) summary: &'s mut Summary,
    pub(super) health: Arc<Health>,
}

impl Observer<'_> {
    pub(super) fn observe<'f>(&mut self, fact: impl Into<Fact<'f>>) {
        let fact = fact.into();
        match fact {
            Fact::Intent(IntentFact::Filed { outcome, .. }) => self.summary.count(outcome),
            Fact::Intent(IntentFact::Interrupted { .. }) => self.summary.interrupted += 1,
            _ => {}
        }
        observe(&self.health, fact);
    }
}

/// Observes a fact on any thread: log, metrics and audit trail.
pub(super) fn observe<'f>(health: &Health, fact: impl Into<Fact<'f>>) {
    let fact = fact.into();
    count(&health.metrics, fact);
    if let Some(entry) = entry_of(fact) {
        health.audit(entry);
    }
    match fact {
        Fact::Intent(fact) => of_intent(fact),
        Fact::Operator(fact) => of_operator(fact),
        Fact::Daemon(fact) => of_daemon(fact),
        Fact::Place(fact) => of_place(fact),
    }
}

fn count(metrics: &Metrics, fact: Fact<'_>) {
    match fact {
        Fact::Intent(IntentFact::RunEnded { claim, run, began: true, first_start }) => {
            if let Some(at) = first_start {
                metrics.started(claim.taken_at, at);
            }
            metrics.ran(run.duration);
        }
        Fact::Intent(IntentFact::Retried { .. }) => metrics.retried(),
        Fact::Intent(IntentFact::Interrupted { .. }) => metrics.interrupted(),
        Fact::Intent(IntentFact::Filed { outcome, .. }) => metrics.filed(outcome),
        Fact::Daemon(DaemonFact::Confined { confinement }) => metrics.set_confinement(confinement),
        Fact::Daemon(DaemonFact::BackedUp { made_at, .. }) => metrics.backed_up(made_at),
        Fact::Daemon(DaemonFact::BackupFailed { .. }) => metrics.backup_failed(),
        Fact::Daemon(DaemonFact::Scanned) => metrics.scanned(),
        Fact::Daemon(DaemonFact::EventsLost) => metrics.overflowed(),
        Fact::Daemon(DaemonFact::EventsFail { .. }) => metrics.set_events(false),
        Fact::Daemon(DaemonFact::EventsWork) => metrics.set_events(true),
        Fact::Daemon(DaemonFact::Committed { took, records }) => metrics.committed(took, records),
        _ => {}
    }
}

fn of_intent(fact: IntentFact<'_>) {
    match fact {
        IntentFact::Accepted { claim } => {
            tracing::info!(seq = claim.seq.get(), file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, "taken");
        }
        IntentFact::Refused { outcome } => {
            let (file, code) = (outcome.name.as_str(), outcome.error_code.map(Code::id));
            tracing::debug!(
                seq = outcome.seq.get(),
                file,
                correlation_id = outcome.correlation_id,
                code,
                "refused"
            );
        }
        IntentFact::HandedOut { claim, attempt } => {
            tracing::debug!(seq = claim.seq.get(), file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, attempt = attempt.get(), "starting porch");
        }
        IntentFact::Started { claim, attempt } => {
            tracing::debug!(seq = claim.seq.get(), file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, attempt = attempt.get(), "porch was started");
        }
        IntentFact::RunEnded { claim, run, .. } => run_ended(claim, run),
        IntentFact::Retried { claim, run, next_attempt, pause } => {
            retried(claim, run, next_attempt, pause);
        }
        IntentFact::Interrupted { claim } => {
            let code = Code::Interrupted.id();
            tracing::warn!(seq = claim.seq.get(), file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, code, "interrupted: the next start runs it again");
        }
        IntentFact::Filed { outcome, archived_as } => filed(outcome, archived_as),
        IntentFact::WriterHolds { seq } => {
            tracing::info!(seq = seq.get(), "taken, but a writer still holds it; waiting");
        }
        IntentFact::Vanished { seq, file } => {
            tracing::warn!(
                seq = seq.get(),
                file,
                code = Code::Unreadable.id(),
                "it vanished after it was taken"
            );
        }
        IntentFact::Ignored { file } => {
            tracing::warn!(
                file,
                "ignored: its name matches neither intent-*.json nor a --pattern; rename it if it is an intent"
            );
        }
        IntentFact::Left { file, code, reason } => {
            let (code, remedy) = (code.id(), code.remedy());
            tracing::warn!(
                file,
                code,
                reason,
                "left in the handoff directory, tried again at each scan: {remedy}"
            );
        }
        IntentFact::Unread { claim, code, reason } => {
            let code = code.id();
            tracing::error!(
                seq = claim.seq.get(),
                file = claim.name,
                correlation_id = claim.correlation_id,
                code,
                "its bytes could not be read back, tried again in a moment: {reason}"
            );
        }
    }
}

fn run_ended(claim: &Claim, run: &Run) {
    let (seq, file, correlation_id) = (claim.seq, &claim.name, &claim.correlation_id);
    if run.leftovers.is_empty() {
        let ending = scrub::shown(&run.describe(), MESSAGE_MAX);
        let duration_ms = u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(seq = seq.get(), file, correlation_id, duration_ms, ending, "a run ended");
    } else {
        let left_over = run.leftovers.join(", ");
        tracing::warn!(
            seq = seq.get(),
            file,
            correlation_id,
            left_over,
            "processes outlived porch and were killed"
        );
    }
}

fn retried(claim: &Claim, run: &Run, next_attempt: Attempt, pause: Duration) {
    let (seq, file, correlation_id) = (claim.seq, &claim.name, &claim.correlation_id);
    let why = scrub::shown(&run.describe(), MESSAGE_MAX);
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(seq = seq.get(), file, correlation_id, target = %claim.key, next_attempt = next_attempt.get(), pause_ms, "retrying: {why}");
}

fn filed(outcome: &Outcome, archived_as: &str) {
    let Outcome { seq, attempts, message, .. } = outcome;
    let (file, correlation_id) = (outcome.name.as_str(), outcome.correlation_id.as_str());
    let target = outcome.key.as_ref().map(ToString::to_string).unwrap_or_default();
    let duration_ms = outcome.duration_ms.unwrap_or(0);
    match outcome.status {
        Status::Success => {
            tracing::info!(
                seq = seq.get(),
                file,
                correlation_id,
                target,
                attempts,
                duration_ms,
                archived_as,
                "{message}"
            );
        }
        Status::Failed => {
            let code = outcome.error_code.map_or("", Code::id);
            tracing::warn!(
                seq = seq.get(),
                file,
                correlation_id,
                target,
                code,
                attempts,
                duration_ms,
                archived_as,
                "{message}"
            );
        }
    }
}

fn of_operator(fact: OperatorFact<'_>) {
    match fact {
        OperatorFact::Held { held } => {
            let what = if held.target == EVERYTHING { "everything" } else { "a target" };
            let (target, uid, note) = (held.subject(), held.uid, &held.note);
            tracing::warn!(target, uid, note, "an operator holds {what}");
        }
        OperatorFact::Released { covers, uid } => {
            let (target, what) = match covers {
                Covers::Everything => ("everything".to_owned(), "everything"),
                Covers::Target(key) => (key.to_string(), "a target"),
            };
            tracing::warn!(target, uid, "an operator releases {what}");
        }
        OperatorFact::Purged { uid, outcomes, before } => {
            tracing::warn!(uid, outcomes, %before, "an operator purges old outcomes");
        }
        OperatorFact::SettingChanged { key, from, to } => {
            tracing::info!(setting = key, from, to, "setting changed");
        }
        OperatorFact::RestartNeeded { settings } => {
            tracing::warn!(settings = settings.join(" "), "changed, but takes effect at the next start only");
        }
        OperatorFact::ReloadRefused { code, reason } => {
            tracing::error!(code = code.id(), "configuration not changed: {reason}");
        }
        OperatorFact::AskerRefused { uid } => {
            tracing::debug!(uid, "a user who may not ask was refused");
        }
        OperatorFact::TokenRefused => {
            tracing::debug!("a request without the token was refused");
        }
        OperatorFact::StopAsked { signal, running } => {
            tracing::info!(signal, running, "stopping: nothing new is taken, running porches may end");
        }
        OperatorFact::StopAtOnce { signal } => tracing::warn!(signal, "stopping at once"),
    }
}

fn of_daemon(fact: DaemonFact<'_>) {
    match fact {
        DaemonFact::NotReady { reason, at } => not_ready(reason, at),
        DaemonFact::ReadyAgain { reason: NotReady::DiskFull } => tracing::info!("there is space again"),
        DaemonFact::ReadyAgain { reason: NotReady::FilingWaits } => {
            tracing::info!("files of ended intents are made again");
        }
        DaemonFact::ReadyAgain { reason: NotReady::PorchMissing } => tracing::info!("porch is back"),
        DaemonFact::ReadyAgain { reason } => tracing::debug!(reason = reason.as_str(), "holds no longer"),
        DaemonFact::Signing { key, file, weak: false } => tracing::info!(key, file, "statuses are signed"),
        DaemonFact::Signing { key, file, weak: true } => {
            tracing::info!(
                key,
                file,
                "statuses are signed with a key beside the state: who reads it can sign too; --state-key-file gives it another place"
            );
        }
        DaemonFact::Confined { confinement } => confined(confinement),
        DaemonFact::Scanned => tracing::trace!("a scan is complete"),
        DaemonFact::ScanFailed { reason } => {
            tracing::warn!(reason, "the handoff directory could not be listed; trying again");
        }
        DaemonFact::EventsLost => tracing::warn!("the kernel lost events; scanning the directory"),
        DaemonFact::EventsFail { reason } => {
            let text = "events do not work here; the directory is listed every 2s (--period auto) instead";
            tracing::warn!(reason, "{text}");
        }
        DaemonFact::EventsWork => tracing::info!("events work"),
        DaemonFact::IntakeFails { reason } => {
            let code = Code::DirectorySetup.id();
            tracing::error!(
                code,
                reason,
                "the system refuses to let the intake wait; it goes on by the clock"
            );
        }
        DaemonFact::IntakeWorks => tracing::info!("the intake waits for events again"),
        DaemonFact::FilesWait { reason } => {
            let code = Code::DirectorySetup.id();
            tracing::error!(code, reason, "a taken file cannot be looked at; tried again until it can");
        }
        DaemonFact::FilesGoOn => tracing::info!("taken files are looked at again"),
        DaemonFact::Committed { took, records } => {
            tracing::trace!(?took, records, "committed");
        }
        DaemonFact::Handled { input, took } if took >= LONG => {
            tracing::warn!(input, ?took, "the loop took long; all else waited meanwhile");
        }
        DaemonFact::Handled { input, took } => {
            tracing::trace!(input, ?took, "handled");
        }
        DaemonFact::Began { version, config, .. } => tracing::debug!(version, config, "the daemon runs"),
        DaemonFact::Stopped { well } => tracing::debug!(well, "the daemon stops"),
        DaemonFact::Expired { removed } => {
            tracing::info!(removed, "removed old outcomes");
        }
        DaemonFact::BackedUp { file, bytes, .. } => {
            tracing::info!(file, bytes, "a backup was made and restored on trial");
        }
        DaemonFact::BackupsNotRemoved { reason } => {
            let code = Code::BackupFailed.id();
            tracing::warn!(code, "the oldest backups stay, because they cannot be removed: {reason}");
        }
        DaemonFact::BackupFailed { reason, .. } => {
            tracing::error!(code = Code::BackupFailed.id(), "the backup failed: {reason}");
        }
        DaemonFact::Defect { what } => {
            tracing::error!(code = Code::Defect.id(), "{what}: {}", Code::Defect.remedy());
        }
    }
}

/// One line: at `warn` if a part that was wanted does not hold.
fn confined(confinement: &Confinement) {
    let lacking: Vec<String> = confinement.lacking().map(ToString::to_string).collect();
    let (active, off) = (confinement.names(Standing::Active), confinement.names(Standing::Off));
    if !lacking.is_empty() {
        let lacking = lacking.join("; ");
        tracing::warn!(active, lacking, off, "confined in part");
    } else if active.is_empty() {
        let reason = confinement.0.first().map(|part| part.reason.as_str());
        tracing::info!(reason, "not confined");
    } else {
        tracing::info!(active, off, "confined");
    }
}

fn of_place(fact: PlaceFact<'_>) {
    match fact {
        PlaceFact::PartsReplaced { names } => {
            let directories = names.join(" ");
            tracing::error!(
                directories,
                "these names lead to other directories than at the start: nothing is taken or started until they lead back"
            );
        }
        PlaceFact::PartsBack => {
            tracing::info!("processed/, failed/, status/ and .conductor/ are those opened at start again");
        }
        PlaceFact::HandoffGone { reason } => {
            let code = Code::HandoffGone;
            tracing::error!(code = code.id(), reason, "not ready: {}", code.remedy());
        }
        PlaceFact::StateGone { what } => {
            tracing::error!(
                code = Code::StoreDamaged.id(),
                "taking and starting nothing, then ending: {what}"
            );
        }
        PlaceFact::GivenUp { code, message } => {
            tracing::error!(code = code.id(), "given up with the handoff directory: {message}");
        }
        PlaceFact::PorchUnusable { reason } => tracing::warn!(reason, "porch cannot be run"),
        PlaceFact::RunsWithheld { reason } => {
            tracing::warn!(reason, "a run could not begin, and is tried again");
        }
        PlaceFact::StagingMoved { reason } => {
            tracing::error!(reason, "nothing is started until it is back");
        }
        PlaceFact::StagingBack => tracing::info!("the staging directory is in its place again"),
        PlaceFact::PlaceUnusable { reason, path } => {
            let code = reason.code().map(Code::id);
            tracing::warn!(code, path, "{reason}: it cannot be written; intents for it wait");
        }
        PlaceFact::PlaceMet { reason, words } => {
            let code = reason.code().map(Code::id);
            tracing::warn!(code, reason = words, "{reason}: what leads there waits");
        }
        PlaceFact::PlaceUsable { path } => tracing::info!(path, "packages can be written there again"),
    }
}

fn not_ready(reason: NotReady, at: Option<&str>) {
    let code = reason.code().map(Code::id);
    match reason {
        NotReady::DiskFull => tracing::error!(code, at, "disk full: taking nothing new until there is space"),
        NotReady::PorchMissing => {
            tracing::error!(code, porch = at, "porch is gone: nothing is taken or started until it is back");
        }
        reason => tracing::debug!(code, reason = reason.as_str(), "not ready"),
    }
}

#[cfg(test)]
mod tests;
