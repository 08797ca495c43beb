//! The history kept with an outcome for later questions: its taking, each start of porch, the output, the change.

use conductor_core::Attempt;
use conductor_core::attestation::RunProof;
use conductor_core::limits::{DIFF_KEPT_MAX, OUTPUT_KEPT_MAX};
use conductor_core::outcome::{Capture, Run};
use conductor_core::record::{Claim, History, RunRecord};
use conductor_core::scrub;
use conductor_crypto::sha256;
use jiff::{SignedDuration, Timestamp};

/// The longest word of a command line in a record, as long as a path may be.
const ARGUMENT_MAX: usize = 4096;

/// The record of a run that has just ended.
pub(super) fn run_record(attempt: Attempt, run: &Run) -> RunRecord {
    let took = SignedDuration::try_from(run.duration).unwrap_or_default();
    RunRecord {
        attempt,
        worker: run.worker,
        began_at: Timestamp::now().checked_sub(took).unwrap_or_default(),
        took_ms: u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
        ending: scrub::shown(&run.describe(), 400),
    }
}

/// The beginning of what a run wrote.
pub(super) fn output(run: &Run) -> String {
    [part(&run.stdout), part(&run.stderr)].concat()
}

/// An accepted intent's history, with the last of its runs if there was one.
pub(super) fn of_claim(claim: &Claim, runs: Vec<RunRecord>, last: Option<&Run>) -> Box<History> {
    let output = last.map(output).unwrap_or_default();
    let diff = last.map(|run| scrub::block(run.change.as_bytes())).unwrap_or_default();
    Box::new(History {
        taken_at: claim.taken_at,
        uid: claim.uid,
        asked: Some(claim.asked()),
        proof: last.map(|run| Box::new(proof(runs.last().map(|run| run.attempt).unwrap_or_default(), run))),
        runs,
        output,
        diff: scrub::cut(diff, DIFF_KEPT_MAX),
        cancelled_by: None,
    })
}

/// A refused file's history.
pub(super) fn of_refused(uid: u32) -> Box<History> {
    let taken_at = Timestamp::now();
    Box::new(History {
        taken_at,
        uid,
        asked: None,
        runs: Vec::new(),
        output: String::new(),
        diff: String::new(),
        proof: None,
        cancelled_by: None,
    })
}

/// What a status attests of a run, beside its ending.
fn proof(attempt: Attempt, run: &Run) -> RunProof {
    RunProof {
        attempt,
        argv: run.command.iter().map(|word| scrub::shown(word, ARGUMENT_MAX)).collect(),
        stdout_sha256: run.stdout.sha256,
        stderr_sha256: run.stderr.sha256,
        change_sha256: (!run.change.is_empty()).then(|| sha256(run.change.as_bytes())),
        porch_sha256: run.porch_sha256,
    }
}

/// The beginning of one stream: half of the kept output.
fn part(capture: &Capture) -> String {
    let head = capture.head.get(..OUTPUT_KEPT_MAX).unwrap_or(&capture.head);
    let mut text = scrub::cut(scrub::block(head), OUTPUT_KEPT_MAX / 2);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
