//! The thread that listens: it lets connections in or refuses them, hears all of them at once, and hands complete questions over.

use super::answering::{Refusing, Runs};
use super::requests::{Scheduler, tell};
use super::silent::{Heard, Silent};
use conductor_core::query::{Answer, RefusalKind, Refused};
use conductor_os::process::{Pid, descends_from};
use conductor_os::raw::Peer;
use conductor_os::wake::{Waker, wait_any};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Connections that have not asked yet. One more ends the oldest: whoever only holds connections open keeps nobody else out.
const SILENT_MAX: usize = 64;
/// Connections accepted before existing ones are read again.
const ACCEPTED_AT_ONCE: usize = 16;
/// The pause after a call that failed for lack of memory or descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The signal for the listening thread to end.
pub(super) struct Stop {
    pub(super) told: AtomicBool,
    pub(super) waker: Waker,
}

/// Accepts connections and reads from all of them at once, so that a silent one does not make others wait.
pub(super) struct Door {
    pub(super) listener: UnixListener,
    pub(super) runs: Runs,
    pub(super) stop: Arc<Stop>,
    pub(super) scheduler: Arc<Scheduler>,
    /// The oldest first.
    pub(super) silent: VecDeque<Silent>,
    pub(super) refusing: Box<Refusing>,
}

impl Door {
    /// Attends until it is told to stop.
    pub(super) fn attend(mut self) {
        while !self.stop.told.load(Ordering::Acquire) {
            let patience =
                self.silent.front().map(|first| first.until.saturating_duration_since(Instant::now()));
            let ends = [self.listener.as_fd(), self.stop.waker.as_fd()];
            let all: Vec<BorrowedFd<'_>> =
                ends.into_iter().chain(self.silent.iter().map(AsFd::as_fd)).collect();
            let worked = wait_any(&all, patience).and_then(|_| self.take_in());
            self.listen();
            if worked.is_err() {
                std::thread::sleep(PAUSE); // The return of memory or descriptors is not announced.
            }
        }
    }

    fn take_in(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, _)) => self.let_in(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn let_in(&mut self, stream: UnixStream) {
        // Without the peer's user id (the peer is gone, or unknown to the kernel) the connection is dropped.
        let Ok(Peer { uid, pid }) = conductor_os::raw::peer(&stream) else { return };
        let own = rustix::process::geteuid().as_raw();
        let refuse = |text, advice: &str| {
            (self.refusing)(uid);
            let refused = Refused::new(RefusalKind::NotPermitted, text, advice);
            tell(&stream, &Answer::Refused(refused));
        };
        if uid != 0 && uid != own {
            let text = format!("user {uid} may not ask; only root and user {own} may");
            return refuse(text, "Run the command as the daemon's user.");
        }
        // One that cannot be looked at may be a run that has ended; of another user it is no run.
        let is_run = |pid| descends_from(pid, Pid::own()).unwrap_or(uid == own);
        if self.runs == Runs::Refused && pid.is_some_and(is_run) {
            let text = "a process that the daemon started may not ask".to_owned();
            return refuse(text, "Run the command outside porch, or the daemon with --confine off.");
        }
        if self.silent.len() >= SILENT_MAX {
            // Some connections may have asked meanwhile.
            self.listen();
        }
        if self.silent.len() >= SILENT_MAX {
            self.silent.pop_front();
        }
        self.silent.extend(Silent::new(stream, uid));
    }

    /// Reads from the silent connections; complete questions go to the scheduler, overdue connections are closed.
    fn listen(&mut self) {
        let now = Instant::now();
        for mut one in std::mem::take(&mut self.silent) {
            match one.hear() {
                Heard::Nothing if one.until > now => self.silent.push_back(one),
                Heard::Nothing | Heard::Gone => {}
                Heard::Question => self.scheduler.hand_over(one.into()),
            }
        }
    }
}
