//! Builds the outcome of a decided intent: refused at its judgement, or at the end of its runs.

use super::in_flight::{Decided, Intent};
use super::{error_log, history};
use crate::config::Mode;
use crate::intake::{Judged, Verdict};
use crate::writer::{Publication, PublicationKind, Source};
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::Run;
use conductor_core::record::{History, Outcome, Status, made_correlation_id};
use conductor_core::stage::Final;
use conductor_core::units::format_duration;
use conductor_core::{Runs, Seq, scrub};
use std::time::Duration;

/// The fields common to all outcomes of this daemon.
pub(super) struct Outcomes {
    pub(super) mode: Mode,
    pub(super) porch_path: String,
}

/// The scheduler's decision about an intent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruling {
    pub(super) outcome: Final,
    /// Total starts of porch.
    pub(super) attempts: u32,
    /// For a duplicate: the success it repeats.
    pub(super) duplicate_of: Option<Seq>,
    /// For one that was cancelled: the operator.
    pub(super) cancelled_by: Option<u32>,
}

impl Outcomes {
    fn blank(&self, seq: Seq, name: &str) -> Outcome {
        Outcome {
            mode: self.mode.as_str().to_owned(),
            porch_path: self.porch_path.clone(),
            ..Outcome::blank(seq, name, jiff::Timestamp::now())
        }
    }

    /// The outcome of a refused file; `None` if it was accepted.
    pub(super) fn of_refusal(&self, judged: Judged) -> Option<Publication> {
        let Judged { taken, name, meta, verdict } = judged;
        let Verdict::Refused { refusal, bytes, correlation_id } = verdict else { return None };
        let outcome = Outcome {
            status: Status::Failed,
            message: scrub::line(&refusal.to_string(), MESSAGE_MAX),
            sha256: bytes.as_ref().map(|(_, digest)| *digest),
            size: bytes.as_ref().map_or(meta.size, |(bytes, _)| bytes.len() as u64),
            correlation_id: correlation_id.unwrap_or_else(|| made_correlation_id(taken.seq)),
            error_code: Some(refusal.code),
            history: Some(history::of_refused(meta.uid)),
            ..self.blank(taken.seq, &name)
        };
        let report = Some(error_log::render(&outcome, None, Some(&refusal)));
        let (source, taken) = match bytes {
            Some((bytes, _)) => (Source::Bytes(bytes), Some(taken)),
            None => (Source::Taken(taken), None),
        };
        Some(Publication { outcome, source, report, taken, kind: PublicationKind::First })
    }

    /// The outcome of an intent with a durable claim.
    pub(super) fn of_ruling(&self, decided: Decided, ruling: Ruling) -> Publication {
        let Decided { intent, run, source } = decided;
        let kept = intent.output_text();
        let Intent { claim, runs, .. } = intent;
        let (run, Ruling { outcome, attempts, duplicate_of, cancelled_by }) = (run.as_deref(), ruling);
        let history = history::of_claim(&claim, runs, run);
        // An intent that is cancelled between two starts has no run that has just ended.
        let output = if run.is_some() { history.output } else { kept };
        let record = Outcome {
            status: if matches!(outcome, Final::Failed(_)) { Status::Failed } else { Status::Success },
            message: message(ruling, run, Runs::from(self.porch_path.as_str()).name()),
            sha256: Some(claim.sha256),
            size: claim.size,
            correlation_id: claim.correlation_id.clone(),
            attempts,
            exit_code: run.and_then(|run| run.ending.exit_code()),
            signal: run.and_then(|run| run.ending.signal()).map(str::to_owned),
            error_code: if let Final::Failed(code) = outcome { Some(code) } else { None },
            duration_ms: run.map(|run| u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX)),
            note: run.and_then(|run| if outcome == Final::Success { note(run) } else { run.hint.clone() }),
            duplicate_of,
            key: Some(claim.key.clone()),
            history: Some(Box::new(History { cancelled_by, output, ..*history })),
            // The program that ran: it may have come back at another path.
            porch_path: run
                .and_then(|run| run.command.first().cloned())
                .unwrap_or_else(|| self.porch_path.clone()),
            ..self.blank(claim.seq, &claim.name)
        };
        let report = (record.status == Status::Failed).then(|| error_log::render(&record, run, None));
        Publication { outcome: record, source, report, taken: None, kind: PublicationKind::First }
    }
}

/// The note of the result line, which is the last line that the engine prints; another porch may print none.
fn note(run: &Run) -> Option<String> {
    let line = run.stdout.head.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())?;
    let result: serde_json::Value = serde_json::from_slice(line).ok()?;
    let note = result.get("note")?.as_str()?;
    (!note.is_empty()).then(|| scrub::shown(note, MESSAGE_MAX))
}

/// The status message. A success reads as the specification's example does.
fn message(ruling: Ruling, run: Option<&Run>, runner: &str) -> String {
    let text = match (ruling.outcome, run) {
        (Final::Duplicate, _) => format!(
            "Duplicate of {}: the target's last success had the same name and content; {runner} was not run",
            ruling.duplicate_of.unwrap_or_default()
        ),
        (Final::Success, Some(run)) => {
            // Milliseconds are precise enough for people; the exact value is in `duration_ms`.
            let rounded = Duration::from_millis(u64::try_from(run.duration.as_millis()).unwrap_or(0).max(1));
            format!("Processed by worker {} in {}", run.worker, format_duration(rounded))
        }
        (Final::Failed(_), Some(run)) => match first_line(&run.stderr.head) {
            Some(line) => format!("{}: {line}", run.describe()),
            None => run.describe(),
        },
        (_, None) => ruling.cancelled_by.map_or_else(
            || "no run is known".to_owned(),
            |uid| format!("cancelled by user {uid} while it waited"),
        ),
    };
    scrub::shown(&text, MESSAGE_MAX)
}

/// The first line of standard error with text.
fn first_line(stderr: &[u8]) -> Option<String> {
    let text = scrub::block(stderr);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(|line| scrub::line(line, 200))
}
