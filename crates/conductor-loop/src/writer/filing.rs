//! The writer's work between commit and files: the choice of their names, and retries when space, a descriptor or memory is
//! lacking.

use super::broken::Broken;
use super::limits::SPACE_RETRY;
use super::message::{Ack, Full, Publication, PublicationKind};
use super::publish::{self, Filing, PublishError};
use super::writer_loop::{Stopped, WriterLoop};
use crate::store::{Kept, StoreError, Work};
use conductor_core::attestation::Attested;
use conductor_core::record::Outcome;
use conductor_core::shortage::{Phase, Shortage};
use conductor_core::{Code, Seq};
use conductor_os::is_passing;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How often an outcome takes another name, because another process keeps taking the chosen one, before it is postponed.
const NAMES_AT_ONCE: usize = 100;
/// The pause before a file is tried again for which the system had no descriptor or memory.
const PASSING_RETRY: Duration = Duration::from_millis(50);

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Chooses the names of archived files, the moment from which an outcome ages, and the key that signs its status, before
    /// all are recorded.
    pub(super) fn prepare(&mut self, publications: &mut [Publication]) -> Result<(), Stopped> {
        if publications.is_empty() {
            return Ok(());
        }
        let clock = self.look_at_clock()?.clock.clone();
        let mut reserved = HashSet::new();
        for Publication { outcome, .. } in publications {
            let chosen = publish::choose_name(&self.places, &*self.store, outcome, &reserved);
            outcome.archived_as = chosen.map_err(|error| self.broken(error))?;
            reserved.insert(outcome.archived_as.clone());
            outcome.kept_since = clock.kept_since(outcome.finished_at);
            let version = env!("CARGO_PKG_VERSION").to_owned();
            outcome.attested = Some(Attested { key: self.keys.key().to_owned(), version });
        }
        Ok(())
    }

    /// Records another name for an outcome whose place a foreign file has taken, before a file gets that name.
    fn rename(&mut self, publication: &mut Publication) -> Result<(), PublishError> {
        let Publication { outcome, report, .. } = publication;
        let reserved = HashSet::new();
        let chosen = publish::choose_name(&self.places, &*self.store, outcome, &reserved)?;
        let renamed = Outcome { archived_as: chosen, ..outcome.clone() };
        let work = Work::decide(&renamed, report.as_deref(), Kept::Already);
        if let Err(error) = self.store.commit(&work) {
            if matches!(error, StoreError::NoSpace(_)) {
                // After a failed write the store must be opened again.
                self.reopen().map_err(|_: Stopped| PublishError::Stopped)?;
            }
            return Err(error.into());
        }
        tracing::warn!(
            seq = outcome.seq.get(),
            file = outcome.name,
            "another file exists at {}; archiving as {}",
            outcome.archived_as,
            renamed.archived_as
        );
        *outcome = renamed;
        Ok(())
    }

    pub(super) fn publish(&mut self, filings: impl IntoIterator<Item = Filing>) -> Result<(), Stopped> {
        let mut acks = Vec::new();
        for mut filing in filings {
            // In order, or an older status would replace a newer one.
            if self.again.is_empty() && self.unpublished.is_empty() && self.publish_one(&mut filing)? {
                let Outcome { seq, archived_as, .. } = filing.publication.outcome;
                acks.push(Ack::Filed { seq, archived_as });
            } else {
                self.unpublished.push(filing);
            }
        }
        self.has_room();
        if !acks.is_empty() {
            (self.report)(acks);
        }
        Ok(())
    }

    /// Returns whether the files are made; if not, space, a name or a descriptor was lacking, and it is retried later.
    pub(super) fn publish_one(&mut self, filing: &mut Filing) -> Result<bool, Stopped> {
        let seq = filing.publication.outcome.seq;
        match self.publish_somewhere(filing) {
            Ok(()) => {
                self.published.push(seq);
                self.end_shortage(Some(seq));
            }
            Err(PublishError::Status { what, source }) => {
                let again = if self.late.add(seq, (self.clock)()) {
                    "tried again every two seconds"
                } else {
                    "written at the next start"
                };
                tracing::error!(
                    seq = seq.get(),
                    file = filing.publication.outcome.name,
                    code = Code::StoreFailed.id(),
                    "{what}: {source}; the outcome is recorded and archived, and its status is {again}"
                );
            }
            Err(PublishError::NoSpace) => {
                self.set_full(Some(Full::Files));
                self.retry_at = Some((self.clock)() + SPACE_RETRY);
                return Ok(false);
            }
            Err(PublishError::Occupied) => {
                self.note_shortage(Some(seq), "archiving: other processes keep taking the free names");
                self.retry_at = Some((self.clock)() + SPACE_RETRY);
                return Ok(false);
            }
            // The workers use descriptors and memory by fits and starts: what they leave is enough for one file at a time.
            Err(PublishError::Io { what, source }) if is_passing(&source) => {
                self.note_shortage(Some(seq), &format!("{what}: {source}"));
                self.retry_at = Some((self.clock)() + PASSING_RETRY);
                return Ok(false);
            }
            Err(error) => return Err(self.broken(error)),
        }
        self.published_since.get_or_insert_with(self.clock);
        Ok(true)
    }

    /// The shortage that stands against the files of outcomes or, without a number, against entries of the audit trail.
    fn shortage_of(&mut self, seq: Option<Seq>) -> &mut Shortage<Instant> {
        let of_entries = self.auditing.as_mut().filter(|_| seq.is_none());
        of_entries.map_or(&mut self.shortage, |auditing| &mut auditing.shortage)
    }

    /// A file or entry was made. That is told where nothing else lacks anything.
    pub(super) fn end_shortage(&mut self, seq: Option<Seq>) {
        let was_told = self.shortage_of(seq).end();
        let of_entries = self.auditing.as_ref().is_some_and(|auditing| auditing.shortage.is_told());
        if was_told && !of_entries && !self.shortage.is_told() {
            (self.report)(vec![Ack::FilingWaits(false)]);
        }
    }

    /// Notes that a file, or an entry of the audit trail, cannot be made now. What lasts makes the daemon not ready.
    pub(super) fn note_shortage(&mut self, seq: Option<Seq>, why: &str) {
        let now = (self.clock)();
        let phase = self.shortage_of(seq).met(now);
        let seq = seq.map(Seq::get);
        match phase {
            Phase::Begun => tracing::warn!(seq, "{why}; tried again until it succeeds"),
            Phase::Lasts => {
                let code = Code::StoreFailed.id();
                tracing::error!(seq, code, "{why}; nothing is taken or started until it succeeds");
                (self.report)(vec![Ack::FilingWaits(true)]);
            }
            Phase::Known => {}
        }
    }

    /// Publishes under the recorded name, or under further ones while another outcome's file or a foreign one has it.
    pub(super) fn publish_somewhere(&mut self, filing: &mut Filing) -> Result<(), PublishError> {
        let Publication { outcome, kind, .. } = &filing.publication;
        if *kind == PublicationKind::Again && !self.owns(outcome)? {
            self.rename(&mut filing.publication)?;
        }
        let (mut failed_before, mut renewed) = (false, false);
        for _ in 0..NAMES_AT_ONCE {
            match publish::publish(&self.places, &*self.store, &*self.keys, filing) {
                Err(PublishError::Occupied) => self.rename(&mut filing.publication)?,
                Err(PublishError::Store(StoreError::Failed)) if !failed_before => {
                    failed_before = true;
                    self.reopen().map_err(|_: Stopped| PublishError::Stopped)?;
                }
                Err(PublishError::Status { .. } | PublishError::Io { .. })
                    if !renewed && self.renew_drafts() =>
                {
                    renewed = true;
                }
                other => return other,
            }
        }
        Err(PublishError::Occupied)
    }

    fn owns(&self, outcome: &Outcome) -> Result<bool, StoreError> {
        Ok(self.store.owner(&outcome.archived_as)? == Some(outcome.seq))
    }

    /// Ends the writer after a failure that it cannot handle.
    pub(super) fn broken(&self, error: PublishError) -> Stopped {
        match error {
            PublishError::Store(cause) => self.fatal(Broken::Records { attempt: "archiving", cause }),
            PublishError::Io { what, source } | PublishError::Status { what, source } => {
                self.fatal(Broken::file(what)(source))
            }
            PublishError::NoSpace => self.fatal(Broken::NoSpaceForName),
            PublishError::Occupied => self.fatal(Broken::NoFreeName),
            PublishError::Stopped => Stopped, // It has been reported.
        }
    }
}
