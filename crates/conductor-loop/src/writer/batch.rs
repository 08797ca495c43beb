//! The loop of the writer's thread: one batch after the other, until a stop is asked for and nothing has to be waited for. How long it
//! waits for a first command, and how long a batch collects further ones.

use super::limits::{BATCH_MAX, SYNC_AFTER};
use super::message::{Ack, Command};
use super::writer_loop::WriterLoop;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a stop waits for a removal by age.
const SWEEP_AT_STOP: Duration = Duration::from_secs(1);

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Runs until the end that was asked for, or a fatal answer.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut stopping = None;
        while stopping.is_none_or(|since| self.has_more_to_do(since)) {
            let mut batch = Vec::new();
            match commands.recv_timeout(self.patience()) {
                Ok(command) => batch.push(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stopping = stopping.or(Some((self.clock)())),
            }
            self.collect(commands, &mut batch);
            if batch.iter().any(|command| matches!(command, Command::Stop)) {
                stopping = stopping.or(Some((self.clock)()));
            }
            if self.turn(batch).is_err() {
                return;
            }
        }
        self.finish();
    }

    /// Whether a requested stop has to wait: for packages, and for a moment for a removal by age, which a program that is
    /// started rarely would never complete otherwise.
    fn has_more_to_do(&self, since: Instant) -> bool {
        let packages = self.packages.as_ref().is_some_and(|packages| !packages.is_idle());
        packages || (self.sweep.is_some() && self.since(since) < SWEEP_AT_STOP)
    }

    /// Collects all commands that have arrived; while no worker waits, also those that arrive within a moment.
    pub(super) fn collect(&self, commands: &Receiver<Command>, batch: &mut Vec<Command>) {
        let begun = (self.clock)();
        loop {
            batch.extend(commands.try_iter().take(BATCH_MAX.saturating_sub(batch.len())));
            let Some(left) = self.collects_for(batch, begun) else { return };
            // What arrives meanwhile wakes nobody, which would cost more than most commands do; what cannot wait unparks. A
            // batch that is full meanwhile ends with its time.
            std::thread::park_timeout(left);
        }
    }

    /// How long a batch begun at this time may still collect; `None`: it is committed now.
    pub(super) fn collects_for(&self, batch: &[Command], begun: Instant) -> Option<Duration> {
        let full = batch.is_empty() || batch.len() >= BATCH_MAX;
        // Outcomes whose packages were synced have waited for that.
        let cannot_wait =
            |command: &Command| matches!(command, Command::Stop | Command::PackagesSynced { .. });
        if full || self.flush.load(Ordering::Acquire) || batch.iter().any(cannot_wait) {
            return None;
        }
        self.linger.checked_sub(self.since(begun)).filter(|left| !left.is_zero())
    }

    /// How long to wait for the next command before other work is due.
    pub(super) fn patience(&self) -> Duration {
        let flush = self.flush.load(Ordering::Acquire);
        let sync = self.packages.as_ref().and_then(|packages| packages.patience(flush, (self.clock)()));
        let audit = self.auditing.as_ref().map(|auditing| auditing.patience((self.clock)()));
        let soonest = [sync, self.late.patience((self.clock)()), audit].into_iter().flatten().min();
        soonest.map_or_else(|| self.idle_patience(), |soonest| soonest.min(self.idle_patience()))
    }

    fn idle_patience(&self) -> Duration {
        if self.sweep.is_some() {
            return Duration::ZERO;
        }
        if let Some(at) = self.retry_at {
            return at.saturating_duration_since((self.clock)());
        }
        if !self.done.is_empty() && !self.sync_under_way && self.published.is_empty() {
            // DONE is written with the next batch; without one, it is written by itself.
            return SYNC_AFTER;
        }
        match self.published_since.filter(|_| !self.sync_under_way) {
            Some(since) => SYNC_AFTER.saturating_sub(self.since(since)),
            None => self.head.patience(),
        }
    }
}
