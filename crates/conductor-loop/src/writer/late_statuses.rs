//! Repairs by the writer itself during its work: the directory of its drafts, which porch may remove, and statuses that
//! could not be written for a while.

use super::{Stopped, WriterLoop};
use crate::handoff::layout::{DRAFTS, private};
use crate::writer::publish::{Filing, Progress, PublishError};
use conductor_core::{Code, Seq};
use conductor_os::dir::{Dir, Kind};
use conductor_os::remade::Leaving;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pause before statuses are retried.
const RETRY: Duration = Duration::from_secs(2);
/// The number of statuses retried by the clock; further ones wait for the next start.
const LATE_MAX: usize = 100_000;
/// The number of statuses written at once, so that new outcomes do not wait for them.
const AT_ONCE: usize = 256;

/// Statuses that could not be written.
#[derive(Debug, Default)]
pub(super) struct Late {
    seqs: Vec<Seq>,
    retry_at: Option<Instant>,
}

impl Late {
    /// Adds an outcome. Returns whether it will be retried by the clock.
    pub(super) fn add(&mut self, seq: Seq, now: Instant) -> bool {
        let has_room = self.seqs.len() < LATE_MAX;
        if has_room {
            self.seqs.push(seq);
            self.retry_at.get_or_insert(now + RETRY);
        }
        has_room
    }

    /// The time until the next retry, if there is one.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(now))
    }
}

/// The directory at the path, if it is not the open one or its permissions were removed.
fn made_again(private: &Dir, drafts: &Dir) -> io::Result<Option<Dir>> {
    let open = drafts.meta()?;
    let in_place = private.stat(DRAFTS).is_ok_and(|found| found.id == open.id);
    if in_place && open.mode & 0o700 == 0o700 {
        return Ok(None);
    }
    private.make_own()?;
    private.make_way_for(DRAFTS, Kind::Directory, Leaving::Removed)?;
    let made = private.ensure(DRAFTS, 0o700)?;
    // It may have any origin, with the mode that porch gave it.
    made.make_own()?;
    made.narrow(".", 0o700)?;
    Ok(Some(made))
}

impl<R: Fn(Vec<super::Ack>)> WriterLoop<R> {
    /// Recreates the directory of drafts if a run removed it. Returns true if so: the failed operation may be retried once.
    pub(super) fn renew_drafts(&mut self) -> bool {
        match made_again(&self.places.private, &self.places.drafts) {
            Ok(None) => false,
            Ok(Some(made)) => {
                self.places.drafts = Arc::new(made);
                if !std::mem::replace(&mut self.drafts_told, true) {
                    tracing::warn!(
                        "{} was removed, replaced or closed; it was made again (logged once)",
                        private(DRAFTS)
                    );
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.drafts_told, true) {
                    let code = Code::StoreFailed.id();
                    tracing::error!(code, %error, "making {} again (logged once)", private(DRAFTS));
                }
                false
            }
        }
    }

    /// Writes late statuses when their time has come. A status that fails again waits again.
    pub(super) fn write_late(&mut self) -> Result<(), Stopped> {
        if self.late.retry_at.is_none_or(|at| (self.clock)() < at) || !self.again.is_empty() {
            return Ok(());
        }
        self.write_late_now()
    }

    /// Writes late statuses now. The first failure ends the attempt: the others would fail too.
    pub(super) fn write_late_now(&mut self) -> Result<(), Stopped> {
        let mut written = 0;
        while let Some(&seq) = self.late.seqs.get(written).filter(|_| written < AT_ONCE) {
            let settled = self.store.settled(seq);
            let settled = settled
                .map_err(|error| self.fatal(error.code(), &format!("writing a status again: {error}")))?;
            let publication = Self::settled_before(seq, settled, None);
            let mut filing = Filing { publication, progress: Progress::Archived };
            match self.publish_somewhere(&mut filing) {
                Ok(()) => self.published.push(seq),
                Err(PublishError::Status { .. } | PublishError::NoSpace | PublishError::Occupied) => break,
                Err(error) => return Err(self.broken(error)),
            }
            self.published_since.get_or_insert_with(self.clock);
            written += 1;
        }
        if written > 0 {
            tracing::info!(written, "statuses that could not be written before are written");
        }
        self.late.seqs.drain(..written);
        let wait = if written == AT_ONCE { Duration::ZERO } else { RETRY };
        self.late.retry_at = (!self.late.seqs.is_empty()).then(|| (self.clock)() + wait);
        Ok(())
    }
}
