//! The state of the writer's thread between commit and DONE, and the answers that tell of it. What the thread does with it stands
//! in files that are named for each step.

use super::audit::{Audit, Auditing};
use super::broken::Broken;
use super::clocks::Clocks;
use super::head::Head;
use super::late_statuses::Late;
use super::limits::LINGER;
use super::message::{Ack, Again, Full};
use super::packages::PackageSync;
use super::publish::Filing;
use super::sweep::Sweep;
use crate::handoff::Dirs;
use crate::store::Ledger;
use conductor_core::Seq;
use conductor_core::attestation::Attest;
use conductor_core::shortage::Shortage;
use crossbeam_channel::Sender;
use jiff::SignedDuration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The writer's state between commit and DONE.
pub(super) struct WriterLoop<R> {
    pub(super) places: Dirs,
    /// A monotonic clock.
    pub(super) clock: fn() -> Instant,
    /// How long a batch collects while no worker waits.
    pub(super) linger: Duration,
    /// The sync of the embedded engine's packages, if that engine runs.
    pub(super) packages: Option<PackageSync>,
    pub(super) abandon: Arc<AtomicBool>,
    pub(super) flush: Arc<AtomicBool>,
    pub(super) store: Arc<dyn Ledger>,
    pub(super) keys: Arc<dyn Attest>,
    pub(super) head: Head,
    pub(super) report: R,
    pub(super) to_sync: Sender<Vec<Seq>>,
    pub(super) sync_under_way: bool,
    pub(super) published: Vec<Seq>,
    pub(super) published_since: Option<Instant>,
    pub(super) done: Vec<Seq>,
    /// An earlier daemon's outcomes, to be published again before any newer one.
    pub(super) again: VecDeque<Again>,
    /// Committed outcomes that lacked space, a name or a descriptor for their files.
    pub(super) unpublished: Vec<Filing>,
    /// The time of their next try.
    pub(super) retry_at: Option<Instant>,
    /// What keeps the next of them from being made, other than space.
    pub(super) shortage: Shortage<Instant>,
    /// Statuses that could not be written.
    pub(super) late: Late,
    /// Whether the recreation of the drafts directory has been reported.
    pub(super) drafts_told: bool,
    /// The removal by age in progress.
    pub(super) sweep: Option<Sweep>,
    pub(super) clocks: Clocks,
    pub(super) full: Option<Full>,
    /// The audit trail, if one is kept.
    pub(super) auditing: Option<Auditing>,
}

/// What a writer works with, with the package sync started.
pub(super) struct Office {
    pub(super) places: Dirs,
    pub(super) packages: Option<PackageSync>,
    pub(super) store: Arc<dyn Ledger>,
    pub(super) keys: Arc<dyn Attest>,
    pub(super) head: Head,
    pub(super) retention: SignedDuration,
    pub(super) audit: Option<Audit>,
}

/// Ends the writer's thread after a fatal answer.
pub(super) struct Stopped;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    pub(super) fn new(office: Office, report: R, to_sync: Sender<Vec<Seq>>) -> Self {
        let Office { places, packages, store, keys, head, retention, audit } = office;
        Self {
            places,
            clock: Instant::now,
            linger: LINGER,
            packages,
            abandon: Arc::new(AtomicBool::new(false)),
            flush: Arc::new(AtomicBool::new(true)),
            store,
            keys,
            head,
            report,
            to_sync,
            sync_under_way: false,
            published: Vec::new(),
            published_since: None,
            done: Vec::new(),
            again: VecDeque::new(),
            unpublished: Vec::new(),
            retry_at: None,
            shortage: Shortage::default(),
            late: Late::default(),
            drafts_told: false,
            sweep: None,
            clocks: Clocks::new(retention),
            full: None,
            auditing: audit.map(|audit| Auditing::new(audit, Instant::now())),
        }
    }

    /// The time since a moment.
    pub(super) fn since(&self, then: Instant) -> Duration {
        (self.clock)().saturating_duration_since(then)
    }

    /// Notes that a write succeeded. While files wait for space, a write of the store, which reuses its own space, proves
    /// nothing.
    pub(super) fn has_room(&mut self) {
        if self.unpublished.is_empty() && self.again.is_empty() {
            self.set_full(None);
        }
    }

    pub(super) fn set_full(&mut self, full: Option<Full>) {
        if self.full != full {
            self.full = full;
            (self.report)(vec![Ack::DiskFull(full)]);
        }
    }

    /// Reports why the writer ends.
    pub(super) fn fatal(&self, why: impl Into<Broken>) -> Stopped {
        (self.report)(vec![Ack::Fatal(why.into())]);
        Stopped
    }
}
