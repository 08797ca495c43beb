//! Worker threads: one run of porch from [`Job`] to `Run`. A worker writes the private copy, runs the external program or
//! the embedded engine, checks the copy, and reports. It knows nothing of other intents.

mod capture;
mod cells;
mod embedded;
mod executable;
mod external;
mod leftovers;
mod orphans;
mod program;
mod run_table;
mod staging;
mod stop;

pub use executable::{Executable, ExecutableError, ensure_out, resolve};
pub use leftovers::{Leftovers, kill_leftovers};
pub use program::{Program, Stamp};
pub use run_table::{LastRuns, RunLine, RunTable};
pub use stop::Stop;

use crate::confinement::{Policy, Refusal};
use crate::handoff::Slots;
use crate::payload::Payload;
use cells::{Cells, Domains, Site};
use conductor_core::hint::Bound;
use conductor_core::limits::RunLimits;
use conductor_core::outcome::{Capture, Ending, Postponed, Run};
use conductor_core::record::{Claim, Clearance};
use conductor_core::scheduler::Place;
use conductor_core::{Attempt, Code, Runs, Seq, Slot};
use conductor_os::cgroup::{self, Groups};
use conductor_os::confine::limits::ResourceLimits;
use conductor_os::dir::Dir;
use conductor_os::outlet::{Outage, Outlet};
use conductor_os::stalled::end_stalled_starts;
use conductor_os::wake::Waker;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use embedded::Application;
use orphans::Orphans;
use staging::PrivateCopy;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stop::StopSign;

/// How long a program may take to be executed while the workers are to end.
const STALLED_AT_END: Duration = Duration::from_secs(1);

/// The runner of an intent.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The package engine as a library call.
    Embedded(Arc<conductor_porch::Engine>),
    /// A program, checked at start and whenever it changed.
    External(Arc<Program>),
}

impl Engine {
    /// Whether runs may lead into repositories.
    pub fn uses_git(&self) -> bool {
        matches!(self, Self::Embedded(engine) if engine.uses_git())
    }

    /// Its name in sentences.
    fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => Runs::Embedded.name(),
            Self::External(_) => "porch",
        }
    }
}

/// The settings shared by all runs. The time limits may change while running (SIGHUP).
#[derive(Debug, Clone)]
pub struct Settings {
    /// The runner of intents.
    pub engine: Engine,
    /// The output directory.
    pub outlet: Arc<Outlet>,
    /// The repositories that routes lead to.
    pub repositories: Arc<BTreeMap<Place, Arc<Outlet>>>,
    /// Whether `-structured` is passed.
    pub structured: bool,
    /// Time limits of a run.
    pub limits: RunLimits,
    /// Passed on only when the operator configured it.
    pub kubeconfig: Option<String>,
    /// Reads bytes that are not in memory.
    pub read_back: ReadBack,
    /// Limits on the resources of porch's processes.
    pub resources: ResourceLimits,
    /// What runs are confined to; `None`: to nothing.
    pub policy: Option<Arc<Policy>>,
}

/// The location of an intent's bytes.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In memory.
    Held(Payload),
    /// Only in the store.
    Stored,
}

impl Bytes {
    /// Bytes that are durable: they stay in memory only while there is room for waiting intents.
    pub fn durable(bytes: Payload) -> Self {
        if bytes.keep() { Self::Held(bytes) } else { Self::Stored }
    }
}

/// Why bytes could not be read back from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRead {
    /// The stable code; [`Code::StoreDamaged`] when the bytes differ from the claimed ones.
    pub code: Code,
    /// The store's error message.
    pub reason: String,
}

/// Reads the bytes of a claim from the store and hands them over; their digest is the claim's.
#[derive(Clone)]
pub struct ReadBack(Arc<dyn Reads>);

trait Reads: Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync {}

impl<F: Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync> Reads for F {}

impl ReadBack {
    /// Makes the reader from a function.
    pub fn new(
        reads: impl Fn(&Claim, &mut dyn FnMut(&[u8])) -> Result<(), NotRead> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(reads))
    }
}

impl std::fmt::Debug for ReadBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadBack")
    }
}

/// One run to do.
#[derive(Debug)]
pub struct Job {
    /// Sequence number.
    pub seq: Seq,
    /// The number of the start.
    pub attempt: Attempt,
    /// The staging slot.
    pub slot: Slot,
    /// The place that the run writes.
    pub place: Place,
    /// The intent.
    pub claim: Arc<Claim>,
    /// The time since which it waits for this run, and nothing held it back.
    pub came: Instant,
    /// Exactly the bytes to run.
    pub bytes: Bytes,
    /// What the prepared run waits for before it may begin; `None`: it may begin at once.
    pub clearance: Option<Receiver<Clearance>>,
}

impl Job {
    /// Its claim is durable and its private copy is written: bytes that memory has no room for would count as on their way
    /// as long as it runs, and keep other files from being read.
    fn let_go_of_bytes(&mut self) {
        if let Bytes::Held(bytes) = &self.bytes
            && !bytes.keep()
        {
            self.bytes = Bytes::Stored;
        }
    }
}

/// A run that ended.
#[derive(Debug)]
pub struct Ended {
    /// Its job.
    pub job: Job,
    /// The run's result.
    pub run: Run,
    /// Whether the private copy is in its slot, complete and unchanged.
    pub staged: bool,
}

/// A worker's report.
#[derive(Debug)]
pub enum Report {
    /// `porch`, or the engine, was started.
    Began {
        /// Sequence number.
        seq: Seq,
    },
    /// A run ended, or its start did not happen.
    Ended(Box<Ended>),
}

/// The running workers.
pub struct Runner {
    jobs: Option<Sender<Job>>,
    stop: Arc<StopSign>,
    settings: Arc<RwLock<Settings>>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnected once every worker has ended.
    ended: Receiver<Infallible>,
    orphans: Arc<Orphans>,
}

/// A worker's state besides its jobs.
struct Worker {
    number: usize,
    settings: Arc<RwLock<Settings>>,
    slots: Arc<Slots>,
    run_table: Arc<RunTable>,
    stop: Arc<StopSign>,
    waker: Waker,
    /// Processes that the runs of all workers left behind.
    orphans: Arc<Orphans>,
    /// What its runs are confined to.
    cells: Cells,
    /// The control groups of runs, if they have any.
    groups: Option<&'static Groups>,
    /// Locked while bytes are read back, so that only one such intent at a time is in memory.
    reading: Arc<Mutex<()>>,
    report: Box<dyn Fn(Report) + Send>,
}

/// The resources of a run. The bytes themselves are not needed any more.
struct Prepared<'s> {
    slot: Dir,
    /// The private copy in the slot.
    copy: PrivateCopy,
    work: Work<'s>,
}

/// The private copy and its slot.
struct Staged<'s> {
    slot: &'s Dir,
    copy: &'s PrivateCopy,
}

/// The work of a run.
enum Work<'s> {
    Embedded(&'s Arc<conductor_porch::Engine>, Box<conductor_porch::Order>),
    External(&'s Program),
}

impl Runner {
    /// Starts the workers.
    pub fn start(
        workers: usize,
        settings: Settings,
        slots: &Arc<Slots>,
        run_table: &Arc<RunTable>,
        report: impl Fn(Report) + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let (jobs, receiver) = crossbeam_channel::unbounded::<Job>();
        let wakers = (0..workers).map(|_| Waker::new()).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(StopSign::new(wakers.clone()));
        let (policy, domains) = (settings.policy.clone(), Arc::new(Domains::new()));
        let settings = Arc::new(RwLock::new(settings));
        let reading = Arc::new(Mutex::new(()));
        // Built whole first: if a later worker cannot be started, the earlier ones end before the error is returned.
        let (threads, orphans) = (Vec::with_capacity(workers), Arc::new(Orphans::default()));
        let (works, ended) = bounded(0);
        let mut runner = Self { jobs: Some(jobs), stop, settings, threads, ended, orphans };
        // From here on it is dropped before the runner, which waits for its last copy.
        let works = works;
        for (number, waker) in wakers.into_iter().enumerate() {
            let worker = Worker {
                number,
                settings: Arc::clone(&runner.settings),
                slots: Arc::clone(slots),
                run_table: Arc::clone(run_table),
                stop: Arc::clone(&runner.stop),
                waker,
                orphans: Arc::clone(&runner.orphans),
                cells: Cells::new(policy.clone(), number, &domains),
                groups: cgroup::get().and_then(Result::ok),
                reading: Arc::clone(&reading),
                report: Box::new(report.clone()),
            };
            let (receiver, works) = (receiver.clone(), works.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                worker.work(&receiver);
                drop(works);
            })?;
            runner.threads.push(thread);
        }
        Ok(runner)
    }

    /// Hands a job to the next free worker. The scheduler hands out at most two per worker.
    pub fn run(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Fails only when all workers have ended, which happens after the last job.
            let _ = jobs.send(job);
        }
    }

    /// The place that the run of a claim will write. For a program, the output directory: nothing else is known of it.
    pub fn place_of(&self, claim: &Claim, bytes: &Bytes) -> Place {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Engine::Embedded(engine) = &settings.engine else { return Place::Output };
        if !engine.uses_git() {
            return Place::Output;
        }
        let mut place = Place::Output;
        let mut look = |bytes: &[u8]| place = embedded::place_of(engine, bytes);
        match bytes {
            Bytes::Held(bytes) => look(bytes),
            Bytes::Stored => {
                if let Err(NotRead { code, reason }) = settings.read_back.0(claim, &mut look) {
                    // Its run will not have the bytes either, and reports that.
                    tracing::warn!(
                        seq = claim.seq.get(),
                        code = code.id(),
                        reason,
                        "where its run writes is not known"
                    );
                }
            }
        }
        place
    }

    /// The program as it is now, or why it cannot run; `None` for the embedded engine.
    pub fn program(&self) -> Option<Result<Option<Stamp>, String>> {
        match &self.settings.read().unwrap_or_else(PoisonError::into_inner).engine {
            Engine::Embedded(_) => None,
            Engine::External(program) => {
                Some(program.current().map(|(_, stamp)| stamp).map_err(|error| error.to_string()))
            }
        }
    }

    /// Raises the stop level; it never falls.
    pub fn stop(&self, level: Stop) {
        self.stop.raise(level);
    }

    /// Applies settings that may change while running.
    pub fn apply(&self, live: RunLimits) {
        self.settings.write().unwrap_or_else(PoisonError::into_inner).limits = live;
    }

    /// Ends the workers after their current job, and the processes that their runs left behind. Processes that git leaves
    /// running after the embedded engine (repository maintenance) are git's and continue.
    pub fn join(&mut self) {
        self.jobs = None;
        // The loop does not turn any more: nobody else ends a start that does not come about.
        while let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(STALLED_AT_END) {
            end_stalled_starts(STALLED_AT_END);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        if matches!(settings.engine, Engine::External(_)) {
            let left = leftovers::named_once(self.orphans.end_all());
            if !left.is_empty() {
                tracing::warn!(left_over = left.join(", "), "processes outlived porch and were killed");
            }
        }
    }
}

impl Drop for Runner {
    /// Workers read from the store: none outlives the daemon's life that started it.
    fn drop(&mut self) {
        self.stop(Stop::Kill);
        self.join();
    }
}

impl Worker {
    fn work(&self, jobs: &Receiver<Job>) {
        for mut job in jobs {
            let (run, staged) = self.run(&mut job);
            (self.report)(Report::Ended(Box::new(Ended { job, run, staged })));
        }
    }

    /// Reports that porch was started.
    fn began(&self, job: &Job) {
        (self.report)(Report::Began { seq: job.seq });
    }

    fn run(&self, job: &mut Job) -> (Run, bool) {
        if self.stop.level() > Stop::No {
            return (self.not_run(Ending::NotBegun), false);
        }
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let prepared = match &job.bytes {
            Bytes::Held(bytes) => self.prepare(&settings, job, bytes),
            Bytes::Stored => self.read_back(&settings, job),
        };
        if let Some(ending) = self.await_clearance(job) {
            if prepared.is_ok() {
                self.slots.close(job.slot);
            }
            return (self.not_run(ending), false);
        }
        job.let_go_of_bytes();
        let Prepared { slot, copy, work } = match prepared {
            Ok(prepared) => prepared,
            Err(ending) => return (self.not_run(ending), false),
        };
        self.run_table.begin(job.slot, job.seq, job.attempt);
        let run = match &work {
            Work::Embedded(engine, order) => {
                let (engine, order) = (Arc::clone(engine), (**order).clone());
                embedded::run(self, &settings, job, Application { engine, order })
            }
            Work::External(program) => {
                external::run(self, &settings, program, &Staged { slot: &slot, copy: &copy }, job)
            }
        };
        if !run.ending.began() {
            self.run_table.withdraw(job.slot);
        }
        let staged = copy.verify(&slot, &job.claim);
        if !staged || matches!(settings.engine, Engine::External(_)) {
            self.slots.sweep(job.slot, &slot, staged.then_some(job.claim.name.as_str()));
        }
        (run, staged)
    }

    /// Waits until the prepared run may begin. Returns its ending if it does not begin.
    fn await_clearance(&self, job: &Job) -> Option<Ending> {
        let clearance = job.clearance.as_ref()?;
        let given = select! {
            recv(clearance) -> given => given.ok(),
            recv(self.stop.drained) -> _ => None,
        };
        match given {
            Some(Clearance::Begin) if self.stop.level() == Stop::No => None,
            Some(Clearance::Repeats) => Some(Ending::Repeats),
            Some(Clearance::NotYet) => Some(Ending::NoSpace),
            _ => Some(Ending::NotBegun),
        }
    }

    /// Reads the bytes from the store. If they cannot be read, nothing runs; an empty file is never run instead.
    fn read_back<'s>(&self, settings: &'s Settings, job: &Job) -> Result<Prepared<'s>, Ending> {
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = None;
        let read = settings.read_back.0(&job.claim, &mut |bytes| {
            prepared = Some(self.prepare(settings, job, bytes));
        });
        let unread = |NotRead { code, reason }| Ending::NoBytes { code, reason };
        let nothing = || {
            let reason = "the store handed over nothing".to_owned();
            Err(Ending::NoBytes { code: Code::StoreFailed, reason })
        };
        read.map_err(unread).and_then(|()| prepared.unwrap_or_else(nothing))
    }

    fn prepare<'s>(&self, settings: &'s Settings, job: &Job, bytes: &[u8]) -> Result<Prepared<'s>, Ending> {
        let (slot, copy) = self.stage(job, bytes)?;
        let work = match &settings.engine {
            Engine::Embedded(engine) => Work::Embedded(engine, Box::new(embedded::order(job, bytes)?)),
            Engine::External(program) => Work::External(program),
        };
        Ok(Prepared { slot, copy, work })
    }

    /// The private copy in its slot.
    fn stage(&self, job: &Job, bytes: &[u8]) -> Result<(Dir, PrivateCopy), Ending> {
        let attempt = || {
            let slot = self.slots.open(job.slot)?;
            staging::stage(slot, &job.claim.name, bytes, || self.slots.renew(job.slot))
        };
        // If the staging directory itself was removed, it is recreated once.
        let staged = attempt().or_else(|error| {
            if conductor_os::is_no_space(&error) || self.slots.leads_there() || !self.slots.is_in_place() {
                return Err(error);
            }
            attempt()
        });
        staged.map_err(|error| {
            // It was lent for a run that does not begin.
            self.slots.close(job.slot);
            if conductor_os::is_no_space(&error) {
                return Ending::NoSpace;
            }
            let moved = !self.slots.leads_there();
            let cause = if moved { Postponed::DirectoryReplaced } else { Postponed::System };
            Ending::Withheld { cause, reason: format!("the private copy cannot be written: {error}") }
        })
    }

    fn not_run(&self, ending: Ending) -> Run {
        Run {
            ending,
            duration: Duration::ZERO,
            stdout: Capture::default(),
            stderr: Capture::default(),
            leftovers: Vec::new(),
            hint: None,
            change: String::new(),
            command: Vec::new(),
            porch_sha256: None,
            worker: self.number,
            runner: self.settings.read().unwrap_or_else(PoisonError::into_inner).engine.name(),
        }
    }
}

/// The reason to postpone a run because of this outage.
pub fn cause_of(outage: Outage) -> Postponed {
    match outage {
        Outage::Full => Postponed::OutFull,
        Outage::ReadOnly => Postponed::OutReadOnly,
        Outage::Gone => Postponed::OutGone,
    }
}

/// The ending of a run that may not begin, because the directory that it would write is closed.
fn closed(settings: &Settings, place: &Place) -> Option<Ending> {
    let outlet = match place {
        Place::Output => &settings.outlet,
        Place::Repository(_) => settings.repositories.get(place)?,
    };
    outlet.closed().map(|outage| out_of_order(outlet, outage))
}

/// The ending of a run whose directory of packages is not writable.
fn out_of_order(outlet: &Outlet, outage: Outage) -> Ending {
    let found = match (outage, outlet.floor()) {
        (Outage::Full, Some(_)) => "has less free space than --min-free asks for",
        (Outage::Full, None) => "is full",
        (Outage::ReadOnly, _) => "is mounted read-only, or its permissions were taken from us",
        (Outage::Gone, _) => "is not there, or not mounted",
    };
    Ending::Withheld { cause: cause_of(outage), reason: format!("{} {found}", outlet.path().display()) }
}

/// The ending of a run that would not have been confined: nothing was started.
fn unconfined(refusal: &Refusal) -> Ending {
    Ending::Withheld { cause: Postponed::Unconfined, reason: refusal.to_string() }
}

/// What a run of porch is subject to.
fn bounds(worker: &Worker, settings: &Settings) -> Vec<Bound> {
    let ResourceLimits { memory, cpu: _, processes, files, file_size } = settings.resources;
    let bounds = [
        (memory.is_some(), Bound::Memory),
        (processes.is_some(), Bound::Processes),
        (files.is_some(), Bound::Files),
        (file_size.is_some(), Bound::FileSize),
        (worker.cells.are_confined(), Bound::Fence),
    ];
    bounds.into_iter().filter_map(|(holds, bound)| holds.then_some(bound)).collect()
}

/// The time limit of one run: the intent may only shorten the operator's.
fn time_limit(settings: &Settings, job: &Job) -> Duration {
    job.claim
        .timeout_secs
        .map_or(settings.limits.timeout, |secs| settings.limits.timeout.min(Duration::from_secs(secs)))
}

#[cfg(test)]
mod tests;
