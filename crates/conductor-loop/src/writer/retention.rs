//! The removal of outcomes older than --retention in the writer's turns: when one begins, one round of it in each turn, and the clock that
//! is read before outcomes are recorded. What a round removes stands in `sweep`.

use super::message::Ack;
use super::sweep::{Sweep, Swept, round};
use super::writer_loop::{Stopped, WriterLoop};
use crate::store::{StoreError, Upkeep};
use jiff::{SignedDuration, Timestamp};

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Reads the clock before outcomes are recorded. Returns the part to be recorded.
    pub(super) fn look_at_clock(&mut self) -> Result<&Upkeep, Stopped> {
        match self.clocks.look(&*self.store) {
            Ok((_, upkeep)) => Ok(upkeep),
            Err(error) => {
                (self.report)(vec![Ack::Fatal(error.into())]);
                Err(Stopped)
            }
        }
    }

    /// Starts to remove outcomes decided before this, from the first one on. A purge and the hourly removal do not cut
    /// each other short.
    pub(super) fn begin_sweep(&mut self, before: Timestamp) {
        let before = self.sweep.map_or(before, |sweep| sweep.before.max(before));
        self.sweep = Some(Sweep { before, from: None });
    }

    /// Starts to remove outcomes older than this, from where the last removal ended.
    pub(super) fn begin_expiry(&mut self, retention: SignedDuration) {
        self.clocks.retention = retention;
        let from = self.clocks.upkeep.as_ref().and_then(|upkeep| upkeep.swept);
        if let Ok(before) = (self.clocks.now)().checked_sub(retention)
            && self.sweep.is_none()
        {
            self.sweep = Some(Sweep { before, from });
        }
    }

    /// Does one round of the removal in progress.
    pub(super) fn retain(&mut self) -> Result<(), Stopped> {
        let Some(sweep) = self.sweep else { return Ok(()) };
        match round(&self.places, &*self.store, &mut self.clocks, sweep) {
            Ok(Swept { removed, next }) => {
                self.sweep = next.map(|from| Sweep { from: Some(from), ..sweep });
                if removed > 0 {
                    (self.report)(vec![Ack::Retained(removed)]);
                }
                Ok(())
            }
            // Retention frees space; if its own record lacks space, it is retried in an hour.
            Err(StoreError::NoSpace(_) | StoreError::Failed) => {
                self.sweep = None;
                self.reopen()?;
                self.has_room();
                Ok(())
            }
            Err(error) => Err(self.fatal(error)),
        }
    }
}
