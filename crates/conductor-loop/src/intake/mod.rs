//! The intake: inotify as a hint, a scan as the truth, take by rename, then look and judge. One thread; it decides
//! nothing about order or time, carries out the scheduler's commands and reports its observations.

mod book;
mod look;
mod still_open;
mod worker;

pub use book::{Book, Left, WithWriter};

use crate::payload::{Budget, Payload};
use conductor_core::intent::{Policy, Refusal};
use conductor_core::name::{Names, TakenName};
use conductor_core::record::Claim;
use conductor_core::scheduler::{Fingerprint, Sighting};
use conductor_core::{Code, Digest, Seq};
use conductor_os::dir::{Dir, Meta};
use conductor_os::wake::Waker;
use conductor_os::watch::Watch;
use crossbeam_channel::Sender;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The limits on a file, and the time to wait for its writer. May change while running.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// Largest file that is read.
    pub max_file_size: u64,
    /// The operator's policy.
    pub policy: Policy,
    /// The longest time that a taken file waits for a writer that has it open.
    pub hold_max: Duration,
}

/// The configuration of the intake.
pub struct Settings {
    /// The handoff directory.
    pub handoff: Arc<Dir>,
    /// The path of the handoff directory, to notice its replacement.
    pub path: PathBuf,
    /// Sub-directories whose identity is checked, by name.
    pub places: Vec<(String, Arc<Dir>)>,
    /// The directory for taken files.
    pub taken: Arc<Dir>,
    /// The names of intents.
    pub names: Names,
    /// The rules for judging files.
    pub judging: Judging,
    /// The book of entries held back.
    pub book: Arc<Book>,
    /// Whether to use events at all (not on network file systems).
    pub events: bool,
    /// The first unused sequence number.
    pub next_seq: Seq,
    /// The memory budget: while it is used up, files stay in the handoff directory.
    pub budget: Arc<Budget>,
}

/// A command of the scheduler.
#[derive(Debug)]
pub enum Command {
    /// Take these names, if their fingerprints have not changed.
    Take(Vec<(Box<[u8]>, Option<Fingerprint>)>),
    /// Start a scan, or deliver its next slice.
    Scan {
        /// Whether to start anew.
        restart: bool,
    },
    /// Look again at files taken by an earlier daemon.
    Relook(Vec<TakenName>),
    /// Check, without a scan, whether path and names still lead to the open directories.
    Check,
    /// Settings that may change while running.
    Apply(Judging),
}

/// A report to the scheduler.
#[derive(Debug)]
pub enum Report {
    /// Names were seen.
    Sighted(Vec<Sighting>),
    /// A slice of the scan ended; `complete`: it was the last one.
    Slice {
        /// Whether the directory's end was reached.
        complete: bool,
    },
    /// The directory could not be listed at the moment.
    ScanFailed(String),
    /// The kernel lost events.
    Overflow,
    /// A requested name is gone or cannot be taken.
    NotTaken(Box<[u8]>),
    /// A requested name has changed meanwhile.
    Unsettled(Sighting),
    /// A name was taken.
    Taken(Box<[u8]>),
    /// A taken file is held by a writer and waits.
    Held {
        /// Sequence number.
        seq: Seq,
    },
    /// A taken file was judged.
    Judged(Box<Judged>),
    /// A taken file was removed by another process before it was judged.
    Vanished {
        /// Sequence number.
        seq: Seq,
        /// Its name, escaped.
        name: String,
    },
    /// An entry is ignored for its name, which looks as if it were meant as an intent's; reported once.
    Ignored {
        /// Its name, escaped.
        name: String,
    },
    /// An entry is left in the handoff directory; reported once until it changes, retried at every scan.
    Left {
        /// Its name, escaped.
        name: String,
        /// The error code.
        code: Code,
        /// The system's error message.
        reason: String,
    },
    /// There is no space to take files.
    NoSpace,
    /// The handoff directory is missing or was replaced.
    Gone(String),
    /// The sub-directories whose names lead to other directories now; empty: all lead to the open ones again.
    Replaced(Vec<String>),
    /// Events no longer work; scans replace them.
    NoEvents(String),
    /// Events work again.
    EventsAgain,
    /// The system refuses to let the intake wait, repeatedly. The intake polls instead.
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
    /// Its metadata by lstat.
    pub meta: Meta,
    /// The verdict.
    pub verdict: Verdict,
}

/// Accepted or refused.
#[derive(Debug)]
pub enum Verdict {
    /// To be claimed and run.
    Accepted {
        /// The claim to make durable.
        claim: Box<Claim>,
        /// Exactly the judged bytes.
        bytes: Payload,
    },
    /// To be filed as failed.
    Refused {
        /// The refusal.
        refusal: Refusal,
        /// The bytes, if they were read.
        bytes: Option<(Payload, Digest)>,
        /// The intent's own correlation id, if it can be read.
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

    /// Starts the thread. The scheduler must request the first scan after this.
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
    /// The book of entries held back.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Why there were no events at the start, although they were configured.
    pub fn no_events(&self) -> Option<&str> {
        self.no_events.as_deref()
    }

    /// Sends a command. The queue is bounded by the scheduler's windows.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // Fails only when the thread is gone, which its own report has said.
            let _ = commands.send(command);
            self.waker.wake();
        }
    }

    /// Ends the thread; held files stay in taken/ for the next start.
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
