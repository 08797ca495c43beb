//! Points on as many threads as there are processors.

use super::tally::{Job, Tally};
use crate::progress::say;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Works on points with as many threads as there are processors, until the points or the jobs are at their end.
pub(super) fn in_parallel(
    points: impl Iterator<Item = u64> + Send,
    job: impl Fn(u64) -> Job + Sync,
) -> Tally {
    with_threads(processors(), points, job)
}

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Works on points with this many threads.
pub(super) fn with_threads(
    threads: usize,
    points: impl Iterator<Item = u64> + Send,
    job: impl Fn(u64) -> Job + Sync,
) -> Tally {
    let points = Mutex::new(points.fuse());
    let progress = Mutex::new(Progress { tally: Tally::default(), ended: false, said: Instant::now() });
    let lock = || progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = points.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let (Some(point), false) = (next, lock().ended) else { return };
                    let job = job(point);
                    lock().note(point, job);
                }
            });
        }
    });
    progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).tally
}

/// How far threads have come with their points.
struct Progress {
    tally: Tally,
    ended: bool,
    said: Instant,
}

impl Progress {
    fn note(&mut self, point: u64, job: Job) {
        match job {
            Job::Done(points) => self.tally.points += points,
            Job::Violation(reason) => self.tally.violation(reason),
            Job::End => self.ended = true,
            Job::Impossible => {
                self.tally.impossible = Some("tracing other processes is not permitted here");
                self.ended = true;
            }
        }
        if self.said.elapsed() > Duration::from_mins(1) {
            self.said = Instant::now();
            say(&format!("... {} so far, the last at {point}", self.tally.points));
        }
    }
}
