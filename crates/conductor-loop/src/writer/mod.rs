//! The writer: one thread that makes records durable in batches. Commands that arrive during a sync form the next batch.
//!
//! A batch is one transaction: claims, recorded starts, outcomes, and the DONE of what an earlier sync covered. After
//! the commit it answers, then publishes (archived file, error log, status). A helper thread syncs the file system
//! behind published files; only then are they DONE. What is committed is in the audit trail before it is answered.

mod audit;
mod files;
mod filing;
mod gathered;
mod head;
mod late_statuses;
mod message;
mod packages;
mod publish;
mod retention;
#[cfg(test)]
mod tests;

pub use audit::{Audit, AuditDoor, admin as admin_entry, filed as filed_entries, taken as taken_entry};
pub use gathered::Holding;
pub use head::Head;
pub use message::{Ack, Again, Command, Full, NewClaim, Publication, PublicationKind, Source};

use crate::handoff::{Dirs, TakenFiles};
use crate::store::{Flaw, Ledger, Start, StoreError, Work};
use audit::{Auditing, Refusals};
use conductor_core::attestation::Attest;
use conductor_core::name::TakenName;
use conductor_core::record::{Clearance, LastSuccess};
use conductor_core::shortage::Shortage;
use conductor_core::{Code, Seq};
use conductor_os::outlet::Outlet;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use gathered::Gathered;
use jiff::SignedDuration;
use late_statuses::Late;
use packages::PackageSync;
use publish::Filing;
use retention::{Clocks, Sweep};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The size limit of a batch. A larger one only delays its first command.
const BATCH_MAX: usize = 512;
/// The number of published outcomes that may wait for a sync.
const SYNC_AT: usize = 1_024;
/// While all workers are busy, none waits for the disk: a batch may collect for this long, because a commit costs as much
/// CPU as a good part of a process start (measured: docs/BENCHMARKS.md).
const LINGER: Duration = Duration::from_millis(5);
/// The longest a published outcome waits for its sync.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// How long a stop waits for a removal by age.
const SWEEP_AT_STOP: Duration = Duration::from_secs(1);
/// The interval between tries on a full disk.
const SPACE_RETRY: Duration = Duration::from_secs(1);

/// The parts that a writer works with.
pub struct Parts {
    /// The directories of files.
    pub places: Dirs,
    /// The directory of the embedded engine's packages, if that engine runs.
    pub packages: Option<Arc<Outlet>>,
    /// The store.
    pub store: Arc<dyn Ledger>,
    /// The keys that sign statuses.
    pub keys: Arc<dyn Attest>,
    /// The store's public head.
    pub head: Head,
    /// --retention
    pub retention: SignedDuration,
    /// The audit trail, if one is kept.
    pub audit: Option<Audit>,
}

/// The running writer.
pub struct Writer {
    commands: Sender<Command>,
    abandon: Arc<AtomicBool>,
    flush: Arc<AtomicBool>,
    /// Refused askers, if a trail is kept.
    refusals: Option<Arc<Refusals>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer and its sync helper.
    pub fn start(parts: Parts, report: impl Fn(Vec<Ack>) + Send + 'static) -> io::Result<Self> {
        let Parts { places, packages, store, keys, head, retention, audit } = parts;
        let (commands, receiver) = crossbeam_channel::unbounded();
        let (to_sync, syncs) = crossbeam_channel::bounded::<Vec<Seq>>(1);
        let (handoff, back) = (Arc::clone(&places.handoff), commands.clone());
        std::thread::Builder::new().name("sync".to_owned()).spawn(move || {
            for seqs in syncs {
                let result = handoff.sync_file_system();
                if back.send(Command::Synced { seqs, result }).is_err() {
                    return;
                }
            }
        })?;
        let packages = packages.map(|packages| PackageSync::start(packages, commands.clone())).transpose()?;
        let writer_loop = WriterLoop::new(
            Office { places, packages, store, keys, head, retention, audit },
            report,
            to_sync,
        );
        let (abandon, flush) = (Arc::clone(&writer_loop.abandon), Arc::clone(&writer_loop.flush));
        let refusals = writer_loop.auditing.as_ref().map(Auditing::refusals);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer_loop.run(&receiver))?;
        Ok(Self { commands, abandon, flush, refusals, thread: Some(thread) })
    }

    /// The way of entries to the audit trail; `None`: none is kept.
    pub fn audit_door(&self) -> Option<AuditDoor> {
        self.refusals.as_ref().map(|refusals| AuditDoor::of(&self.commands, refusals))
    }

    /// Queues a command. The scheduler's windows bound the queue.
    pub fn send(&self, command: Command) {
        // Fails only after a fatal answer has been given.
        let _ = self.commands.send(command);
    }

    /// Sets whether a worker waits for the disk; otherwise batches may collect.
    pub fn set_flush(&self, flush: bool) {
        if self.flush.swap(flush, Ordering::AcqRel) != flush && flush {
            self.send(Command::Flush);
        }
    }

    /// Stops waiting for space: anything not durable is repeated by the next start.
    pub fn abandon(&self) {
        self.abandon.store(true, Ordering::Release);
    }

    /// Makes everything durable, then ends the thread.
    pub fn stop(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    /// A life that failed to start already has a writer: its open store must be free for the next attempt.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.abandon();
            self.stop();
        }
    }
}

/// The writer's state between commit and DONE.
struct WriterLoop<R> {
    places: Dirs,
    /// A monotonic clock.
    clock: fn() -> Instant,
    /// The sync of the embedded engine's packages, if that engine runs.
    packages: Option<PackageSync>,
    abandon: Arc<AtomicBool>,
    flush: Arc<AtomicBool>,
    store: Arc<dyn Ledger>,
    keys: Arc<dyn Attest>,
    head: Head,
    report: R,
    to_sync: Sender<Vec<Seq>>,
    sync_under_way: bool,
    published: Vec<Seq>,
    published_since: Option<Instant>,
    done: Vec<Seq>,
    /// An earlier daemon's outcomes, to be published again before any newer one.
    again: VecDeque<Again>,
    /// Committed outcomes that lacked space, a name or a descriptor for their files.
    unpublished: Vec<Filing>,
    /// The time of their next try.
    retry_at: Option<Instant>,
    /// What keeps the next of them from being made, other than space.
    shortage: Shortage<Instant>,
    /// Statuses that could not be written.
    late: Late,
    /// Whether the recreation of the drafts directory has been reported.
    drafts_told: bool,
    /// The removal by age in progress.
    sweep: Option<Sweep>,
    clocks: Clocks,
    full: Option<Full>,
    /// The audit trail, if one is kept.
    auditing: Option<Auditing>,
}

/// [`Parts`], with the package sync started.
struct Office {
    places: Dirs,
    packages: Option<PackageSync>,
    store: Arc<dyn Ledger>,
    keys: Arc<dyn Attest>,
    head: Head,
    retention: SignedDuration,
    audit: Option<Audit>,
}

/// Ends the writer's thread after a fatal answer.
struct Stopped;

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    fn new(office: Office, report: R, to_sync: Sender<Vec<Seq>>) -> Self {
        let Office { places, packages, store, keys, head, retention, audit } = office;
        Self {
            places,
            clock: Instant::now,
            packages,
            abandon: Arc::new(AtomicBool::new(false)),
            flush: Arc::new(AtomicBool::new(true)),
            store,
            keys,
            head,
            report,
            to_sync,
            sync_under_way: false,
            published: Vec::new(),
            published_since: None,
            done: Vec::new(),
            again: VecDeque::new(),
            unpublished: Vec::new(),
            retry_at: None,
            shortage: Shortage::default(),
            late: Late::default(),
            drafts_told: false,
            sweep: None,
            clocks: Clocks::new(retention),
            full: None,
            auditing: audit.map(|audit| Auditing::new(audit, Instant::now())),
        }
    }

    fn run(mut self, commands: &Receiver<Command>) {
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
    fn collect(&self, commands: &Receiver<Command>, batch: &mut Vec<Command>) {
        let begun = (self.clock)();
        loop {
            batch.extend(commands.try_iter().take(BATCH_MAX));
            let Some(left) = self.collects_for(batch, begun) else { return };
            if let Ok(command) = commands.recv_timeout(left) {
                batch.push(command);
            }
        }
    }

    /// How long a batch begun at this time may still collect; `None`: it is committed now.
    fn collects_for(&self, batch: &[Command], begun: Instant) -> Option<Duration> {
        let full = batch.is_empty() || batch.len() >= BATCH_MAX;
        let stops = || batch.iter().any(|command| matches!(command, Command::Stop));
        if full || self.flush.load(Ordering::Acquire) || stops() {
            return None;
        }
        LINGER.checked_sub(self.since(begun)).filter(|left| !left.is_zero())
    }

    /// The time since a moment.
    fn since(&self, then: Instant) -> Duration {
        (self.clock)().saturating_duration_since(then)
    }

    /// How long to wait for the next command before other work is due.
    fn patience(&self) -> Duration {
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

    fn turn(&mut self, batch: Vec<Command>) -> Result<(), Stopped> {
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
        result.map_err(|error| self.fatal(Code::StoreFailed, &format!("syncing {what}: {error}")))
    }

    /// Commits one durable transaction. Waits on a full disk; any other failure is fatal.
    fn commit(&mut self, gathered: &Gathered) -> Result<Vec<Option<LastSuccess>>, Stopped> {
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
                    self.wait_for_space(&error)?;
                    self.reopen()?;
                }
                // A read failed in between; all or nothing of this commit is durable, and it may be repeated.
                Err(StoreError::Failed) if !failed_before => {
                    failed_before = true;
                    self.reopen()?;
                }
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
    }

    /// Opens the store again after a write lacked space, as soon as possible.
    fn reopen(&mut self) -> Result<(), Stopped> {
        loop {
            match self.store.reopen() {
                Ok(()) => return Ok(()),
                // Busy: a command reads the store, for as long as one answer takes.
                Err(error @ (StoreError::NoSpace(_) | StoreError::Busy)) => self.wait_for_space(&error)?,
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
    }

    /// Reads the claims of parked intents whose turn is near.
    fn recall(&mut self, seqs: &[Seq]) -> Result<(), Stopped> {
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
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
        (self.report)(acks);
        Ok(())
    }

    /// Checks the store after a worker's failed read: after a failure the storage engine answers nothing until it is
    /// opened again, which without a write nothing would do.
    fn look_after_store(&mut self) -> Result<(), Stopped> {
        match self.store.has_failed() {
            Ok(false) => Ok(()),
            Ok(true) | Err(StoreError::NoSpace(_) | StoreError::Busy) => self.reopen(),
            Err(error) => Err(self.fatal(error.code(), &error.to_string())),
        }
    }

    fn wait_for_space(&mut self, error: &StoreError) -> Result<(), Stopped> {
        self.set_full(Some(Full::State));
        if self.abandon.load(Ordering::Acquire) {
            let reason = format!("stopped before the state could be written: {error}");
            return Err(self.fatal(Code::DiskFull, &reason));
        }
        std::thread::sleep(SPACE_RETRY); // Waits for space: no command can be answered before.
        Ok(())
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
            sent.map_err(|_| self.fatal(Code::StoreFailed, "the thread that syncs files has ended"))?;
            self.sync_under_way = true;
        }
        Ok(())
    }

    /// The end of a clean stop: syncs published files, records it, writes the head.
    fn finish(&mut self) {
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

    /// Notes that a write succeeded. While files wait for space, a write of the store, which reuses its own space, proves
    /// nothing.
    fn has_room(&mut self) {
        if self.unpublished.is_empty() && self.again.is_empty() {
            self.set_full(None);
        }
    }

    fn set_full(&mut self, full: Option<Full>) {
        if self.full != full {
            self.full = full;
            (self.report)(vec![Ack::DiskFull(full)]);
        }
    }

    fn fatal(&self, code: Code, reason: &str) -> Stopped {
        (self.report)(vec![Ack::Fatal { code, reason: reason.to_owned() }]);
        Stopped
    }
}
