//! How urgently runs must end, and who is told.

use conductor_os::wake::Waker;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// How urgently running porches must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stop {
    /// They continue.
    No,
    /// Runs in progress may end by themselves; jobs waiting at a worker do not begin.
    Drain,
    /// TERM now, KILL after the grace time.
    Terminate,
    /// KILL now.
    Kill,
}

/// Shared by all workers: the stop level and the threads to wake.
#[derive(Debug)]
pub(super) struct StopSign {
    level: AtomicU8,
    wakers: Vec<Waker>,
    /// Disconnected as soon as no prepared run may begin any more.
    pub(super) drained: Receiver<Infallible>,
    drains: Mutex<Option<Sender<Infallible>>>,
}

impl StopSign {
    pub(super) fn new(wakers: Vec<Waker>) -> Self {
        let (drains, drained) = bounded(0);
        Self { level: AtomicU8::new(0), wakers, drained, drains: Mutex::new(Some(drains)) }
    }

    /// Raises the level; it never falls.
    pub(super) fn raise(&self, level: Stop) {
        self.level.fetch_max(level as u8, Ordering::AcqRel);
        if level > Stop::No {
            drop(self.drains.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        self.wakers.iter().for_each(Waker::wake);
    }

    pub(super) fn level(&self) -> Stop {
        match self.level.load(Ordering::Acquire) {
            0 => Stop::No,
            1 => Stop::Drain,
            2 => Stop::Terminate,
            _ => Stop::Kill,
        }
    }
}
