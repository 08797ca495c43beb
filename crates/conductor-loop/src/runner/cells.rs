//! The threads on which runs happen: one for each slot, confined once to what a run in that slot may use, and replaced when
//! that is something else. Workers themselves stay outside: they stage, watch and kill.

use crate::confinement::{Built, Policy, Refusal};
use conductor_os::dir::Dir;
use crossbeam_channel::{Sender, bounded};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// The threads, by slot.
#[derive(Debug)]
pub(super) struct Cells {
    /// `None`: runs are not confined.
    policy: Option<Arc<Policy>>,
    cells: Mutex<BTreeMap<u16, Cell>>,
}

/// A confined thread. It ends when it is dropped, after its work.
#[derive(Debug)]
struct Cell {
    built: Built,
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// The slot of a run, and its program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'s> {
    pub(super) number: u16,
    pub(super) slot: &'s Dir,
    /// `None`: the embedded engine.
    pub(super) program: Option<&'s Path>,
}

impl Cells {
    pub(super) fn new(policy: Option<Arc<Policy>>) -> Self {
        Self { policy, cells: Mutex::default() }
    }

    pub(super) fn are_confined(&self) -> bool {
        self.policy.is_some()
    }

    /// Does the work in the slot's cell and waits for it. An error: there is no such cell, and nothing was done.
    pub(super) fn run<T: Send + 'static>(
        &self,
        site: Site<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let Some(policy) = &self.policy else { return Ok(work()) };
        // A slot has one run at a time, so that nobody looks for the cell meanwhile.
        let kept = self.locked().remove(&site.number);
        let kept = kept.filter(|cell| policy.fits(&cell.built, site.slot, site.program));
        let cell = kept.map_or_else(|| Cell::make(policy, site), Ok)?;
        let (done, result) = bounded(1);
        let result = cell.hand_over(Box::new(move || drop(done.send(work())))).and_then(|()| {
            result.recv().map_err(|_| Refusal::of("its thread ended")) // Only a panic, which ends the process.
        });
        self.locked().insert(site.number, cell);
        result
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    fn make(policy: &Arc<Policy>, site: Site<'_>) -> Result<Self, Refusal> {
        let (domain, built) = policy.domain(site.slot, site.program)?;
        let (work, works) = bounded::<Work>(1);
        let (entered, answer) = bounded(1);
        let policy = Arc::clone(policy);
        let cannot = |error: io::Error| Refusal::of(error);
        let thread = std::thread::Builder::new().name(format!("cell-{}", site.number)).spawn(move || {
            let confined = policy.enter(&domain);
            drop(domain);
            let is_confined = confined.is_ok();
            drop(entered.send(confined));
            if is_confined {
                works.into_iter().for_each(|work| work());
            }
        });
        let cell = Self { built, work: Some(work), thread: Some(thread.map_err(cannot)?) };
        answer.recv().map_err(Refusal::of).and_then(|confined| confined)?;
        Ok(cell)
    }

    fn hand_over(&self, work: Work) -> Result<(), Refusal> {
        let send = self.work.as_ref().map(|sender| sender.send(work));
        send.and_then(Result::ok).ok_or_else(|| Refusal::of("its thread ended"))
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}
