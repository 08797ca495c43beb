//! Every event that comes to the loop from other threads, and the way it comes: a channel, with a wake-up for a loop that
//! waits for descriptors too.

use super::ask::Ask;
use crate::config::{Config, ConfigError};
use crate::runner;
use crate::writer::Ack;
use conductor_core::scheduler::Place;
use conductor_os::outlet::Outage;
use conductor_os::wake::{Waker, wait_readable};
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, SendError, Sender, unbounded};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// Reads the configuration again, for SIGHUP.
pub type Reload<'r> = &'r dyn Fn() -> Result<Config, ConfigError>;

/// A place whose state has changed.
pub(super) struct PlaceFound {
    pub(super) place: Place,
    pub(super) path: PathBuf,
    pub(super) outage: Option<Outage>,
}

/// One event.
pub(super) enum Input {
    Writer(Vec<Ack>),
    Worker(runner::Report),
    Place(Box<PlaceFound>),
    /// A signal that stops the daemon.
    Stop(i32),
    /// A request to read the configuration again: a signal, or its volume was exchanged.
    Reload,
    Asked(Box<Ask>),
}

impl Input {
    /// The kind, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Writer(_) => "writer",
            Self::Worker(_) => "worker",
            Self::Place(_) => "place",
            Self::Stop(_) => "stop",
            Self::Reload => "reload",
            Self::Asked(_) => "question",
        }
    }
}

/// The end of the channel that sends.
#[derive(Clone)]
pub(super) struct Inputs {
    sender: Sender<Input>,
    bell: Arc<Bell>,
}

/// The end that the loop receives from.
pub(super) struct Inbox {
    receiver: Receiver<Input>,
    bell: Arc<Bell>,
}

struct Bell {
    waker: Waker,
    /// Whether the loop waits, or is about to: only then is it woken, for a wake-up is a system call.
    is_heard: AtomicBool,
}

/// A new channel to the loop.
pub(super) fn inputs() -> io::Result<(Inputs, Inbox)> {
    let (sender, receiver) = unbounded();
    let bell = Arc::new(Bell { waker: Waker::new()?, is_heard: AtomicBool::new(false) });
    Ok((Inputs { sender, bell: Arc::clone(&bell) }, Inbox { receiver, bell }))
}

impl Inputs {
    /// Sends an input, and wakes the loop if it waits. An error: the loop has ended.
    pub(super) fn send(&self, input: Input) -> Result<(), SendError<Input>> {
        self.sender.send(input)?;
        // Either the loop sees this input before it waits, or we see that it waits.
        fence(Ordering::SeqCst);
        if self.bell.is_heard.swap(false, Ordering::Relaxed) {
            self.bell.waker.wake();
        }
        Ok(())
    }
}

impl Inbox {
    /// Wakes the loop without an input.
    pub(super) fn waker(&self) -> Waker {
        self.bell.waker.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// The inputs that are there.
    pub(super) fn try_iter(&self) -> impl Iterator<Item = Input> {
        self.receiver.try_iter()
    }

    /// The next input within this time, without a look at any descriptor.
    pub(super) fn receive(&self, timeout: Duration) -> Result<Input, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout)
    }

    /// Waits for an input within this time, where nothing else can be waited for.
    pub(super) fn wait_for_input(&self, timeout: Duration) {
        let mut select = Select::new();
        select.recv(&self.receiver);
        // Whether there is one is seen when it is received.
        let _ = select.ready_timeout(timeout);
    }

    /// Waits until there are inputs, the descriptor is readable, the loop is woken, or the time has passed. Returns whether
    /// the descriptor is readable.
    pub(super) fn wait(&self, descriptor: Option<BorrowedFd<'_>>, timeout: Duration) -> io::Result<bool> {
        self.bell.is_heard.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let timeout = if self.receiver.is_empty() { timeout } else { Duration::ZERO };
        let ready = wait_readable([Some(self.bell.waker.as_fd()), descriptor], Some(timeout));
        self.bell.is_heard.store(false, Ordering::Relaxed);
        let [woken, readable] = ready?;
        if woken {
            self.bell.waker.clear();
        }
        Ok(readable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn no_input_is_left_while_the_loop_waits() {
        const EACH: usize = 20_000;
        let (inputs, inbox) = inputs().unwrap();
        let sent = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let inputs = inputs.clone();
                let sent = &sent;
                scope.spawn(move || {
                    for _ in 0..EACH {
                        inputs.send(Input::Reload).unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let mut received = 0;
            while received < 2 * EACH {
                // An input that nobody woke the loop for would let this time pass.
                assert!(!inbox.wait(None, Duration::from_mins(1)).unwrap());
                received += inbox.try_iter().count();
            }
        });
        assert_eq!(sent.into_inner(), 2 * EACH);
    }

    #[test]
    fn a_loop_that_waits_is_woken_by_a_descriptor_and_by_its_waker() {
        let (_inputs, inbox) = inputs().unwrap();
        let event = Waker::new().unwrap();
        assert!(!inbox.wait(Some(event.as_fd()), Duration::ZERO).unwrap());
        event.wake();
        assert!(inbox.wait(Some(event.as_fd()), Duration::from_mins(1)).unwrap());
        inbox.waker().wake();
        assert!(!inbox.wait(None, Duration::from_mins(1)).unwrap());
    }
}
