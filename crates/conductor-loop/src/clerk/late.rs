//! What the clerk can put right by itself while it goes on: the directory of its drafts, which porch may remove, and statuses that could
//! not be written for a while.

use super::{Desk, Stopped};
use crate::clerk::publish::{Filing, Progress, PublishError};
use crate::handoff::layout::{DRAFTS, private};
use conductor_core::Code;
use conductor_os::dir::{Dir, Kind};
use conductor_os::remade::Leaving;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon statuses are tried again.
const RETRY: Duration = Duration::from_secs(2);
/// So many are tried again by the clock; what comes after waits for the next start.
const LATE_MAX: usize = 100_000;
/// So many are written in one go, so that what is new does not wait behind them.
const AT_ONCE: usize = 256;

/// Statuses that could not be written.
#[derive(Debug, Default)]
pub(super) struct Late {
    seqs: Vec<u64>,
    retry_at: Option<Instant>,
}

impl Late {
    /// Whether the number is kept for the clock.
    pub(super) fn add(&mut self, seq: u64) -> bool {
        let has_room = self.seqs.len() < LATE_MAX;
        if has_room {
            self.seqs.push(seq);
            self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
        }
        has_room
    }

    /// How long until they are tried again, if there are any.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// The directory that the path leads to, where it is another than the open one or was closed to us.
fn made_again(private: &Dir, drafts: &Dir) -> io::Result<Option<Dir>> {
    let open = drafts.meta()?;
    let in_place = private.stat(DRAFTS).is_ok_and(|found| found.id == open.id);
    if in_place && open.mode & 0o700 == 0o700 {
        return Ok(None);
    }
    private.make_own()?;
    private.make_way_for(DRAFTS, Kind::Directory, Leaving::Removed)?;
    let made = private.ensure(DRAFTS, 0o700)?;
    // It may have come from anywhere with the mode that porch gave it.
    made.make_own()?;
    made.narrow(".", 0o700)?;
    Ok(Some(made))
}

impl<R: Fn(Vec<super::Ack>)> Desk<R> {
    /// Makes the directory of drafts again where a run took it away. Whether that was so, and what failed may be tried once more.
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

    /// Writes statuses that could not be written, when it is time. One that fails again waits again.
    pub(super) fn write_late(&mut self) -> Result<(), Stopped> {
        if self.late.retry_at.is_none_or(|at| Instant::now() < at) || !self.again.is_empty() {
            return Ok(());
        }
        self.write_late_now()
    }

    /// The same whatever the time. The first that fails ends the attempt: the others would fail too.
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
            self.published_since.get_or_insert_with(Instant::now);
            written += 1;
        }
        if written > 0 {
            tracing::info!(written, "statuses that could not be written before are written");
        }
        self.late.seqs.drain(..written);
        let wait = if written == AT_ONCE { Duration::ZERO } else { RETRY };
        self.late.retry_at = (!self.late.seqs.is_empty()).then(|| Instant::now() + wait);
        Ok(())
    }
}
