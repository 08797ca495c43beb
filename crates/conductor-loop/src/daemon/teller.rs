//! What is told of each thing that happens to an intent: a log line, the metrics, the summary of this run of the daemon.

use super::board::Board;
use super::summary::Summary;
use conductor_core::Code;
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::Run;
use conductor_core::record::{Claim, Outcome, Status};
use conductor_core::scrub;
use std::sync::Arc;
use std::time::Duration;

/// Tells what happens.
pub(super) struct Teller<'s> {
    pub(super) summary: &'s mut Summary,
    pub(super) board: Arc<Board>,
}

impl Teller<'_> {
    pub(super) fn accepted(claim: &Claim) {
        tracing::debug!(seq = claim.seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, "accepted");
    }

    pub(super) fn handed_out(claim: &Claim, attempt: u32) {
        tracing::debug!(seq = claim.seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, attempt, "starting porch");
    }

    pub(super) fn began(&self, claim: &Claim, attempt: u32) {
        if attempt == 1 {
            self.board.metrics.started(claim.taken_at);
        }
    }

    pub(super) fn ended(&self, claim: &Claim, run: &Run, began: bool) {
        if began {
            self.board.metrics.ran(run.duration);
        }
        if !run.leftovers.is_empty() {
            tracing::warn!(
                seq = claim.seq,
                file = claim.name,
                correlation_id = claim.correlation_id,
                left_over = run.leftovers.join(", "),
                "processes outlived porch and were killed"
            );
        }
    }

    pub(super) fn retried(&self, claim: &Claim, run: &Run, next_attempt: u32, pause: Duration) {
        self.board.metrics.retried();
        let why = scrub::shown(&run.ending.describe(), MESSAGE_MAX);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(seq = claim.seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key, next_attempt, pause_ms, "retrying: {why}");
    }

    pub(super) fn interrupted(&mut self, claim: &Claim) {
        self.summary.interrupted += 1;
        self.board.metrics.interrupted();
        tracing::warn!(seq = claim.seq, file = claim.name, correlation_id = claim.correlation_id, target = %claim.key,
            code = Code::Interrupted.id(), "interrupted: the next start runs it again");
    }

    pub(super) fn filed(&mut self, outcome: &Outcome, archived_as: &str) {
        self.summary.count(outcome);
        self.board.metrics.filed(outcome);
        let seq = outcome.seq;
        let file = outcome.name.as_str();
        let id = outcome.correlation_id.as_str();
        let target = outcome.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let (attempts, duration_ms) = (outcome.attempts, outcome.duration_ms.unwrap_or(0));
        match (outcome.status, outcome.error_code) {
            (Status::Success, _) => {
                tracing::info!(
                    seq,
                    file,
                    correlation_id = id,
                    target,
                    attempts,
                    duration_ms,
                    archived_as,
                    "{}",
                    outcome.message
                );
            }
            (Status::Failed, code) => {
                let code = code.map_or("", Code::id);
                tracing::warn!(
                    seq,
                    file,
                    correlation_id = id,
                    target,
                    code,
                    attempts,
                    duration_ms,
                    archived_as,
                    "{}",
                    outcome.message
                );
            }
        }
    }

    /// Our own books are wrong: nothing that follows from them can be trusted, but what is durable can.
    pub(super) fn defect(what: &str) {
        tracing::error!(code = Code::Defect.id(), "{what}: {}", Code::Defect.remedy());
    }
}
