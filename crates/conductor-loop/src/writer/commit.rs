//! The writer and its store: one durable transaction for a batch, claims that are read back, and the store opened again after a
//! failure. No file is made here.

use super::broken::Broken;
use super::gathered::Gathered;
use super::limits::SPACE_RETRY;
use super::message::{Ack, Full};
use super::writer_loop::{Stopped, WriterLoop};
use crate::store::{Flaw, Start, StoreError, Work};
use conductor_core::Seq;
use conductor_core::record::LastSuccess;
use std::sync::atomic::Ordering;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Commits one durable transaction. Waits on a full disk; any other failure is fatal.
    pub(super) fn commit(&mut self, gathered: &Gathered) -> Result<Vec<Option<LastSuccess>>, Stopped> {
        let mut failed_before = false;
        loop {
            // The clock's readings are recorded with outcomes, whose ages depend on them.
            let upkeep = self.clocks.upkeep.as_ref().filter(|_| !gathered.publications.is_empty());
            match self.store.commit(&Work { upkeep, done: self.done.clone(), ..gathered.work() }) {
                Ok(lasts) => {
                    self.done.clear();
                    self.has_room();
                    return Ok(lasts);
                }
                Err(error @ StoreError::NoSpace(_)) => {
                    self.wait_for_space(error)?;
                    self.reopen()?;
                }
                // A read failed in between; all or nothing of this commit is durable, and it may be repeated.
                Err(StoreError::Failed) if !failed_before => {
                    failed_before = true;
                    self.reopen()?;
                }
                Err(error) => return Err(self.fatal(error)),
            }
        }
    }

    /// Opens the store again after a write lacked space, as soon as possible.
    pub(super) fn reopen(&mut self) -> Result<(), Stopped> {
        loop {
            match self.store.reopen() {
                Ok(()) => return Ok(()),
                // Busy: a command reads the store, for as long as one answer takes.
                Err(error @ (StoreError::NoSpace(_) | StoreError::Busy)) => self.wait_for_space(error)?,
                Err(error) => return Err(self.fatal(error)),
            }
        }
    }

    /// Reads the claims of parked intents whose turn is near.
    pub(super) fn recall(&mut self, seqs: &[Seq]) -> Result<(), Stopped> {
        let mut acks = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let mut read = self.store.claim(*seq);
            if matches!(read, Err(StoreError::Failed)) {
                self.reopen()?;
                read = self.store.claim(*seq);
            }
            match read.and_then(|found| found.ok_or_else(|| Flaw::NoClaim.of(*seq))) {
                Ok((claim, start)) => {
                    acks.push(Ack::Recalled { claim: Box::new(claim), started: Start::so_far(start) });
                }
                Err(error) => return Err(self.fatal(error)),
            }
        }
        (self.report)(acks);
        Ok(())
    }

    /// Checks the store after a worker's failed read: after a failure the storage engine answers nothing until it is
    /// opened again, which without a write nothing would do.
    pub(super) fn look_after_store(&mut self) -> Result<(), Stopped> {
        match self.store.has_failed() {
            Ok(false) => Ok(()),
            Ok(true) | Err(StoreError::NoSpace(_) | StoreError::Busy) => self.reopen(),
            Err(error) => Err(self.fatal(error)),
        }
    }

    fn wait_for_space(&mut self, error: StoreError) -> Result<(), Stopped> {
        self.set_full(Some(Full::State));
        if self.abandon.load(Ordering::Acquire) {
            return Err(self.fatal(Broken::StoppedBeforeState(error)));
        }
        std::thread::sleep(SPACE_RETRY); // Waits for space: no command can be answered before.
        Ok(())
    }
}
