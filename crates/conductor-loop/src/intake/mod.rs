//! The intake: inotify as a hint, a scan as the truth, take by rename, then look and judge. A part of the loop, so that
//! an event leads to a claim without waking another thread; it works in short steps, between which the loop handles its
//! inputs. It decides nothing about order or time, carries out the scheduler's requests and reports its observations.

mod book;
mod look;
mod sight;
mod still_open;
mod take;

pub use book::{Book, Left, WithWriter};

use crate::payload::{Budget, Payload};
use conductor_core::intent::{Policy, Refusal};
use conductor_core::name::{Names, TakenName};
use conductor_core::record::Claim;
use conductor_core::scheduler::{Fingerprint, Sighting};
use conductor_core::shortage::Shortage;
use conductor_core::{Code, Digest, Seq};
use conductor_os::dir::{Dir, Lister, Meta};
use conductor_os::watch::Watch;
use sight::Slice;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use still_open::StillOpen;
use take::Next;

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

/// An observation, for the scheduler.
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
    /// For several seconds the system has had no descriptor or memory to look at a taken file.
    FilesWait(String),
    /// It has again.
    FilesGoOn,
    /// The handoff directory is missing or was replaced.
    Gone(String),
    /// The sub-directories whose names lead to other directories now; empty: all lead to the open ones again.
    Replaced(Vec<String>),
    /// Events no longer work; scans replace them.
    NoEvents(String),
    /// Events work again.
    EventsAgain,
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

/// The intake of one session.
pub struct Intake {
    settings: Settings,
    watch: Option<Watch>,
    no_events: Option<String>,
    lister: Option<Lister>,
    /// The slice of a listing whose names are being looked at.
    slice: Option<Slice>,
    /// Names that events announced, to be looked at.
    hinted: VecDeque<Box<[u8]>>,
    /// What is taken or looked at next.
    queue: VecDeque<Next>,
    /// Whether memory had no room for the first of them when it was last tried.
    no_room: bool,
    /// When the first of them is tried again for which the system had no descriptor.
    not_before: Option<Duration>,
    /// What keeps taken files from being looked at.
    shortage: Shortage<Duration>,
    still_open: StillOpen,
    replaced: Vec<String>,
    too_many_told: bool,
    reports: Vec<Report>,
}

impl Intake {
    /// Arms the watch. The scheduler must request the first scan after this.
    pub fn open(settings: Settings) -> Self {
        let (mut watch, mut no_events) = (None, None);
        if settings.events {
            match Watch::on(&*settings.handoff) {
                Ok(armed) => watch = Some(armed),
                Err(error) => no_events = Some(error.to_string()),
            }
        }
        Self {
            settings,
            watch,
            no_events,
            lister: None,
            slice: None,
            hinted: VecDeque::new(),
            queue: VecDeque::new(),
            no_room: false,
            not_before: None,
            shortage: Shortage::default(),
            still_open: StillOpen::default(),
            replaced: Vec::new(),
            too_many_told: false,
            reports: Vec::new(),
        }
    }

    /// The book of entries held back.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.settings.book)
    }

    /// The memory budget of the files that are read.
    pub fn budget(&self) -> &Budget {
        &self.settings.budget
    }

    /// Why there were no events at the start, although they were configured.
    pub fn no_events(&self) -> Option<&str> {
        self.no_events.as_deref()
    }

    /// The descriptor that is readable when events wait for [`Intake::on_hints`].
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Sets the rules for judging files.
    pub fn apply(&mut self, judging: Judging) {
        self.settings.judging = judging;
    }

    /// Takes these names with the next steps, if their fingerprints have not changed.
    pub fn take(&mut self, names: Vec<(Box<[u8]>, Option<Fingerprint>)>) {
        self.queue.extend(names.into_iter().map(|(name, expect)| Next::Take { name, expect }));
    }

    /// Looks again, with the next steps, at files taken by an earlier daemon.
    pub fn relook(&mut self, files: Vec<TakenName>) {
        self.queue.extend(files.into_iter().map(Next::Look));
    }

    /// How long nothing is to be done unless an event comes; `None`: for ever.
    pub fn patience(&self, now: Duration) -> Option<Duration> {
        let waits = self.queue.is_empty() || self.no_room;
        let has_names = self.slice.is_some() || !self.hinted.is_empty();
        if has_names || !self.reports.is_empty() {
            return Some(Duration::ZERO);
        }
        let taking = (!waits).then(|| self.not_before.map_or(Duration::ZERO, |at| at.saturating_sub(now)));
        [taking, self.still_open.patience(now)].into_iter().flatten().min()
    }

    /// Works for one step: some files are taken and judged, and some names of events and of a listing looked at; fewer if
    /// others wait, for each is a call or more of a file system that may be slow.
    pub fn work(&mut self, others_wait: &dyn Fn() -> bool) {
        self.look_at_still_open();
        self.look_at_hinted(others_wait);
        self.work_off(others_wait);
        self.go_on_listing(others_wait);
    }

    /// The observations since the last call, in their order.
    pub fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }
}

#[cfg(test)]
mod tests;
