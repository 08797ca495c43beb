//! A wake-up that poll(2) can wait for together with descriptors.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wakes a thread that polls it. Clones wake the same thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new wake-up, not set.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Sets the wake-up. A set wake-up stays set.
    pub fn wake(&self) {
        // The only possible failure is a full counter, which means that it is set.
        let _ = write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Clears the wake-up.
    pub fn clear(&self) {
        // EAGAIN: it was already clear.
        let _ = read(&*self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Interruptions in a row that count as a coincidence of signals. More are an error, so that a caller pauses.
const INTERRUPTIONS: u32 = 64;

/// poll(2), continued after an interruption with the remaining time. After the timeout no descriptor is ready.
fn wait(polled: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // A time beyond the clock's range is no limit.
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    for _ in 0..INTERRUPTIONS {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Rounded up, so that a deadline has really passed when the wait ends.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(polled, left.as_ref()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::INTR.into())
}

/// Waits until one of the descriptors is readable or closed, or the timeout has passed. Returns a flag per descriptor.
pub fn wait_readable<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    wait(&mut polled, timeout)?;
    let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
    Ok(descriptors.map(|descriptor| descriptor.is_some() && ready.next().unwrap_or(false)))
}

/// Waits until nobody reads any more what is written to a pipe or socket, or the timeout has passed. Returns whether
/// nobody does. A file always has its reader.
pub fn wait_unread(descriptor: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::empty())];
    wait(&mut polled, Some(timeout))?;
    Ok(polled.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP)))
}

/// Waits until one of any number of descriptors is readable or closed, or the timeout has passed. Returns a flag per
/// descriptor.
pub fn wait_any(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    wait(&mut polled, timeout)?;
    Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect())
}
