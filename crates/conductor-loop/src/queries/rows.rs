//! Rows of lists, made from an outcome or from a name in the handoff directory.

use conductor_core::name::escaped;
use conductor_core::query::{Reason, Row, State};
use conductor_core::record::{Outcome, Status};
use jiff::Timestamp;

/// The row of a finished intent.
pub fn finished_row(outcome: &Outcome) -> Row {
    let (state, word, advice) = match (outcome.status, outcome.error_code) {
        (Status::Success, _) if outcome.duplicate_of.is_some() => (State::Done, "duplicate", "Nothing."),
        (Status::Success, _) => (State::Done, "success", "Nothing."),
        (Status::Failed, Some(code)) => (State::Failed, code.title(), code.remedy()),
        (Status::Failed, None) => (State::Failed, "failed", "Read the error log beside the archived file."),
    };
    Row {
        seq: Some(outcome.seq),
        file: outcome.name.clone(),
        state,
        target: outcome.key.as_ref().map(ToString::to_string),
        correlation_id: Some(outcome.correlation_id.clone()),
        sha256: outcome.sha256,
        size: Some(outcome.size),
        at: Some(outcome.finished_at),
        attempts: outcome.attempts,
        duration_ms: outcome.duration_ms,
        error_code: outcome.error_code,
        duplicate_of: outcome.duplicate_of,
        archived_as: Some(outcome.archived_as.clone()).filter(|path| !path.is_empty()),
        others: None,
        reason: Reason { word: word.to_owned(), text: outcome.message.clone(), advice: advice.to_owned() },
    }
}

/// Whether a row is that of a parked intent, of which the loop knows only number and target.
pub(super) fn is_parked(row: &Row) -> bool {
    row.seq.is_some() && row.file.is_empty()
}

/// The row of a name in the handoff directory.
pub fn sighted_row(name: &[u8], mtime_ns: i64, reason: Reason) -> Row {
    Row {
        seq: None,
        file: escaped(name),
        state: State::Waiting,
        target: None,
        correlation_id: None,
        sha256: None,
        size: None,
        at: Timestamp::from_nanosecond(i128::from(mtime_ns)).ok(),
        attempts: 0,
        duration_ms: None,
        error_code: None,
        duplicate_of: None,
        archived_as: None,
        others: None,
        reason,
    }
}
