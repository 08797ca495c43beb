//! What is published again: the outcomes that an earlier daemon decided, before any newer one, and statuses that could not be written.

use super::broken::Broken;
use super::late_statuses::RETRY;
use super::limits::BATCH_MAX;
use super::message::{Ack, Again, Publication, PublicationKind, Source};
use super::publish::{Filing, Progress, PublishError};
use super::writer_loop::{Stopped, WriterLoop};
use crate::store::{Content, Settled};
use conductor_core::Seq;
use conductor_core::name::TakenName;
use std::time::Duration;

/// The number of statuses written at once, so that new outcomes do not wait for them.
const AT_ONCE: usize = 256;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Publishes an earlier daemon's outcomes again, one at a time from the store, whatever their number and size.
    pub(super) fn republish(&mut self) -> Result<(), Stopped> {
        if self.retry_at.is_some_and(|at| (self.clock)() < at) {
            return Ok(());
        }
        let mut acks = Vec::new();
        while let Some(Again { seq, taken }) = self.again.front().cloned() {
            let settled = self.store.settled(seq);
            let attempt = "publishing again";
            let settled = settled.map_err(|cause| self.fatal(Broken::Records { attempt, cause }))?;
            let mut filing = Filing::from(settled_before(seq, settled, taken));
            if !self.publish_one(&mut filing)? {
                break;
            }
            self.again.pop_front();
            acks.push(Ack::Republished(Box::new(filing.publication.outcome)));
            if acks.len() >= BATCH_MAX {
                (self.report)(std::mem::take(&mut acks));
            }
        }
        if !acks.is_empty() {
            (self.report)(acks);
        }
        Ok(())
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
            let attempt = "writing a status again";
            let settled = settled.map_err(|cause| self.fatal(Broken::Records { attempt, cause }))?;
            let publication = settled_before(seq, settled, None);
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

/// The store's record of an outcome, to be published again.
fn settled_before(seq: Seq, settled: Settled, taken: Option<TakenName>) -> Publication {
    let Settled { outcome, report, content } = settled;
    let (source, taken) = match content {
        Content::Stored => (Source::Stored, taken),
        Content::File => {
            let raw = || TakenName { seq, raw: outcome.name.as_bytes().into() };
            (Source::Taken(taken.unwrap_or_else(raw)), None)
        }
    };
    Publication { outcome, source, report, taken, kind: PublicationKind::Again }
}
