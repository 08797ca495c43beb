//! One at a time in one place, among our threads and among processes, with a bounded wait.

use crate::PorchError;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a lock that another process holds is tried again: there is no call that waits for one with a time limit.
const PAUSE: Duration = Duration::from_millis(5);
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
}

impl Patience<'_> {
    /// How long to wait before looking again; an error once nobody wants it any more.
    pub(crate) fn look(&self) -> Result<Duration, PorchError> {
        if (self.cancelled)() { Err(PorchError::Cancelled) } else { Ok(LOOK) }
    }
}

/// Which places our own threads work in.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<HashSet<PathBuf>>,
    left: Condvar,
}

/// The right to work in one place; it ends when dropped.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    place: PathBuf,
    /// Held for its lock.
    lock: Option<OwnedFd>,
}

impl Turns {
    fn taken(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.place);
        self.turns.left.notify_all();
    }
}

/// Waits until the directory is ours: first among our threads, then among processes (flock).
pub(crate) fn hold<'t>(
    turns: &'t Turns,
    place: &Path,
    patience: &Patience<'_>,
) -> Result<Turn<'t>, PorchError> {
    let begin = Instant::now();
    let busy = || PorchError::Busy { place: place.display().to_string(), waited: begin.elapsed() };
    let mut taken = turns.taken();
    while taken.contains(place) {
        let left = patience.lock_wait.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(busy());
        }
        let pause = patience.look()?.min(left);
        taken = turns.left.wait_timeout(taken, pause).unwrap_or_else(PoisonError::into_inner).0;
    }
    taken.insert(place.to_owned());
    drop(taken);
    // From here on the turn is given back on every way out.
    let mut turn = Turn { turns, place: place.to_owned(), lock: None };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let lock = open(place, flags, Mode::empty()).map_err(|errno| PorchError::io(place, errno))?;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(PorchError::io(place, errno)),
        }
        if begin.elapsed() >= patience.lock_wait {
            return Err(busy());
        }
        patience.look()?;
        std::thread::sleep(PAUSE);
    }
    turn.lock = Some(lock);
    Ok(turn)
}
