//! The side of the socket that answers: made, listened to on a thread of its own, and removed.

use super::answering::{Answering, Refusing, Runs};
use super::door::{Door, Stop};
use super::requests::Scheduler;
use super::socket::{Name, socket_path};
use crate::handoff::layout::CONTROL as SOCKET;
use conductor_os::dir::Dir;
use conductor_os::wake::Waker;
use std::collections::VecDeque;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The socket, made and not listened to yet. Connections made meanwhile wait in the kernel's queue.
pub struct Bound {
    listener: UnixListener,
    name: Name,
}

/// The listening socket; dropping it closes and removes it.
pub struct Control {
    name: Option<Name>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Bound {
    /// Makes the socket in the private directory. The caller holds the lock, so an existing socket is a leftover.
    #[expect(clippy::disallowed_methods, reason = "a socket has no descriptor before it is bound")]
    pub fn bind(private: Arc<Dir>) -> io::Result<Self> {
        // The socket may not exist; if it cannot be removed, the bind fails.
        let _ = private.unlink(SOCKET);
        let path = socket_path(&private);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, name: Name(private) })
    }

    /// Answers on the socket, on a thread of its own.
    pub fn serve(
        self,
        answering: Arc<Answering>,
        refusing: Box<Refusing>,
        runs: Runs,
    ) -> io::Result<Control> {
        let Self { listener, name } = self;
        let stop = Arc::new(Stop { told: AtomicBool::new(false), waker: Waker::new()? });
        let door = Door {
            listener,
            runs,
            stop: Arc::clone(&stop),
            scheduler: Arc::new(Scheduler::new(answering)),
            silent: VecDeque::new(),
            refusing,
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(|| door.attend())?;
        Ok(Control { name: Some(name), stop, thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // First the name: no client finds the socket any more, then no thread answers.
        drop(self.name.take());
        self.stop.told.store(true, Ordering::Release);
        self.stop.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}
