//! Performs the scheduler's effects by passing them to the threads. Keeps no state of intents.

use crate::intake::Intake;
use crate::runner::{Bytes, Job, Runner, Stop};
use crate::writer::{Again, Command as ToWriter, NewClaim, Publication, Writer};
use conductor_core::record::Claim;
use conductor_core::scheduler::Place;
use conductor_core::{Attempt, Seq};

/// The parts that act: the intake, and the threads in the order in which they feed each other and end.
pub(super) struct Executor {
    pub(super) intake: Intake,
    pub(super) runner: Runner,
    pub(super) writer: Writer,
}

impl Executor {
    /// The place that an intent's run will write.
    pub(super) fn place_of(&self, claim: &Claim, bytes: &Bytes) -> Place {
        self.runner.place_of(claim, bytes)
    }

    pub(super) fn claim(&self, claim: NewClaim) {
        self.writer.send(ToWriter::Claim(claim));
    }

    pub(super) fn reserve(&self, seq: Seq, attempt: Attempt) {
        self.writer.send(ToWriter::Reserve { seq, attempt });
    }

    pub(super) fn recall(&self, seqs: Vec<Seq>) {
        self.writer.send(ToWriter::Recall { seqs });
    }

    pub(super) fn run(&self, job: Job) {
        self.runner.run(job);
    }

    pub(super) fn settle(&self, publication: Publication) {
        self.writer.send(ToWriter::Settle(Box::new(publication)));
    }

    /// Publishes an earlier daemon's outcomes again.
    pub(super) fn republish(&self, again: Vec<Again>) {
        self.writer.send(ToWriter::Republish(again));
    }

    pub(super) fn stop_runs(&self, level: Stop) {
        if level > Stop::No {
            self.runner.stop(level);
        }
    }
}
