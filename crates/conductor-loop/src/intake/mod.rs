//! The way in: inotify as a hint, a scan as the truth, take by rename, then look and judge. One thread; it decides
//! nothing about order or time, it does what the desk asks and reports what it sees.

mod book;
mod look;
mod worker;
mod writers;

pub use book::{Book, Left, WithWriter};

use crate::payload::{Budget, Payload};
use conductor_core::desk::{Fingerprint, Sighting};
use conductor_core::intent::{Policy, Refusal};
use conductor_core::name::TakenName;
use conductor_core::record::Claim;
use conductor_core::{Code, Digest};
use conductor_os::dir::{Dir, Meta};
use conductor_os::wake::Waker;
use conductor_os::watch::Watch;
use crossbeam_channel::Sender;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What is allowed of a file, and how long it is waited for. May change while running.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// Largest file that is read.
    pub max_file_size: u64,
    /// What the operator allows.
    pub policy: Policy,
    /// How long a file that a writer still holds may wait, taken and not judged.
    pub hold_max: Duration,
}

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
    /// How files are judged.
    pub judging: Judging,
    /// Where it is written down what is kept back.
    pub book: Arc<Book>,
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
    /// Look whether path and names still lead to the directories that are open, without a scan.
    Check,
    /// Settings that may change while running.
    Apply(Judging),
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
    /// The directory could not be listed at the moment.
    ScanFailed(String),
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
    /// A taken file was removed by somebody before it was judged.
    Vanished {
        /// Sequence number.
        seq: u64,
        /// Its name, escaped.
        name: String,
    },
    /// An entry is left where it is; reported once until it changes, tried again at every scan.
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
    /// The names of sub-directories that lead elsewhere now; none: all lead to those that are open again.
    Replaced(Vec<String>),
    /// Events do not work any more; scans must do.
    NoEvents(String),
    /// Events work again.
    EventsAgain,
    /// The system refuses to let us wait, again and again. Work goes on by the clock.
    Failing(String),
    /// Waiting works again.
    Working,
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
    no_events: Option<String>,
    book: Arc<Book>,
}

/// The intake with its watch armed, and no thread yet.
pub struct Opened {
    settings: Settings,
    waker: Waker,
    watch: Option<Watch>,
    no_events: Option<String>,
}

impl Opened {
    /// Arms the watch.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let waker = Waker::new()?;
        settings.budget.wakes(waker.clone());
        let (mut watch, mut no_events) = (None, None);
        if settings.events {
            match Watch::on(&*settings.handoff) {
                Ok(armed) => watch = Some(armed),
                Err(error) => no_events = Some(error.to_string()),
            }
        }
        Ok(Self { settings, waker, watch, no_events })
    }

    /// Starts the thread. The first scan is the desk's to ask for, after this.
    pub fn start(self, report: impl Fn(Report) + Send + 'static) -> io::Result<Intake> {
        let Self { settings, waker, watch, no_events } = self;
        let (commands, receiver) = crossbeam_channel::unbounded();
        let book = Arc::clone(&settings.book);
        let worker = worker::Worker::new(settings, watch, waker.clone(), receiver, report);
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn(move || worker.run())?;
        Ok(Intake { commands: Some(commands), waker, thread: Some(thread), no_events, book })
    }
}

impl Intake {
    /// What it keeps back.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Why there were no events at the start, although they were wanted.
    pub fn no_events(&self) -> Option<&str> {
        self.no_events.as_deref()
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
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop();
    }
}
