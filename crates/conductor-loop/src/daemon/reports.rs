//! The intake's part of a turn of the loop: waits for its events, lets it work for a step, handles its reports, and
//! determines its part of readiness.

use super::intake_trouble::FAILURES_TOLD;
use super::no_space::NoSpace;
use super::session::Session;
use super::set_up::{Circumstances, period};
use crate::config::Config;
use crate::intake::Report;
use crate::writer::Command as ToWriter;
use conductor_core::fact::{DaemonFact, IntentFact, PlaceFact};
use conductor_core::ready::NotReady;
use conductor_core::scheduler::Event;
use conductor_os::monotonic;
use std::time::Duration;

/// The interval of looking for events when waiting for them fails.
const WAIT_PAUSE: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Waits for inputs and for events of the handoff directory. Returns whether events are to be looked at.
    pub(super) fn wait(&mut self, timeout: Duration) -> bool {
        match self.inbox.wait(self.executor.intake.events(), timeout) {
            Ok(hinted) => {
                if std::mem::take(&mut self.intake_trouble.waits) >= FAILURES_TOLD {
                    self.observe(DaemonFact::IntakeWorks);
                    self.tell_intake_trouble();
                }
                hinted
            }
            Err(error) => {
                self.intake_trouble.waits = self.intake_trouble.waits.saturating_add(1);
                if self.intake_trouble.waits == FAILURES_TOLD {
                    self.observe(DaemonFact::IntakeFails { reason: &format!("waiting for events: {error}") });
                    self.tell_intake_trouble();
                }
                self.inbox.wait_for_input(timeout.min(WAIT_PAUSE));
                true
            }
        }
    }

    /// Lets the intake work for one step, which ends early when inputs wait, and handles its reports.
    pub(super) fn work_on_files(&mut self, hinted: bool) {
        let began = monotonic();
        if hinted {
            self.executor.intake.on_hints();
        }
        let inbox = self.inbox;
        self.executor.intake.work(&|| !inbox.is_empty());
        let reports = self.executor.intake.reports();
        if reports.is_empty() {
            return;
        }
        for report in reports {
            self.on_report(report);
        }
        let took = monotonic().saturating_sub(began);
        self.observe(DaemonFact::Handled { input: "files", took });
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Sighted(sightings) => self.event(Event::Sighted(sightings)),
            Report::Slice { complete } => {
                if complete {
                    self.observe(DaemonFact::Scanned);
                }
                self.intake_trouble.listings = 0;
                self.tell_intake_trouble();
                self.event(Event::ScanSlice { complete });
            }
            Report::ScanFailed(reason) => {
                self.observe(DaemonFact::ScanFailed { reason: &reason });
                self.intake_trouble.listings = self.intake_trouble.listings.saturating_add(1);
                self.tell_intake_trouble();
                self.event(Event::ScanFailed);
            }
            Report::Overflow => {
                self.observe(DaemonFact::EventsLost);
                self.event(Event::ScanWanted);
            }
            Report::NotTaken(name) => self.event(Event::NotTaken(name)),
            Report::Unsettled(sighting) => self.event(Event::Unsettled(sighting)),
            Report::Taken(name) => {
                self.no_space = NoSpace::default();
                self.event(Event::Taken(name));
            }
            Report::Held { seq } => {
                self.observe(IntentFact::WriterHolds { seq });
                self.event(Event::StillOpen { seq });
            }
            Report::Judged(judged) => {
                self.on_judged(*judged);
            }
            Report::Vanished { seq, name } => {
                // Only we work in taken/. Removing a file there withdraws the intent.
                self.observe(IntentFact::Vanished { seq, file: &name });
                self.event(Event::Vanished { seq });
            }
            Report::Ignored { name } => self.observe(IntentFact::Ignored { file: &name }),
            Report::Left { name, code, reason } => {
                self.observe(IntentFact::Left { file: &name, code, reason: &reason });
            }
            Report::NoSpace => {
                self.no_space.found(monotonic());
                self.full_at = Some(self.places.path.clone());
                self.set_not_ready(NotReady::DiskFull, true);
            }
            Report::FilesWait(reason) => {
                self.observe(DaemonFact::FilesWait { reason: &reason });
                self.intake_trouble.files = true;
                self.tell_intake_trouble();
            }
            Report::FilesGoOn => {
                self.observe(DaemonFact::FilesGoOn);
                self.intake_trouble.files = false;
                self.tell_intake_trouble();
            }
            Report::Gone(reason) => self.on_gone(&reason),
            Report::Replaced(names) => self.on_replaced(&names),
            Report::NoEvents(reason) => self.events_fail(reason),
            Report::EventsAgain => self.events_work(),
        }
    }

    fn tell_intake_trouble(&mut self) {
        let failing = self.intake_trouble.is_failing();
        self.set_not_ready(NotReady::IntakeFailing, failing);
    }

    /// Events are unavailable here: the directory is listed instead, soon enough for waiting clients.
    pub(super) fn events_fail(&mut self, reason: String) {
        self.observe(DaemonFact::EventsFail { reason: &reason });
        self.no_events = Some(reason);
    }

    fn events_work(&mut self) {
        self.observe(DaemonFact::EventsWork);
        self.no_events = None;
    }

    fn on_replaced(&mut self, names: &[String]) {
        if names.is_empty() {
            self.observe(PlaceFact::PartsBack);
        } else {
            self.observe(PlaceFact::PartsReplaced { names });
        }
        self.set_parts_replaced(!names.is_empty());
    }

    pub(super) fn set_not_ready(&mut self, reason: NotReady, on: bool) {
        if !self.reasons.set(reason, on) {
            return;
        }
        if on {
            let at = match reason {
                NotReady::DiskFull => self.full_at.as_ref().map(|at| at.display().to_string()),
                NotReady::PorchMissing => Some(self.outcomes.porch_path.clone()),
                _ => None,
            };
            self.observe(DaemonFact::NotReady { reason, at: at.as_deref() });
        } else {
            self.in_flight.resume();
            self.observe(DaemonFact::ReadyAgain { reason });
        }
        self.scheduler.set_not_ready(&self.reasons);
        self.health.set_not_ready(self.reasons.clone());
        self.executor.writer.send(ToWriter::NotReady(self.reasons.clone()));
    }

    /// Requests a check, between listings and while none runs, that the directories are still those of the start.
    pub(super) fn check_places(&mut self) {
        if self.stopping.is_none() && !self.gone {
            self.executor.intake.check();
        }
    }

    /// Sets the current interval of listings.
    pub(super) fn keep_period(&mut self, config: &Config) {
        let left = self.book.left_count();
        self.health.metrics.set_left(left);
        let now = Circumstances { events: self.no_events.is_none(), something_left: left > 0 };
        self.scheduler.set_period(period(config, now));
    }
}
