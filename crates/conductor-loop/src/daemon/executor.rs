//! Performs the desk's effects by passing them to the threads. Keeps no state of intents.

use crate::clerk::{Again, Clerk, Command as ToClerk, Publication};
use crate::intake::{Command as ToIntake, Intake};
use crate::payload::Payload;
use crate::runner::{Bytes, Job, Runner, Stop};
use conductor_core::desk::{Fingerprint, Place};
use conductor_core::record::Claim;

/// The threads that act, in the order in which they feed each other and end.
pub(super) struct Executor {
    pub(super) intake: Intake,
    pub(super) runner: Runner,
    pub(super) clerk: Clerk,
}

impl Executor {
    /// Takes all due names with one command.
    pub(super) fn take(&self, names: Vec<(Box<[u8]>, Option<Fingerprint>)>) {
        if !names.is_empty() {
            self.intake.send(ToIntake::Take(names));
        }
    }

    pub(super) fn scan(&self, restart: bool) {
        self.intake.send(ToIntake::Scan { restart });
    }

    /// The place that an intent's run will write.
    pub(super) fn place_of(&self, claim: &Claim, bytes: &Bytes) -> Place {
        self.runner.place_of(claim, bytes)
    }

    pub(super) fn claim(&self, claim: Claim, bytes: Payload, arm: bool) {
        self.clerk.send(ToClerk::Claim { claim: Box::new(claim), bytes, arm });
    }

    pub(super) fn arm(&self, seq: u64, attempt: u32) {
        self.clerk.send(ToClerk::Arm { seq, attempt });
    }

    pub(super) fn recall(&self, seqs: Vec<u64>) {
        self.clerk.send(ToClerk::Recall { seqs });
    }

    pub(super) fn run(&self, job: Job) {
        self.runner.run(job);
    }

    pub(super) fn settle(&self, publication: Publication) {
        self.clerk.send(ToClerk::Settle(Box::new(publication)));
    }

    /// Publishes an earlier daemon's outcomes again.
    pub(super) fn republish(&self, again: Vec<Again>) {
        self.clerk.send(ToClerk::Republish(again));
    }

    pub(super) fn stop_runs(&self, level: Stop) {
        if level > Stop::No {
            self.runner.stop(level);
        }
    }
}
