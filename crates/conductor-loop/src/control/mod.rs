//! The local socket `.conductor/control`: one question per connection, a line of JSON each way. Only the daemon's own
//! user and root get an answer, from any PID namespace. It knows nothing of the questions; the daemon supplies the
//! answering function.

mod ask;
mod requests;
mod silent;

pub use ask::{AskError, ask};

use crate::handoff::layout::CONTROL as SOCKET;
use conductor_core::query::{Answer, Question, RefusalKind, Refused};
use conductor_os::dir::Dir;
use conductor_os::process::{Pid, descends_from};
use conductor_os::raw::Peer;
use conductor_os::wake::{Waker, wait_any};
use requests::Scheduler;
use silent::{Heard, Silent};
use std::collections::VecDeque;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the socket in the private directory.
/// Connections that have not asked yet. One more ends the oldest: whoever only holds connections open keeps nobody else out.
const SILENT_MAX: usize = 64;
/// Connections accepted before existing ones are read again.
const ACCEPTED_AT_ONCE: usize = 16;
/// The pause after a call that failed for lack of memory or descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The answering function: gets the question, the client's user id, and whether the client still waits.
pub type Answering = dyn Fn(Question, u32, &dyn Fn() -> bool) -> Answer + Send + Sync;

/// Told of the user of each process that may not ask.
pub type Refusing = dyn Fn(u32) + Send + Sync;

/// Whether processes that the daemon started may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// They may, as any process of the daemon's user.
    MayAsk,
    /// They may not: porch must not act as the operator.
    Refused,
}

/// The name of the socket, which is removed when this is dropped.
struct Name(Arc<Dir>);

impl Drop for Name {
    fn drop(&mut self) {
        // A socket that stays behind is removed at the next start.
        let _ = self.0.unlink(SOCKET);
    }
}

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

/// The signal for the listening thread to end.
struct Stop {
    told: AtomicBool,
    waker: Waker,
}

/// The socket's path through the directory's descriptor: short enough for a socket address wherever the directory is.
fn socket_path(private: &Dir) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", private.as_fd().as_raw_fd()))
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

/// Accepts connections and reads from all of them at once, so that a silent one does not make others wait.
struct Door {
    listener: UnixListener,
    runs: Runs,
    stop: Arc<Stop>,
    scheduler: Arc<Scheduler>,
    /// The oldest first.
    silent: VecDeque<Silent>,
    refusing: Box<Refusing>,
}

impl Door {
    fn attend(mut self) {
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
            requests::tell(&stream, &Answer::Refused(refused));
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

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::query::{LogLines, Selection};
    use std::io::{Read, Write};

    fn listening() -> (tempfile::TempDir, Arc<Dir>, Control) {
        listening_with(Arc::new(|question, uid, _| match question {
            Question::Logs { after, .. } => {
                Answer::Logs(LogLines { lines: vec![uid.to_string()], last: after })
            }
            other => Answer::Refused(Refused::new(RefusalKind::NotFound, format!("{other:?}"), "")),
        }))
    }

    fn listening_with(answering: Arc<Answering>) -> (tempfile::TempDir, Arc<Dir>, Control) {
        let root = tempfile::tempdir().unwrap();
        let private = Arc::new(Dir::open(root.path()).unwrap());
        let bound = Bound::bind(Arc::clone(&private)).unwrap();
        let control = bound.serve(answering, Box::new(|_| ()), Runs::MayAsk).unwrap();
        (root, private, control)
    }

    #[test]
    fn one_question_a_connection_and_the_kernel_says_who_asks() {
        let (root, private, control) = listening();
        let own = rustix::process::geteuid().as_raw().to_string();
        let question = Question::Logs { after: 7, most: 1 };
        assert_eq!(ask(&private, &question).unwrap(), Answer::Logs(LogLines { lines: vec![own], last: 7 }));
        let mode = root.path().join(SOCKET).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(control);
        assert!(!root.path().join(SOCKET).exists());
        assert!(matches!(ask(&private, &question), Err(AskError::NotRunning)));
    }

    /// As many as are answered at once ask for what takes for ever, and go away; others have their answers.
    #[test]
    fn who_has_gone_keeps_nobody_waiting() {
        let (_root, private, _control) = listening_with(Arc::new(|question, _, is_wanted| {
            while matches!(question, Question::Status) && is_wanted() {
                std::thread::yield_now();
            }
            Answer::Logs(LogLines::default())
        }));
        for _ in 0..20 {
            let mut stream = UnixStream::connect(socket_path(&private)).unwrap();
            let line = conductor_core::record::one_line(&Question::Status);
            stream.write_all(&[line, vec![b'\n']].concat()).unwrap();
        }
        // One who has said all there is to say still reads.
        let mut half = UnixStream::connect(socket_path(&private)).unwrap();
        half.write_all(&conductor_core::record::one_line(&Question::Logs { after: 0, most: 1 })).unwrap();
        half.shutdown(std::net::Shutdown::Write).unwrap();
        half.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = String::new();
        half.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"last\""), "{answer}");
    }

    #[test]
    fn nonsense_and_silence_hurt_nobody() {
        let (_root, private, _control) = listening();
        let connect = || UnixStream::connect(socket_path(&private)).unwrap();
        for nonsense in ["\n", "{}\n", "{\"ask\": \"dance\"}\n", "GET / HTTP/1.1\n"] {
            let mut stream = connect();
            stream.write_all(nonsense.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.contains("bad-question"), "{nonsense:?}: {answer}");
        }
    }

    /// In each of many rounds a client asks while others hold connections open, also at the same moment.
    #[test]
    fn silent_connections_keep_no_question_out() {
        let (_root, private, _control) = listening();
        let connect = || UnixStream::connect(socket_path(&private)).unwrap();
        let mut silent: Vec<UnixStream> = (0..500).map(|_| connect()).collect();
        for round in 0..200 {
            let began = Instant::now();
            let listed = ask(&private, &Question::List(Selection::default())).unwrap();
            assert!(matches!(listed, Answer::Refused(refused) if refused.text.contains("List")));
            assert!(began.elapsed() < silent::PATIENCE, "round {round}: it had to wait for the silent ones");
            silent.truncate(400);
            silent.extend((0..20).map(|_| connect()));
        }
    }

    #[test]
    fn a_question_may_come_in_pieces_and_half_of_one_is_given_up() {
        let (_root, private, _control) = listening();
        let mut slow = UnixStream::connect(socket_path(&private)).unwrap();
        let mut half = UnixStream::connect(socket_path(&private)).unwrap();
        half.write_all(b"{\"ask\"").unwrap();
        let line =
            [conductor_core::record::one_line(&Question::Logs { after: 7, most: 1 }), vec![b'\n']].concat();
        for byte in line {
            slow.write_all(&[byte]).unwrap();
        }
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"last\""), "{answer}");
        answer.clear();
        half.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "the line was closed");
    }
}
