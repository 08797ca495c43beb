//! What a worker reports of a run: that it began, and how it ended.

use super::job::Job;
use conductor_core::Seq;
use conductor_core::outcome::Run;

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
