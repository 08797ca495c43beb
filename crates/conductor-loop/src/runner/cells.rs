//! What runs are confined to, and by whom. A program is started by its worker, whose thread has given up what no program
//! may have, and enters the domain of its slot itself, before its first instruction. With a user of its own it is started
//! by a thread with that user's ids: a cell. The embedded engine is no program, so its runs happen on a cell that is in
//! the domain. There is one cell for each worker; workers themselves stay outside: they stage, watch and kill.

use crate::confinement::{Permitted, Policy, Refusal};
use conductor_os::child::Supervised;
use conductor_os::command::{Command, StartError};
use conductor_os::dir::Dir;
use conductor_os::second;
use rustix::process::{Resource, getrlimit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// Domains have one of so many descriptors of the process.
const SHARE: u64 = 8;

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

/// The confinement of a worker's runs.
pub(super) struct Cells {
    /// `None`: runs are not confined.
    policy: Option<Arc<Policy>>,
    /// The number of the worker.
    number: usize,
    /// The domains for programs, which all workers share, because each slot is any worker's.
    domains: Arc<Domains>,
    /// Whether the worker's thread has given up what no program may have. It tries again until it has.
    given_up: std::cell::Cell<bool>,
    cell: RefCell<Option<Cell>>,
}

/// The domains of programs. Each that is built is a descriptor, and there are hundreds of slots.
#[derive(Debug)]
pub(super) struct Domains {
    kept: Mutex<Kept>,
    /// How many are kept at most.
    most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// What runs were permitted last.
    permitted: Option<Arc<Permitted>>,
    built: BTreeMap<u16, SlotDomain>,
}

/// The domain of a slot.
#[derive(Debug)]
struct SlotDomain {
    /// What it was built for.
    permitted: Arc<Permitted>,
    /// The identity of the slot's directory.
    slot: (u64, u64),
    /// `None`: none held at the start either.
    domain: Option<Arc<OwnedFd>>,
}

/// A thread for runs. It ends when it is dropped, after its work: not before, because its children would become those of
/// the main thread, as orphans are.
struct Cell {
    /// What its domain permits; `None`: it is in no domain.
    permitted: Option<Arc<Permitted>>,
    work: Arc<Handover<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a program runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'s> {
    /// The number of the slot.
    pub(super) number: u16,
    /// The directory that it works in.
    pub(super) slot: &'s Dir,
    /// The program.
    pub(super) program: &'s Path,
}

impl Domains {
    /// Keeps as many as leave most descriptors of the process to the runs.
    pub(super) fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self { kept: Mutex::default(), most: usize::try_from(limit / SHARE).unwrap_or(usize::MAX) }
    }

    /// The domain of a site, built anew when what it was built for is another. `None`: no domain held at the start either.
    fn of(&self, policy: &Policy, site: Site<'_>) -> Result<Option<Arc<OwnedFd>>, Refusal> {
        let (known, built) = {
            let mut kept = self.locked();
            // A slot has one run at a time, so that nobody looks for its domain meanwhile.
            (kept.permitted.clone(), kept.built.remove(&site.number))
        };
        let permitted = match known.filter(|known| policy.fits(known, Some(site.program))) {
            Some(known) => known,
            None => Arc::new(policy.permitted(Some(site.program))?),
        };
        let slot = site.slot.meta().map_err(Refusal::of)?.id;
        let still = |built: &SlotDomain| Arc::ptr_eq(&built.permitted, &permitted) && built.slot == slot;
        let built = if let Some(built) = built.filter(still) {
            built
        } else {
            let domain = policy.build(&permitted, site.slot)?.map(Arc::new);
            SlotDomain { permitted: Arc::clone(&permitted), slot, domain }
        };
        let domain = built.domain.clone();
        let mut kept = self.locked();
        kept.permitted = Some(permitted);
        kept.built.insert(site.number, built);
        // Slots are used again from below: the highest one is needed least.
        while kept.built.len() > self.most.max(1) {
            kept.built.pop_last();
        }
        Ok(domain)
    }

    /// Forgets everything, and gives all descriptors back.
    fn let_go(&self) {
        *self.locked() = Kept::default();
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    pub(super) fn new(policy: Option<Arc<Policy>>, number: usize, domains: &Arc<Domains>) -> Self {
        let (given_up, cell) = (std::cell::Cell::new(false), RefCell::default());
        Self { policy, number, domains: Arc::clone(domains), given_up, cell }
    }

    pub(super) fn are_confined(&self) -> bool {
        self.policy.is_some()
    }

    /// Starts a program. The outer error: it could not be confined, and was not started.
    pub(super) fn start(
        &self,
        site: Site<'_>,
        command: Command,
    ) -> Result<Result<Supervised, StartError>, Refusal> {
        let started = self.try_to_start(site, command);
        if !matches!(started, Ok(Ok(_))) {
            // It may be for want of a descriptor, and all is made again when it is needed.
            self.domains.let_go();
        }
        started
    }

    fn try_to_start(
        &self,
        site: Site<'_>,
        mut command: Command,
    ) -> Result<Result<Supervised, StartError>, Refusal> {
        let domain = self.policy.as_deref().map(|policy| self.domains.of(policy, site)).transpose()?;
        if let Some(domain) = domain.flatten() {
            command.in_domain(domain);
        }
        if second::get().is_some() {
            return self.on_cell(None, move || command.start());
        }
        if let Some(policy) = self.policy.as_ref().filter(|_| !self.given_up.get()) {
            policy.enter_without_domain()?;
            self.given_up.set(true);
        }
        Ok(command.start())
    }

    /// Does the embedded engine's work in its domain, and waits for it. An error: nothing was done.
    pub(super) fn apply<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        match &self.policy {
            Some(policy) => self.on_cell(Some(policy), work),
            None => Ok(work()),
        }
    }

    /// Does the work on the worker's cell, which is in the domain of the embedded engine if a policy is given.
    fn on_cell<T: Send + 'static>(
        &self,
        policy: Option<&Arc<Policy>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let mut kept = self.cell.borrow_mut();
        let fits = |cell: &Cell| match (policy, &cell.permitted) {
            (Some(policy), Some(permitted)) => policy.fits(permitted, None),
            _ => true,
        };
        if !kept.as_ref().is_some_and(fits) {
            // The old one ends first.
            drop(kept.take());
            *kept = Some(Cell::make(self.policy.as_ref(), policy, self.number)?);
        }
        let ended = || Refusal::of("its thread ended");
        let cell = kept.as_ref().ok_or_else(ended)?;
        let result = Handover::new();
        let done = Arc::clone(&result);
        cell.work.set(State::Full(Box::new(move || done.set(State::Full(work())))));
        // Work that panics ends the process.
        result.take().ok_or_else(ended)
    }
}

impl Cell {
    /// A thread confined by the first policy, and in the domain of the second.
    fn make(
        confined: Option<&Arc<Policy>>,
        inside: Option<&Arc<Policy>>,
        number: usize,
    ) -> Result<Self, Refusal> {
        let permitted = inside.map(|policy| policy.permitted(None)).transpose()?.map(Arc::new);
        let (policy, inside) = (confined.cloned(), permitted.clone());
        let (work, entered) = (Handover::<Work>::new(), Handover::new());
        let (works, answer) = (Arc::clone(&work), Arc::clone(&entered));
        let cannot = |error: io::Error| Refusal::of(error);
        let thread = second::thread(format!("cell-{number}"), move || {
            let confined = policy.map_or(Ok(()), |policy| match &inside {
                Some(permitted) => policy.enter(&permitted.domain),
                None => policy.enter_without_domain(),
            });
            let is_confined = confined.is_ok();
            answer.set(State::Full(confined));
            while let Some(work) = is_confined.then(|| works.take()).flatten() {
                work();
            }
        });
        let cell = Self { permitted, work, thread: Some(thread.map_err(cannot)?) };
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

#[cfg(test)]
mod tests {
    use super::super::tests::{job, settings, worker};
    use super::super::{Engine, ReadBack, embedded};
    use super::*;
    use crate::config::tests::config_with;
    use conductor_core::Confinement;
    use conductor_core::outcome::{Ending, Run};
    use std::path::PathBuf;
    use std::time::Duration;

    /// What is held back where the kernel has nothing for it goes on without.
    fn policy(handoff: &Path, out: &Path) -> Policy {
        let config = config_with(&[("handoff", handoff)]);
        Policy::new(&config, &Confinement::off("a test"), out, &[])
    }

    #[test]
    fn the_embedded_engines_runs_are_told_whole_and_its_cell_is_in_the_domain_of_now() {
        let temp = tempfile::tempdir().unwrap();
        let [out, elsewhere] = ["out", "elsewhere"].map(|name| temp.path().join(name));
        for dir in [&out, &elsewhere] {
            std::fs::create_dir(dir).unwrap();
        }
        let engine = |out: &PathBuf| {
            let settings =
                conductor_porch::Settings { durable: false, ..conductor_porch::Settings::new(out) };
            Arc::new(conductor_porch::Engine::new(settings))
        };
        let settings = |engine: &Arc<conductor_porch::Engine>| {
            let of_programs = settings(Path::new("/bin/true"), &out, ReadBack::new(|_, _| Ok(())));
            super::super::Settings { engine: Engine::Embedded(Arc::clone(engine)), ..of_programs }
        };
        let (inside, outside) = (engine(&out), engine(&elsewhere));
        let mut worker = worker(temp.path(), settings(&inside));
        let policy = Arc::new(policy(&temp.path().join("handoff"), &out));
        worker.cells = Cells::new(Some(policy), 0, &Arc::new(Domains::new()));
        let run = |engine: &Arc<conductor_porch::Engine>| -> Run {
            let intent = br#"{"intent_type": "scaling", "target": "a", "namespace": "n", "replicas": 3}"#;
            let order = embedded::order(&job(), intent).unwrap();
            let application = embedded::Application { engine: Arc::clone(engine), order };
            embedded::run(&worker, &settings(engine), &job(), application)
        };
        let done = run(&inside);
        assert_eq!(done.ending, Ending::Exited(0));
        assert_eq!(done.command, ["builtin"]);
        assert!(done.duration > Duration::ZERO && done.hint.is_none());
        let refused = run(&outside);
        if refused.ending == Ending::Exited(0) {
            return eprintln!("NOT TESTED: the kernel has no Landlock");
        }
        assert!(matches!(refused.ending, Ending::EngineFailed { .. }), "{:?}", refused.ending);
        assert!(refused.hint.is_some_and(|hint| hint.contains("--porch-write")));
        std::fs::rename(&out, temp.path().join("away")).unwrap();
        std::fs::create_dir(&out).unwrap();
        assert_eq!(run(&inside).ending, Ending::Exited(0), "the output is another directory");
    }

    #[test]
    fn what_runs_are_permitted_is_found_once_for_all_slots_until_it_is_another() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        let slots = ["0", "1"].map(|slot| {
            std::fs::create_dir(temp.path().join(slot)).unwrap();
            Dir::open(&temp.path().join(slot)).unwrap()
        });
        std::fs::create_dir(&out).unwrap();
        let policy = policy(&temp.path().join("handoff"), &out);
        let domains = Domains::new();
        let of = |number: u16| {
            let site = Site { number, slot: &slots[usize::from(number)], program: Path::new("/bin/true") };
            let domain = domains.of(&policy, site).unwrap().map(|domain| Arc::as_ptr(&domain));
            let permitted = domains.locked().permitted.as_ref().map(Arc::as_ptr);
            (permitted, domain)
        };
        let first = of(0);
        let second = of(1);
        assert_eq!(first.0, second.0);
        assert!(first.1.is_none() || first.1 != second.1, "each slot has its own domain");
        assert_eq!((of(0), of(1)), (first, second), "both are kept");
        let kept: Vec<_> =
            domains.locked().built.values().map(|built| Arc::clone(&built.permitted)).collect();
        std::fs::rename(&out, temp.path().join("away")).unwrap();
        std::fs::create_dir(&out).unwrap();
        let again = of(0);
        assert_ne!(again.0, first.0, "the output is another directory");
        assert!(!Arc::ptr_eq(&domains.locked().built[&0].permitted, &kept[0]));
        assert_eq!(of(1).0, again.0);
        assert!(!Arc::ptr_eq(&domains.locked().built[&1].permitted, &kept[1]), "every slot's is another");
    }
}
