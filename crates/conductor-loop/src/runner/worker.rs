//! One worker's state besides its jobs, which every step of a run is given. It takes no step itself.

use super::cells::Cells;
use super::job::Job;
use super::orphans::Orphans;
use super::report::Report;
use super::run_table::RunTable;
use super::settings::Settings;
use super::stop::StopSign;
use crate::handoff::Slots;
use conductor_core::outcome::{Capture, Ending, Run};
use conductor_os::cgroup::Groups;
use conductor_os::wake::Waker;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// A worker's state besides its jobs.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) settings: Arc<RwLock<Settings>>,
    pub(super) slots: Arc<Slots>,
    pub(super) run_table: Arc<RunTable>,
    pub(super) stop: Arc<StopSign>,
    pub(super) waker: Waker,
    /// Processes that the runs of all workers left behind.
    pub(super) orphans: Arc<Orphans>,
    /// What its runs are confined to.
    pub(super) cells: Cells,
    /// The control groups of runs, if they have any.
    pub(super) groups: Option<&'static Groups>,
    /// Locked while bytes are read back, so that only one such intent at a time is in memory.
    pub(super) reading: Arc<Mutex<()>>,
    pub(super) report: Box<dyn Fn(Report) + Send>,
}

impl Worker {
    /// Reports that porch was started.
    pub(super) fn began(&self, job: &Job) {
        (self.report)(Report::Began { seq: job.seq });
    }

    /// What is known of a run that did not take place, or has not yet.
    pub(super) fn not_run(&self, ending: Ending) -> Run {
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
