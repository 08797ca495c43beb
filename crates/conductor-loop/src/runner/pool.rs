//! The running workers: their threads, the jobs for them, and their end. What a worker does with a job stands in `run`.

use super::cells::{Cells, Domains};
use super::engine::Engine;
use super::job::{Bytes, Job};
use super::orphans::Orphans;
use super::program::Stamp;
use super::read_back::NotRead;
use super::report::Report;
use super::run_table::RunTable;
use super::settings::Settings;
use super::stop::{Stop, StopSign};
use super::worker::Worker;
use super::{embedded, leftovers, run};
use crate::handoff::Slots;
use conductor_core::limits::RunLimits;
use conductor_core::record::Claim;
use conductor_core::scheduler::Place;
use conductor_os::cgroup;
use conductor_os::stalled::end_stalled_starts;
use conductor_os::wake::Waker;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a program may take to be executed while the workers are to end.
const STALLED_AT_END: Duration = Duration::from_secs(1);

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
                run::work(&worker, &receiver);
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
                if let Err(NotRead { code, reason }) = settings.read_back.read(claim, &mut look) {
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
