//! The scheduler and its books: all that the daemon knows of its intents. Here are its settings and the counts that may be
//! asked for; what changes the books is in `events`, `advance`, `course` and the files beside them.

use super::debounce::Debounce;
use super::item::Item;
use super::places::Places;
use super::queues::{Queues, Rank};
use super::rate::Rate;
use super::scan::Scan;
use crate::Slot;
use crate::ids::Seq;
use crate::limits::{Limits, START_WINDOW, SchedulerLimits};
use crate::ready::{NotReady, Reasons};
use crate::stage::Stage;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// The one owner of the daemon's knowledge about intents.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) limits: Limits,
    pub(super) period: Option<Duration>,
    pub(super) debounce: Debounce,
    pub(super) queues: Queues,
    pub(super) places: Places,
    pub(super) items: HashMap<Seq, Item>,
    /// Waiting and not reserved, in the order of their reservation.
    pub(super) unreserved: BTreeSet<Rank>,
    pub(super) pauses: BTreeSet<(Duration, Seq)>,
    pub(super) rate: Option<Rate>,
    pub(super) rate_wake: Option<Duration>,
    /// Until when runs go one at a time.
    pub(super) scarce_until: Option<Duration>,
    /// The time at which the pause of a place ends.
    pub(super) place_wake: Option<Duration>,
    pub(super) slots: Vec<Slot>,
    /// Numbers of the intents held by workers: porch runs for them, or will run next.
    pub(super) handed: HashSet<Seq>,
    /// Numbers of the handed-out intents for which porch was started.
    pub(super) running: HashSet<Seq>,
    /// Numbers of the intents whose next start is durable, or being written.
    pub(super) reserved: HashSet<Seq>,
    /// Numbers of outcomes being written that have no item: refused, or found decided at start.
    pub(super) decided: HashMap<Seq, Stage>,
    pub(super) typical_run: Option<Duration>,
    pub(super) takes_in_flight: usize,
    /// Numbers of the intents whose claim is being written.
    pub(super) claiming: HashSet<Seq>,
    /// Numbers of taken files that a writer still has open: judged later, and not counted in the window of takes, so that
    /// they delay no other file.
    pub(super) still_open: HashSet<Seq>,
    pub(super) scan: Scan,
    /// The reasons against taking and starting.
    pub(super) reasons: Reasons,
}

impl Scheduler {
    /// An empty scheduler that neither takes nor starts any intent yet.
    pub fn new(limits: Limits, period: Option<Duration>) -> Self {
        let rate = limits.live.rate.map(Rate::new);
        let slots = u16::try_from(Self::slot_count(&limits)).unwrap_or(u16::MAX);
        Self {
            limits,
            period,
            debounce: Debounce::default(),
            queues: Queues::default(),
            places: Places::default(),
            items: HashMap::new(),
            unreserved: BTreeSet::new(),
            pauses: BTreeSet::new(),
            rate,
            rate_wake: None,
            scarce_until: None,
            place_wake: None,
            slots: (0..slots).map(Slot).rev().collect(),
            handed: HashSet::new(),
            running: HashSet::new(),
            reserved: HashSet::new(),
            decided: HashMap::new(),
            typical_run: None,
            takes_in_flight: 0,
            claiming: HashSet::new(),
            still_open: HashSet::new(),
            scan: Scan::new(),
            reasons: Reasons::from(NotReady::Starting),
        }
    }

    /// The number of staging slots that the scheduler hands out.
    pub fn slot_count(limits: &Limits) -> usize {
        2 * limits.workers + START_WINDOW
    }

    /// Sets the reasons for not being ready, which decide whether files are taken and porch is started.
    pub fn set_not_ready(&mut self, reasons: &Reasons) {
        let took = self.takes();
        self.reasons = reasons.clone();
        if self.takes() && !took {
            // Names that could not be taken meanwhile were forgotten: the directory is the queue.
            self.scan.want();
        }
    }

    /// Sets the interval of scans; `None`: scans only after events.
    pub fn set_period(&mut self, period: Option<Duration>) {
        self.period = period;
    }

    /// Whether files are taken.
    pub(super) fn takes(&self) -> bool {
        self.reasons.stopping_taking().is_none()
    }

    /// Whether porch is started.
    pub(super) fn starts(&self) -> bool {
        self.reasons.stopping_starting().is_none()
    }

    /// Applies settings that may change while running (SIGHUP).
    pub fn apply(&mut self, now: Duration, live: &SchedulerLimits) {
        if live.rate != self.limits.live.rate {
            self.rate = live.rate.map(Rate::new);
            self.rate_wake = None;
        }
        self.limits.live = live.clone();
        self.debounce.shorten(now, live.debounce, live.debounce_max());
    }

    /// The number of runs handed to workers: porch was started, or will be next.
    pub fn handed_out(&self) -> usize {
        self.handed.len()
    }

    /// Whether a worker waits for the disk, or would: one is free, or may not begin before a claim is durable.
    pub fn waits_for_disk(&self) -> bool {
        self.handed.len() < self.limits.workers || !self.handed.is_disjoint(&self.claiming)
    }

    /// The number of runs for which porch was started.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The number of intents taken and not finished.
    pub fn unfinished(&self) -> usize {
        self.items.len() + self.decided.len() + self.queues.parked()
    }

    /// The number of names sighted and not taken.
    pub fn sighted(&self) -> usize {
        self.debounce.len()
    }

    /// Whether nothing is taken or being taken.
    pub fn is_idle(&self) -> bool {
        self.unfinished() == 0 && self.being_judged() == 0
    }

    /// Whether the backlog is finished: a complete scan found only finished intents, except those of held targets.
    pub fn is_drained(&self) -> bool {
        self.being_judged() == 0
            && self.unfinished() == self.held_back()
            && self.debounce.len() == 0
            && self.scan.is_complete()
    }
}
