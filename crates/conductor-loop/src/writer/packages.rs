//! The sync of the embedded engine's packages, which are written without one. A package must be on the disk before the
//! outcome that reports it, so outcomes wait here for a sync of the packages' file system that began after their run
//! ended. It runs on a thread of its own: the writer continues with claims meanwhile.

use super::limits::LINGER;
use super::message::{Command, Publication, PublicationKind};
use conductor_os::outlet::Outlet;
use crossbeam_channel::Sender;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Outcomes between their run and the sync that covers it.
pub(super) struct PackageSync {
    to_sync: Sender<Vec<Publication>>,
    waiting: Vec<Publication>,
    since: Option<Instant>,
    under_way: bool,
}

impl PackageSync {
    /// Starts the thread; it answers with [`Command::PackagesSynced`].
    pub(super) fn start(packages: Arc<Outlet>, back: Sender<Command>) -> io::Result<Self> {
        let (to_sync, covered) = crossbeam_channel::bounded::<Vec<Publication>>(1);
        std::thread::Builder::new().name("sync-packages".to_owned()).spawn(move || {
            for publications in covered {
                let result = packages.sync_file_system();
                if back.send(Command::PackagesSynced { publications, result }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { to_sync, waiting: Vec::new(), since: None, under_way: false })
    }

    /// Whether porch ran, so that a package may have been written.
    pub(super) fn covers(publication: &Publication) -> bool {
        publication.kind == PublicationKind::First && publication.outcome.attempts > 0
    }

    pub(super) fn wait(&mut self, publication: Publication, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting.push(publication);
    }

    /// Begins the next sync if it is due and none is in progress.
    pub(super) fn begin(&mut self, flush: bool, now: Instant) {
        if self.patience(flush, now).is_some_and(|left| left.is_zero()) {
            self.since = None;
            self.under_way = self.to_sync.send(std::mem::take(&mut self.waiting)).is_ok();
        }
    }

    /// The time until the next sync begins: like a batch of the writer, it collects while no worker waits for it.
    pub(super) fn patience(&self, flush: bool, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| !self.under_way)?;
        Some(if flush { Duration::ZERO } else { LINGER.saturating_sub(now.saturating_duration_since(since)) })
    }

    pub(super) fn ended(&mut self) {
        self.under_way = false;
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.under_way && self.waiting.is_empty()
    }
}
