//! The session's view of its surroundings: places that fail, runs that met a failure, the state and the handoff directory.

use super::fatal::Fatal;
use super::input::PlaceFound;
use super::kept::Gone;
use super::session::{End, Session, Stopping};
use super::surroundings::Unsettled;
use crate::config::Config;
use crate::runner::{Ended, Stop, cause_of};
use crate::writer::Command as ToWriter;
use conductor_core::Code;
use conductor_core::fact::{IntentFact, PlaceFact};
use conductor_core::outcome::{Ending, Postponed, Verdict};
use conductor_core::ready::NotReady;
use conductor_core::scheduler::{Event, Place, word_and_advice};
use conductor_os::monotonic;
use conductor_os::outlet::Outage;
use std::time::Duration;

/// How long a run with `-once` waits for space, or for a missing program, directory or remote.
const ONCE_PATIENCE: Duration = Duration::from_secs(10);

fn reason_of(outage: Outage) -> NotReady {
    match outage {
        Outage::Full => NotReady::OutFull,
        Outage::ReadOnly => NotReady::OutReadOnly,
        Outage::Gone => NotReady::OutGone,
    }
}

const OUTAGES: [Outage; 3] = [Outage::Full, Outage::ReadOnly, Outage::Gone];

impl Session<'_> {
    /// Handles a changed place.
    pub(super) fn on_place(&mut self, found: PlaceFound) {
        let PlaceFound { place, path, outage } = found;
        let path = &path.display().to_string();
        if let Some(outage) = outage {
            let reason = reason_of(outage);
            self.observe(PlaceFact::PlaceUnusable { reason, path });
            self.surroundings.outages.insert(place.clone(), outage);
        } else {
            self.observe(PlaceFact::PlaceUsable { path });
            self.surroundings.outages.remove(&place);
        }
        self.event(Event::Trouble { place, cause: outage.map(cause_of) });
        self.tell_outages();
    }

    fn tell_outages(&mut self) {
        for outage in OUTAGES {
            let reason = reason_of(outage);
            let seen = self.surroundings.outages.values().any(|found| *found == outage);
            let holds = seen || self.surroundings.met.contains(&reason);
            self.set_not_ready(reason, holds);
        }
    }

    /// Handles the end of a run: an obstacle that it met affects other runs too.
    pub(super) fn on_ended(&mut self, ended: Ended) {
        self.on_read(&ended);
        let met = match &ended.run.ending {
            Ending::Withheld { cause, reason } => Some((*cause, reason.clone())),
            _ => None,
        };
        let place = ended.job.place.clone();
        let is_progress = !matches!(ended.run.ending.verdict(), Verdict::Postpone(_));
        self.decide_end(ended);
        if let Some((cause, reason)) = met {
            self.on_withheld(&place, cause, &reason);
        } else {
            self.surroundings.withheld.remove(&place);
            if is_progress {
                self.progress_at = monotonic();
            }
            if place == Place::Output && !self.surroundings.met.is_empty() {
                self.surroundings.met.clear();
                self.tell_outages();
            }
        }
        let away = self.scheduler.unreachable().next().is_some();
        self.set_not_ready(NotReady::RemoteUnreachable, away);
    }

    /// Handles the reading of its bytes from the store.
    fn on_read(&mut self, ended: &Ended) {
        let seq = ended.job.seq;
        match &ended.run.ending {
            Ending::NoBytes { code: code @ Code::StoreDamaged, reason } => {
                // Nothing of it runs, and further damage is possible.
                self.fatal.get_or_insert_with(|| Fatal::Bytes { code: *code, reason: reason.clone() });
            }
            Ending::NoBytes { code, reason } => {
                let (claim, code) = (&*ended.job.claim, *code);
                self.observe(IntentFact::Unread { claim, code, reason });
                self.executor.writer.send(ToWriter::ReadFailed);
                self.unread.insert(seq, monotonic());
                self.set_not_ready(NotReady::StoreUnreadable, true);
            }
            _ => {
                self.unread.remove(&seq);
            }
        }
    }

    fn on_withheld(&mut self, place: &Place, cause: Postponed, reason: &str) {
        match cause {
            Postponed::PorchMissing => {
                self.say_why_porch_is_missing(reason);
                self.surroundings.unsettled = Unsettled::Away;
                self.set_not_ready(NotReady::PorchMissing, true);
            }
            Postponed::DirectoryReplaced => {
                if !self.surroundings.staging_moved {
                    self.observe(PlaceFact::StagingMoved { reason });
                }
                self.surroundings.staging_moved = true;
                self.set_not_ready(NotReady::DirectoryReplaced, true);
            }
            Postponed::OutFull | Postponed::OutReadOnly | Postponed::OutGone if *place == Place::Output => {
                if let Some(not_ready) = cause.not_ready()
                    && !self.surroundings.met.contains(&not_ready)
                {
                    self.observe(PlaceFact::PlaceMet { reason: not_ready, words: reason });
                    self.surroundings.met.push(not_ready);
                    self.tell_outages();
                }
            }
            // `explain` leads to the log for these words. Each try would say them again.
            _ => {
                if self.surroundings.withheld.get(place).map(String::as_str) != Some(reason) {
                    self.observe(PlaceFact::RunsWithheld { reason });
                    self.surroundings.withheld.insert(place.clone(), reason.to_owned());
                }
            }
        }
    }

    /// Logs the reason once, when it begins.
    fn say_why_porch_is_missing(&mut self, reason: &str) {
        if !self.reasons.contains(NotReady::PorchMissing) {
            self.observe(PlaceFact::PorchUnusable { reason });
        }
    }

    /// Sets whether a part of the handoff directory leads elsewhere.
    pub(super) fn set_parts_replaced(&mut self, replaced: bool) {
        self.surroundings.parts_replaced = replaced;
        self.set_not_ready(NotReady::DirectoryReplaced, replaced || self.surroundings.staging_moved);
    }

    /// Checks the program and the staging directory, once a second.
    pub(super) fn look_around(&mut self) {
        let missing = match self.executor.runner.program() {
            None => false,
            Some(Err(reason)) => {
                self.say_why_porch_is_missing(&reason);
                self.surroundings.unsettled = Unsettled::Away;
                true
            }
            Some(Ok(stamp)) => {
                let before = self.surroundings.unsettled;
                let settled = before == Unsettled::No || before == Unsettled::Seen(stamp);
                self.surroundings.unsettled = if settled { Unsettled::No } else { Unsettled::Seen(stamp) };
                !settled
            }
        };
        self.set_not_ready(NotReady::PorchMissing, missing);
        if self.surroundings.staging_moved && self.places.dirs.slots.is_in_place() {
            self.observe(PlaceFact::StagingBack);
            self.surroundings.staging_moved = false;
            self.set_not_ready(NotReady::DirectoryReplaced, self.surroundings.parts_replaced);
        }
    }

    /// The condition that a run with an end has waited for in vain for long enough. What only stops the taking counts too: its
    /// claims or files wait as well.
    pub(super) fn hindered(&self) -> Option<End> {
        let obstacle = self.scheduler.obstructed();
        let failing = NotReady::IntakeFailing;
        let failing = self.reasons.contains(failing).then_some(failing);
        let known = [self.reasons.stopping_starting(), self.reasons.stopping_taking(), failing];
        let reason = known.into_iter().flatten().next().or(obstacle.and_then(Postponed::not_ready));
        if monotonic() < self.progress_at + ONCE_PATIENCE {
            return None;
        }
        let (code, why, remedy) = match (reason, obstacle) {
            (Some(reason), _) => {
                (reason.code().unwrap_or(Code::DirectorySetup), reason.as_str(), reason.advice())
            }
            (None, Some(cause)) => {
                let (word, advice) = word_and_advice(cause);
                (cause.code(), word, advice)
            }
            (None, None) => return None,
        };
        let message = match self.scheduler.unfinished() + self.scheduler.sighted() {
            // While nothing is taken, the directory may not have been listed.
            0 => format!("nothing is taken: {why}; what waits is kept, and the next start goes on"),
            1 => format!("1 intent waits: {why}; it is kept, and the next start goes on"),
            left => format!("{left} intents wait: {why}; they are kept, and the next start goes on"),
        };
        Some(End::Hindered { code, message, remedy })
    }

    /// Handles the loss of the handoff directory.
    pub(super) fn on_gone(&mut self, reason: &str) {
        if !self.gone {
            self.observe(PlaceFact::HandoffGone { reason });
            self.gone = true;
            self.executor.stop_runs(Stop::Drain);
            self.set_not_ready(NotReady::HandoffGone, true);
        }
    }

    /// Checks the state: records in a store without a name would be lost with the process, so it ends after the current
    /// runs and restores the store.
    pub(super) fn look_after_state(&mut self, now: Duration, config: &Config) {
        if self.gone || self.state_gone.is_some() {
            return;
        }
        let what = match self.kept.look() {
            None => return,
            Some(Gone::Handoff) => return self.on_gone("its path does not lead to it any more"),
            Some(Gone::Shown(place)) => {
                let reason =
                    format!("{} was moved or removed outside the daemon's root directory", place.display());
                return self.on_gone(&reason);
            }
            Some(Gone::State(what)) => what,
        };
        self.observe(PlaceFact::StateGone { what: &what });
        self.state_gone = Some(what);
        self.set_not_ready(NotReady::StateGone, true);
        self.executor.stop_runs(Stop::Drain);
        self.stopping.get_or_insert(Stopping {
            terminate_at: now + config.live.run.grace,
            told: false,
            signals: 1,
        });
    }
}
