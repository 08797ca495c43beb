//! Standard error behind a bounded buffer and a thread of its own. Logging never waits: a stalled reader (a stuck log
//! shipper, a stopped terminal) costs log lines, which are counted and reported, never an intent or a signal.

use super::progress::Progress;
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait for their reader: a few thousand lines.
const WAITING_MAX: usize = 1 << 20;
/// Whole lines are written together up to this size, which a pipe takes in one piece (`PIPE_BUF`).
const PIECE: usize = 4 << 10;

/// Lines on their way to standard error.
#[derive(Debug)]
struct Output {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Lines dropped for lack of room, since the process began.
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    lines: VecDeque<Box<[u8]>>,
    /// Bytes of `lines` and of the piece being written.
    bytes: usize,
    /// Dropped lines not yet reported.
    unsaid: u64,
    /// Whether the writing thread runs; before, each caller writes its own lines.
    started: bool,
}

static OUTPUT: Output = Output::new();

impl Output {
    const fn new() -> Self {
        let queue = Queue { lines: VecDeque::new(), bytes: 0, unsaid: 0, started: false };
        Self { queue: Mutex::new(queue), changed: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line, or counts it if there is no room. Returns false before the thread runs.
    fn push(&self, line: &[u8]) -> bool {
        let mut queue = self.lock();
        if !queue.started {
            return false;
        }
        if queue.bytes + line.len() > WAITING_MAX {
            queue.unsaid += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            queue.bytes += line.len();
            queue.lines.push_back(line.into());
            self.changed.notify_all();
        }
        true
    }

    /// Waits for lines, at most this long, and takes as many as are written together.
    fn next_piece(&self, patience: Option<Duration>) -> Vec<u8> {
        let mut queue = self.lock();
        while queue.lines.is_empty() {
            match patience {
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.changed.wait_timeout(queue, patience);
                    queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                    break;
                }
            }
        }
        let mut piece = Vec::new();
        while let Some(line) = queue.lines.front() {
            if !piece.is_empty() && piece.len() + line.len() > PIECE {
                break;
            }
            piece.extend_from_slice(line);
            queue.lines.pop_front();
        }
        piece
    }

    /// Ends a piece that was written or given up. Returns the number of dropped lines to report, now that there is room.
    fn piece_gone(&self, bytes: usize) -> u64 {
        let mut queue = self.lock();
        queue.bytes -= bytes;
        self.changed.notify_all();
        std::mem::take(&mut queue.unsaid)
    }

    /// Waits until everything is written, as long as the reader accepts bytes within `patience`.
    fn flush(&self, patience: Duration) -> bool {
        let mut queue = self.lock();
        let (mut left, mut until) = (queue.bytes, Instant::now() + patience);
        while queue.started && queue.bytes > 0 {
            if queue.bytes < left {
                (left, until) = (queue.bytes, Instant::now() + patience);
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            queue = self.changed.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Starts the writing thread. Until then each caller writes its own lines.
pub(super) fn start(progress: Progress) -> io::Result<()> {
    let write = move || loop {
        let piece = OUTPUT.next_piece(progress.period());
        progress.draw();
        if piece.is_empty() {
            continue;
        }
        // A closed or broken standard error has no reader: the lines are still kept for `conductor-loop logs`.
        let _ = progress.around(|| write_all(&piece));
        let dropped = OUTPUT.piece_gone(piece.len());
        if dropped > 0 {
            tracing::warn!(dropped, "log lines were dropped: standard error was not read in time");
        }
    };
    std::thread::Builder::new().name("log".to_owned()).spawn(write)?;
    OUTPUT.lock().started = true;
    Ok(())
}

/// Hands a line over. Never waits once the thread runs.
pub(super) fn write(line: &[u8]) {
    if !OUTPUT.push(line) {
        // If standard error cannot be written, only the exit status remains.
        let _ = write_all(line);
    }
}

/// Writes text for people on standard error after the log lines; like them, it never waits for a reader.
pub fn say(text: &str) {
    write(text.as_bytes());
}

/// Waits until all lines handed over are written, as long as their reader accepts bytes within `patience`. Returns false
/// otherwise: nothing more should be written then.
pub fn flush(patience: Duration) -> bool {
    OUTPUT.flush(patience)
}

/// Lines dropped since the process began.
pub(super) fn dropped() -> u64 {
    OUTPUT.dropped.load(Ordering::Relaxed)
}

/// Writes to standard error, even if another process that shares it has made it non-blocking.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    while !bytes.is_empty() {
        match stderr.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Output {
        let output = Output::new();
        output.lock().started = true;
        output
    }

    #[test]
    fn what_finds_no_room_is_counted_and_spoken_of_once() {
        let output = started();
        let line = [b'x'; 1 << 10];
        let fits = WAITING_MAX / line.len();
        for _ in 0..fits + 7 {
            assert!(output.push(&line), "nobody waits");
        }
        assert_eq!(output.dropped.load(Ordering::Relaxed), 7);
        let piece = output.next_piece(None);
        assert_eq!(piece.len(), PIECE);
        assert!(!output.flush(Duration::ZERO), "nobody reads");
        assert_eq!(output.piece_gone(piece.len()), 7);
        assert!(output.push(&line), "there is room again");
        assert_eq!(output.dropped.load(Ordering::Relaxed), 7);
        let mut written = piece.len();
        while written < (fits + 1) * line.len() {
            let piece = output.next_piece(None);
            written += piece.len();
            assert_eq!(output.piece_gone(piece.len()), 0, "said already");
        }
        assert!(output.flush(Duration::ZERO));
    }

    #[test]
    fn lines_are_never_torn() {
        let output = started();
        for length in [10, PIECE, 3 * PIECE, 20] {
            output.push(&vec![b'x'; length]);
        }
        let mut pieces = Vec::new();
        while pieces.iter().sum::<usize>() < 30 + 4 * PIECE {
            pieces.push(output.next_piece(None).len());
        }
        assert_eq!(pieces, [10, PIECE, 3 * PIECE, 20]);
    }
}
