//! The way in: inotify as a hint, a scan as the truth, take by rename, then look and judge. One thread; it decides
//! nothing about order or time, it does what the desk asks and reports what it sees.

mod look;

use crate::sys::dir::{Dir, Kind, Lister, Meta};
use crate::sys::payload::{Budget, Payload};
use crate::sys::taken::TakenFiles;
use crate::sys::wake::{Waker, wait_readable};
use crate::sys::watch::{Hint, Watch};
use crate::sys::{monotonic, wall_ns};
use conductor_core::desk::{Fingerprint, Sighting};
use conductor_core::intent::{Policy, Refusal};
use conductor_core::name::{NameVerdict, TakenName, judge};
use conductor_core::record::Claim;
use conductor_core::{Code, Digest};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Names read in one slice of a scan: enough to sort the oldest first, small enough that a million waiting files
/// neither delay the first run nor fill memory.
const SLICE: usize = 4_096;
/// How often a file that a writer still holds is looked at.
const HOLD_POLL: Duration = Duration::from_millis(20);
/// Entries remembered as "left where it is, reported once".
const LEFT_MAX: usize = 4_096;

/// What the intake needs to know.
pub struct Settings {
    /// The handoff directory.
    pub handoff: Arc<Dir>,
    /// Its path, to notice that it was replaced.
    pub path: PathBuf,
    /// Sub-directories whose identity is checked, by name.
    pub places: Vec<(String, Arc<Dir>)>,
    /// Where taken files go.
    pub taken: Arc<Dir>,
    /// Largest file that is read.
    pub max_file_size: u64,
    /// What the operator allows.
    pub policy: Policy,
    /// How long a file that a writer still holds may wait, taken and not judged.
    pub hold_max: Duration,
    /// Whether to use events at all (not on network file systems).
    pub events: bool,
    /// The first unused sequence number.
    pub next_seq: u64,
    /// What may be in memory: while it is used up, files stay where they are.
    pub budget: Arc<Budget>,
}

/// What the desk asks for.
#[derive(Debug)]
pub enum Command {
    /// Take these names, if they still look like this.
    Take(Vec<(Box<[u8]>, Option<Fingerprint>)>),
    /// Begin a scan, or deliver its next slice.
    Scan {
        /// Whether to begin anew.
        restart: bool,
    },
    /// Look again at files that an earlier daemon had taken.
    Relook(Vec<TakenName>),
    /// Settings that may change while running.
    Reconfigure {
        /// Largest file that is read.
        max_file_size: u64,
        /// What the operator allows.
        policy: Policy,
    },
}

/// What is reported.
#[derive(Debug)]
pub enum Report {
    /// Names were seen.
    Sighted(Vec<Sighting>),
    /// A slice of the scan is complete; `complete`: it was the last one.
    Slice {
        /// Whether the directory's end was reached.
        complete: bool,
    },
    /// The kernel lost events.
    Overflow,
    /// A name asked for is gone or cannot be taken.
    NotTaken(Box<[u8]>),
    /// A name asked for changed meanwhile.
    Unsettled(Sighting),
    /// A name was taken.
    Taken(Box<[u8]>),
    /// A taken file is held by a writer and waits.
    Held {
        /// Sequence number.
        seq: u64,
    },
    /// A taken file was judged.
    Judged(Box<Judged>),
    /// An entry is left where it is; reported once.
    Left {
        /// Its name, escaped.
        name: String,
        /// Why.
        code: Code,
        /// The system's words.
        reason: String,
    },
    /// There is no room to take.
    NoSpace,
    /// The handoff directory is gone or another one.
    Gone(String),
    /// A sub-directory's name leads elsewhere now.
    Replaced(String),
    /// Events do not work here; scans must do.
    NoEvents(String),
}

/// A judged file.
#[derive(Debug)]
pub struct Judged {
    /// Its sequence number and raw name.
    pub taken: TakenName,
    /// The name to file it under.
    pub name: String,
    /// What lstat said.
    pub meta: Meta,
    /// The verdict.
    pub verdict: Verdict,
}

/// Accepted or refused.
#[derive(Debug)]
pub enum Verdict {
    /// To be claimed and run.
    Accepted {
        /// The record to make durable.
        claim: Box<Claim>,
        /// Exactly the bytes that were judged.
        bytes: Payload,
    },
    /// To be filed as failed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The bytes, where they were read.
        bytes: Option<(Payload, Digest)>,
        /// The intent's own correlation id, where it can be read.
        correlation_id: Option<String>,
    },
}

/// The running intake.
pub struct Intake {
    commands: Option<Sender<Command>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Intake {
    /// Arms the watch and starts the thread. The first scan is the desk's to ask for, after this.
    pub fn start(settings: Settings, report: impl Fn(Report) + Send + 'static) -> io::Result<Self> {
        let (commands, receiver) = crossbeam_channel::unbounded();
        let waker = Waker::new()?;
        settings.budget.wakes(waker.clone());
        let mut watch = None;
        if settings.events {
            match Watch::on(&*settings.handoff) {
                Ok(armed) => watch = Some(armed),
                Err(error) => report(Report::NoEvents(error.to_string())),
            }
        }
        let worker = Worker {
            settings,
            watch,
            waker: waker.clone(),
            commands: receiver,
            report,
            lister: None,
            left: HashSet::new(),
            held: Vec::new(),
            queue: VecDeque::new(),
            replaced: HashSet::new(),
        };
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn(move || worker.run())?;
        Ok(Self { commands: Some(commands), waker, thread: Some(thread) })
    }

    /// Sends a command. The queue is bounded by the desk's windows.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // Fails only when the thread is gone, which its own report has said.
            let _ = commands.send(command);
            self.waker.wake();
        }
    }

    /// Ends the thread; files that are held stay in taken/ for the next start.
    pub fn stop(&mut self) {
        self.commands = None;
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Held {
    taken: TakenName,
    since: Duration,
}

/// What is read next, in the order in which it was asked for, as there is room for its bytes.
enum Next {
    Take { name: Box<[u8]>, expect: Option<Fingerprint> },
    Look(TakenName),
}

/// Whether there was room in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    None,
}

struct Worker<R> {
    settings: Settings,
    watch: Option<Watch>,
    waker: Waker,
    commands: Receiver<Command>,
    report: R,
    lister: Option<Lister>,
    left: HashSet<(u64, u64)>,
    held: Vec<Held>,
    queue: VecDeque<Next>,
    replaced: HashSet<String>,
}

impl<R: Fn(Report)> Worker<R> {
    fn run(mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.perform(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.work_off();
            self.look_at_held();
            let timeout = (!self.held.is_empty()).then_some(HOLD_POLL);
            let watch = self.watch.as_ref().map(AsFd::as_fd);
            match wait_readable([Some(self.waker.as_fd()), watch], timeout) {
                Ok([woken, hinted]) => {
                    if woken {
                        self.waker.clear();
                    }
                    if hinted {
                        self.on_hints();
                    }
                }
                Err(error) => {
                    return (self.report)(Report::Gone(format!("waiting for events failed: {error}")));
                }
            }
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Take(names) => {
                self.queue.extend(names.into_iter().map(|(name, expect)| Next::Take { name, expect }));
            }
            Command::Scan { restart } => self.scan(restart),
            Command::Relook(files) => self.queue.extend(files.into_iter().map(Next::Look)),
            Command::Reconfigure { max_file_size, policy } => {
                self.settings.max_file_size = max_file_size;
                self.settings.policy = policy;
            }
        }
    }

    fn on_hints(&mut self) {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let (mut overflow, mut gone) = (false, false);
        let drained = self.watch.as_ref().map(|watch| {
            watch.drain(|hint| match hint {
                Hint::Name(name) => names.push(name),
                Hint::Overflow => overflow = true,
                Hint::Gone => gone = true,
            })
        });
        names.dedup();
        // One reading of the clock for all, so that those of one slice keep the order of their ages.
        let wall = wall_ns();
        let sightings: Vec<Sighting> = names.into_iter().filter_map(|name| self.sight(name, wall)).collect();
        if !sightings.is_empty() {
            (self.report)(Report::Sighted(sightings));
        }
        if overflow {
            (self.report)(Report::Overflow);
        }
        if gone || matches!(drained, Some(Err(_))) {
            self.watch = None;
            (self.report)(Report::Gone("the handoff directory was moved, deleted or unmounted".to_owned()));
        }
    }

    /// The one way from a name to a sighting, for events and scans alike.
    fn sight(&self, name: Box<[u8]>, wall: i64) -> Option<Sighting> {
        if judge(&name) == NameVerdict::Ignore {
            return None;
        }
        let meta = self.settings.handoff.stat(OsStr::from_bytes(&name)).ok()?;
        if self.left.contains(&meta.id) {
            return None;
        }
        Some(sighting(name, &meta, wall))
    }

    fn scan(&mut self, restart: bool) {
        if restart || self.lister.is_none() {
            if let Err(reason) = self.check_places() {
                return (self.report)(Report::Gone(reason));
            }
            match self.settings.handoff.lister() {
                Ok(lister) => self.lister = Some(lister),
                Err(error) => {
                    return (self.report)(Report::Gone(format!(
                        "the handoff directory cannot be read: {error}"
                    )));
                }
            }
        }
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let listed = self.lister.as_mut().map_or(Ok(true), |lister| {
            lister.slice(SLICE, |name| {
                if judge(name) != NameVerdict::Ignore {
                    names.push(name.into());
                }
            })
        });
        let complete = match listed {
            Ok(complete) => complete,
            Err(error) => {
                return (self.report)(Report::Gone(format!("the handoff directory cannot be read: {error}")));
            }
        };
        if complete {
            self.lister = None;
        }
        // One reading of the clock for all, so that those of one slice keep the order of their ages.
        let wall = wall_ns();
        let sightings: Vec<Sighting> = names.into_iter().filter_map(|name| self.sight(name, wall)).collect();
        if !sightings.is_empty() {
            (self.report)(Report::Sighted(sightings));
        }
        (self.report)(Report::Slice { complete });
    }

    /// Whether path and names still lead to the directories that are open (threat A02).
    fn check_places(&mut self) -> Result<(), String> {
        let gone = |what: &str| format!("the handoff directory {what}: {}", self.settings.path.display());
        let own = self.settings.handoff.meta().map_err(|error| gone(&error.to_string()))?;
        let current = Dir::open(&self.settings.path).and_then(|dir| dir.meta());
        match current {
            Ok(current) if current.id == own.id => {}
            Ok(_) => return Err(gone("was replaced by another")),
            Err(error) => return Err(gone(&format!("is gone ({error})"))),
        }
        for (name, dir) in &self.settings.places {
            let found = self.settings.handoff.stat(name).map(|meta| meta.id).ok();
            let right = dir.meta().map(|meta| meta.id).ok();
            if found != right && self.replaced.insert(name.clone()) {
                (self.report)(Report::Replaced(name.clone()));
            }
        }
        Ok(())
    }

    /// Takes and looks while there is room. Strictly in order: what does not fit yet is waited for, so that a large file comes
    /// to its turn and the small ones behind it as well, since all that is on its way gives its room back.
    fn work_off(&mut self) {
        while let Some(next) = self.queue.pop_front() {
            let room = match &next {
                Next::Take { name, expect } => self.take(name, *expect),
                Next::Look(taken) => self.look(taken, None),
            };
            if room == Room::None {
                self.queue.push_front(next);
                return;
            }
        }
    }

    fn take(&mut self, name: &[u8], expect: Option<Fingerprint>) -> Room {
        let owned = || Box::<[u8]>::from(name);
        let Ok(meta) = self.settings.handoff.stat(OsStr::from_bytes(name)) else {
            return self.tell(Report::NotTaken(owned()));
        };
        if meta.kind == Kind::Directory {
            return self.leave(owned(), &meta, Code::DirectoryLeft, "it is a directory");
        }
        if expect.is_some_and(|expect| expect != meta.fingerprint()) {
            return self.tell(Report::Unsettled(sighting(owned(), &meta, wall_ns())));
        }
        if look::is_read(&self.settings, &meta) && !self.settings.budget.has_room(meta.size) {
            return Room::None;
        }
        let taken = TakenName { seq: self.settings.next_seq, raw: owned() };
        match self.settings.taken.take(&self.settings.handoff, &taken) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.tell(Report::NotTaken(owned()));
            }
            Err(error) if crate::sys::is_no_space(&error) => {
                (self.report)(Report::NoSpace);
                return self.tell(Report::NotTaken(owned()));
            }
            Err(error) => return self.leave(owned(), &meta, Code::NotTakeable, &error.to_string()),
        }
        self.settings.next_seq += 1;
        (self.report)(Report::Taken(owned()));
        if self.look(&taken, None) == Room::None {
            // It has grown since; it is ours and comes next.
            self.queue.push_front(Next::Look(taken));
        }
        Room::Enough
    }

    /// An answer that needs no room.
    fn tell(&self, report: Report) -> Room {
        (self.report)(report);
        Room::Enough
    }

    fn leave(&mut self, name: Box<[u8]>, meta: &Meta, code: Code, reason: &str) -> Room {
        if self.left.len() < LEFT_MAX && self.left.insert(meta.id) {
            let escaped = conductor_core::name::escaped(&name);
            (self.report)(Report::Left { name: escaped, code, reason: reason.to_owned() });
        }
        self.tell(Report::NotTaken(name))
    }

    /// Looks at a taken file; one that a writer still holds is put aside, up to the bound.
    fn look(&mut self, taken: &TakenName, held_since: Option<Duration>) -> Room {
        let now = monotonic();
        let patient = held_since.is_none_or(|since| now.saturating_sub(since) < self.settings.hold_max);
        match look::look(&self.settings, taken, patient) {
            look::Looked::NoRoom => return Room::None,
            look::Looked::Held => {
                if held_since.is_none() {
                    (self.report)(Report::Held { seq: taken.seq });
                }
                self.held.push(Held { taken: taken.clone(), since: held_since.unwrap_or(now) });
            }
            look::Looked::Judged(judged) => (self.report)(Report::Judged(judged)),
            look::Looked::Gone => {
                // Nobody but us works in taken/. Whoever removed it has taken the intent back.
                let name = conductor_core::name::escaped(&taken.raw);
                (self.report)(Report::Left {
                    name,
                    code: Code::Unreadable,
                    reason: "it vanished after it was taken".to_owned(),
                });
                (self.report)(Report::NotTaken(taken.raw.clone()));
            }
        }
        Room::Enough
    }

    fn look_at_held(&mut self) {
        for Held { taken, since } in std::mem::take(&mut self.held) {
            if self.look(&taken, Some(since)) == Room::None {
                self.held.push(Held { taken, since });
            }
        }
    }
}

fn sighting(name: Box<[u8]>, meta: &Meta, wall: i64) -> Sighting {
    // ctime, because producers cannot set it: a file with an old mtime that was just moved in is young.
    let age = u64::try_from(wall.saturating_sub(meta.ctime_ns)).unwrap_or(0);
    Sighting { name, fingerprint: meta.fingerprint(), age: Duration::from_nanos(age) }
}
