//! One at a time in one directory, among threads and processes alike, with a bounded wait: flock(2) on the directory.

use crate::PorchError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A lock that another one holds is tried again after this, then half as much again each time: no call waits for one
/// with a time limit.
const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// How often a waiting thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// How long an order may wait, and whether it still should.
pub struct Patience<'p> {
    /// How long it waits for others to leave the place.
    pub lock_wait: Duration,
    /// When it must be over.
    pub deadline: Instant,
    /// True when nobody wants it any more.
    pub cancelled: &'p dyn Fn() -> bool,
    /// Hears what takes long, some times a second.
    pub tell: &'p dyn Fn(&str),
}

impl Patience<'_> {
    /// From now on, and nobody calls it off.
    pub fn new(lock_wait: Duration, limit: Duration) -> Self {
        Self { lock_wait, deadline: Instant::now() + limit, cancelled: &|| false, tell: &|_| {} }
    }

    /// How long to wait before looking again; an error once nobody wants it any more.
    pub(crate) fn look(&self) -> Result<Duration, PorchError> {
        if (self.cancelled)() { Err(PorchError::Cancelled) } else { Ok(LOOK) }
    }
}

/// Waits until the directory is ours. The lock ends when the descriptor is closed. `shown` is its name for people.
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
        std::thread::sleep(pause); // Nothing announces the release of a lock, and waiting in flock(2) has no limit.
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}
