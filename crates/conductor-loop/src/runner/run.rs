//! One run from its job to its report, step by step: prepared, cleared, begun, ended, checked.

use super::embedded::{self, Application};
use super::engine::Engine;
use super::external;
use super::job::Job;
use super::prepared::{self, Prepared, Work};
use super::report::{Ended, Report};
use super::staging::Staged;
use super::stop::Stop;
use super::worker::Worker;
use conductor_core::outcome::{Ending, Run};
use conductor_core::record::Clearance;
use crossbeam_channel::{Receiver, select};
use std::sync::{Arc, PoisonError};

/// Does one job after the other, until no more can come.
pub(super) fn work(worker: &Worker, jobs: &Receiver<Job>) {
    for mut job in jobs {
        let (run, staged) = run(worker, &mut job);
        (worker.report)(Report::Ended(Box::new(Ended { job, run, staged })));
    }
}

/// Returns the run, and whether its private copy is in its slot, complete and unchanged.
fn run(worker: &Worker, job: &mut Job) -> (Run, bool) {
    if worker.stop.level() > Stop::No {
        return (worker.not_run(Ending::NotBegun), false);
    }
    let settings = worker.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
    let prepared = prepared::prepare(worker, &settings, job);
    if let Some(ending) = await_clearance(worker, job) {
        if prepared.is_ok() {
            worker.slots.close(job.slot);
        }
        return (worker.not_run(ending), false);
    }
    job.let_go_of_bytes();
    let Prepared { slot, copy, work } = match prepared {
        Ok(prepared) => prepared,
        Err(ending) => return (worker.not_run(ending), false),
    };
    worker.run_table.begin(job.slot, job.seq, job.attempt);
    let run = match &work {
        Work::Embedded(engine, order) => {
            let (engine, order) = (Arc::clone(engine), (**order).clone());
            embedded::run(worker, &settings, job, Application { engine, order })
        }
        Work::External(program) => {
            external::run(worker, &settings, program, &Staged { slot: &slot, copy: &copy }, job)
        }
    };
    if !run.ending.began() {
        worker.run_table.withdraw(job.slot);
    }
    let staged = copy.verify(&slot, &job.claim);
    if !staged || matches!(settings.engine, Engine::External(_)) {
        worker.slots.sweep(job.slot, &slot, staged.then_some(job.claim.name.as_str()));
    }
    (run, staged)
}

/// Waits until the prepared run may begin. Returns its ending if it does not begin.
fn await_clearance(worker: &Worker, job: &Job) -> Option<Ending> {
    let clearance = job.clearance.as_ref()?;
    let given = select! {
        recv(clearance) -> given => given.ok(),
        recv(worker.stop.drained) -> _ => None,
    };
    match given {
        Some(Clearance::Begin) if worker.stop.level() == Stop::No => None,
        Some(Clearance::Repeats) => Some(Ending::Repeats),
        Some(Clearance::NotYet) => Some(Ending::NoSpace),
        _ => Some(Ending::NotBegun),
    }
}
