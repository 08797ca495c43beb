//! Turns: what may take a moment is done on other threads, a few at once, and a bounded number waits. An answer whose client
//! has gone is not begun, and one in progress stops. The threads are started with the turns: the one that serves can start
//! none.

use crossbeam_channel::{Sender, unbounded};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Answers of one kind computed at once.
const METRICS_AT_ONCE: usize = 1;
const GLANCES_AT_ONCE: usize = 1;
const LOOKUPS_AT_ONCE: usize = 1;
const SEARCHES_AT_ONCE: usize = 2;
/// Looks at the files of the endpoints at once.
const FILES_AT_ONCE: usize = 1;
/// Threads for all kinds: no kind waits for another.
const THREADS: usize = METRICS_AT_ONCE + GLANCES_AT_ONCE + LOOKUPS_AT_ONCE + SEARCHES_AT_ONCE + FILES_AT_ONCE;
/// Requests of one kind that may wait; one more is told to retry.
const WAITING_MAX: usize = 16;

/// The kinds of answers, each with turns of its own.
pub(super) struct Turns {
    /// The metrics: never behind another kind.
    pub(super) metrics: Turn,
    /// The status, and refusals.
    pub(super) glances: Turn,
    /// Answers about one intent by its number: they search no outcomes, but read its files and the audit trail.
    pub(super) lookups: Turn,
    /// Answers that may search all outcomes.
    pub(super) searches: Turn,
    /// Looks at files for certificates and tokens.
    pub(super) files: Turn,
}

/// What is done on another thread.
type Work = Box<dyn FnOnce() + Send>;

impl Turns {
    /// Starts the threads. They end with the turns.
    pub(super) fn start() -> io::Result<Self> {
        let (works, queue) = unbounded::<Work>();
        for _ in 0..THREADS {
            let queue = queue.clone();
            let work = move || queue.iter().for_each(|work| work());
            std::thread::Builder::new().name("admin-answer".to_owned()).spawn(work)?;
        }
        let turn = |at_once| Turn::new(at_once, works.clone());
        Ok(Self {
            metrics: turn(METRICS_AT_ONCE),
            glances: turn(GLANCES_AT_ONCE),
            lookups: turn(LOOKUPS_AT_ONCE),
            searches: turn(SEARCHES_AT_ONCE),
            files: turn(FILES_AT_ONCE),
        })
    }
}

/// The turns of one kind.
pub(super) struct Turn {
    /// Leads to the threads.
    works: Sender<Work>,
    /// A permit for each request that works or waits.
    places: Arc<Semaphore>,
    /// A permit for each request that works.
    working: Arc<Semaphore>,
}

/// Why a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many requests wait already.
    Busy,
    /// The work ended abnormally.
    Failed,
}

/// Whether the client still waits for the answer.
#[derive(Clone)]
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Marks the answer as unwanted when its client is gone.
struct Waiting(Wanted);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

impl Turn {
    fn new(at_once: usize, works: Sender<Work>) -> Self {
        Self {
            works,
            places: Arc::new(Semaphore::new(at_once + WAITING_MAX)),
            working: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Runs the work on another thread when its turn comes. Dropping the future ends the wait and, by its [`Wanted`], the work.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Wanted) -> T + Send + 'static,
    ) -> Result<T, NoTurn> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NoTurn::Busy)?;
        let turn = Arc::clone(&self.working).acquire_owned().await.map_err(|_| NoTurn::Failed)?;
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let _waiting = Waiting(wanted.clone());
        let (sender, receiver) = oneshot::channel();
        let working = move || {
            let answer = work(&wanted);
            // Kept until the work has ended, even if its client is gone.
            drop::<[OwnedSemaphorePermit; 2]>([place, turn]);
            // Its client may be gone.
            let _ = sender.send(answer);
        };
        self.works.send(Box::new(working)).map_err(|_| NoTurn::Failed)?;
        receiver.await.map_err(|_| NoTurn::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A client that hangs up costs at most the work already begun for it, and that work ends by itself.
    #[test]
    fn who_hangs_up_keeps_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let turns = Turns::start().unwrap();
            for _ in 0..3_000 {
                let endless = turns.searches.work(move |wanted| {
                    while wanted.is_wanted() {
                        std::thread::yield_now();
                    }
                });
                // Long enough for the work to begin if it has its turn.
                assert!(tokio::time::timeout(Duration::from_micros(100), endless).await.is_err());
            }
            assert_eq!(turns.metrics.work(|_| 7).await, Ok(7));
            assert_eq!(turns.searches.work(|_| 8).await, Ok(8), "it gets its turn");
        });
    }

    #[test]
    fn one_more_than_may_wait_is_told_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let turns = Arc::new(Turns::start().unwrap());
            let tasks: Vec<_> = (0..SEARCHES_AT_ONCE + WAITING_MAX)
                .map(|_| {
                    let turns = Arc::clone(&turns);
                    let wait = |wanted: &Wanted| {
                        while wanted.is_wanted() {
                            std::thread::yield_now();
                        }
                    };
                    tokio::spawn(async move { turns.searches.work(wait).await })
                })
                .collect();
            tokio::task::yield_now().await;
            assert_eq!(turns.searches.work(|_| ()).await, Err(NoTurn::Busy));
            assert_eq!(turns.metrics.work(|_| 7).await, Ok(7), "another kind does not wait");
            tasks.iter().for_each(tokio::task::JoinHandle::abort);
        });
    }
}
