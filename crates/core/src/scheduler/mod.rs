//! The scheduler of all intents: when each is taken, which runs next, which outcome is recorded. Pure: events and the
//! time go in, effects come out; the daemon owns the one scheduler and performs its effects.

mod ahead;
mod cancel;
mod course;
mod debounce;
mod message;
mod parking;
mod places;
mod queues;
mod rate;
mod scan;
mod wait_reason;

use crate::{Attempt, Slot};
pub use cancel::Waits;
pub use message::{Admission, Bug, Effect, Event, Fingerprint, Parked, Sighting};
pub use places::Place;
pub use wait_reason::{WaitReason, word_and_advice};

use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::{
    AHEAD_BELOW, Limits, SIGHTED_MAX, START_WINDOW, SchedulerLimits, TAKES_IN_FLIGHT_MAX, UNRECORDED_MAX,
};
use crate::outcome::Postponed;
use crate::ready::{NotReady, Reasons};
use crate::record::LastSuccess;
use crate::stage::{Entry, Stage, Step};
use course::EventTime;
use debounce::Debounce;
use places::Places;
use queues::{Queues, Rank};
use rate::Rate;
use scan::Scan;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// The pause before a postponed run is tried again: it lacked space, or its bytes could not be read.
const POSTPONED_RETRY: Duration = Duration::from_secs(1);

/// How long runs go one at a time after the system had no process, memory or descriptor left for one: several at once would
/// take from each other what each of them needs, again and again.
const SCARCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Item {
    stage: Stage,
    key: TargetKey,
    place: Place,
    name: String,
    sha256: crate::Digest,
    rank: Rank,
    started: u32,
    reserve: Reserve,
    slot: Option<Slot>,
    /// Why its last start was postponed.
    postponed: Option<Postponed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reserve {
    No,
    Asked,
    Durable,
}

/// The one owner of the daemon's knowledge about intents.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    period: Option<Duration>,
    debounce: Debounce,
    queues: Queues,
    places: Places,
    items: HashMap<Seq, Item>,
    /// Waiting and not reserved, in the order of their reservation.
    unreserved: BTreeSet<Rank>,
    pauses: BTreeSet<(Duration, Seq)>,
    rate: Option<Rate>,
    rate_wake: Option<Duration>,
    /// Until when runs go one at a time.
    scarce_until: Option<Duration>,
    /// The time at which the pause of a place ends.
    place_wake: Option<Duration>,
    slots: Vec<Slot>,
    /// Numbers of the intents held by workers: porch runs for them, or will run next.
    handed: HashSet<Seq>,
    /// Numbers of the handed-out intents for which porch was started.
    running: HashSet<Seq>,
    /// Numbers of the intents whose next start is durable, or being written.
    reserved: HashSet<Seq>,
    /// Numbers of outcomes being written that have no item: refused, or found decided at start.
    decided: HashMap<Seq, Stage>,
    typical_run: Option<Duration>,
    takes_in_flight: usize,
    /// Numbers of the intents whose claim is being written.
    claiming: HashSet<Seq>,
    /// Numbers of taken files that a writer still has open: judged later, and not counted in the window of takes, so that
    /// they delay no other file.
    still_open: HashSet<Seq>,
    scan: Scan,
    /// The reasons against taking and starting.
    reasons: Reasons,
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

    fn takes(&self) -> bool {
        self.reasons.stopping_taking().is_none()
    }

    fn starts(&self) -> bool {
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

    /// The time of the next `advance` if no event comes.
    pub fn wake_at(&self) -> Option<Duration> {
        let takes = self.can_take().then(|| self.debounce.next_due()).flatten();
        let pauses = self.pauses.first().map(|(at, _)| *at);
        let scan = self.scan.due_at(self.period).filter(|_| self.may_scan());
        [takes, pauses, scan, self.rate_wake, self.place_wake, self.scarce_until].into_iter().flatten().min()
    }

    /// Handles one event.
    pub fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Sighted(sightings) => self.on_sighted(now, sightings),
            Event::ScanSlice { complete } => self.scan.on_slice(now, complete),
            Event::ScanFailed => self.scan.on_failure(now),
            Event::ScanWanted => self.scan.want(),
            Event::NotTaken(name) => {
                self.debounce.forget(&name);
                self.answered(effects);
            }
            Event::Unsettled(sighting) => {
                self.answered(effects);
                self.on_sighted(now, vec![sighting]);
            }
            Event::Relooking { count } => self.takes_in_flight += count,
            Event::Taken(name) => self.debounce.forget(&name),
            Event::StillOpen { seq } => {
                self.answered(effects);
                self.still_open.insert(seq);
            }
            Event::Vanished { seq } => self.judged(seq, effects),
            Event::Accepted(admission) => {
                self.judged(admission.seq, effects);
                self.on_accepted(now, admission, effects);
            }
            Event::Refused { seq } => {
                self.judged(seq, effects);
                self.enter_decided(seq);
            }
            Event::Recording { seq } => self.enter_decided(seq),
            Event::Claimed { seq, last } => {
                if let Some(item) = self.items.get(&seq) {
                    self.queues.learn_last(&item.key, last);
                }
                self.advance_one(seq, Step::ClaimDurable, now.into(), effects);
            }
            Event::Recovered { admission, last } => self.on_recovered(now, admission, last, effects),
            Event::Recalled(admission) => self.on_recalled(now, admission, effects),
            Event::Parked { key, waiting } => self.on_parked(&key, &waiting, effects),
            Event::Reserved { seq } => self.on_reserved(seq, effects),
            Event::Began { seq } => self.advance_one(seq, Step::Began, now.into(), effects),
            Event::Ended { seq, verdict, took, jitter } => {
                // An average that follows within about eight runs. What did not run says nothing of it.
                if verdict.counts() {
                    self.typical_run =
                        Some(self.typical_run.map_or(took, |typical| (typical * 7 + took) / 8));
                }
                self.on_ended(seq, verdict, EventTime { now, jitter }, effects);
            }
            Event::Filed { seq } => self.advance_one(seq, Step::Filed, now.into(), effects),
            Event::Cancel(admission) => self.on_cancel(now, admission, effects),
            Event::Trouble { place, cause } => self.places.set_trouble(&place, cause),
            Event::Hold(covers) => {
                for head in self.queues.hold(covers) {
                    self.places.withdraw(head);
                }
            }
            Event::Release(covers) => {
                for key in self.queues.release_hold(covers) {
                    self.offer_head(&key, now.into(), effects);
                }
            }
        }
    }

    /// Requests everything that can be done now. To be called after a batch of events and at [`Scheduler::wake_at`].
    pub fn advance(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.end_pauses(now, effects);
        self.scarce_until = self.scarce_until.filter(|until| now < *until);
        self.start_runs(now, effects);
        self.reserve_more(effects);
        self.ask_takes(now, effects);
        self.ask_scan(now, effects);
        self.place_wake = self.places.wake_at(now);
    }

    fn on_sighted(&mut self, now: Duration, sightings: Vec<Sighting>) {
        let (debounce, bound) = (self.limits.live.debounce, self.limits.live.debounce_max());
        for sighting in sightings {
            if self.debounce.len() >= SIGHTED_MAX {
                // The directory is the queue: the next scan sees names that do not fit.
                self.scan.want();
                return;
            }
            self.debounce.sighted(now, sighting, debounce, bound);
        }
    }

    /// Counts the answer to one take.
    fn answered(&mut self, effects: &mut Vec<Effect>) {
        match self.takes_in_flight.checked_sub(1) {
            Some(left) => self.takes_in_flight = left,
            None => effects.push(Effect::Bug(Bug::NoSuchTake)),
        }
    }

    /// Counts a judged file: judged at once, or after waiting for its writer.
    fn judged(&mut self, seq: Seq, effects: &mut Vec<Effect>) {
        if !self.still_open.remove(&seq) {
            self.answered(effects);
        }
    }

    fn on_accepted(&mut self, now: Duration, admission: Admission, effects: &mut Vec<Effect>) {
        let seq = admission.seq;
        // An intent that will be parked is not next.
        let reserve = self.reserved.len() < START_WINDOW && self.queues.length(&admission.key) < self.share();
        let rank = Rank::new(now, admission.priority, seq);
        self.queues.join(&admission.key, rank);
        self.enter(Item::new(Entry::Accepted, admission, rank));
        if reserve {
            self.set_reserve(seq, Reserve::Asked);
        }
        let ahead = if reserve { self.hand_ahead(now, seq, effects) } else { None };
        effects.push(Effect::Claim { seq, reserve, ahead });
    }

    fn on_recovered(
        &mut self,
        now: Duration,
        admission: Admission,
        last: Option<LastSuccess>,
        effects: &mut Vec<Effect>,
    ) {
        let seq = admission.seq;
        // Recovered intents are older than any taken from now on.
        let rank = Rank::new(Duration::ZERO, admission.priority, seq);
        self.queues.join(&admission.key, rank);
        self.queues.learn_last(&admission.key, last);
        self.enter(Item::new(Entry::FoundDurable, admission, rank));
        self.queue(seq, now.into(), effects);
    }

    fn on_reserved(&mut self, seq: Seq, effects: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(&seq) else {
            return effects.push(Effect::Bug(Bug::Unknown(seq)));
        };
        // An intent that has meanwhile become a duplicate needs no start.
        if item.reserve == Reserve::Asked {
            item.reserve = Reserve::Durable;
            // The slot of the previous attempt, whose run line is no longer needed.
            self.free_slot(seq);
        }
    }

    /// Makes the head of a free queue ready once its claim is durable, unless it repeats the queue's last success.
    fn offer_head(&mut self, key: &TargetKey, at: EventTime, effects: &mut Vec<Effect>) {
        let Some(rank) = self.queues.free_head(key) else { return };
        let Some(item) = self.items.get(&rank.seq).filter(|item| item.stage == Stage::Waiting) else {
            return;
        };
        let last = self.queues.last(key);
        let repeats = last.is_some_and(|last| last.is_repeated_by(&item.name, item.sha256));
        // A start that may have happened must be completed, whatever ran since.
        if repeats && item.started == 0 {
            self.advance_one(rank.seq, Step::Duplicate, at, effects);
        } else {
            self.places.make_ready(&item.place, rank);
        }
    }

    fn start_runs(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.rate_wake = None;
        if !self.starts() {
            return;
        }
        let mut chosen = Vec::new();
        let mut to_reserve = Vec::new();
        let mut free = self.hands().saturating_sub(self.handed.len()).min(self.slots.len());
        for rank in self.places.startable(now) {
            if free == 0 || to_reserve.len() >= 2 * self.limits.workers {
                break;
            }
            match self.items.get(&rank.seq).map(|item| item.reserve) {
                Some(Reserve::Durable) => {
                    if let Some(Err(at)) = self.rate.as_mut().map(|rate| rate.take(now)) {
                        self.rate_wake = Some(at);
                        break;
                    }
                    chosen.push(rank);
                    free -= 1;
                }
                Some(Reserve::No) => to_reserve.push(rank),
                _ => {}
            }
        }
        for rank in to_reserve {
            self.ask_reserve(rank, effects);
        }
        for rank in chosen {
            let attempt =
                self.items.get(&rank.seq).map_or(Attempt::FIRST, |item| Attempt::after(item.started));
            self.advance_one(rank.seq, Step::Start { attempt }, now.into(), effects);
        }
    }

    /// How many runs may be in the hands of workers.
    fn hands(&self) -> usize {
        let ahead = self.typical_run.is_some_and(|typical| typical < AHEAD_BELOW);
        match self.scarce_until {
            Some(_) => 1,
            None if ahead => 2 * self.limits.workers,
            None => self.limits.workers,
        }
    }

    /// Records the next starts ahead, so that a worker does not wait for the disk.
    fn reserve_more(&mut self, effects: &mut Vec<Effect>) {
        while self.starts() && self.reserved.len() < START_WINDOW {
            let Some(rank) = self.unreserved.first().copied() else { return };
            self.ask_reserve(rank, effects);
        }
    }

    fn ask_reserve(&mut self, rank: Rank, effects: &mut Vec<Effect>) {
        self.unreserved.remove(&rank);
        self.set_reserve(rank.seq, Reserve::Asked);
        if let Some(item) = self.items.get(&rank.seq) {
            effects.push(Effect::Reserve { seq: rank.seq, attempt: Attempt::after(item.started) });
        }
    }

    /// Ends the pauses that are over. A queue stays busy while its head pauses: no later intent overtakes it.
    fn end_pauses(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        while let Some((until, seq)) = self.pauses.first().copied() {
            if until > now {
                return;
            }
            self.pauses.pop_first();
            if let Some(key) = self.items.get(&seq).map(|item| item.key.clone()) {
                self.queues.release(&key);
                self.offer_head(&key, now.into(), effects);
            }
        }
    }

    fn can_take(&self) -> bool {
        self.takes()
            && self.takes_in_flight < TAKES_IN_FLIGHT_MAX
            && self.takes_in_flight + self.unrecorded() < UNRECORDED_MAX
            && self.has_room()
    }

    fn ask_takes(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        while self.can_take() {
            let Some(due) = self.debounce.pop_due(now) else { return };
            self.takes_in_flight += 1;
            effects.push(Effect::Take { name: due.name, expect: due.expect });
        }
    }

    /// Whether the names that a slice may have fit in; as soon as they do, an event has come that says so.
    fn may_scan(&self) -> bool {
        self.takes() && self.debounce.len() <= SIGHTED_MAX / 2
    }

    fn ask_scan(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.may_scan()
            && let Some(restart) = self.scan.ask(now, self.period)
        {
            effects.push(Effect::Scan { restart });
        }
    }
}

impl Item {
    fn new(entry: Entry, admission: Admission, rank: Rank) -> Self {
        let Admission { key, place, name, sha256, started, .. } = admission;
        let stage = entry.into();
        Self {
            stage,
            key,
            place,
            name,
            sha256,
            rank,
            started,
            reserve: Reserve::No,
            slot: None,
            postponed: None,
        }
    }
}

#[cfg(test)]
mod fairness_tests;
#[cfg(test)]
mod invariant_tests;
#[cfg(test)]
mod tests;
