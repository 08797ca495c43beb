//! The package engine as a library call: no process unless a route leads to a repository, the same outcome type.

use super::{Job, Settings, Stop, Worker};
use conductor_core::intent::{Policy, judge};
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::{Capture, Ending, Run};
use conductor_core::scrub;
use conductor_porch::{Engine, Order, Outcome, Patience, PorchError, Provenance};
use std::time::{Duration, Instant};

/// How long an intent waits for another process that works on the same packages before it is tried again later.
const LOCK_WAIT: Duration = Duration::from_secs(10);

pub(super) fn run(worker: &Worker, settings: &Settings, engine: &Engine, job: &Job, order: &Order) -> Run {
    let begin = Instant::now();
    let limit = super::time_limit(settings, job);
    let cancelled = || worker.stop.level() >= Stop::Terminate;
    let patience =
        Patience { lock_wait: LOCK_WAIT.min(limit), deadline: begin + limit, cancelled: &cancelled };
    let (mut stdout, mut change) = (Capture::default(), String::new());
    let ending = match engine.apply(order, &patience) {
        Ok(applied) => {
            report(&applied.outcome);
            stdout.head = format!("{}\n", applied.outcome.line()).into_bytes();
            stdout.total = stdout.head.len() as u64;
            change = applied.diff();
            Ending::Exited(0)
        }
        Err(error) => ending(error),
    };
    let command = vec!["builtin".to_owned()];
    let duration = begin.elapsed();
    Run { ending, duration, stdout, change, command, ..worker.not_run(Ending::Interrupted) }
}

/// The bytes that run are judged again, and only they: what the claim says of them is for ordering.
pub(super) fn order(job: &Job, bytes: &[u8]) -> Result<Order, Ending> {
    // Scaling to zero was decided when the intent was taken.
    let intent = judge(bytes, Policy { allow_scale_to_zero: true }).map_err(|refusal| {
        Ending::EngineFailed { code: refusal.code, message: refusal.to_string(), passing: false }
    })?;
    let provenance = Provenance {
        sha256: job.claim.sha256.to_string(),
        correlation_id: Some(job.claim.correlation_id.clone()),
        seq: Some(job.seq),
    };
    Ok(Order { intent, provenance })
}

fn ending(error: PorchError) -> Ending {
    match error {
        error if error.is_no_space() => Ending::NoSpace,
        PorchError::Cancelled => Ending::Interrupted,
        error => Ending::EngineFailed {
            code: error.code(),
            message: error.to_string(),
            passing: error.is_passing(),
        },
    }
}

fn report(outcome: &Outcome) {
    if let Some(note) = &outcome.note {
        tracing::warn!(package = outcome.package, "{}", scrub::shown(note, MESSAGE_MAX));
    }
    tracing::debug!(package = outcome.package, changed = outcome.changed, commit = outcome.commit, "package");
}
