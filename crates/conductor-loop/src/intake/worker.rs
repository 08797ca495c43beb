//! The thread of the intake. Every listing looks anew at everything: no earlier failure of an entry, a directory, events
//! or a call keeps it from being retried.

use super::book::{IGNORED_MAX, News, WithWriter};
use super::still_open::{Open, StillOpen};
use super::{Book, Command, Report, Settings, look};
use crate::handoff::TakenFiles;
use conductor_core::Code;
use conductor_core::name::{NameVerdict, TakenName, escaped};
use conductor_core::scheduler::{Fingerprint, Sighting};
use conductor_os::dir::{Dir, Kind, Lister, Meta};
use conductor_os::wake::{Waker, wait_readable};
use conductor_os::watch::{Hint, Watch};
use conductor_os::{is_passing, monotonic, wall_ns};
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// Names read in one slice of a scan: enough to sort the oldest first, small enough that a million waiting files
/// neither delay the first run nor fill memory.
const SLICE: usize = 4_096;
/// The polling interval when waiting for events fails.
const WAIT_PAUSE: Duration = Duration::from_millis(100);
/// Failures in a row before they are reported.
const WAIT_FAILURES: u32 = 5;
/// Sequence numbers tried for one file when taken/ already has a file of that number.
const NUMBERS_TRIED: u32 = 1_024;

/// Why a listing failed.
enum Trouble {
    /// The path no longer leads to the open handoff directory.
    Gone(String),
    /// The system refuses a call at the moment.
    Passing(io::Error),
}

/// The next read, in the order of requests, as memory has room for its bytes.
enum Next {
    Take { name: Box<[u8]>, expect: Option<Fingerprint> },
    Look(TakenName),
}

/// Whether memory had room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    None,
}

pub(super) struct Worker<R> {
    pub(super) settings: Settings,
    pub(super) watch: Option<Watch>,
    pub(super) waker: Waker,
    pub(super) commands: Receiver<Command>,
    pub(super) report: R,
    pub(super) book: Arc<Book>,
    lister: Option<Lister>,
    queue: VecDeque<Next>,
    still_open: StillOpen,
    replaced: Vec<String>,
    failures: u32,
    too_many_told: bool,
}

impl<R: Fn(Report)> Worker<R> {
    pub(super) fn new(
        settings: Settings,
        watch: Option<Watch>,
        waker: Waker,
        commands: Receiver<Command>,
        report: R,
    ) -> Self {
        let book = Arc::clone(&settings.book);
        Self {
            settings,
            watch,
            waker,
            commands,
            report,
            book,
            lister: None,
            queue: VecDeque::new(),
            still_open: StillOpen::default(),
            replaced: Vec::new(),
            failures: 0,
            too_many_told: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.perform(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.work_off();
            // One at a time, so that a command never waits for more than one reading.
            let now = monotonic();
            if let Some(open) = self.still_open.pop_due(now) {
                self.look_again(open, true);
            }
            let timeout = self.still_open.patience(now);
            let watch = self.watch.as_ref().map(AsFd::as_fd);
            match wait_readable([Some(self.waker.as_fd()), watch], timeout) {
                Ok([woken, hinted]) => {
                    self.waiting_works();
                    if woken {
                        self.waker.clear();
                    }
                    if hinted {
                        self.on_hints();
                    }
                }
                Err(error) => {
                    self.waiting_fails(&error);
                    match self.commands.recv_timeout(WAIT_PAUSE) {
                        Ok(command) => self.perform(command),
                        Err(RecvTimeoutError::Timeout) => self.on_hints(),
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }
        }
    }

    fn waiting_fails(&mut self, error: &io::Error) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == WAIT_FAILURES {
            (self.report)(Report::Failing(format!("waiting for events: {error}")));
        }
    }

    fn waiting_works(&mut self) {
        if std::mem::take(&mut self.failures) >= WAIT_FAILURES {
            (self.report)(Report::Working);
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Take(names) => {
                self.queue.extend(names.into_iter().map(|(name, expect)| Next::Take { name, expect }));
            }
            Command::Scan { restart } => self.scan(restart),
            Command::Check => {
                if let Err(Trouble::Gone(reason)) = self.check_places() {
                    (self.report)(Report::Gone(reason));
                }
            }
            Command::Relook(files) => self.queue.extend(files.into_iter().map(Next::Look)),
            Command::Apply(judging) => self.settings.judging = judging,
        }
    }

    fn on_hints(&mut self) {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let (mut overflow, mut gone) = (false, false);
        let drained = self.watch.as_ref().map_or(Ok(()), |watch| {
            watch.drain(|hint| match hint {
                Hint::Name(name) => names.push(name),
                Hint::Overflow => overflow = true,
                Hint::Gone => gone = true,
            })
        });
        names.dedup();
        self.sight_all(names);
        if let Err(error) = drained {
            self.watch = None;
            (self.report)(Report::NoEvents(format!("reading them failed: {error}")));
        }
        if overflow {
            (self.report)(Report::Overflow);
        }
        if gone {
            self.watch = None;
            (self.report)(Report::Gone("the handoff directory was moved, deleted or unmounted".to_owned()));
        }
    }

    fn sight_all(&mut self, names: Vec<Box<[u8]>>) {
        // One reading of the clock for all, so that the names of one slice keep the order of their ages.
        let wall = wall_ns();
        let sightings: Vec<Sighting> = names.into_iter().filter_map(|name| self.sight(name, wall)).collect();
        if !sightings.is_empty() {
            (self.report)(Report::Sighted(sightings));
        }
    }

    /// Makes a sighting from a name, for events and scans alike.
    fn sight(&mut self, name: Box<[u8]>, wall: i64) -> Option<Sighting> {
        if self.settings.names.judge(&name) == NameVerdict::Ignore {
            self.ignore(&name);
            return None;
        }
        match self.settings.handoff.stat(OsStr::from_bytes(&name)) {
            Ok(meta) => Some(sighting(name, &meta, wall)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.leave(&name, None, Code::NotTakeable, &error.to_string());
                None
            }
        }
    }

    /// Tells once of an entry that looks as if it were meant as an intent.
    fn ignore(&self, name: &[u8]) {
        if !self.settings.names.looks_meant(name) {
            return;
        }
        // An entry that is gone, or that nobody may look at, is nothing to tell of.
        let meta = self.settings.handoff.stat(OsStr::from_bytes(name));
        if meta.is_ok_and(|meta| self.book.ignore(name, meta.mtime_ns)) {
            (self.report)(Report::Ignored { name: escaped(name) });
        }
    }

    fn scan(&mut self, restart: bool) {
        match self.next_slice(restart) {
            Ok(complete) => (self.report)(Report::Slice { complete }),
            Err(Trouble::Gone(reason)) => (self.report)(Report::Gone(reason)),
            Err(Trouble::Passing(error)) => {
                self.lister = None;
                (self.report)(Report::ScanFailed(error.to_string()));
            }
        }
    }

    /// Reads one slice and reports its names. Returns true at the directory's end.
    fn next_slice(&mut self, restart: bool) -> Result<bool, Trouble> {
        if restart || self.lister.is_none() {
            self.check_places()?;
            // Before the listing, so that later arrivals are announced.
            self.arm_events();
            self.lister = Some(self.settings.handoff.lister().map_err(unlistable)?);
            self.book.begin_listing();
        }
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut ignored: Vec<Box<[u8]>> = Vec::new();
        let rule = &self.settings.names;
        let listed = self.lister.as_mut().map_or(Ok(true), |lister| {
            lister.slice(SLICE, |name| {
                if rule.judge(name) != NameVerdict::Ignore {
                    names.push(name.into());
                } else if rule.looks_meant(name) && ignored.len() < IGNORED_MAX {
                    ignored.push(name.into());
                }
            })
        });
        let complete = listed.map_err(unlistable)?;
        for name in &names {
            self.book.listed(name);
        }
        for name in &ignored {
            self.ignore(name);
        }
        if complete {
            self.lister = None;
            self.book.end_listing();
            self.too_many_told = false;
        }
        self.sight_all(names);
        Ok(complete)
    }

    /// Events that were unavailable may be available now.
    fn arm_events(&mut self) {
        if self.settings.events
            && self.watch.is_none()
            && let Ok(watch) = Watch::on(&*self.settings.handoff)
        {
            self.watch = Some(watch);
            (self.report)(Report::EventsAgain);
        }
    }

    /// Whether path and names still lead to the open directories (threat A02).
    fn check_places(&mut self) -> Result<(), Trouble> {
        let path = self.settings.path.display();
        let gone = |what: &str| Trouble::Gone(format!("the handoff directory {what}: {path}"));
        let look = |error: io::Error| {
            if is_passing(&error) { Trouble::Passing(error) } else { gone(&format!("is gone ({error})")) }
        };
        let own = self.settings.handoff.meta().map_err(look)?;
        let current = Dir::open(&self.settings.path).and_then(|dir| dir.meta()).map_err(look)?;
        if current.id != own.id {
            return Err(gone("was replaced by another"));
        }
        let mut replaced = Vec::new();
        for (name, dir) in &self.settings.places {
            let found = match self.settings.handoff.stat(name) {
                Ok(meta) => Some(meta.id),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(look(error)),
            };
            if found != Some(dir.meta().map_err(look)?.id) {
                replaced.push(name.clone());
            }
        }
        if replaced != self.replaced {
            self.replaced.clone_from(&replaced);
            (self.report)(Report::Replaced(replaced));
        }
        Ok(())
    }

    /// Takes and looks while memory has room. Strictly in order: a file that does not fit yet is waited for, so that a
    /// large file gets its turn and the small ones behind it too, since all bytes on their way return their room.
    fn work_off(&mut self) {
        while let Some(next) = self.queue.pop_front() {
            let room = match &next {
                Next::Take { name, expect } => self.take(name, *expect),
                Next::Look(taken) => self.look(taken),
            };
            if room == Room::None {
                self.queue.push_front(next);
                return;
            }
        }
    }

    fn take(&mut self, name: &[u8], expect: Option<Fingerprint>) -> Room {
        let meta = match self.settings.handoff.stat(OsStr::from_bytes(name)) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.not_there(name),
            Err(error) => return self.not_taken(name, None, Code::NotTakeable, &error.to_string()),
        };
        if meta.kind == Kind::Directory {
            return self.not_taken(name, Some(&meta), Code::DirectoryLeft, "it is a directory");
        }
        if expect.is_some_and(|expect| expect != look::fingerprint(&meta)) {
            return self.tell(Report::Unsettled(sighting(name.into(), &meta, wall_ns())));
        }
        if look::is_read(&self.settings, &meta) && !self.settings.budget.has_room(meta.size) {
            return Room::None;
        }
        match self.rename_in(name) {
            Ok(taken) => {
                self.book.forget(name);
                (self.report)(Report::Taken(name.into()));
                if self.look(&taken) == Room::None {
                    // It has grown since; it is taken and comes next.
                    self.queue.push_front(Next::Look(taken));
                }
                Room::Enough
            }
            Err(error) if conductor_os::is_no_space(&error) => {
                (self.report)(Report::NoSpace);
                self.tell(Report::NotTaken(name.into()))
            }
            // Either the file or its destination directory is gone.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.settings.handoff.stat(OsStr::from_bytes(name)).is_err() =>
            {
                self.not_there(name)
            }
            Err(error) => self.not_taken(name, Some(&meta), Code::NotTakeable, &error.to_string()),
        }
    }

    /// Sends a report that needs no room.
    fn tell(&self, report: Report) -> Room {
        (self.report)(report);
        Room::Enough
    }

    fn not_there(&self, name: &[u8]) -> Room {
        self.book.forget(name);
        self.tell(Report::NotTaken(name.into()))
    }

    fn not_taken(&mut self, name: &[u8], meta: Option<&Meta>, code: Code, reason: &str) -> Room {
        self.leave(name, meta, code, reason);
        self.tell(Report::NotTaken(name.into()))
    }

    /// Moves a file into taken/ under the next number that is free there.
    fn rename_in(&mut self, name: &[u8]) -> io::Result<TakenName> {
        let mut tried = 0;
        loop {
            let taken = TakenName { seq: self.settings.next_seq, raw: name.into() };
            match self.settings.taken.take(&self.settings.handoff, &taken) {
                Ok(()) => {
                    self.settings.next_seq = self.settings.next_seq.next();
                    return Ok(taken);
                }
                // A number that any entry already has is not used for another.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NUMBERS_TRIED => {
                    self.settings.next_seq = self.settings.next_seq.next();
                    tried += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn leave(&mut self, name: &[u8], meta: Option<&Meta>, code: Code, reason: &str) {
        let seen_as = meta.map_or((0, 0, 0), |meta| (meta.id.0, meta.id.1, meta.ctime_ns));
        let mtime_ns = meta.map_or(0, |meta| meta.mtime_ns);
        let shown = match self.book.leave(name, seen_as, mtime_ns, (code, reason)) {
            News::Known => return,
            News::New => escaped(name),
            News::TooMany if self.too_many_told => return,
            News::TooMany => {
                self.too_many_told = true;
                "more entries than can be named".to_owned()
            }
        };
        (self.report)(Report::Left { name: shown, code, reason: reason.to_owned() });
    }

    /// Looks at a file that was just taken.
    fn look(&mut self, taken: &TakenName) -> Room {
        let looked = look::look(&self.settings, taken, look::Patience::First);
        let room = self.looked(taken, monotonic(), looked);
        if let Some(surplus) = self.still_open.pop_surplus() {
            self.look_again(surplus, false);
        }
        room
    }

    /// Looks again at a file that a writer had open; without patience, or at its end, the file is judged as it is.
    fn look_again(&mut self, open: Open, patient: bool) {
        let waited = monotonic().saturating_sub(open.since);
        let patience = if patient && waited < self.settings.judging.hold_max {
            look::Patience::Again(open.seen)
        } else {
            look::Patience::None
        };
        let looked = look::look(&self.settings, &open.taken, patience);
        if self.looked(&open.taken, open.since, looked) == Room::None {
            self.still_open.wait(monotonic(), open);
        }
    }

    fn looked(&mut self, taken: &TakenName, since: Duration, looked: look::Looked) -> Room {
        let seq = taken.seq;
        match looked {
            look::Looked::NoRoom => return Room::None,
            look::Looked::Held(meta) => {
                if !self.book.is_waiting(seq) {
                    let name = taken.raw.clone();
                    self.book.wait_for_writer(WithWriter { seq, name, mtime_ns: meta.mtime_ns });
                    (self.report)(Report::Held { seq });
                }
                let (taken, seen) = (taken.clone(), look::fingerprint(&meta));
                self.still_open.wait(monotonic(), Open { taken, uid: meta.uid, since, seen });
            }
            look::Looked::Judged(judged) => {
                self.book.judged(seq);
                (self.report)(Report::Judged(judged));
            }
            look::Looked::Gone => {
                self.book.judged(seq);
                let name = escaped(&taken.raw);
                (self.report)(Report::Vanished { seq, name });
            }
        }
        Room::Enough
    }
}

fn unlistable(error: io::Error) -> Trouble {
    if is_passing(&error) {
        Trouble::Passing(error)
    } else {
        Trouble::Gone(format!("the handoff directory cannot be read: {error}"))
    }
}

fn sighting(name: Box<[u8]>, meta: &Meta, wall: i64) -> Sighting {
    // ctime, because producers cannot set it: a file with an old mtime that was just moved in is young.
    let age = u64::try_from(wall.saturating_sub(meta.ctime_ns)).unwrap_or(0);
    Sighting { name, fingerprint: look::fingerprint(meta), age: Duration::from_nanos(age) }
}
