//! The requests of a round: after a batch of events everything that can be done now is asked for, within windows and limits, and
//! the time of the next round is known.

use super::books::Scheduler;
use super::item::Reserve;
use super::message::Effect;
use super::queues::Rank;
use crate::Attempt;
use crate::limits::{AHEAD_BELOW, SIGHTED_MAX, START_WINDOW, TAKES_IN_FLIGHT_MAX, UNRECORDED_MAX};
use crate::stage::Step;
use std::time::Duration;

impl Scheduler {
    /// The time of the next `advance` if no event comes.
    pub fn wake_at(&self) -> Option<Duration> {
        let takes = self.can_take().then(|| self.debounce.next_due()).flatten();
        let pauses = self.pauses.first().map(|(at, _)| *at);
        let scan = self.scan.due_at(self.period).filter(|_| self.may_scan());
        [takes, pauses, scan, self.rate_wake, self.place_wake, self.scarce_until].into_iter().flatten().min()
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
    pub(super) fn hands(&self) -> usize {
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

    /// Requests the record of the next start.
    pub(super) fn ask_reserve(&mut self, rank: Rank, effects: &mut Vec<Effect>) {
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
