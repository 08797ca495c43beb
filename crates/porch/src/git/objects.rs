//! Reads objects by name through one git that stays for the run, and answers one request after the other.

use super::run::{Git, content, memory_file};
use crate::{Outlook, PorchError};
use conductor_os::child::Supervised;
use conductor_os::command::Stdio;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

const STEP: [&str; 2] = ["cat-file", "--batch"];
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

/// A running `git cat-file --batch`. It only reads, so it may be ended at any time: it is when it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    child: Supervised,
    requests: PipeWriter,
    answers: PipeReader,
    said: File,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

impl Git<'_> {
    /// Reads one object of at most `limit` bytes. The name may not hold a line break.
    pub(super) fn object(&self, name: &str, limit: usize) -> Result<Found, PorchError> {
        let mut kept = self.reader.borrow_mut();
        let mut reader = match kept.take() {
            Some(reader) => reader,
            None => self.start_reader()?,
        };
        let found = reader.ask(self, name, limit)?;
        // One whose answer was not read to its end is of no more use.
        if !matches!(found, Found::TooLarge) {
            *kept = Some(reader);
        }
        Ok(found)
    }

    fn start_reader(&self) -> Result<Reader, PorchError> {
        let own = |error: io::Error| self.failed(&STEP, error.to_string(), Outlook::Passing);
        let said = memory_file(&[]).map_err(own)?;
        let mut command = self.command(&STEP)?;
        command.streams([Stdio::Piped, Stdio::Piped, said.try_clone().map_err(own)?.into()]);
        let mut child = self.start(command, &STEP)?;
        if let (Some(requests), Some(answers)) = (child.take_stdin(), child.take_stdout()) {
            return Ok(Reader { child, requests, answers, said, buffer: Vec::new() });
        }
        Err(self.failed(&STEP, "it has no pipes", Outlook::Passing))
    }
}

impl Reader {
    fn ask(&mut self, git: &Git<'_>, name: &str, limit: usize) -> Result<Found, PorchError> {
        if self.requests.write_all(format!("{name}\n").as_bytes()).is_err() {
            return Err(self.ended(git));
        }
        while !self.buffer.contains(&b'\n') {
            if self.buffer.len() > HEAD_MAX {
                return Err(git.failed(&STEP, "its answer has no end", Outlook::Lasting));
            }
            self.more(git)?;
        }
        let end = self.buffer.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let head: Vec<u8> = self.buffer.drain(..=end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let words: Vec<&str> = head.trim_end().split(' ').collect();
        // OBJECT SP type SP size LF content LF
        let [id, kind, size] = words.as_slice() else {
            return match words.last() {
                Some(&"missing") => Ok(Found::Missing),
                _ => Err(git.failed(&STEP, head, Outlook::Lasting)),
            };
        };
        let Ok(size) = size.parse::<usize>() else {
            return Err(git.failed(&STEP, head, Outlook::Lasting));
        };
        if size > limit {
            return Ok(Found::TooLarge);
        }
        while self.buffer.len() <= size {
            self.more(git)?;
        }
        let mut bytes: Vec<u8> = self.buffer.drain(..=size).collect();
        if bytes.pop() != Some(b'\n') {
            return Err(git.failed(&STEP, "its answer is longer than it says", Outlook::Lasting));
        }
        Ok(Found::Object(Object { id: (*id).to_owned(), kind: (*kind).to_owned(), bytes }))
    }

    /// Reads what comes next, until the deadline or until nobody wants it any more.
    fn more(&mut self, git: &Git<'_>) -> Result<(), PorchError> {
        let own = |error: io::Error| git.failed(&STEP, error.to_string(), Outlook::Passing);
        loop {
            let left = git.patience.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(git.failed(&STEP, "it did not end in time and was stopped", Outlook::Passing));
            }
            let until = Instant::now() + git.patience.look()?.min(left);
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
            Ok(0) => Err(self.ended(git)),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(own(error)),
        }
    }

    /// It ended before it had answered: in its own words.
    fn ended(&mut self, git: &Git<'_>) -> PorchError {
        let status = match self.child.reap() {
            Ok(status) => status,
            Err(error) => return git.failed(&STEP, error.to_string(), Outlook::Passing),
        };
        match self.said.try_clone().and_then(content) {
            Ok(said) => git.ended(&STEP, status, &said),
            Err(error) => git.failed(&STEP, error.to_string(), Outlook::Passing),
        }
    }
}
