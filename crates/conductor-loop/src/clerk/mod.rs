//! The clerk: one thread that makes things durable in batches. What arrives while it syncs is the next batch.
//!
//! A batch is one transaction: claims, recorded starts, outcomes, and the DONE of what an earlier sync covered. After
//! the commit it answers, then publishes (archived file, error log, status). A helper thread syncs the file system
//! behind published files; only then are they DONE. Audit entries will ride in the same batch.

mod head;
mod message;
mod packages;
mod publish;
mod retention;
#[cfg(test)]
mod tests;

pub use head::{FILE as HEAD_FILE, FORMAT as HEAD_FORMAT, Head, HeadBody};
pub use message::{Ack, Again, Command, Full, Places, Settlement, Source};

use crate::store::{Batch, Content, Kept, Settled, Start, Store, StoreError};
use crate::sys::dir::Dir;
use crate::sys::payload::Payload;
use crate::sys::taken::TakenFiles;
use conductor_core::Code;
use conductor_core::inquiry::Held;
use conductor_core::name::TakenName;
use conductor_core::record::{Claim, LastSuccess, Outcome};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use packages::PackageSync;
use publish::PublishError;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Commands in one batch. More only makes the first one wait longer.
const BATCH_MAX: usize = 512;
/// Published outcomes that wait for a sync at most.
const SYNC_AT: usize = 1_024;
/// While all workers are busy nobody waits for the disk: a batch may collect for this long, because a commit costs as
/// much CPU as a good part of a process start (measured: docs/BENCHMARKS.md).
const LINGER: Duration = Duration::from_millis(5);
/// The longest a published outcome waits for its sync.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// How soon a full disk is tried again.
const SPACE_RETRY: Duration = Duration::from_secs(1);

/// The running clerk.
pub struct Clerk {
    commands: Sender<Command>,
    abandon: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clerk {
    /// Starts the clerk and its sync helper.
    pub fn start(
        (places, packages): (Places, Option<Dir>),
        store: Arc<Store>,
        head: Head,
        report: impl Fn(Vec<Ack>) + Send + 'static,
    ) -> io::Result<Self> {
        let (commands, receiver) = crossbeam_channel::unbounded();
        let (to_sync, syncs) = crossbeam_channel::bounded::<Vec<u64>>(1);
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
        let desk = Desk::new((places, packages), store, head, report, to_sync);
        let (abandon, hurry) = (Arc::clone(&desk.abandon), Arc::clone(&desk.hurry));
        let thread =
            std::thread::Builder::new().name("clerk".to_owned()).spawn(move || desk.run(&receiver))?;
        Ok(Self { commands, abandon, hurry, thread: Some(thread) })
    }

    /// Queues a command. The desk's windows bound the queue.
    pub fn send(&self, command: Command) {
        // Fails only after a fatal answer has been given.
        let _ = self.commands.send(command);
    }

    /// Whether somebody waits for the disk (a worker is free) or batches may collect.
    pub fn set_hurry(&self, hurry: bool) {
        if self.hurry.swap(hurry, Ordering::AcqRel) != hurry && hurry {
            self.send(Command::Hurry);
        }
    }

    /// Gives up waiting for space: what is not durable stays undone and is done again by the next start.
    pub fn abandon(&self) {
        self.abandon.store(true, Ordering::Release);
    }

    /// Makes everything durable and ends.
    pub fn stop(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The clerk's own table: what lies between commit and DONE.
struct Desk<R> {
    places: Places,
    /// Where the embedded engine writes packages, if it is what runs.
    packages: Option<PackageSync>,
    abandon: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    store: Arc<Store>,
    head: Head,
    report: R,
    to_sync: Sender<Vec<u64>>,
    sync_under_way: bool,
    published: Vec<u64>,
    published_since: Option<Instant>,
    done: Vec<u64>,
    /// Decided by an earlier daemon and to be published again, before anything newer.
    again: VecDeque<Again>,
    /// Committed outcomes whose files found no space.
    unpublished: Vec<Settlement>,
    /// When they are tried again.
    space_retry_at: Option<Instant>,
    retain_before: Option<jiff::Timestamp>,
    full: Option<Full>,
}

/// Ends the clerk's thread after a fatal answer.
struct Stopped;

impl<R: Fn(Vec<Ack>)> Desk<R> {
    fn new(
        (places, packages): (Places, Option<PackageSync>),
        store: Arc<Store>,
        head: Head,
        report: R,
        to_sync: Sender<Vec<u64>>,
    ) -> Self {
        Self {
            places,
            packages,
            abandon: Arc::new(AtomicBool::new(false)),
            hurry: Arc::new(AtomicBool::new(true)),
            store,
            head,
            report,
            to_sync,
            sync_under_way: false,
            published: Vec::new(),
            published_since: None,
            done: Vec::new(),
            again: VecDeque::new(),
            unpublished: Vec::new(),
            space_retry_at: None,
            retain_before: None,
            full: None,
        }
    }

    fn run(mut self, commands: &Receiver<Command>) {
        let mut stopping = false;
        while !stopping || self.packages.as_ref().is_some_and(|packages| !packages.is_idle()) {
            let mut batch = Vec::new();
            match commands.recv_timeout(self.patience()) {
                Ok(command) => batch.push(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stopping = true,
            }
            self.collect(commands, &mut batch);
            stopping |= batch.iter().any(|command| matches!(command, Command::Stop));
            if self.turn(batch).is_err() {
                return;
            }
        }
        self.finish();
    }

    /// Everything that has arrived; while nobody waits, also what arrives within a moment.
    fn collect(&self, commands: &Receiver<Command>, batch: &mut Vec<Command>) {
        let until = Instant::now() + LINGER;
        loop {
            batch.extend(commands.try_iter().take(BATCH_MAX));
            let idle = batch.is_empty() || batch.len() >= BATCH_MAX || self.hurry.load(Ordering::Acquire);
            let over =
                Instant::now() >= until || batch.iter().any(|command| matches!(command, Command::Stop));
            if idle || over {
                return;
            }
            if let Ok(command) = commands.recv_deadline(until) {
                batch.push(command);
            }
        }
    }

    /// How long to wait for the next command before something else is due.
    fn patience(&self) -> Duration {
        let hurry = self.hurry.load(Ordering::Acquire);
        let sync = self.packages.as_ref().and_then(|packages| packages.patience(hurry));
        sync.map_or_else(|| self.idle_patience(), |sync| sync.min(self.idle_patience()))
    }

    fn idle_patience(&self) -> Duration {
        if self.retain_before.is_some() {
            return Duration::ZERO;
        }
        if let Some(at) = self.space_retry_at {
            return at.saturating_duration_since(Instant::now());
        }
        if !self.done.is_empty() && !self.sync_under_way && self.published.is_empty() {
            // DONE rides with the next batch; when none comes it is written by itself.
            return SYNC_AFTER;
        }
        match self.published_since.filter(|_| !self.sync_under_way) {
            Some(since) => SYNC_AFTER.saturating_sub(since.elapsed()),
            None => self.head.patience(),
        }
    }

    fn turn(&mut self, batch: Vec<Command>) -> Result<(), Stopped> {
        let idle = batch.is_empty();
        let work = self.sort(batch)?;
        self.republish()?;
        if !work.is_empty() || self.done.len() >= SYNC_AT || (idle && !self.done.is_empty()) {
            let begun = Instant::now();
            let lasts = self.commit(&work)?;
            self.answer(&work, begun.elapsed(), lasts);
            self.publish(work.settlements)?;
        }
        if self.again.is_empty() && self.space_retry_at.is_none_or(|at| Instant::now() >= at) {
            self.space_retry_at = None;
            let unpublished = std::mem::take(&mut self.unpublished);
            self.publish(unpublished)?;
        }
        self.start_sync();
        self.retain()?;
        self.head.refresh(&self.places.handoff, &self.places.drafts, &self.store, false);
        Ok(())
    }

    /// Takes a batch apart. Names for archived files are chosen here, before the commit that records them.
    fn sort(&mut self, batch: Vec<Command>) -> Result<Work, Stopped> {
        let mut work = Work::default();
        for command in batch {
            match command {
                Command::Claim { claim, bytes, arm } => work.claims.push((claim, bytes, arm)),
                Command::Arm { seq, attempt } => work.arms.push((seq, attempt)),
                Command::Settle(settlement) => match &mut self.packages {
                    Some(packages) if PackageSync::covers(&settlement) => packages.wait(*settlement),
                    _ => work.settlements.push(*settlement),
                },
                Command::PackagesSynced { settlements, result } => {
                    self.believe("the file system of the packages", result)?;
                    self.packages.as_mut().map(PackageSync::ended);
                    work.settlements.extend(settlements);
                }
                Command::Republish(again) => self.again.extend(again),
                Command::Recall { seqs } => self.recall(&seqs)?,
                Command::ReadFailed => self.look_after_store()?,
                Command::Synced { seqs, result } => {
                    self.sync_under_way = false;
                    self.believe("the handoff file system", result)?;
                    self.done.extend(seqs);
                }
                // A purge is not cut short by the hourly sweep.
                Command::Retain { before } => self.retain_before = self.retain_before.max(Some(before)),
                Command::Hold { held, durable } => {
                    work.holds.push((held.target.clone(), Some(held), durable));
                }
                Command::Release { target, durable } => work.holds.push((target, None, durable)),
                Command::NotReady(reasons) => self.head.set_not_ready(reasons),
                Command::Hurry | Command::Stop => {}
            }
        }
        let mut reserved = HashSet::new();
        for settlement in work.settlements.iter_mut().filter(|settlement| !settlement.republish) {
            publish::choose_name(&self.places, &mut settlement.outcome, &mut reserved).map_err(|error| {
                self.fatal(Code::StoreFailed, &format!("choosing a name in the archive: {error}"))
            })?;
        }
        let hurry = self.hurry.load(Ordering::Acquire);
        if let Some(packages) = &mut self.packages {
            packages.begin(hurry);
        }
        Ok(work)
    }

    /// A failed sync is never repeated and believed: a restart reads back what is there.
    fn believe(&self, what: &str, result: io::Result<()>) -> Result<(), Stopped> {
        result.map_err(|error| self.fatal(Code::StoreFailed, &format!("syncing {what}: {error}")))
    }

    /// One durable transaction. A full disk is waited for; anything else is fatal.
    fn commit(&mut self, work: &Work) -> Result<Vec<Option<LastSuccess>>, Stopped> {
        let mut failed_before = false;
        loop {
            match self.store.write(|batch| write(batch, work, &self.done)) {
                Ok(lasts) => {
                    self.done.clear();
                    self.has_room();
                    return Ok(lasts);
                }
                Err(error @ StoreError::NoSpace(_)) => {
                    self.wait_for_space(&error)?;
                    self.reopen()?;
                }
                // A read failed since; of this commit nothing is durable, or all, and it may be made twice.
                Err(StoreError::Failed) if !failed_before => {
                    failed_before = true;
                    self.reopen()?;
                }
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
    }

    /// Opens the store again after a write found no space, as soon as that is possible.
    fn reopen(&mut self) -> Result<(), Stopped> {
        loop {
            match self.store.reopen() {
                Ok(()) => return Ok(()),
                // Busy: a command looks at it, for as long as one answer takes.
                Err(error @ (StoreError::NoSpace(_) | StoreError::Busy)) => self.wait_for_space(&error)?,
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
    }

    /// Reads claims back whose turn comes near.
    fn recall(&mut self, seqs: &[u64]) -> Result<(), Stopped> {
        let mut acks = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let mut read = self.store.claim(*seq);
            if matches!(read, Err(StoreError::Failed)) {
                self.reopen()?;
                read = self.store.claim(*seq);
            }
            let lost = || StoreError::Damaged(format!("intent {seq}: its claim is missing"));
            match read.and_then(|found| found.ok_or_else(lost)) {
                Ok((claim, start)) => {
                    acks.push(Ack::Recalled { claim: Box::new(claim), started: Start::so_far(start) });
                }
                Err(error) => return Err(self.fatal(error.code(), &error.to_string())),
            }
        }
        (self.report)(acks);
        Ok(())
    }

    /// A worker could not read: after a failure the storage engine answers nothing more until it is opened again, which nobody
    /// would do while nothing is written.
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
        std::thread::sleep(SPACE_RETRY); // Waits for space: nothing can be answered before.
        Ok(())
    }

    fn answer(&mut self, work: &Work, took: Duration, lasts: Vec<Option<LastSuccess>>) {
        let mut acks = Vec::with_capacity(work.claims.len() + work.arms.len() + 1);
        acks.push(Ack::Committed { took, records: work.len() });
        for ((claim, _, _), last) in work.claims.iter().zip(lasts) {
            acks.push(Ack::Claimed { seq: claim.seq, last });
        }
        acks.extend(work.arms.iter().map(|(seq, _)| Ack::Armed { seq: *seq }));
        (self.report)(acks);
        for (_, _, durable) in &work.holds {
            // Who asked may have lost patience.
            let _ = durable.try_send(());
        }
        for (claim, _, _) in &work.claims {
            let taken = TakenName { seq: claim.seq, raw: claim.name.as_bytes().into() };
            // The bytes are in the store: a file that stays behind is removed at the next start.
            let _ = self.places.taken.remove_taken(&taken);
        }
    }

    fn publish(&mut self, settlements: Vec<Settlement>) -> Result<(), Stopped> {
        let mut acks = Vec::with_capacity(settlements.len());
        for mut settlement in settlements {
            // In order, or an older status would replace a newer one.
            if self.again.is_empty() && self.unpublished.is_empty() && self.publish_one(&mut settlement)? {
                let Outcome { seq, archived_as, .. } = settlement.outcome;
                acks.push(Ack::Filed { seq, archived_as });
            } else {
                self.unpublished.push(settlement);
            }
        }
        self.has_room();
        if !acks.is_empty() {
            (self.report)(acks);
        }
        Ok(())
    }

    /// Whether the files are made; else there was no space, and it is tried again later.
    fn publish_one(&mut self, settlement: &mut Settlement) -> Result<bool, Stopped> {
        let mut result = publish::publish(&self.places, &self.store, settlement);
        if let Err(PublishError::Unread(StoreError::Failed)) = result {
            self.reopen()?;
            result = publish::publish(&self.places, &self.store, settlement);
        }
        match result {
            Ok(()) => {}
            Err(PublishError::NoSpace) => {
                self.set_full(Some(Full::Files));
                self.space_retry_at = Some(Instant::now() + SPACE_RETRY);
                return Ok(false);
            }
            Err(PublishError::Io { what, source }) => {
                return Err(self.fatal(Code::StoreFailed, &format!("{what}: {source}")));
            }
            Err(PublishError::Unread(error)) => {
                let seq = settlement.outcome.seq;
                return Err(self.fatal(error.code(), &format!("archiving intent {seq}: {error}")));
            }
        }
        if settlement.renamed {
            let Settlement { outcome, report, .. } = &*settlement;
            let kept = self.store.write(|batch| batch.settle(outcome, report.as_deref(), Kept::Already));
            kept.map_err(|error| self.fatal(error.code(), &error.to_string()))?;
        }
        self.published.push(settlement.outcome.seq);
        self.published_since.get_or_insert_with(Instant::now);
        Ok(true)
    }

    /// Publishes again what an earlier daemon had decided, one at a time from the store, whatever their number and size.
    fn republish(&mut self) -> Result<(), Stopped> {
        if self.space_retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let mut acks = Vec::new();
        while let Some(Again { seq, taken }) = self.again.front().cloned() {
            let settled = self.store.settled(seq);
            let Settled { outcome, report, content } =
                settled.map_err(|error| self.fatal(error.code(), &format!("publishing again: {error}")))?;
            let (source, taken) = match content {
                Content::Stored => (Source::Stored, taken),
                Content::File => {
                    let raw = || TakenName { seq, raw: outcome.name.as_bytes().into() };
                    (Source::Taken(taken.unwrap_or_else(raw)), None)
                }
            };
            let (republish, archived, renamed) = (true, false, false);
            let mut settlement = Settlement { outcome, source, report, taken, republish, archived, renamed };
            if !self.publish_one(&mut settlement)? {
                break;
            }
            self.again.pop_front();
            acks.push(Ack::Republished(Box::new(settlement.outcome)));
            if acks.len() >= BATCH_MAX {
                (self.report)(std::mem::take(&mut acks));
            }
        }
        if !acks.is_empty() {
            (self.report)(acks);
        }
        Ok(())
    }

    fn start_sync(&mut self) {
        let due = self.published.len() >= SYNC_AT
            || self.published_since.is_some_and(|at| at.elapsed() >= SYNC_AFTER);
        if due && !self.sync_under_way {
            self.published_since = None;
            self.sync_under_way = self.to_sync.send(std::mem::take(&mut self.published)).is_ok();
        }
    }

    fn retain(&mut self) -> Result<(), Stopped> {
        let Some(before) = self.retain_before else { return Ok(()) };
        match retention::sweep(&self.places, &self.store, before) {
            Ok(retention::Swept { removed, more }) => {
                if !more {
                    self.retain_before = None;
                }
                if removed > 0 {
                    (self.report)(vec![Ack::Retained(removed)]);
                }
                Ok(())
            }
            // Retention frees space; where there is none for its own record it is tried again in an hour.
            Err(StoreError::NoSpace(_) | StoreError::Failed) => {
                self.retain_before = None;
                self.reopen()?;
                self.has_room();
                Ok(())
            }
            Err(error) => Err(self.fatal(error.code(), &error.to_string())),
        }
    }

    /// The end of a clean stop: sync what is published, record it, write the head.
    fn finish(&mut self) {
        if !self.published.is_empty() && self.places.handoff.sync_file_system().is_ok() {
            self.done.append(&mut self.published);
        }
        if !self.done.is_empty() {
            // What is not recorded as DONE is only published again at the next start.
            let _ = self.store.write(|batch| batch.done(&self.done));
        }
        self.head.refresh(&self.places.handoff, &self.places.drafts, &self.store, true);
    }

    /// Something could be written. While files wait for space the store alone, which reuses its own, proves nothing.
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

#[derive(Default)]
struct Work {
    claims: Vec<(Box<Claim>, Payload, bool)>,
    arms: Vec<(u64, u32)>,
    settlements: Vec<Settlement>,
    /// Targets held (with the record) or released, and who waits for it.
    holds: Vec<(String, Option<Held>, Sender<()>)>,
}

impl Work {
    fn len(&self) -> usize {
        self.claims.len() + self.arms.len() + self.settlements.len() + self.holds.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The content of one transaction. Outcomes first, so that claims of the same batch see the successes.
fn write(batch: &Batch, work: &Work, done: &[u64]) -> Result<Vec<Option<LastSuccess>>, StoreError> {
    for settlement in &work.settlements {
        let kept = match &settlement.source {
            Source::Staged { .. } | Source::Stored => Kept::Already,
            Source::Bytes(bytes) => Kept::Bytes(bytes),
            Source::Taken(_) => Kept::File,
        };
        batch.settle(&settlement.outcome, settlement.report.as_deref(), kept)?;
    }
    let claims = work.claims.iter().map(|(claim, bytes, arm)| batch.claim(claim, bytes, *arm));
    let lasts = claims.collect::<Result<Vec<_>, _>>()?;
    work.arms.iter().try_for_each(|(seq, attempt)| batch.arm(*seq, *attempt))?;
    work.holds.iter().try_for_each(|(target, held, _)| match held {
        Some(held) => batch.hold(held),
        None => batch.release(target),
    })?;
    batch.done(done)?;
    Ok(lasts)
}
