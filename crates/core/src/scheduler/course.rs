//! The course of one intent: every change of its stage, and the consequences of each step of the state machine. The
//! scheduler's sets of intents by stage are maintained only here.

use super::books::Scheduler;
use super::item::{Item, Reserve};
use super::message::{Bug, Effect};
use super::places::Place;
use crate::Attempt;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::retry_pause;
use crate::outcome::{Postponed, Verdict};
use crate::record::LastSuccess;
use crate::stage::{Entry, Final, Stage, Step, Then, step};
use std::collections::HashSet;
use std::time::Duration;

/// The pause before a postponed run is tried again: it lacked space, or its bytes could not be read.
pub(super) const POSTPONED_RETRY: Duration = Duration::from_secs(1);

/// How long runs go one at a time after the system had no process, memory or descriptor left for one: several at once would
/// take from each other what each of them needs, again and again.
pub(super) const SCARCE: Duration = Duration::from_secs(5);

/// The time of an event, and the random number that spreads retries.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventTime {
    pub(super) now: Duration,
    /// 0..=1
    pub(super) jitter: f64,
}

impl From<Duration> for EventTime {
    fn from(now: Duration) -> Self {
        Self { now, jitter: 0.0 }
    }
}

fn keep(set: &mut HashSet<Seq>, seq: Seq, is_in: bool) {
    if is_in {
        set.insert(seq);
    } else {
        set.remove(&seq);
    }
}

impl Scheduler {
    /// Adds an intent to the scheduler.
    pub(super) fn enter(&mut self, item: Item) {
        let (seq, stage) = (item.rank.seq, item.stage);
        self.items.insert(seq, item);
        self.count(seq, Some(stage));
    }

    /// Adds an intent whose outcome is being written: only its number is needed.
    pub(super) fn enter_decided(&mut self, seq: Seq) {
        self.decided.insert(seq, Entry::Decided.into());
    }

    /// Takes one step of an intent and its consequences.
    pub(super) fn advance_one(&mut self, seq: Seq, taken: Step, at: EventTime, effects: &mut Vec<Effect>) {
        match self.step(seq, taken) {
            Ok(then) => self.carry_out(seq, then, at, effects),
            Err(bug) => effects.push(Effect::Bug(bug)),
        }
    }

    /// A run ended, or its start did not happen.
    pub(super) fn on_ended(&mut self, seq: Seq, verdict: Verdict, at: EventTime, effects: &mut Vec<Effect>) {
        let stage = self.items.get(&seq).map(|item| item.stage);
        let max_attempts = self.limits.live.max_attempts;
        let then = match self.step(seq, Step::Ended { verdict, max_attempts }) {
            Ok(then) => then,
            Err(bug) => return effects.push(Effect::Bug(bug)),
        };
        if let (
            Some(item),
            Some(Stage::Ahead { attempt } | Stage::Handed { attempt } | Stage::Running { attempt }),
        ) = (self.items.get_mut(&seq), stage)
        {
            if verdict.counts() {
                item.started = attempt.get();
            }
            let cause = if let Then::TryAgain(cause) = then { Some(cause) } else { None };
            if cause == Some(Postponed::System) {
                self.scarce_until = Some(at.now + SCARCE);
            }
            if verdict == Verdict::Repeats
                && let Some(rate) = &mut self.rate
            {
                // That it repeats was known only with its claim: it is no start.
                rate.give_back();
            }
            self.places.ended(at.now, &item.place, item.rank, cause);
        }
        self.carry_out(seq, then, at, effects);
    }

    fn step(&mut self, seq: Seq, taken: Step) -> Result<Then, Bug> {
        let stage = match self.items.get_mut(&seq) {
            Some(item) => &mut item.stage,
            None => self.decided.get_mut(&seq).ok_or(Bug::Unknown(seq))?,
        };
        let (next, then) = step(*stage, taken)?;
        *stage = next.unwrap_or(*stage);
        self.count(seq, next);
        Ok(then)
    }

    fn count(&mut self, seq: Seq, stage: Option<Stage>) {
        let is_running = matches!(stage, Some(Stage::Running { .. }));
        keep(&mut self.claiming, seq, matches!(stage, Some(Stage::Claiming | Stage::Ahead { .. })));
        keep(
            &mut self.handed,
            seq,
            is_running || matches!(stage, Some(Stage::Ahead { .. } | Stage::Handed { .. })),
        );
        keep(&mut self.running, seq, is_running);
    }

    fn carry_out(&mut self, seq: Seq, then: Then, at: EventTime, effects: &mut Vec<Effect>) {
        match then {
            Then::Queue => self.queue(seq, at, effects),
            Then::Park => self.park(seq, effects),
            Then::Run { attempt } => self.hand_out(seq, attempt, effects),
            Then::Await => {}
            Then::KeepPlace => self.keep_place(seq),
            Then::TakeBack => self.take_back(seq),
            Then::Record(outcome) => self.record(seq, outcome, effects),
            Then::RetryAs { attempt } => self.retry(seq, attempt, at, effects),
            Then::TryAgain(cause) => self.put_off(seq, cause, at, effects),
            Then::LeaveForNextStart => {
                self.remove(seq);
                effects.push(Effect::Left { seq });
            }
            Then::Forget => self.forget(seq, at, effects),
        }
    }

    /// Its claim is durable: the intent takes its place in its queue.
    pub(super) fn queue(&mut self, seq: Seq, at: EventTime, effects: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(&seq) else { return };
        match item.reserve {
            Reserve::No => drop(self.unreserved.insert(item.rank)),
            // The start was recorded with the claim.
            Reserve::Asked | Reserve::Durable => item.reserve = Reserve::Durable,
        }
        let key = item.key.clone();
        if self.queues.claim_durable(&key, seq, self.share()) {
            self.advance_one(seq, Step::Park, at, effects);
        } else {
            self.offer_head(&key, at, effects);
        }
    }

    /// Makes the head of a free queue ready once its claim is durable, unless it repeats the queue's last success.
    pub(super) fn offer_head(&mut self, key: &TargetKey, at: EventTime, effects: &mut Vec<Effect>) {
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

    fn hand_out(&mut self, seq: Seq, attempt: Attempt, effects: &mut Vec<Effect>) {
        let (Some(slot), Some(item)) = (self.slots.pop(), self.items.get_mut(&seq)) else {
            return effects.push(Effect::Bug(Bug::NoSlot(seq)));
        };
        item.postponed = None;
        item.slot = Some(slot);
        self.places.started(&item.place, item.rank);
        self.queues.occupy(&item.key);
        self.set_reserve(seq, Reserve::No);
        effects.push(Effect::Run { seq, attempt, slot });
    }

    fn record(&mut self, seq: Seq, outcome: Final, effects: &mut Vec<Effect>) {
        self.set_reserve(seq, Reserve::No);
        let Some(item) = self.items.get(&seq) else { return };
        self.unreserved.remove(&item.rank);
        // One that is cancelled behind the head leaves the queue to that.
        if self.queues.head(&item.key) == Some(item.rank) {
            self.queues.occupy(&item.key);
        }
        let mut duplicate_of = None;
        match outcome {
            Final::Success => {
                let success = LastSuccess { seq, name: item.name.clone(), sha256: item.sha256 };
                self.queues.set_last(&item.key, Some(success));
            }
            Final::Duplicate => duplicate_of = self.queues.last(&item.key).map(|last| last.seq),
            // The effects of the failed run are unknown: no later intent repeats the success before it.
            Final::Failed(_) if item.started > 0 => self.queues.set_last(&item.key, None),
            Final::Failed(_) => {}
        }
        effects.push(Effect::Record { seq, outcome, attempts: item.started, duplicate_of });
    }

    fn retry(&mut self, seq: Seq, attempt: Attempt, at: EventTime, effects: &mut Vec<Effect>) {
        let Some(rank) = self.items.get(&seq).map(|item| item.rank) else { return };
        let pause = retry_pause(attempt, at.jitter);
        // At once, and the slot is kept until that is durable: its run line is the proof that this start happened.
        self.ask_reserve(rank, effects);
        self.pauses.insert((at.now + pause, seq));
        effects.push(Effect::RetryAnnounced { seq, attempt, pause });
    }

    /// The start is recorded but did not happen: the same attempt is used again.
    fn put_off(&mut self, seq: Seq, cause: Postponed, at: EventTime, effects: &mut Vec<Effect>) {
        effects.push(Effect::PutOff { seq });
        self.set_reserve(seq, Reserve::Durable);
        self.free_slot(seq);
        let Some(item) = self.items.get_mut(&seq) else { return };
        item.postponed = Some(cause);
        if item.place == Place::Output {
            self.pauses.insert((at.now + POSTPONED_RETRY, seq));
        } else {
            // The repository pauses instead.
            let key = item.key.clone();
            self.queues.release(&key);
            self.offer_head(&key, at, effects);
        }
    }

    /// Removes a finished intent: the next of its target continues.
    fn forget(&mut self, seq: Seq, at: EventTime, effects: &mut Vec<Effect>) {
        if self.decided.remove(&seq).is_some() {
            return;
        }
        let Some(item) = self.remove(seq) else { return };
        if self.queues.finish(&item.key, seq).is_none() {
            return effects.push(Effect::Bug(Bug::NotHead(seq)));
        }
        self.offer_head(&item.key, at, effects);
        self.recall_more(&item.key, effects);
    }

    /// Removes an intent from the scheduler, with all its data.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Item> {
        self.set_reserve(seq, Reserve::No);
        self.free_slot(seq);
        let item = self.items.remove(&seq)?;
        self.unreserved.remove(&item.rank);
        Some(item)
    }

    pub(super) fn set_reserve(&mut self, seq: Seq, reserve: Reserve) {
        if let Some(item) = self.items.get_mut(&seq) {
            item.reserve = reserve;
            keep(&mut self.reserved, seq, reserve != Reserve::No);
        }
    }

    pub(super) fn free_slot(&mut self, seq: Seq) {
        if let Some(slot) = self.items.get_mut(&seq).and_then(|item| item.slot.take()) {
            self.slots.push(slot);
        }
    }
}
