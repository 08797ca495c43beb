//! One session of the daemon in one handoff directory: one loop that turns inputs into scheduler events and scheduler effects into commands,
//! until it is drained, stopped or has lost its directory.

use super::ask::Cancelling;
use super::audited::root48;
use super::executor::Executor;
use super::failure::Failure;
use super::fatal::Fatal;
use super::health::Health;
use super::in_flight::{Flights, InFlight};
use super::input::{Inbox, Input, Reload};
use super::intake_trouble::IntakeTrouble;
use super::kept::Kept;
use super::lookout::Lookout;
use super::no_space::NoSpace;
use super::observe::{Observer, observe};
use super::outcomes::Outcomes;
use super::questions::Questions;
use super::recover::Unrun;
use super::service_manager;
use super::set_up::retention;
use super::shared::Shared;
use super::surroundings::Surroundings;
use crate::config::Config;
use crate::control::Control;
use crate::handoff::{Handoff, StateFiles};
use crate::intake::Book;
use crate::runner::{Report, Stop};
use crate::telemetry::{Progress, Standing};
use crate::writer::{Ack, Again, Command as ToWriter, Full};
use conductor_core::fact::{DaemonFact, Fact, OperatorFact, PlaceFact};
use conductor_core::query::{Covers, Held};
use conductor_core::ready::{NotReady, Reasons};
use conductor_core::scheduler::{Event, Scheduler};
use conductor_core::{Code, Limits, Seq};
use conductor_os::dir::Dir;
use conductor_os::monotonic;
use conductor_os::stalled::end_stalled_starts;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Inputs handled before the scheduler is asked again.
const INPUTS_AT_ONCE: usize = 1_024;
const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// How long a program may take to be executed once running ones are sent TERM.
const STALLED_AT_STOP: Duration = Duration::from_secs(1);
pub(super) const SPACE_CHECK: Duration = Duration::from_secs(1);
/// How long unreadable bytes are a reason for not being ready, if no run tries them again.
const UNREAD_TOLD: Duration = Duration::from_secs(10);
/// Below this much free space no new file is taken: intents in flight need room for their records and files.
pub const FREE_BYTES_MIN: u64 = 4 << 20;
/// The minimum of free inodes.
pub const FREE_INODES_MIN: u64 = 64;

/// The end of a session.
pub(super) enum End {
    /// The backlog is finished, or a signal stopped the daemon.
    Finished,
    /// The handoff directory is missing; another session may begin when it is back.
    HandoffGone,
    /// With `-once`: the remaining intents wait for an external condition.
    Hindered { code: Code, message: String, remedy: &'static str },
}

pub(super) struct Session<'l> {
    pub(super) inbox: &'l Inbox,
    progress: &'l Progress,
    pub(super) scheduler: Scheduler,
    /// The daemon's knowledge of the intents that the scheduler decides about.
    pub(super) in_flight: Flights,
    pub(super) executor: Executor,
    pub(super) outcomes: Outcomes,
    pub(super) observer: Observer<'l>,
    /// Targets that an operator holds.
    pub(super) held: BTreeMap<Covers, Held>,
    /// The local socket; `None` if it cannot be made.
    _control: Option<Control>,
    /// The entries that the intake holds back.
    pub(super) book: Arc<Book>,
    pub(super) places: Handoff,
    /// The file system of the handoff directory.
    pub(super) device: u64,
    pub(super) kept: Kept,
    pub(super) health: Arc<Health>,
    pub(super) questions: Arc<Questions>,
    /// The reasons for not being ready.
    pub(super) reasons: Reasons,
    pub(super) surroundings: Surroundings,
    _lookout: Lookout,
    /// The time of the last progress, for a run with an end.
    pub(super) progress_at: Duration,
    pub(super) stopping: Option<Stopping>,
    pub(super) gone: bool,
    /// The missing part of the state, once that is known.
    pub(super) state_gone: Option<String>,
    pub(super) fatal: Option<Fatal>,
    pub(super) next_retention: Duration,
    next_space_check: Duration,
    writer_waits_for_space: bool,
    state: StateFiles,
    /// Operators who wait for the outcome of what they cancelled, by number.
    pub(super) cancelling: BTreeMap<Seq, Cancelling>,
    /// The place that has too little space.
    pub(super) full_at: Option<PathBuf>,
    /// Numbers of intents whose bytes could not be read back, and the time of the last try.
    pub(super) unread: BTreeMap<Seq, Duration>,
    pub(super) no_space: NoSpace,
    /// Why events do not work; `None`: they work.
    pub(super) no_events: Option<String>,
    pub(super) intake_trouble: IntakeTrouble,
}

pub(super) struct Stopping {
    /// The time at which running porches are sent TERM.
    pub(super) terminate_at: Duration,
    pub(super) told: bool,
    pub(super) signals: u32,
}

/// The parts of a session, once its threads run.
pub(super) struct SessionParts<'l> {
    pub(super) limits: Limits,
    pub(super) held: BTreeMap<Covers, Held>,
    pub(super) control: Option<Control>,
    pub(super) executor: Executor,
    pub(super) outcomes: Outcomes,
    pub(super) observer: Observer<'l>,
    pub(super) places: Handoff,
    pub(super) device: u64,
    pub(super) kept: Kept,
    pub(super) lookout: Lookout,
    pub(super) state: StateFiles,
}

impl<'l> Session<'l> {
    pub(super) fn new(parts: SessionParts<'l>, shared: &Shared<'l>) -> Self {
        let SessionParts {
            limits,
            held,
            control,
            executor,
            outcomes,
            observer,
            places,
            device,
            kept,
            lookout,
            state,
        } = parts;
        let now = monotonic();
        Self {
            inbox: shared.inbox,
            progress: shared.progress,
            held,
            _control: control,
            scheduler: Scheduler::new(limits, None),
            in_flight: Flights::default(),
            book: executor.intake.book(),
            executor,
            outcomes,
            observer,
            places,
            device,
            kept,
            state_gone: None,
            health: Arc::clone(shared.health),
            questions: Arc::clone(shared.questions),
            reasons: Reasons::from(NotReady::Starting),
            surroundings: Surroundings::default(),
            _lookout: lookout,
            progress_at: now,
            stopping: None,
            gone: false,
            fatal: None,
            next_retention: now,
            next_space_check: now,
            writer_waits_for_space: false,
            state,
            cancelling: BTreeMap::new(),
            full_at: None,
            unread: BTreeMap::new(),
            no_space: NoSpace::default(),
            no_events: None,
            intake_trouble: IntakeTrouble::default(),
        }
    }

    /// Observes a fact.
    pub(super) fn observe<'f>(&mut self, fact: impl Into<Fact<'f>>) {
        self.observer.observe(fact);
    }

    pub(super) fn say_ready(&mut self, config: &Config) {
        self.learn_of_events();
        tracing::info!(
            handoff = %self.places.path.display(), porch = self.outcomes.porch_path, mode = config.fixed.mode.as_str(),
            workers = config.fixed.workers, events = self.no_events.is_none(), "ready"
        );
    }

    /// Learns whether events work here, before readiness is reported.
    fn learn_of_events(&mut self) {
        self.health.metrics.set_events(true);
        if self.places.dirs.handoff.is_network_file_system() {
            self.events_fail(
                "a network or user-space file system does not report changes made elsewhere".to_owned(),
            );
        } else if let Some(reason) = self.executor.intake.no_events() {
            self.events_fail(reason.to_owned());
        }
    }

    /// Passes the findings of recovery to the scheduler, then starts it.
    pub(super) fn take_over(&mut self, recovered: super::recover::Recovered) {
        let to_publish = recovered.again.len() + recovered.given_up.len();
        let parked: usize = recovered.parked.values().map(Vec::len).sum();
        let found = (to_publish, recovered.claims.len() + parked, recovered.relook.len());
        if found != (0, 0, 0) {
            tracing::info!(
                to_publish = found.0,
                to_run = found.1,
                to_look_at = found.2,
                "continuing unfinished work"
            );
        }
        let (now, mut effects) = (monotonic(), Vec::new());
        for covers in self.held.keys() {
            self.scheduler.handle(now, Event::Hold(covers.clone()), &mut effects);
        }
        for Again { seq, .. } in &recovered.again {
            let entered = self.in_flight.enter(*seq, InFlight::Republishing);
            self.check(entered);
            self.scheduler.handle(now, Event::Recording { seq: *seq }, &mut effects);
        }
        self.executor.republish(recovered.again);
        for given_up in recovered.given_up {
            self.scheduler.handle(now, Event::Recording { seq: given_up.outcome.seq }, &mut effects);
            let settled = self.settle(given_up, None);
            self.check(settled);
        }
        for Unrun { claim, started, last } in recovered.claims {
            let admission = self.admit_stored(claim, started);
            self.scheduler.handle(now, Event::Recovered { admission, last }, &mut effects);
        }
        for (key, waiting) in recovered.parked {
            self.scheduler.handle(now, Event::Parked { key, waiting }, &mut effects);
        }
        self.scheduler.handle(now, Event::Relooking { count: recovered.relook.len() }, &mut effects);
        self.executor.intake.relook(recovered.relook);
        self.set_not_ready(NotReady::Starting, false);
        self.perform(effects);
    }

    pub(super) fn run(mut self, config: &mut Config, reload: Reload<'_>) -> Result<End, Failure> {
        loop {
            let now = monotonic();
            self.keep_time(now, config);
            self.keep_period(config);
            let mut effects = Vec::new();
            self.scheduler.advance(now, &mut effects);
            self.perform(effects);
            self.executor.writer.set_flush(self.scheduler.waits_for_disk());
            let (done, failed) = (self.observer.summary.total(), self.observer.summary.failed);
            self.progress.show(Standing {
                done,
                failed,
                waiting: self.scheduler.sighted() + self.scheduler.unfinished(),
                running: self.scheduler.running(),
            });
            if let Some(end) = self.end(config.fixed.once) {
                return self.close(end);
            }
            self.show(now);
            let timeout = self.patience(monotonic());
            let timeout = self.health.watchdog().map_or(timeout, |most| most.min(timeout));
            let hinted = self.wait(timeout);
            for input in self.inbox.try_iter().take(INPUTS_AT_ONCE) {
                self.take_in(input, config, reload);
            }
            self.work_on_files(hinted);
        }
    }

    fn show(&self, now: Duration) {
        self.health.turn(now);
        // An intent held next by a worker still waits.
        let running = self.scheduler.running();
        self.health.metrics.set_load(
            running,
            self.scheduler.unfinished().saturating_sub(running),
            self.scheduler.sighted(),
        );
    }

    fn patience(&self, now: Duration) -> Duration {
        let stop = self.stopping.as_ref().filter(|stop| !stop.told).map(|stop| stop.terminate_at);
        let due = self.next_space_check.min(self.next_retention);
        let files = self.executor.intake.patience(now).map(|patience| now + patience);
        let wake =
            [self.scheduler.wake_at(), stop, files].into_iter().flatten().min().map_or(due, |at| at.min(due));
        wake.saturating_sub(now)
    }

    /// Does all work that is due by the clock.
    fn keep_time(&mut self, now: Duration, config: &Config) {
        if now >= self.next_retention {
            self.next_retention = now + RETENTION_EVERY;
            self.executor.writer.send(ToWriter::Expire { retention: retention(config) });
        }
        if now >= self.next_space_check {
            self.next_space_check = now + SPACE_CHECK;
            self.look_at_space(now);
            // An intent whose start is no longer tried, because its target is held, says nothing about the store's
            // current state.
            self.unread.retain(|_, tried| now.saturating_sub(*tried) < UNREAD_TOLD);
            self.set_not_ready(NotReady::StoreUnreadable, !self.unread.is_empty());
            self.look_around();
            end_stalled_starts(match &self.stopping {
                Some(stopping) if stopping.told => STALLED_AT_STOP,
                _ => config.live.run.timeout,
            });
            self.look_after_state(now, config);
            self.check_places();
        }
        if let Some(stopping) = self.stopping.as_mut()
            && !stopping.told
            && now >= stopping.terminate_at
        {
            stopping.told = true;
            self.executor.stop_runs(Stop::Terminate);
            if self.reasons.contains(NotReady::DiskFull) {
                self.executor.writer.abandon();
            }
        }
    }

    /// Judges whether there is space for what is taken next.
    fn look_at_space(&mut self, now: Duration) {
        self.full_at = self.look_for_space();
        // A quota, or blocks reserved for root, show only in a failed write.
        let full = self.full_at.is_some() || self.writer_waits_for_space || self.no_space.holds(now);
        self.set_not_ready(NotReady::DiskFull, full);
    }

    /// The first place with less space than the intents in flight may need.
    fn look_for_space(&self) -> Option<PathBuf> {
        let lacks = |dir: &Dir| {
            dir.free_space().is_ok_and(|(bytes, inodes)| bytes < FREE_BYTES_MIN || inodes < FREE_INODES_MIN)
        };
        if let Ok((bytes, _)) = self.places.dirs.handoff.free_space() {
            self.health.metrics.set_free(bytes);
        }
        let places = [(&self.places.path, &self.places.dirs.handoff), (&self.state.path, &self.state.dir)];
        places.into_iter().find(|(_, dir)| lacks(dir)).map(|(path, _)| path.clone())
    }

    /// The end of the session, if it is over.
    fn end(&mut self, once: bool) -> Option<End> {
        let idle = self.scheduler.handed_out() == 0;
        let settled = || idle && !self.in_flight.any_recording();
        // Outcomes that cannot be written are not waited for: the next start writes them.
        let waits =
            [NotReady::DiskFull, NotReady::FilingWaits].iter().any(|&reason| self.reasons.contains(reason));
        let hopeless = |stop: &Stopping| stop.signals > 1 || (stop.told && waits);
        let impatient = idle && self.stopping.as_ref().is_some_and(hopeless);
        if self.fatal.is_some() && self.gone {
            // The intents in flight were lost with the directory.
            return Some(End::HandoffGone);
        }
        if self.fatal.is_some() || (self.stopping.is_some() && (impatient || settled())) {
            return Some(End::Finished);
        }
        if self.gone && settled() {
            return Some(End::HandoffGone);
        }
        if !once || self.stopping.is_some() {
            return None;
        }
        if self.scheduler.is_drained() {
            return Some(End::Finished);
        }
        if settled() || (idle && waits) { self.hindered() } else { None }
    }

    /// Ends all threads, each before the one that it feeds.
    fn close(mut self, end: End) -> Result<End, Failure> {
        self.executor.stop_runs(if self.fatal.is_some() { Stop::Kill } else { Stop::No });
        self.executor.writer.send(ToWriter::NotReady(NotReady::Stopped.into()));
        self.observe(DaemonFact::Stopped { well: self.fatal.is_none() });
        // No thread is left to wait for space: the next start repeats anything not durable now.
        self.executor.writer.abandon();
        self.executor.runner.join();
        self.executor.writer.stop();
        self.health.set_audit(None);
        // Answers, and a request to stop, that came after the last turn of the loop.
        let mut told_to_stop = self.stopping.is_some();
        for input in self.inbox.try_iter() {
            match input {
                Input::Writer(acks) => acks.into_iter().for_each(|ack| self.note_fatal(ack)),
                Input::Stop(_) => told_to_stop = true,
                _ => {}
            }
        }
        if let (Some(what), End::Finished) = (&self.state_gone, &end) {
            let what = what.clone();
            return Err(match self.kept.put_back() {
                Ok(became) => Failure::StateRestored { what, became },
                Err(cause) => Failure::StateGone { what, cause },
            });
        }
        match self.fatal {
            Some(fatal) if matches!(end, End::HandoffGone) => {
                let (code, message) = (fatal.code(), &fatal.to_string());
                observe(&self.health, PlaceFact::GivenUp { code, message });
                // The directory is not waited for when the daemon is to end.
                Ok(if told_to_stop { End::Finished } else { end })
            }
            Some(fatal) => Err(Failure::State(fatal)),
            None if told_to_stop => Ok(End::Finished),
            None => Ok(end),
        }
    }

    fn note_fatal(&mut self, ack: Ack) {
        if let Ack::Fatal(broken) = ack {
            self.fatal.get_or_insert(broken.into());
        }
    }

    fn take_in(&mut self, input: Input, config: &mut Config, reload: Reload<'_>) {
        let (name, began) = (input.name(), monotonic());
        self.handle(input, config, reload);
        let took = monotonic().saturating_sub(began);
        self.observe(DaemonFact::Handled { input: name, took });
    }

    fn handle(&mut self, input: Input, config: &mut Config, reload: Reload<'_>) {
        match input {
            Input::Writer(acks) => acks.into_iter().for_each(|ack| self.on_ack(ack)),
            Input::Worker(Report::Began { seq }) => self.on_began(seq),
            Input::Worker(Report::Ended(ended)) => self.on_ended(*ended),
            Input::Place(found) => self.on_place(*found),
            Input::Reload => self.reload(config, reload),
            Input::Stop(signal) => self.on_stop(signal, config),
            Input::Asked(ask) => self.answer(*ask),
        }
    }

    fn on_ack(&mut self, ack: Ack) {
        match ack {
            Ack::Claimed { seq, last } => self.on_claimed(seq, last),
            Ack::Reserved { seq } => self.event(Event::Reserved { seq }),
            Ack::Recalled { claim, started } => {
                let admission = self.admit_stored(*claim, started);
                self.event(Event::Recalled(admission));
            }
            Ack::Filed { seq, archived_as } => self.on_filed(seq, &archived_as),
            Ack::Republished(outcome) => self.on_filed_again(&outcome),
            Ack::Committed { took, records } => self.observe(DaemonFact::Committed { took, records }),
            Ack::DiskFull(full) => {
                self.writer_waits_for_space = full.is_some();
                let Some(full) = full else {
                    // What the writer had left found room, which may be the last.
                    return self.look_at_space(monotonic());
                };
                // From now on nothing is handed ahead.
                self.in_flight.call_back();
                self.full_at = Some(match full {
                    Full::State => self.state.path.clone(),
                    Full::Files => self.places.path.clone(),
                });
                self.set_not_ready(NotReady::DiskFull, true);
            }
            Ack::FilingWaits(waits) => self.set_not_ready(NotReady::FilingWaits, waits),
            Ack::Audited(head) => self.health.metrics.set_audit(head.size, root48(&head.root)),
            Ack::Retained(removed) => {
                self.observe(DaemonFact::Expired { removed });
            }
            fatal @ Ack::Fatal(_) => {
                self.note_fatal(fatal);
                self.set_not_ready(NotReady::StoreError, true);
            }
        }
    }

    fn on_stop(&mut self, signal: i32, config: &Config) {
        let name = conductor_core::outcome::signal_name(signal);
        if let Some(stopping) = self.stopping.as_mut() {
            stopping.signals += 1;
            stopping.told = true;
            self.observe(OperatorFact::StopAtOnce { signal: name });
            self.executor.stop_runs(Stop::Kill);
            self.executor.writer.abandon();
            return;
        }
        let running = self.scheduler.running();
        self.observe(OperatorFact::StopAsked { signal: name, running });
        service_manager::stopping();
        self.executor.stop_runs(Stop::Drain);
        self.stopping =
            Some(Stopping { terminate_at: monotonic() + config.live.run.grace, told: false, signals: 1 });
        self.set_not_ready(NotReady::Stopping, true);
    }
}
