//! One turn of the writer: it sorts a batch, commits it, brings it into the audit trail, answers, publishes, and does what has come due;
//! and the turn that ends a clean stop.

use super::audit::Auditing;
use super::broken::Broken;
use super::gathered::Gathered;
use super::limits::{SYNC_AFTER, SYNC_AT};
use super::message::{Ack, Command, NewClaim};
use super::packages::PackageSync;
use super::publish::Filing;
use super::writer_loop::{Stopped, WriterLoop};
use crate::handoff::TakenFiles;
use crate::store::Work;
use conductor_core::name::TakenName;
use conductor_core::record::{Clearance, LastSuccess};
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Does the work of a batch, which may be empty, and then whatever else is due.
    pub(super) fn turn(&mut self, batch: Vec<Command>) -> Result<(), Stopped> {
        let idle = batch.is_empty();
        let work = self.sort(batch)?;
        self.audit_by_time()?;
        if !self.again.is_empty() {
            // What a crash took of their entries is made again before they can be DONE.
            self.audit(&Gathered::default())?;
        }
        self.republish()?;
        if !work.is_empty() || self.done.len() >= SYNC_AT || (idle && !self.done.is_empty()) {
            let begun = (self.clock)();
            let lasts = self.commit(&work)?;
            self.audit(&work)?;
            self.answer(&work, self.since(begun), lasts);
            self.publish(work.publications.into_iter().map(Filing::from))?;
        }
        if self.again.is_empty() && self.retry_at.is_none_or(|at| (self.clock)() >= at) {
            self.retry_at = None;
            let unpublished = std::mem::take(&mut self.unpublished);
            self.publish(unpublished)?;
        }
        self.write_late()?;
        self.start_sync()?;
        self.retain()?;
        self.head.refresh(&self.places.handoff, &self.places.drafts, &*self.store, false);
        Ok(())
    }

    /// Sorts a batch by kind. Names of archived files are chosen here, before the commit that records them.
    fn sort(&mut self, batch: Vec<Command>) -> Result<Gathered, Stopped> {
        let (mut work, now) = (Gathered::default(), (self.clock)());
        for command in batch {
            match command {
                Command::Claim(new) => work.claims.push(new),
                Command::Reserve { seq, attempt } => work.reserves.push((seq, attempt)),
                Command::Settle(publication) => match &mut self.packages {
                    Some(packages) if PackageSync::covers(&publication) => packages.wait(*publication, now),
                    _ => work.publications.push(*publication),
                },
                Command::PackagesSynced { publications, result } => {
                    self.believe("the file system of the packages", result)?;
                    self.packages.as_mut().map(PackageSync::ended);
                    work.publications.extend(publications);
                }
                Command::Republish(again) => self.again.extend(again),
                Command::Recall { seqs } => self.recall(&seqs)?,
                Command::ReadFailed => self.look_after_store()?,
                Command::Synced { seqs, result } => {
                    self.sync_under_way = false;
                    self.believe("the handoff file system", result)?;
                    self.audit_synced();
                    self.done.extend(seqs);
                }
                Command::Retain { before } => self.begin_sweep(before),
                Command::Expire { retention } => self.begin_expiry(retention),
                Command::Hold { holding, durable } => work.holds.push((holding, durable)),
                Command::Audit(record) => {
                    if let Some(auditing) = &mut self.auditing {
                        auditing.add(*record, now);
                    }
                }
                Command::Denied => {
                    if let Some(auditing) = &mut self.auditing {
                        auditing.add_refusals(now);
                    }
                }
                Command::NotReady(reasons) => self.head.set_not_ready(reasons),
                Command::Flush | Command::Stop => {}
            }
        }
        self.prepare(&mut work.publications)?;
        let flush = self.flush.load(Ordering::Acquire);
        if let Some(packages) = &mut self.packages {
            packages.begin(flush, now);
        }
        Ok(work)
    }

    /// A failed sync is never repeated and trusted: a restart reads the state on the disk.
    fn believe(&self, what: &str, result: io::Result<()>) -> Result<(), Stopped> {
        result.map_err(|error| self.fatal(Broken::file(format!("syncing {what}"))(error)))
    }

    fn answer(&mut self, work: &Gathered, took: Duration, lasts: Vec<Option<LastSuccess>>) {
        let mut acks = Vec::with_capacity(work.claims.len() + work.reserves.len() + 1);
        acks.push(Ack::Committed { took, records: work.len() });
        let mut cleared = Vec::new();
        for (new, last) in work.claims.iter().zip(lasts) {
            let give = new.clearance.as_ref();
            cleared.extend(give.map(|give| (give, Clearance::of(&new.claim, last.as_ref()))));
            acks.push(Ack::Claimed { seq: new.claim.seq, last });
        }
        acks.extend(work.reserves.iter().map(|(seq, _)| Ack::Reserved { seq: *seq }));
        (self.report)(acks);
        // After the loop has been told, so that it hears of no start before the claim.
        for (give, clearance) in cleared {
            // A worker that was told to stop does not wait.
            let _ = give.try_send(clearance);
        }
        for (_, durable) in &work.holds {
            // The client may have gone.
            let _ = durable.try_send(());
        }
        for NewClaim { claim, .. } in &work.claims {
            let taken = TakenName { seq: claim.seq, raw: claim.name.as_bytes().into() };
            // The bytes are in the store: a file left behind is removed at the next start.
            let _ = self.places.taken.remove_taken(&taken);
        }
    }

    fn start_sync(&mut self) -> Result<(), Stopped> {
        let due = self.published.len() >= SYNC_AT
            || self.published_since.is_some_and(|at| self.since(at) >= SYNC_AFTER);
        if due && !self.sync_under_way {
            self.published_since = None;
            self.audit_sync_begins()?;
            let sent = self.to_sync.send(std::mem::take(&mut self.published));
            sent.map_err(|_| self.fatal(Broken::NoSync))?;
            self.sync_under_way = true;
        }
        Ok(())
    }

    /// The end of a clean stop: syncs published files, records it, writes the head.
    pub(super) fn finish(&mut self) {
        if self.write_late_now().is_err() {
            return; // The failure has been reported.
        }
        if let Ok(Some(error)) = self.append_pending() {
            tracing::warn!(%error, "the last entries of the audit trail are not written");
        }
        let unsynced = self.auditing.as_ref().is_some_and(Auditing::is_unsynced);
        if !self.published.is_empty() || unsynced {
            if self.audit_sync_begins().is_err() {
                return; // The failure has been reported.
            }
            match self.places.handoff.sync_file_system() {
                Ok(()) => {
                    self.audit_synced();
                    self.done.append(&mut self.published);
                }
                Err(error) => {
                    tracing::warn!(%error, "the last files are not synced; they are published again");
                }
            }
        }
        if !self.done.is_empty()
            && let Err(error) = self.store.commit(&Work { done: self.done.clone(), ..Work::default() })
        {
            tracing::warn!(%error, "the last outcomes are published again at the next start");
        }
        self.head.refresh(&self.places.handoff, &self.places.drafts, &*self.store, true);
    }
}
