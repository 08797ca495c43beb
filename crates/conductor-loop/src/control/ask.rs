//! The client side of the local socket.

use super::socket::socket_path;
use conductor_core::query::{Answer, Question};
use conductor_core::record::one_line;
use conductor_os::dir::Dir;
use conductor_os::plain::read_whole;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The time limit of an answer: a purge or a search through a million outcomes takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time limit of a backup, which reads and writes everything.
const BACKUP_PATIENCE: Duration = Duration::from_hours(1);
/// The size limit of an answer in bytes.
const ANSWER_MAX: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// No daemon listens.
    NotRunning,
    /// A daemon listens, but the exchange failed.
    Failed(io::Error),
}

/// Asks the daemon of this private directory.
pub fn ask(private: &Dir, question: &Question) -> Result<Answer, AskError> {
    let mut stream = UnixStream::connect(socket_path(private)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning,
        _ => AskError::Failed(error),
    })?;
    converse(&mut stream, question).map_err(AskError::Failed)
}

fn converse(stream: &mut UnixStream, question: &Question) -> io::Result<Answer> {
    let patience = if matches!(question, Question::Backup) { BACKUP_PATIENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = one_line(question);
    line.push(b'\n');
    // A refusal may arrive before the question is sent, and the connection closed after it.
    let asked = match stream.write_all(&line) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        asked => asked,
    };
    let answer = read_whole(&*stream, ANSWER_MAX)?;
    if answer.is_empty() {
        asked?;
    }
    if answer.is_empty() {
        let why = "the connection was closed without an answer: the daemon has ended, or is busy with other requests";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
    }
    serde_json::from_slice(&answer).map_err(io::Error::other)
}
