//! Keeps the beginning and the end of a stream of any length.

use conductor_core::limits::STREAM_PART;
use conductor_core::outcome::Capture;
use conductor_crypto::Sha256;
use conductor_os::child::Pipe;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// One stream of a running porch.
pub(super) struct Stream {
    pipe: Pipe,
    kept: Kept,
}

/// The kept part of a stream.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    hash: Sha256,
}

impl Stream {
    /// Takes over the reading end of a pipe.
    pub(super) fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self { pipe: Pipe::new(pipe)?, kept: Kept::default() })
    }

    /// The descriptor to wait for; `None` after the end of the stream.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.descriptor()
    }

    /// Reads the available bytes, but not so many at once that other streams wait.
    pub(super) fn drain(&mut self) {
        self.pipe.drain(|bytes| self.kept.keep(bytes));
    }

    pub(super) fn finish(self) -> Capture {
        let Kept { head, tail, total, hash } = self.kept;
        Capture { head, tail: tail.into(), total, sha256: Some(hash.finish()) }
    }
}

impl Kept {
    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.hash.update(bytes);
        let room = STREAM_PART - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend(head);
        let tail = tail.get(tail.len().saturating_sub(STREAM_PART)..).unwrap_or_default();
        let excess = (self.tail.len() + tail.len()).saturating_sub(STREAM_PART);
        self.tail.drain(..excess);
        self.tail.extend(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_and_the_middle_is_counted() {
        let mut stream = Stream::new(None).unwrap();
        let all: Vec<u8> = (0..300_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        all.chunks(7_001).for_each(|chunk| stream.kept.keep(chunk));
        let capture = stream.finish();
        assert_eq!(capture.head, all[..STREAM_PART]);
        assert_eq!(capture.tail, all[all.len() - STREAM_PART..]);
        assert_eq!((capture.total, capture.dropped()), (300_000, 300_000 - 2 * STREAM_PART as u64));
        assert_eq!(
            capture.sha256,
            Some(conductor_crypto::sha256(&all)),
            "the digest is that of the whole stream"
        );
    }
}
