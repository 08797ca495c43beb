//! Worker threads: one run of porch from [`Job`] to `Run`. A worker writes the private copy, runs the external program
//! or the embedded engine, checks the copy, and reports. It knows nothing of other intents.

mod capture;
mod embedded;
mod executable;
mod external;
mod ledger;
mod leftovers;
mod staging;

pub use executable::{Executable, ExecutableError, ensure_out, resolve};
pub use ledger::{LastRuns, RunLedger, RunLine};
pub use leftovers::kill_leftovers;

use crate::sys::slots::Slots;
use crate::sys::wake::Waker;
use conductor_core::outcome::{Capture, Ending, Run};
use conductor_core::record::Claim;
use crossbeam_channel::{Receiver, Sender};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// What runs an intent.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The package engine as a library call.
    Embedded(Arc<conductor_porch::Engine>),
    /// A program, checked at start.
    External(Executable),
}

/// What every run has in common. The time limits may change while running (SIGHUP).
#[derive(Debug, Clone)]
pub struct Settings {
    /// What runs an intent.
    pub engine: Engine,
    /// Absolute path of the output directory.
    pub out: PathBuf,
    /// Whether `-structured` is passed.
    pub structured: bool,
    /// Time limit of one run.
    pub timeout: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
    /// Passed on only when the operator configured it.
    pub kubeconfig: Option<String>,
}

/// One run to do.
#[derive(Debug)]
pub struct Job {
    /// Sequence number.
    pub seq: u64,
    /// Which start this is.
    pub attempt: u32,
    /// The staging slot.
    pub slot: u16,
    /// The intent.
    pub claim: Arc<Claim>,
    /// Exactly the bytes to run.
    pub bytes: Arc<[u8]>,
}

/// A run that ended.
#[derive(Debug)]
pub struct Ended {
    /// The job it was.
    pub job: Job,
    /// How it ended.
    pub run: Run,
    /// Whether the private copy is in its slot, whole and unchanged.
    pub staged: bool,
}

/// How urgently running porches are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stop {
    /// Not at all.
    No,
    /// Those that run may end by themselves; nothing that waits in a worker's hand begins.
    Drain,
    /// TERM now, KILL after the grace time.
    Terminate,
    /// KILL now.
    Kill,
}

/// Shared by all workers: the stop level and who must look at it.
#[derive(Debug)]
struct StopSign {
    level: AtomicU8,
    wakers: Vec<Waker>,
}

impl StopSign {
    fn level(&self) -> Stop {
        match self.level.load(Ordering::Acquire) {
            0 => Stop::No,
            1 => Stop::Drain,
            2 => Stop::Terminate,
            _ => Stop::Kill,
        }
    }
}

/// The running workers.
pub struct Runner {
    jobs: Option<Sender<Job>>,
    stop: Arc<StopSign>,
    settings: Arc<RwLock<Settings>>,
    threads: Vec<JoinHandle<()>>,
}

/// Everything a worker needs besides its jobs.
struct Worker {
    number: usize,
    settings: Arc<RwLock<Settings>>,
    slots: Arc<Slots>,
    ledger: Arc<RunLedger>,
    stop: Arc<StopSign>,
    waker: Waker,
}

impl Runner {
    /// Starts the workers.
    pub fn start(
        workers: usize,
        settings: Settings,
        slots: &Arc<Slots>,
        ledger: &Arc<RunLedger>,
        report: impl Fn(Ended) + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let (jobs, receiver) = crossbeam_channel::unbounded::<Job>();
        let wakers = (0..workers).map(|_| Waker::new()).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(StopSign { level: AtomicU8::new(0), wakers: wakers.clone() });
        let settings = Arc::new(RwLock::new(settings));
        let mut threads = Vec::with_capacity(workers);
        for (number, waker) in wakers.into_iter().enumerate() {
            let worker = Worker {
                number,
                settings: Arc::clone(&settings),
                slots: Arc::clone(slots),
                ledger: Arc::clone(ledger),
                stop: Arc::clone(&stop),
                waker,
            };
            let (receiver, report) = (receiver.clone(), report.clone());
            let name = format!("worker-{number}");
            threads
                .push(std::thread::Builder::new().name(name).spawn(move || worker.work(&receiver, report))?);
        }
        Ok(Self { jobs: Some(jobs), stop, settings, threads })
    }

    /// Hands a job to the next free worker. The desk hands out at most two for each.
    pub fn run(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Fails only when all workers have ended, which happens after the last job.
            let _ = jobs.send(job);
        }
    }

    /// Raises the stop level; it never falls.
    pub fn stop(&self, level: Stop) {
        self.stop.level.fetch_max(level as u8, Ordering::AcqRel);
        self.stop.wakers.iter().for_each(Waker::wake);
    }

    /// Applies settings that may change while running.
    pub fn reconfigure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Ends the workers after their current job.
    pub fn join(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn work(&self, jobs: &Receiver<Job>, report: impl Fn(Ended)) {
        for job in jobs {
            let (run, staged) = self.run(&job);
            report(Ended { job, run, staged });
        }
    }

    fn run(&self, job: &Job) -> (Run, bool) {
        if self.stop.level() > Stop::No {
            return (self.not_run(Ending::NotBegun), false);
        }
        let settings = self.settings.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let staged = self.slots.open(job.slot).and_then(|slot| {
            staging::stage(slot, &job.claim.name, &job.bytes, || self.slots.renew(job.slot))
        });
        let (slot, copy) = match staged {
            Ok(staged) => staged,
            Err(error) if crate::sys::is_no_space(&error) => return (self.not_run(Ending::NoSpace), false),
            Err(error) => {
                let reason = format!("the private copy cannot be written: {error}");
                return (self.not_run(Ending::NotStarted { reason, passing: true }), false);
            }
        };
        self.ledger.begin(job.slot, job.seq, job.attempt);
        let run = match &settings.engine {
            Engine::Embedded(engine) => embedded::run(self, &settings, engine, job),
            Engine::External(executable) => external::run(self, &settings, executable, job),
        };
        let staged = copy.seal(&slot, &job.claim.name, &job.bytes);
        if !staged || matches!(settings.engine, Engine::External(_)) {
            self.slots.sweep(job.slot, &slot, staged.then_some(job.claim.name.as_str()));
        }
        (run, staged)
    }

    fn not_run(&self, ending: Ending) -> Run {
        Run {
            ending,
            duration: Duration::ZERO,
            stdout: Capture::default(),
            stderr: Capture::default(),
            leftovers: Vec::new(),
            change: String::new(),
            command: Vec::new(),
            worker: self.number,
        }
    }
}

/// The time limit of one run: the intent may only shorten what the operator allows.
fn time_limit(settings: &Settings, job: &Job) -> Duration {
    job.claim.timeout_secs.map_or(settings.timeout, |secs| settings.timeout.min(Duration::from_secs(secs)))
}
