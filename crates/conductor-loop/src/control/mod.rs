//! The local socket `.conductor/control`: one question a connection, a line of JSON each way. Only the daemon's own user and
//! root get an answer. It knows nothing of what is asked; who answers is given by the daemon.

mod ask;

pub use ask::{AskError, ask};

use crate::sys::dir::Dir;
use crate::sys::wake::{Waker, wait_readable};
use conductor_core::inquiry::{Answer, Question, Refused};
use conductor_core::record::one_line;
use rustix::net::sockopt::socket_peercred;
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Name of the socket in the private directory.
pub const SOCKET: &str = "control";
/// Questions answered at once; one more is told so.
const ASKERS_MAX: usize = 8;
/// A question must arrive, and its answer be read, within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// A pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a question.
const QUESTION_MAX: u64 = 64 << 10;

/// Who answers: the question, and the user id of who asks.
pub type Answering = dyn Fn(Question, u32) -> Answer + Send + Sync;

/// The listening socket; dropping it closes and removes it.
pub struct Control {
    private: Arc<Dir>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// The socket's path through the directory's descriptor: short enough for a socket address wherever the directory is.
fn socket_path(private: &Dir) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", private.as_fd().as_raw_fd()))
}

impl Control {
    /// Listens in the private directory. The caller holds the lock, so a socket that is there is a leftover.
    pub fn start(private: Arc<Dir>, answering: Arc<Answering>) -> io::Result<Self> {
        let _ = private.unlink(SOCKET);
        let path = socket_path(&private);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let waker = Waker::new()?;
        let stop = waker.clone();
        let listen = move || {
            let askers = Arc::new(AtomicUsize::new(0));
            loop {
                let ready = wait_readable([Some(listener.as_fd()), Some(stop.as_fd())], None);
                if ready.map_or(true, |[_, stop]| stop) {
                    return;
                }
                match listener.accept() {
                    Ok((stream, _)) => serve(stream, &askers, &answering),
                    // For want of descriptors.
                    Err(_) => std::thread::sleep(ACCEPT_PAUSE), // Nothing announces that there are some again.
                }
            }
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(listen)?;
        Ok(Self { private, waker, thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.private.unlink(SOCKET);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Each on a thread of its own, so that one who says nothing keeps nobody else waiting.
fn serve(stream: UnixStream, askers: &Arc<AtomicUsize>, answering: &Arc<Answering>) {
    if askers.fetch_add(1, Ordering::AcqRel) >= ASKERS_MAX {
        askers.fetch_sub(1, Ordering::AcqRel);
        return;
    }
    let (count, answering) = (Arc::clone(askers), Arc::clone(answering));
    let work = move || {
        // Whoever goes away without listening has his reasons.
        let _ = answer_one(&stream, &*answering);
        count.fetch_sub(1, Ordering::AcqRel);
    };
    if std::thread::Builder::new().name("control-one".to_owned()).spawn(work).is_err() {
        askers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn answer_one(stream: &UnixStream, answering: &Answering) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let uid = socket_peercred(stream)?.uid;
    let own = rustix::process::geteuid();
    let answer = if uid.is_root() || uid == own {
        let mut line = String::new();
        BufReader::new(stream.take(QUESTION_MAX)).read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(question) => answering(question, uid.as_raw()),
            Err(error) => Answer::Refused(Refused::new(
                "bad-question",
                error.to_string(),
                "Use the same version of the program as the daemon's.",
            )),
        }
    } else {
        let text = format!("user {} may not ask; only root and user {} may", uid.as_raw(), own.as_raw());
        Answer::Refused(Refused::new("not-permitted", text, "Run the command as the daemon's user."))
    };
    let mut bytes = one_line(&answer);
    bytes.push(b'\n');
    let mut stream = stream;
    stream.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::inquiry::{LogLines, Selection};

    fn listening() -> (tempfile::TempDir, Arc<Dir>, Control) {
        let root = tempfile::tempdir().unwrap();
        let private = Arc::new(Dir::open(root.path()).unwrap());
        let answering: Arc<Answering> = Arc::new(|question, uid| match question {
            Question::Logs { after, .. } => {
                Answer::Logs(LogLines { lines: vec![uid.to_string()], last: after })
            }
            other => Answer::Refused(Refused::new("not-found", format!("{other:?}"), "")),
        });
        let control = Control::start(Arc::clone(&private), answering).unwrap();
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
        let _silent: Vec<_> = (0..ASKERS_MAX - 1).map(|_| connect()).collect();
        let listed = ask(&private, &Question::List(Selection::default())).unwrap();
        assert!(matches!(listed, Answer::Refused(refused) if refused.text.contains("List")));
    }
}
