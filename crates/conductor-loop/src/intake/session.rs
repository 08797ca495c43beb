//! The intake of one session: what it has open, what waits for its next steps, and what it has to report. The steps stand elsewhere.

use super::book::Book;
use super::report::Report;
use super::settings::{Judging, Settings};
use super::still_open::StillOpen;
use crate::payload::Budget;
use conductor_core::name::TakenName;
use conductor_core::scheduler::{Fingerprint, Sighting};
use conductor_core::shortage::Shortage;
use conductor_os::dir::Lister;
use conductor_os::watch::Watch;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// The next read, in the order of requests, as memory has room for its bytes.
#[derive(Debug)]
pub(super) enum Next {
    Take { name: Box<[u8]>, expect: Option<Fingerprint> },
    Look(TakenName),
}

/// A slice of a listing.
#[derive(Debug)]
pub(super) struct Slice {
    /// Names that were not looked at yet.
    pub(super) names: VecDeque<Box<[u8]>>,
    /// Reported together, so that the oldest of them is taken first.
    pub(super) seen: Vec<Sighting>,
    /// The clock's reading for all of them, so that their names keep the order of their ages.
    pub(super) wall: i64,
    /// Whether it is the last one.
    pub(super) complete: bool,
}

/// The intake of one session.
pub struct Intake {
    pub(super) settings: Settings,
    pub(super) watch: Option<Watch>,
    pub(super) no_events: Option<String>,
    pub(super) lister: Option<Lister>,
    /// The slice of a listing whose names are being looked at.
    pub(super) slice: Option<Slice>,
    /// Names that events announced, to be looked at.
    pub(super) hinted: VecDeque<Box<[u8]>>,
    /// What is taken or looked at next.
    pub(super) queue: VecDeque<Next>,
    /// Whether memory had no room for the first of them when it was last tried.
    pub(super) no_room: bool,
    /// When the first of them is tried again for which the system had no descriptor.
    pub(super) not_before: Option<Duration>,
    /// What keeps taken files from being looked at.
    pub(super) shortage: Shortage<Duration>,
    pub(super) still_open: StillOpen,
    pub(super) replaced: Vec<String>,
    pub(super) too_many_told: bool,
    pub(super) reports: Vec<Report>,
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

    /// The observations since the last call, in their order.
    pub fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }
}
