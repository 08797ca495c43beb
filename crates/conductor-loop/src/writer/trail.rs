//! The audit trail in the writer's batches. What the store has committed is appended before it is answered and before any file of it is
//! published, so nothing runs and nothing is filed without an entry; a crash in between takes entries that the next start makes again from
//! the store. The sync that covers the published files covers the trail; it asks for one of its own when an epoch has ended, and after an
//! entry of what is neither an intent nor a refusal.

use super::audit::GONE_GRACE;
use super::broken::Broken;
use super::entries::{filed, held, taken};
use super::gathered::Gathered;
use super::limits::SPACE_RETRY;
use super::message::{Ack, Full};
use super::writer_loop::{Stopped, WriterLoop};
use conductor_evidence::TrailError;
use jiff::Timestamp;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Appends the entries of a committed batch, behind those that waited. Waits on a full disk: nothing goes on unaudited.
    pub(super) fn audit(&mut self, gathered: &Gathered) -> Result<(), Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        let claims = gathered.claims.iter().map(|new| taken(&new.claim));
        auditing.pending.extend(claims);
        auditing
            .pending
            .extend(gathered.publications.iter().flat_map(|publication| filed(&publication.outcome)));
        auditing.pending.extend(gathered.holds.iter().map(|(holding, _)| held(holding)));
        auditing.asks_sync |= !gathered.holds.is_empty();
        while let Some(error) = self.append_pending()? {
            self.tell_what_lacks(&error);
            if self.abandon.load(Ordering::Acquire) {
                return Err(self.fatal(Broken::StoppedBeforeTrail(error)));
            }
            std::thread::sleep(SPACE_RETRY); // Waits for space: nothing may go on before.
        }
        Ok(())
    }

    /// Tells why the trail waits: for space, or for a descriptor or memory.
    pub(super) fn tell_what_lacks(&mut self, error: &TrailError) {
        if let TrailError::NoSpace(_) = error {
            self.set_full(Some(Full::Files));
        } else {
            self.note_shortage(None, &error.to_string());
        }
    }

    /// Appends what waits, and ends the epoch, when it is time and no batch came.
    pub(super) fn audit_by_time(&mut self) -> Result<(), Stopped> {
        let now = (self.clock)();
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        if auditing.patience(now) > Duration::ZERO {
            return Ok(());
        }
        if auditing.gone_since.is_some() {
            self.look_at_segment()?;
        }
        let lacks = self.append_pending()?;
        if let (Some(error), Some(auditing)) = (lacks, &mut self.auditing) {
            auditing.due = Some(now + SPACE_RETRY);
            self.tell_what_lacks(&error);
        } else {
            self.has_room();
        }
        Ok(())
    }

    /// Appends what waits; the error is one after which all of it waits on.
    pub(super) fn append_pending(&mut self) -> Result<Option<TrailError>, Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(None) };
        let (before, epoch) = (auditing.trail.head(), auditing.trail.epoch());
        match auditing.trail.append(&auditing.pending, Timestamp::now()) {
            Ok(()) => {
                auditing.pending.clear();
                auditing.due = None;
                let head = auditing.trail.head();
                // The end of an epoch becomes durable, and its secret goes, also when nothing is published.
                let syncs = std::mem::take(&mut auditing.asks_sync) || auditing.trail.epoch() != epoch;
                if head != before {
                    auditing.unsynced = true;
                    self.head.set_audit(head);
                    (self.report)(vec![Ack::Audited(head)]);
                    if syncs {
                        self.published_since.get_or_insert((self.clock)());
                    }
                }
                self.end_shortage(None);
                Ok(None)
            }
            Err(error) if error.waits() => Ok(Some(error)),
            Err(error) => Err(self.fatal(error)),
        }
    }

    /// Says that a sync begins. What it would make durable must still have its name.
    pub(super) fn audit_sync_begins(&mut self) -> Result<(), Stopped> {
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        auditing.unsynced = false;
        auditing.trail.sync_begins();
        self.look_at_segment()
    }

    /// Ends the daemon when the last segment has been without its name for a while. Where more than the trail is gone, whoever
    /// looks after the directories says so first, and puts back what it can.
    fn look_at_segment(&mut self) -> Result<(), Stopped> {
        let now = (self.clock)();
        let Some(auditing) = &mut self.auditing else { return Ok(()) };
        match auditing.trail.look_at_segment() {
            // What could not be looked at is looked at again with the next sync.
            Ok(()) => auditing.gone_since = None,
            Err(error) if error.waits() => auditing.gone_since = None,
            Err(error @ TrailError::Gone(_)) => {
                let since = *auditing.gone_since.get_or_insert(now);
                if now.duration_since(since) >= GONE_GRACE {
                    return Err(self.fatal(error));
                }
            }
            Err(error) => return Err(self.fatal(error)),
        }
        Ok(())
    }

    /// Says that a sync worked.
    pub(super) fn audit_synced(&mut self) {
        let Some(auditing) = &mut self.auditing else { return };
        match auditing.trail.synced() {
            Ok(()) => auditing.complained = false,
            // The key of the last epoch stays in the file, and still leads to the current one.
            Err(error) if error.waits() => {
                tracing::debug!(%error, "the key of the epoch is written after the next sync");
            }
            Err(error) if !auditing.complained => {
                auditing.complained = true;
                tracing::warn!(%error, "the secret of an ended epoch stays on the disk until its file can be written");
            }
            Err(_) => {} // Reported once.
        }
    }
}
