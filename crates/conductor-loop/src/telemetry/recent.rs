//! The last log lines of this process, for operators who cannot read standard error.

use conductor_core::query::LogLines;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Lines kept at most, and bytes of all of them.
const LINES_MAX: usize = 1_000;
const BYTES_MAX: usize = 256 << 10;

struct Recent {
    lines: VecDeque<String>,
    bytes: usize,
    /// Number of the last line, counted from 1.
    last: u64,
}

static RECENT: Mutex<Recent> = Mutex::new(Recent { lines: VecDeque::new(), bytes: 0, last: 0 });

impl Recent {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        self.last += 1;
        while self.lines.len() > LINES_MAX || (self.bytes > BYTES_MAX && self.lines.len() > 1) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    /// The newest lines numbered above `after`. If `after` is larger than our last number (the daemon was restarted), the
    /// newest lines of all.
    fn behind(&self, after: u64, most: usize) -> LogLines {
        let new = if after > self.last { self.last } else { self.last - after };
        let new = usize::try_from(new).unwrap_or(usize::MAX).min(most).min(self.lines.len());
        LogLines { lines: self.lines.range(self.lines.len() - new..).cloned().collect(), last: self.last }
    }
}

/// Keeps one written line.
pub(super) fn keep(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes).trim_end().to_owned();
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// The newest lines numbered above `after`, at most `most` of them.
pub fn log_lines(after: u64, most: usize) -> LogLines {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).behind(after, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_within_bounds() {
        let mut recent = Recent { lines: VecDeque::new(), bytes: 0, last: 0 };
        for number in 1..=LINES_MAX + 5 {
            recent.push(number.to_string());
        }
        assert_eq!(recent.lines.len(), LINES_MAX);
        let seen = recent.behind(1_003, 10);
        assert_eq!((seen.lines, seen.last), (vec!["1004".to_owned(), "1005".to_owned()], 1_005));
        assert_eq!(recent.behind(0, 1).lines, ["1005"]);
        assert_eq!(recent.behind(1_005, 10).lines.len(), 0);
        assert_eq!(recent.behind(9_999, 2).lines.len(), 2, "another process wrote that number");
        recent.push("x".repeat(2 * BYTES_MAX));
        assert_eq!(recent.lines.len(), 1, "one line is always kept");
    }
}
