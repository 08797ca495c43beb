//! Events: what each of them changes in the books. It is the entrance of all that happens to intents; what can be done after a
//! batch of events is requested by `advance`.

use super::books::Scheduler;
use super::course::EventTime;
use super::item::{Item, Reserve};
use super::message::{Admission, Bug, Effect, Event, Sighting};
use super::queues::Rank;
use crate::ids::Seq;
use crate::limits::{SIGHTED_MAX, START_WINDOW};
use crate::record::LastSuccess;
use crate::stage::{Entry, Step};
use std::time::Duration;

impl Scheduler {
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
}
