//! Mutual exclusion on one directory, among threads and processes alike, with a bounded wait: flock(2) on the directory.

use crate::PorchError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The first pause before a held lock is tried again; each pause is half as long again as the one before: no call waits
/// for a lock with a time limit.
const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// The interval at which a waiting thread checks for cancellation.
const LOOK: Duration = Duration::from_millis(100);

/// The time limits of an order, and its cancellation.
pub struct Patience<'p> {
    /// How long to wait for another process's lock.
    pub lock_wait: Duration,
    /// The deadline of the order.
    pub deadline: Instant,
    /// Returns true when the order has been cancelled.
    pub cancelled: &'p dyn Fn() -> bool,
    /// Receives the name of a slow step, several times a second.
    pub tell: &'p dyn Fn(&str),
}

impl Patience<'_> {
    /// Limits that start now, without cancellation.
    pub fn new(lock_wait: Duration, limit: Duration) -> Self {
        Self { lock_wait, deadline: Instant::now() + limit, cancelled: &|| false, tell: &|_| {} }
    }

    /// The pause before the next check; an error once the order is cancelled or past its deadline.
    pub(crate) fn look(&self) -> Result<Duration, PorchError> {
        if (self.cancelled)() { Err(PorchError::Cancelled) } else { Ok(LOOK) }
    }
}

/// Waits for the lock on the directory, which ends when the descriptor is closed. `shown` is its name in messages.
pub(crate) fn lock(dir: OwnedFd, shown: &str, patience: &Patience<'_>) -> Result<OwnedFd, PorchError> {
    let begin = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(dir),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(PorchError::io(shown, errno)),
        }
        if begin.elapsed() >= patience.lock_wait {
            return Err(PorchError::Busy { place: shown.to_owned(), waited: begin.elapsed() });
        }
        patience.look()?;
        std::thread::sleep(pause); // The release of a lock is not announced, and waiting in flock(2) has no time limit.
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}
