//! What happened to an intent, moment by moment.

use conductor_core::query::TimelineEntry;
use conductor_core::record::{Outcome, RunRecord};
use conductor_core::runs::Runs;

/// The moments of an outcome.
pub(super) fn timeline(outcome: &Outcome) -> Vec<TimelineEntry> {
    let mut moments = Vec::new();
    let runner = Runs::from(outcome.porch_path.as_str()).name();
    if let Some(history) = &outcome.history {
        let what = format!("taken: {} bytes, owner uid {}", outcome.size, history.uid);
        moments.push(TimelineEntry { at: history.taken_at, what });
        let unknown = outcome.attempts.saturating_sub(u32::try_from(history.runs.len()).unwrap_or(0));
        if unknown > 0 {
            let what = format!("starts of {runner} whose end this daemon has not seen: {unknown}");
            moments.push(TimelineEntry { at: history.taken_at, what });
        }
        moments.extend(run_moments(&history.runs, runner));
    }
    let what = match outcome.error_code {
        Some(code) => format!("{code} {}: filed as {}", code.title(), outcome.archived_as),
        None if outcome.imported => "imported from the state file of the Go version".to_owned(),
        None => format!("filed as {}", outcome.archived_as),
    };
    moments.push(TimelineEntry { at: outcome.finished_at, what });
    moments
}

/// The moments of runs that have ended; `runner`: what ran, in sentences.
pub(super) fn run_moments<'r>(
    runs: &'r [RunRecord],
    runner: &'r str,
) -> impl Iterator<Item = TimelineEntry> + 'r {
    runs.iter().flat_map(move |run| {
        let took = jiff::SignedDuration::from_millis(i64::try_from(run.took_ms).unwrap_or(i64::MAX));
        let ended = run.began_at.checked_add(took).unwrap_or(run.began_at);
        [
            TimelineEntry {
                at: run.began_at,
                what: format!("start {} of {runner}, by worker {}", run.attempt, run.worker),
            },
            TimelineEntry { at: ended, what: format!("{} ({} ms)", run.ending, run.took_ms) },
        ]
    })
}
