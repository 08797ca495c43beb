//! The threads on which runs happen, confined once to what a run may use, with the ids of porch's user where it has one of
//! its own, and replaced when what a run may use is something else: one for each slot, and for the embedded engine, which has no files in its slot, one for each worker. Workers themselves stay outside: they stage, watch and kill.

use crate::confinement::{Built, Policy, Refusal};
use conductor_os::dir::Dir;
use conductor_os::second;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// One value at a time from one thread to another. Who waits sleeps at once: channels spin first, which costs the other
/// threads of a busy machine more than a run of the embedded engine takes.
struct Handover<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Empty,
    Full(T),
    Closed,
}

impl<T> std::fmt::Debug for Handover<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

impl<T> Handover<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Empty), changed: Condvar::new() })
    }

    fn set(&self, state: State<T>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_one();
    }

    /// Waits for a value; `None`: there will be none.
    fn take(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(&mut *state, State::Empty) {
                State::Full(value) => return Some(value),
                State::Closed => return None,
                State::Empty => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The threads, by number.
#[derive(Debug)]
pub(super) struct Cells {
    /// `None`: runs are not confined.
    policy: Option<Arc<Policy>>,
    cells: Mutex<BTreeMap<u16, Cell>>,
}

/// A thread for runs. It ends when it is dropped, after its work: not before, because its children would become those of
/// the main thread, as orphans are.
#[derive(Debug)]
struct Cell {
    /// `None`: it is not confined.
    built: Option<Built>,
    work: Arc<Handover<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a run happens, and its program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'s> {
    /// The number of the cell.
    pub(super) number: u16,
    /// The directory that the run works in, if it works in one.
    pub(super) slot: Option<&'s Dir>,
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
        if self.policy.is_none() && second::get().is_none() {
            return Ok(work());
        }
        // A slot has one run at a time, so that nobody looks for the cell meanwhile.
        let kept = self.locked().remove(&site.number);
        let kept = kept.filter(|cell| self.fits(cell, site));
        let cell = kept.map_or_else(|| Cell::make(self.policy.as_ref(), site), Ok)?;
        let result = Handover::new();
        let done = Arc::clone(&result);
        cell.work.set(State::Full(Box::new(move || done.set(State::Full(work())))));
        // Work that panics ends the process.
        let result = result.take().ok_or_else(|| Refusal::of("its thread ended"));
        self.locked().insert(site.number, cell);
        result
    }

    fn fits(&self, cell: &Cell, site: Site<'_>) -> bool {
        match (&self.policy, &cell.built) {
            (Some(policy), Some(built)) => policy.fits(built, site.slot, site.program),
            _ => true,
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    fn make(policy: Option<&Arc<Policy>>, site: Site<'_>) -> Result<Self, Refusal> {
        let found = policy.map(|policy| Ok((Arc::clone(policy), policy.domain(site.slot, site.program)?)));
        let (confining, built) = match found.transpose()? {
            Some((policy, (domain, built))) => (Some((policy, domain)), Some(built)),
            None => (None, None),
        };
        let (work, entered) = (Handover::<Work>::new(), Handover::new());
        let (works, answer) = (Arc::clone(&work), Arc::clone(&entered));
        let cannot = |error: io::Error| Refusal::of(error);
        let thread = second::thread(format!("cell-{}", site.number), move || {
            let confined = confining.map_or(Ok(()), |(policy, domain)| policy.enter(&domain));
            let is_confined = confined.is_ok();
            answer.set(State::Full(confined));
            while let Some(work) = is_confined.then(|| works.take()).flatten() {
                work();
            }
        });
        let cell = Self { built, work, thread: Some(thread.map_err(cannot)?) };
        entered.take().unwrap_or_else(|| Err(Refusal::of("its thread ended")))?;
        Ok(cell)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.work.set(State::Closed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}
