//! Connections of the local socket whose question has not arrived yet.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A question must arrive within this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a question.
const QUESTION_MAX: usize = 64 << 10;

/// A connection that has not asked yet.
pub(super) struct Silent {
    pub(super) stream: UnixStream,
    pub(super) uid: u32,
    /// The bytes received so far.
    pub(super) said: Vec<u8>,
    /// The time at which it is closed.
    pub(super) until: Instant,
}

/// The result of a read.
pub(super) enum Heard {
    /// The question is incomplete.
    Nothing,
    /// A whole line.
    Question,
    /// The peer has gone, or the question exceeds its size limit.
    Gone,
}

impl Silent {
    /// `None` if the stream cannot be made non-blocking.
    pub(super) fn new(stream: UnixStream, uid: u32) -> Option<Self> {
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, uid, said: Vec::new(), until: Instant::now() + PATIENCE })
    }

    /// Reads the bytes that have arrived, without waiting.
    pub(super) fn hear(&mut self) -> Heard {
        let mut buffer = [0_u8; 4 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.said.is_empty() => return Heard::Gone,
                Ok(0) => return Heard::Question,
                Ok(count) => {
                    self.said.extend(buffer.iter().take(count));
                    if self.said.contains(&b'\n') || self.said.len() > QUESTION_MAX {
                        return Heard::Question;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Heard::Gone,
            }
        }
    }
}

impl AsFd for Silent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
