//! Keeps the beginning and the end of a stream, whatever its length.

use conductor_core::limits::STREAM_PART;
use conductor_core::outcome::Capture;
use rustix::io::{Errno, ioctl_fionbio, read};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One stream of a running porch.
pub(super) struct Stream {
    pipe: Option<OwnedFd>,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Stream {
    /// Takes over the reading end of a pipe.
    pub(super) fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, head: Vec::new(), tail: VecDeque::new(), total: 0 })
    }

    /// The descriptor to wait for; none after the end of the stream.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, at most a mebibyte at a time, so that no stream keeps the others waiting.
    pub(super) fn drain(&mut self) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            let Some(pipe) = &self.pipe else { return };
            match read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.keep(buffer.get(..length).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = STREAM_PART - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend(head);
        let tail = tail.get(tail.len().saturating_sub(STREAM_PART)..).unwrap_or_default();
        let excess = (self.tail.len() + tail.len()).saturating_sub(STREAM_PART);
        self.tail.drain(..excess);
        self.tail.extend(tail);
    }

    pub(super) fn finish(self) -> Capture {
        Capture { head: self.head, tail: self.tail.into(), total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_and_the_middle_is_counted() {
        let mut stream = Stream::new(None).unwrap();
        let all: Vec<u8> = (0..300_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        all.chunks(7_001).for_each(|chunk| stream.keep(chunk));
        let capture = stream.finish();
        assert_eq!(capture.head, all[..STREAM_PART]);
        assert_eq!(capture.tail, all[all.len() - STREAM_PART..]);
        assert_eq!((capture.total, capture.dropped()), (300_000, 300_000 - 2 * STREAM_PART as u64));
    }
}
