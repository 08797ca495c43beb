//! Answers the questions of the local socket: a few at once, each on a thread of its own; a bounded number waits.

use super::answering::Answering;
use super::silent::Silent;
use conductor_core::query::{Answer, RefusalKind, Refused};
use conductor_core::record::one_line;
use conductor_os::wake::wait_unread;
use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Questions answered at once.
const ANSWERING_MAX: usize = 8;
/// Questions that may wait; one more is refused.
const WAITING_MAX: usize = 64;
/// An answer must be read within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question that has arrived.
pub(super) struct Asked {
    stream: UnixStream,
    uid: u32,
    line: Vec<u8>,
}

impl From<Silent> for Asked {
    fn from(silent: Silent) -> Self {
        Self { stream: silent.stream, uid: silent.uid, line: silent.said }
    }
}

/// The answering function, and the waiting questions.
pub(super) struct Scheduler {
    answering: Arc<Answering>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    at_work: usize,
    waiting: VecDeque<Asked>,
}

impl Scheduler {
    pub(super) fn new(answering: Arc<Answering>) -> Self {
        Self { answering, queue: Mutex::default() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a question answered as soon as its turn comes.
    pub(super) fn hand_over(self: &Arc<Self>, asked: Asked) {
        let mut queue = self.queue();
        if queue.waiting.len() >= WAITING_MAX {
            drop(queue);
            let text = "the daemon is busy with other requests";
            return tell(
                &asked.stream,
                &Answer::Refused(Refused::new(RefusalKind::Busy, text, "Ask again.")),
            );
        }
        queue.waiting.push_back(asked);
        if queue.at_work >= ANSWERING_MAX {
            return;
        }
        queue.at_work += 1;
        drop(queue);
        let scheduler = Arc::clone(self);
        let begun =
            std::thread::Builder::new().name("control-one".to_owned()).spawn(move || scheduler.work());
        if begun.is_err() {
            // A working thread, or the next one, takes the question on.
            self.queue().at_work -= 1;
        }
    }

    /// Answers questions until none waits.
    fn work(&self) {
        loop {
            let mut queue = self.queue();
            let Some(asked) = queue.waiting.pop_front() else {
                queue.at_work -= 1;
                return;
            };
            drop(queue);
            let answer = match serde_json::from_slice(&asked.line) {
                // A panic in one answer does not end this thread.
                Ok(question) => catch_unwind(AssertUnwindSafe(|| {
                    (self.answering)(question, asked.uid, &|| is_open(&asked.stream))
                }))
                .unwrap_or_else(|_| {
                    let text = "the answer failed; this is a defect";
                    Answer::Refused(Refused::new(
                        RefusalKind::Busy,
                        text,
                        "Report it with the log lines around it.",
                    ))
                }),
                Err(error) => {
                    let advice = "Use the same version of the program as the daemon's.";
                    Answer::Refused(Refused::new(RefusalKind::BadQuestion, error.to_string(), advice))
                }
            };
            tell(&asked.stream, &answer);
        }
    }
}

/// Whether the client still has the connection, which it may have closed for what it says.
fn is_open(stream: &UnixStream) -> bool {
    !wait_unread(stream.as_fd(), Duration::ZERO).is_ok_and(|gone| gone)
}

/// Sends an answer; a client that goes away without reading it is ignored.
pub(super) fn tell(mut stream: &UnixStream, answer: &Answer) {
    let mut bytes = one_line(answer);
    bytes.push(b'\n');
    let ready = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    // The client may have gone.
    let _ = ready.and_then(|()| stream.write_all(&bytes));
}
