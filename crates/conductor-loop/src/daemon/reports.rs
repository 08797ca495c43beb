//! What the loop makes of the intake's reports, and why it is ready or not.

use super::life::{Life, SPACE_CHECK};
use super::set_up::{Circumstances, period};
use crate::clerk::Command as ToClerk;
use crate::config::Config;
use crate::intake::{self, Report};
use conductor_core::Code;
use conductor_core::desk::Event;
use conductor_core::ready::NotReady;
use conductor_os::monotonic;
use std::time::Duration;

/// The longest time after which taking is tried again when a take found no space.
const SPACE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Takes that found no space although the file system says there is some: a quota, or blocks kept for root. Tried again after
/// pauses that double, so that it is not said each second.
#[derive(Debug, Default)]
pub(super) struct NoSpace {
    until: Duration,
    pause: Duration,
}

impl NoSpace {
    fn found(&mut self, now: Duration) {
        self.pause = (self.pause * 2).clamp(SPACE_CHECK, SPACE_PAUSE_MAX);
        self.until = now + self.pause;
    }

    /// Whether taking is not to be tried yet.
    pub(super) fn holds(&self, now: Duration) -> bool {
        now < self.until
    }
}

impl Life<'_> {
    pub(super) fn on_report(&mut self, report: Report) {
        match report {
            Report::Sighted(sightings) => self.event(Event::Sighted(sightings)),
            Report::Slice { complete } => {
                if complete {
                    self.board.metrics.scanned();
                }
                self.event(Event::ScanSlice { complete });
            }
            Report::ScanFailed(reason) => {
                tracing::warn!(reason, "the handoff directory could not be listed; trying again");
                self.event(Event::ScanFailed);
            }
            Report::Overflow => {
                self.board.metrics.overflowed();
                tracing::warn!("the kernel lost events; scanning the directory");
                self.event(Event::ScanWanted);
            }
            Report::NotTaken(name) => self.event(Event::NotTaken(name)),
            Report::Unsettled(sighting) => self.event(Event::Unsettled(sighting)),
            Report::Taken(name) => {
                self.no_space = NoSpace::default();
                self.event(Event::Taken(name));
            }
            Report::Held { seq } => {
                tracing::info!(seq, "taken, but a writer still holds it; waiting");
                self.event(Event::WriterOpen { seq });
            }
            Report::Judged(judged) => {
                self.on_judged(*judged);
            }
            Report::Vanished { seq, name } => {
                // Nobody but us works in taken/. Whoever removed it has taken the intent back.
                tracing::warn!(
                    seq,
                    file = name,
                    code = Code::Unreadable.id(),
                    "it vanished after it was taken"
                );
                self.event(Event::Vanished { seq });
            }
            Report::Left { name, code, reason } => warn_of_left(&name, code, &reason),
            Report::NoSpace => {
                self.no_space.found(monotonic());
                self.full_at = Some(self.places.path.clone());
                self.set_not_ready(NotReady::DiskFull, true);
            }
            Report::Gone(reason) => self.on_gone(&reason),
            Report::Replaced(names) => self.on_replaced(&names),
            Report::NoEvents(reason) => self.events_fail(reason),
            Report::EventsAgain => self.events_work(),
            Report::Failing(reason) => {
                let code = Code::DirectorySetup.id();
                tracing::error!(
                    code,
                    reason,
                    "the system refuses to let the intake wait; it goes on by the clock"
                );
                self.set_not_ready(NotReady::IntakeFailing, true);
            }
            Report::Working => {
                tracing::info!("the intake waits for events again");
                self.set_not_ready(NotReady::IntakeFailing, false);
            }
        }
    }

    /// Events cannot be had here: the directory is listed instead, soon enough for those who wait.
    pub(super) fn events_fail(&mut self, reason: String) {
        tracing::warn!(
            reason,
            "events do not work here; the directory is listed every 2s (--period auto) instead"
        );
        self.no_events = Some(reason);
        self.board.metrics.set_events(false);
    }

    fn events_work(&mut self) {
        tracing::info!("events work");
        self.no_events = None;
        self.board.metrics.set_events(true);
    }

    fn on_replaced(&mut self, names: &[String]) {
        if names.is_empty() {
            tracing::info!("processed/, failed/, status/ and .conductor/ are those opened at start again");
        } else {
            tracing::error!(
                directories = names.join(" "),
                "these names lead to other directories than at the start: nothing is taken or started until they lead back"
            );
        }
        self.set_parts_replaced(!names.is_empty());
    }

    pub(super) fn set_not_ready(&mut self, reason: NotReady, on: bool) {
        if !self.reasons.set(reason, on) {
            return;
        }
        match (reason, on) {
            (NotReady::DiskFull, true) => tracing::error!(
                code = Code::DiskFull.id(),
                at = self.full_at.as_ref().map(|at| at.display().to_string()),
                "disk full: taking nothing new until there is space"
            ),
            (NotReady::DiskFull, false) => tracing::info!("there is space again"),
            (NotReady::PorchMissing, true) => tracing::error!(
                code = Code::PorchMissing.id(),
                porch = self.outcomes.porch_path,
                "porch is gone: nothing is taken or started until it is back"
            ),
            (NotReady::PorchMissing, false) => tracing::info!("porch is back"),
            _ => {}
        }
        self.desk.set_not_ready(&self.reasons);
        self.board.set_not_ready(self.reasons.clone());
        self.executor.clerk.send(ToClerk::NotReady(self.reasons.clone()));
    }

    /// Between two listings, which may be far apart, and while nothing is listed: whether the directories are those of the start.
    pub(super) fn check_places(&self) {
        if self.stopping.is_none() && !self.gone {
            self.executor.intake.send(intake::Command::Check);
        }
    }

    /// How often the directory is to be listed as things are now.
    pub(super) fn keep_period(&mut self, config: &Config) {
        let left = self.book.left_count();
        self.board.metrics.set_left(left);
        let now = Circumstances { events: self.no_events.is_none(), something_left: left > 0 };
        self.desk.set_period(period(config, now));
    }
}

fn warn_of_left(file: &str, code: Code, reason: &str) {
    let (code, remedy) = (code.id(), code.remedy());
    tracing::warn!(file, code, reason, "left in the handoff directory, tried again at each scan: {remedy}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_for_space_double_up_to_a_bound() {
        let (mut no_space, mut now) = (NoSpace::default(), Duration::from_secs(100));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            no_space.found(now);
            assert!(no_space.holds(now));
            pauses.push(no_space.pause.as_secs());
            now = no_space.until;
            assert!(!no_space.holds(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
