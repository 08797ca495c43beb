//! What a run needs before it may begin: its bytes, the private copy of them in its slot, and the order made of them.

use super::embedded;
use super::engine::Engine;
use super::job::{Bytes, Job};
use super::program::Program;
use super::read_back::NotRead;
use super::settings::Settings;
use super::staging::{self, PrivateCopy};
use super::worker::Worker;
use conductor_core::Code;
use conductor_core::outcome::{Ending, Postponed};
use conductor_os::dir::Dir;
use std::sync::{Arc, PoisonError};

/// The resources of a run. The bytes themselves are not needed any more.
pub(super) struct Prepared<'s> {
    pub(super) slot: Dir,
    /// The private copy in the slot.
    pub(super) copy: PrivateCopy,
    pub(super) work: Work<'s>,
}

/// The work of a run.
pub(super) enum Work<'s> {
    Embedded(&'s Arc<conductor_porch::Engine>, Box<conductor_porch::Order>),
    External(&'s Program),
}

/// Prepares a run, wherever its bytes are.
pub(super) fn prepare<'s>(
    worker: &Worker,
    settings: &'s Settings,
    job: &Job,
) -> Result<Prepared<'s>, Ending> {
    match &job.bytes {
        Bytes::Held(bytes) => with_bytes(worker, settings, job, bytes),
        Bytes::Stored => read_back(worker, settings, job),
    }
}

/// Reads the bytes from the store. If they cannot be read, nothing runs; an empty file is never run instead.
fn read_back<'s>(worker: &Worker, settings: &'s Settings, job: &Job) -> Result<Prepared<'s>, Ending> {
    let _alone = worker.reading.lock().unwrap_or_else(PoisonError::into_inner);
    let mut prepared = None;
    let read = settings.read_back.read(&job.claim, &mut |bytes| {
        prepared = Some(with_bytes(worker, settings, job, bytes));
    });
    let unread = |NotRead { code, reason }| Ending::NoBytes { code, reason };
    let nothing = || {
        let reason = "the store handed over nothing".to_owned();
        Err(Ending::NoBytes { code: Code::StoreFailed, reason })
    };
    read.map_err(unread).and_then(|()| prepared.unwrap_or_else(nothing))
}

/// Writes the private copy, and makes the order of the bytes where the embedded engine runs.
fn with_bytes<'s>(
    worker: &Worker,
    settings: &'s Settings,
    job: &Job,
    bytes: &[u8],
) -> Result<Prepared<'s>, Ending> {
    let (slot, copy) = stage(worker, job, bytes)?;
    let work = match &settings.engine {
        Engine::Embedded(engine) => Work::Embedded(engine, Box::new(embedded::order(job, bytes)?)),
        Engine::External(program) => Work::External(program),
    };
    Ok(Prepared { slot, copy, work })
}

/// The private copy in its slot.
fn stage(worker: &Worker, job: &Job, bytes: &[u8]) -> Result<(Dir, PrivateCopy), Ending> {
    let slots = &worker.slots;
    let attempt = || {
        let slot = slots.open(job.slot)?;
        staging::stage(slot, &job.claim.name, bytes, || slots.renew(job.slot))
    };
    // If the staging directory itself was removed, it is recreated once.
    let staged = attempt().or_else(|error| {
        if conductor_os::is_no_space(&error) || slots.leads_there() || !slots.is_in_place() {
            return Err(error);
        }
        attempt()
    });
    staged.map_err(|error| {
        // It was lent for a run that does not begin.
        slots.close(job.slot);
        if conductor_os::is_no_space(&error) {
            return Ending::NoSpace;
        }
        let moved = !slots.leads_there();
        let cause = if moved { Postponed::DirectoryReplaced } else { Postponed::System };
        Ending::Withheld { cause, reason: format!("the private copy cannot be written: {error}") }
    })
}
