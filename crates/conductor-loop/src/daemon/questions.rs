//! Answers questions while the daemon runs. They come on other threads (local socket, endpoints); the loop's own
//! knowledge is requested as one more input, the rest is read from the store beside it.

use super::ask::{Ask, Cancel, Durable, Load, Purge, Reply};
use super::backup_sources::BackUp;
use super::health::Health;
use super::input::{Input, Inputs};
use super::observe::observe;
use crate::admin::View;
use crate::queries::{Found, Lined, Queries, Selector, Unfinished, finished_row, store_refused};
use crate::store::Ledger;
use crate::telemetry::{log_lines, open_metrics};
use conductor_core::fact::OperatorFact;
use conductor_core::intent::TargetKey;
use conductor_core::name::Names;
use conductor_core::query::{
    Answer, Covers, EVERYTHING, Held, LATELY, Pulse, Purged, Question, ROWS_MAX, RefusalKind, Refused,
    Selection, StatusReport,
};
use conductor_crypto::VerifyingKey;
use conductor_os::dir::Dir;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

/// The time limit of the loop's answer; it answers between two inputs, so this is far above what it needs.
const LOOP_PATIENCE: Duration = Duration::from_secs(2);
/// How often a thread that waits for the loop checks whether the loop has ended.
const LOOK_UP: Duration = Duration::from_millis(50);
/// The time limit for a hold to become durable.
const DURABLE_PATIENCE: Duration = Duration::from_secs(10);

/// How often the failures of the last hour are counted anew.
const COUNTED_ANEW: Duration = Duration::from_secs(10);

/// The interval at which readers of an ended session's store are looked for.
const STILL_READING: Duration = Duration::from_millis(2);

/// The values of one session.
pub(super) struct Current {
    pub(super) store: Arc<dyn Ledger>,
    pub(super) handoff: Arc<Dir>,
    /// The keys that have signed for the state.
    pub(super) public: io::Result<Vec<VerifyingKey>>,
    /// The names of intents.
    pub(super) names: Names,
    /// The parts of a status report that do not change.
    pub(super) facts: StatusReport,
    /// What backups are made of, if any are.
    pub(super) back_up: Option<BackUp>,
}

/// The origin of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A client over the network: it may look, but change nothing.
    Network,
    /// This user of the machine, attested by the kernel.
    User(u32),
}

impl Asker {
    /// The user id; a question over the network is refused.
    fn user(self) -> Result<u32, Refused> {
        match self {
            Self::User(uid) => Ok(uid),
            Self::Network => {
                let text = "over the network nothing can be changed, and no log is shown";
                Err(Refused::new(RefusalKind::NotPermitted, text, "Use the command on the machine."))
            }
        }
    }
}

/// Answers questions from all threads.
pub(super) struct Questions {
    inputs: Inputs,
    pub(super) health: Arc<Health>,
    current: RwLock<Option<Arc<Current>>>,
    lately: Mutex<Option<Lately>>,
    /// The URLs that are served, once they are.
    endpoints: OnceLock<Vec<String>>,
    /// One backup at a time.
    pub(super) backing_up: Mutex<()>,
    /// The settings in force, a line each.
    pub(super) settings: Mutex<String>,
}

/// Failures as they were last counted.
#[derive(Debug, Clone, Copy)]
struct Lately {
    at: Instant,
    /// All of them.
    failed: u64,
    /// Those of the hour before `at`.
    last_hour: u64,
}

impl Questions {
    pub(super) fn new(inputs: Inputs, health: Arc<Health>) -> Self {
        Self {
            inputs,
            health,
            current: RwLock::new(None),
            lately: Mutex::new(None),
            endpoints: OnceLock::new(),
            backing_up: Mutex::default(),
            settings: Mutex::default(),
        }
    }

    /// Sets the URLs that are served; they stay the same as long as the process lives.
    pub(super) fn set_endpoints(&self, urls: Vec<String>) {
        self.endpoints.get_or_init(|| urls);
    }

    /// Sets the current session, at its beginning or end; on return no thread reads the store of the last one.
    pub(super) fn set_current(&self, current: Option<Current>) {
        let mut place = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *place, current.map(Arc::new));
        drop(place);
        while last.as_ref().is_some_and(|last| Arc::strong_count(last) > 1) {
            std::thread::sleep(STILL_READING); // Readers announce nothing; each has its own time limit.
        }
    }

    /// Sets the settings in force, at the beginning and after each reload.
    pub(super) fn set_settings(&self, lines: String) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }

    pub(super) fn current(&self) -> Result<Arc<Current>, Refused> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        current.ok_or_else(|| busy("the daemon is starting, or waits for its directory"))
    }

    /// Whether this is still the session.
    pub(super) fn is_current(&self, session: &Weak<Current>) -> bool {
        self.current().is_ok_and(|now| std::ptr::eq(Arc::as_ptr(&now), session.as_ptr()))
    }

    fn observe(&self, fact: OperatorFact<'_>) {
        observe(&self.health, fact);
    }

    /// A user who may not ask was refused.
    pub(super) fn asker_refused(&self, uid: u32) {
        self.observe(OperatorFact::AskerRefused { uid });
    }

    /// Answers a question of this asker, until `is_wanted` is false.
    pub(super) fn answer(&self, question: Question, asker: Asker, is_wanted: &dyn Fn() -> bool) -> Answer {
        self.try_answer(question, asker, is_wanted).unwrap_or_else(Answer::Refused)
    }

    fn try_answer(
        &self,
        question: Question,
        asker: Asker,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Answer, Refused> {
        let current = self.current()?;
        let session = Arc::downgrade(&current);
        // A session that ends waits for its readers.
        let is_wanted = &|| is_wanted() && self.is_current(&session);
        let Current { handoff, public, names, .. } = &*current;
        let store = &*current.store;
        let porch_path = current.facts.porch_path.as_str();
        let sources = Queries { store, handoff, public, names, porch_path, unfinished: self, is_wanted };
        Ok(match question {
            Question::Status => Answer::Status(Box::new(self.status(&current, &sources)?)),
            Question::List(selection) => Answer::List(sources.list(&selection)?),
            Question::Show { of } => Answer::Show(Box::new(sources.show(&of)?)),
            Question::Explain { of } => Answer::Explain(Box::new(sources.explain(&of)?)),
            Question::Hold { target, note } => self.hold(&current, &target, &note, asker.user()?)?,
            Question::Release { target } => self.release(&current, &target, asker.user()?)?,
            Question::Cancel { of } => self.cancel(&current, &sources, &of, asker.user()?)?,
            Question::Purge { before, really } => {
                let uid = asker.user()?;
                let purged = sources.would_purge(before)?;
                if really {
                    let purge = Purge { before, outcomes: purged.outcomes, uid };
                    self.ask(|reply| Ask::Purge(purge, reply))?;
                }
                Answer::Purged(Purged { really, ..purged })
            }
            // It holds no session beyond the copying of the state.
            Question::Export { from } => {
                asker.user()?;
                Answer::Exported(sources.exported(from)?)
            }
            Question::Backup => {
                drop(current);
                // It is made to its end also where the one who asked has gone.
                self.back_up(Some(asker.user()?))?
            }
            Question::Logs { after, most } => {
                asker.user()?;
                Answer::Logs(log_lines(after, most))
            }
        })
    }

    fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Refused> {
        let (reply, answer) = bounded(1);
        let sent = self.inputs.send(Input::Asked(Box::new(ask(Reply(reply)))));
        let told = sent.ok().and_then(|()| self.answered(&answer));
        told.ok_or_else(|| busy("the daemon's loop did not answer in time"))
    }

    /// The loop's answer within the time limit; `None` as soon as the loop has ended.
    fn answered<T>(&self, answer: &Receiver<T>) -> Option<T> {
        let until = Instant::now() + LOOP_PATIENCE;
        loop {
            match answer.recv_timeout(LOOK_UP) {
                Err(RecvTimeoutError::Timeout) if Instant::now() < until && self.current().is_ok() => {}
                told => return told.ok(),
            }
        }
    }

    fn load(&self) -> Result<Load, Refused> {
        self.ask(Ask::Load)
    }

    fn status(&self, current: &Current, sources: &Queries<'_>) -> Result<StatusReport, Refused> {
        let load = self.load()?;
        let not_ready = self.health.not_ready();
        let counts = current.store.counts().map_err(|error| store_refused(&error))?;
        let age = |taken: jiff::Timestamp| jiff::Timestamp::now().duration_since(taken).as_secs();
        Ok(StatusReport {
            ready: not_ready.is_empty(),
            not_ready,
            not_ready_since: self.health.not_ready_since(),
            no_events: load.no_events,
            left: load.left,
            sighted: load.sighted,
            waiting: load.waiting,
            oldest_waiting_s: load.oldest_waiting.map(|taken| u64::try_from(age(taken)).unwrap_or(0)),
            active: load.active,
            processed: counts.processed,
            duplicates: counts.duplicates,
            failed: counts.failed,
            failed_last_hour: self.failed_last_hour(sources, counts.failed)?,
            last_seq: current.store.last_seq().map_err(|error| store_refused(&error))?,
            held: load.held,
            endpoints: self.endpoints.get().cloned().unwrap_or_default(),
            free_bytes: current.handoff.free_space().ok().map(|(bytes, _)| bytes),
            ..current.facts.clone()
        })
    }

    /// The failures of the last hour. They are counted anew now and then, because the status is asked for each second; in
    /// between, those that came are added.
    fn failed_last_hour(&self, sources: &Queries<'_>, failed: u64) -> Result<u64, Refused> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = lately.filter(|last| last.at.elapsed() < COUNTED_ANEW && last.failed <= failed) {
            return Ok((last.last_hour + failed - last.failed).min(ROWS_MAX as u64));
        }
        let last_hour = sources.failed_since(jiff::Timestamp::now() - LATELY)?;
        *lately = Some(Lately { at: Instant::now(), failed, last_hour });
        Ok(last_hour)
    }

    /// `NAMESPACE/TARGET` for an operator's word: as written, or the one known target of that name.
    fn target(&self, current: &Current, text: &str) -> Result<TargetKey, Refused> {
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        let target = Some(text.to_owned());
        let selection = Selection { target, by_target: true, most: usize::MAX, ..Selection::default() };
        let unfinished = self.rows(&selection)?.first.into_iter().filter_map(|row| row.target);
        let known = current.store.targets_named(text).map_err(|error| store_refused(&error))?;
        let is_named = |target: &String| TargetKey::is_named_in(target, text);
        let held = self.load()?.held.into_iter().map(|held| held.target).filter(is_named);
        let mut candidates: Vec<String> = unfinished.chain(known).chain(held).collect();
        candidates.sort_unstable();
        candidates.dedup();
        match candidates.as_slice() {
            [one] => self.target(current, &one.clone()),
            [] => Err(Refused::new(
                RefusalKind::NotFound,
                format!("no target named '{text}' is known"),
                "Write NAMESPACE/TARGET.",
            )),
            several => Err(Refused::new(
                RefusalKind::Ambiguous,
                format!("'{text}' is in several namespaces: {}", several.join(", ")),
                "Write NAMESPACE/TARGET.",
            )),
        }
    }

    fn covers(&self, current: &Current, text: &str) -> Result<Covers, Refused> {
        if text == EVERYTHING {
            Ok(Covers::Everything)
        } else {
            self.target(current, text).map(Covers::Target)
        }
    }

    fn hold(&self, current: &Current, text: &str, note: &str, uid: u32) -> Result<Answer, Refused> {
        let target = self.covers(current, text)?.to_string();
        let note = conductor_core::scrub::line(note, 200);
        let held = Held { target, since: jiff::Timestamp::now(), uid, note };
        wait_for(&self.ask(|reply| Ask::Hold(held.clone(), reply))??)?;
        self.observe(OperatorFact::Held { held: &held });
        Ok(Answer::Held(held))
    }

    fn cancel(
        &self,
        current: &Current,
        sources: &Queries<'_>,
        of: &str,
        uid: u32,
    ) -> Result<Answer, Refused> {
        let (claim, started) = sources.cancellable(of)?;
        let seq = claim.seq;
        wait_for(&self.ask(|reply| Ask::Cancel(Box::new(Cancel { claim, started, uid }), reply))??)?;
        let outcome = current.store.outcome(seq).map_err(|error| store_refused(&error))?;
        let row = outcome.map(|outcome| finished_row(&outcome));
        row.map(|row| Answer::Cancelled(Box::new(row)))
            .ok_or_else(|| busy("its outcome is just being removed"))
    }

    fn release(&self, current: &Current, text: &str, uid: u32) -> Result<Answer, Refused> {
        let covers = self.covers(current, text)?;
        wait_for(&self.ask(|reply| Ask::Release(covers.clone(), uid, reply))??)?;
        self.observe(OperatorFact::Released { covers: &covers, uid });
        Ok(Answer::Released { target: covers.to_string() })
    }
}

fn wait_for(durable: &Durable) -> Result<(), Refused> {
    durable.0.recv_timeout(DURABLE_PATIENCE).map_err(|_| busy("it could not be made durable in time"))
}

pub(super) fn busy(text: &str) -> Refused {
    Refused::new(RefusalKind::Busy, text, "Ask again; `conductor-loop health` says whether the loop turns.")
}

impl Unfinished for Questions {
    fn rows(&self, selection: &Selection) -> Result<Lined, Refused> {
        self.ask(|reply| Ask::Rows(selection.clone(), reply))
    }

    fn find(&self, subject: &Selector) -> Result<Option<Found>, Refused> {
        self.ask(|reply| Ask::Find(subject.clone(), reply))
    }

    fn hold_on(&self, target: &str) -> Result<Option<Held>, Refused> {
        self.ask(|reply| Ask::HoldOn(target.to_owned(), reply))
    }
}

impl View for Questions {
    fn is_alive(&self) -> bool {
        self.health.is_alive()
    }

    fn not_ready(&self) -> Vec<String> {
        self.health.not_ready()
    }

    fn metrics(&self) -> String {
        // A loop that does not answer shows in the other metrics.
        if let Ok(load) = self.load() {
            self.health.metrics.set_asked(load.oldest_waiting, load.held.len());
        }
        self.health.metrics.text()
    }

    fn answer(&self, question: Question, is_wanted: &dyn Fn() -> bool) -> Answer {
        Questions::answer(self, question, Asker::Network, is_wanted)
    }

    fn open_metrics(&self) -> String {
        open_metrics(&self.metrics())
    }

    fn token_refused(&self) {
        self.observe(OperatorFact::TokenRefused);
    }

    fn pulse(&self) -> Pulse {
        self.health.metrics.pulse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Work;
    use crate::store::memory::Memory;
    use crate::telemetry::Metrics;
    use conductor_core::Seq;
    use conductor_core::query::State;
    use conductor_core::record::{Outcome, Status};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The questions about a store with nine failures of just now, in a session.
    fn session() -> (Questions, tempfile::TempDir) {
        let (inputs, _loop) = crate::daemon::input::inputs().unwrap();
        let questions = Questions::new(inputs, Arc::new(Health::new(Metrics::new(None).unwrap())));
        let store = Memory::default();
        let failure = |seq| Outcome {
            status: Status::Failed,
            ..Outcome::blank(Seq(seq), "intent-a.json", jiff::Timestamp::now())
        };
        let outcomes: Vec<Outcome> = (1..=9).map(failure).collect();
        store.commit(&Work { imported: outcomes.iter().collect(), ..Work::default() }).unwrap();
        let temp = tempfile::tempdir().unwrap();
        questions.set_current(Some(Current {
            store: Arc::new(store),
            handoff: Arc::new(Dir::open(temp.path()).unwrap()),
            public: Ok(Vec::new()),
            names: Names::default(),
            facts: StatusReport::default(),
            back_up: None,
        }));
        (questions, temp)
    }

    #[test]
    fn what_was_counted_for_a_client_that_has_gone_is_told_to_nobody() {
        let (questions, _temp) = session();
        let current = questions.current().unwrap();
        let counted = |is_wanted: &dyn Fn() -> bool| {
            let Current { store, handoff, public, names, .. } = &*current;
            let (store, porch_path) = (&**store, "porch");
            let sources =
                Queries { store, handoff, public, names, porch_path, unfinished: &questions, is_wanted };
            questions.failed_last_hour(&sources, 9)
        };
        let looked = AtomicUsize::new(0);
        let gone = counted(&|| looked.fetch_add(1, Ordering::Relaxed) < 3);
        assert_eq!((gone.map_err(|why| why.kind), looked.into_inner()), (Err(RefusalKind::Busy), 4));
        assert_eq!(counted(&|| true).unwrap(), 9);
    }

    #[test]
    fn a_list_keeps_no_stop_waiting_and_what_was_read_of_it_is_no_answer() {
        let (questions, _temp) = session();
        let (begun, looked) = (bounded(1), AtomicUsize::new(0));
        // After the first row it goes on when the daemon is to stop.
        let is_wanted = || {
            looked.fetch_add(1, Ordering::Relaxed);
            let _ = begun.0.try_send(()); // It was told at the first row.
            while questions.current().is_ok() {
                std::thread::yield_now();
            }
            true
        };
        let finished = Selection { states: vec![State::Done, State::Failed], ..Selection::default() };
        std::thread::scope(|scope| {
            let list = || questions.answer(Question::List(finished), Asker::User(0), &is_wanted);
            let asked = scope.spawn(list);
            begun.1.recv().unwrap();
            questions.set_current(None);
            let answer = asked.join().unwrap();
            assert!(matches!(&answer, Answer::Refused(why) if why.kind == RefusalKind::Busy), "{answer:?}");
        });
        assert_eq!(looked.into_inner(), 1, "it ends at the row it is at");
    }
}
