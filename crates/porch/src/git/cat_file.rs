//! A `git cat-file --batch` that answers one request after the other.

use super::memory_file::content;
use crate::{Outlook, Patience, PorchError};
use conductor_os::child::Supervised;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::Instant;

/// What is read at once.
const CHUNK: usize = 64 << 10;
/// Longest first line of an answer.
const HEAD_MAX: usize = 4_096;

/// One object.
#[derive(Debug)]
pub(super) struct Object {
    pub id: String,
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// The answer to one name.
pub(super) enum Found {
    Object(Object),
    Missing,
    /// It has more bytes than were wanted.
    TooLarge,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// Git, or the system, did something else.
    Failed(Outlook, String),
    /// It ended, with these complaints.
    Ended(ExitStatus, Vec<u8>),
    /// Nobody wants it any more.
    Unwanted(PorchError),
}

/// A running `git cat-file --batch`. It only reads, so it may be ended at any time: it is when it is dropped.
#[derive(Debug)]
pub(super) struct CatFile {
    pub(super) child: Supervised,
    pub(super) requests: PipeWriter,
    pub(super) answers: PipeReader,
    /// Its complaints.
    pub(super) said: File,
    /// What was read and not yet used.
    pub(super) buffer: Vec<u8>,
}

impl CatFile {
    /// Reads one object of at most `limit` bytes. The name may not hold a line break.
    pub(super) fn ask(
        &mut self,
        patience: &Patience<'_>,
        name: &str,
        limit: usize,
    ) -> Result<Found, Unanswered> {
        if self.requests.write_all(format!("{name}\n").as_bytes()).is_err() {
            return Err(self.ended());
        }
        while !self.buffer.contains(&b'\n') {
            if self.buffer.len() > HEAD_MAX {
                return Err(lasting("its answer has no end"));
            }
            self.more(patience)?;
        }
        let end = self.buffer.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let head: Vec<u8> = self.buffer.drain(..=end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let words: Vec<&str> = head.trim_end().split(' ').collect();
        // OBJECT SP type SP size LF content LF
        let [id, kind, size] = words.as_slice() else {
            return match words.last() {
                Some(&"missing") => Ok(Found::Missing),
                _ => Err(lasting(head)),
            };
        };
        let Ok(size) = size.parse::<usize>() else {
            return Err(lasting(head));
        };
        if size > limit {
            return Ok(Found::TooLarge);
        }
        while self.buffer.len() <= size {
            self.more(patience)?;
        }
        let mut bytes: Vec<u8> = self.buffer.drain(..=size).collect();
        if bytes.pop() != Some(b'\n') {
            return Err(lasting("its answer is longer than it says"));
        }
        Ok(Found::Object(Object { id: (*id).to_owned(), kind: (*kind).to_owned(), bytes }))
    }

    /// Reads what comes next, until the deadline or until nobody wants it any more.
    fn more(&mut self, patience: &Patience<'_>) -> Result<(), Unanswered> {
        loop {
            let left = patience.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(passing("it did not end in time and was stopped"));
            }
            let until = Instant::now() + patience.look().map_err(Unanswered::Unwanted)?.min(left);
            let found = self.child.wait([Some(self.answers.as_fd())], Some(until));
            // What it said before it ended is still to be read.
            if found.ended || found.ready == [true] {
                break;
            }
        }
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK, 0);
        let room = self.buffer.get_mut(before..).unwrap_or_default();
        let read = self.answers.read(room);
        self.buffer.truncate(before + read.as_ref().map_or(0, |length| *length));
        match read {
            Ok(0) => Err(self.ended()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(passing(error.to_string())),
        }
    }

    /// It ended before it had answered.
    fn ended(&mut self) -> Unanswered {
        let mut ended = || Ok(Unanswered::Ended(self.child.reap()?, content(self.said.try_clone()?)?));
        ended().unwrap_or_else(|error: io::Error| passing(error.to_string()))
    }
}

fn lasting(reason: impl Into<String>) -> Unanswered {
    Unanswered::Failed(Outlook::Lasting, reason.into())
}

fn passing(reason: impl Into<String>) -> Unanswered {
    Unanswered::Failed(Outlook::Passing, reason.into())
}
