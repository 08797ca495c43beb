//! The running writer as others see it: its threads are started, given commands, and ended here.

use super::audit::{Audit, AuditDoor, Auditing, Refusals};
use super::head::Head;
use super::message::{Ack, Command};
use super::packages::PackageSync;
use super::writer_loop::{Office, WriterLoop};
use crate::handoff::Dirs;
use crate::store::Ledger;
use conductor_core::Seq;
use conductor_core::attestation::Attest;
use conductor_os::outlet::Outlet;
use crossbeam_channel::Sender;
use jiff::SignedDuration;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

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
    pub(super) commands: Sender<Command>,
    pub(super) abandon: Arc<AtomicBool>,
    pub(super) flush: Arc<AtomicBool>,
    /// Refused askers, if a trail is kept.
    pub(super) refusals: Option<Arc<Refusals>>,
    pub(super) thread: Option<JoinHandle<()>>,
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
            self.send_now(Command::Flush);
        }
    }

    /// Queues a command, and lets a batch that collects look whether it still may.
    fn send_now(&self, command: Command) {
        self.send(command);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Stops waiting for space: anything not durable is repeated by the next start.
    pub fn abandon(&self) {
        self.abandon.store(true, Ordering::Release);
    }

    /// Makes everything durable, then ends the thread.
    pub fn stop(&mut self) {
        self.send_now(Command::Stop);
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
