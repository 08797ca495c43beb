//! What searches around packages have read, kept between orders. An entry is believed as long as its device, inode, size
//! and times are those of the reading, and no longer. What is kept has a bound: once it is reached, what comes is not kept,
//! so that searches through more than fits still find a part of it here; what none of many such has asked for meanwhile
//! gives way, as the entry of a file that is gone.

use super::looks::{ENTRY, Looks};
use super::swap::{Mark, nanoseconds};
use crate::files::Content;
use rustix::fs::{FileType, Stat};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of bytes that is kept, names included.
const KEPT_MAX: usize = 4 << 20;
/// The largest file that is kept.
const FILE_MAX: usize = 32 << 10;
/// The number of entries not kept, for each that is kept, after which those that nobody has asked for give way.
const PASSED_MAX: usize = 16;
/// The time after which a further change has another time. File systems take it from a clock of a few milliseconds.
const SETTLED: i64 = 50_000_000;
/// The same for file systems that keep full seconds, or every second one.
const SETTLED_COARSE: i64 = 3_000_000_000;

/// The names in a directory, with their types.
pub(super) type Names = Arc<[(String, FileType)]>;

/// An entry of a file system at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    mark: Mark,
    /// The time of the last change of anything, in nanoseconds. A rename may change it, a mark it does not.
    changed: i64,
}

impl Seen {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { mark: Mark::of(stat), changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec) }
    }

    /// Whether a change after `now`, a time of the system's clock in nanoseconds, is seen in the times.
    fn is_settled(&self, now: i64) -> bool {
        let coarse = self.changed % 1_000_000_000 == 0;
        let since = if coarse { SETTLED_COARSE } else { SETTLED };
        self.changed.max(self.mark.modified).saturating_add(since) < now
    }
}

#[derive(Debug, Clone)]
enum Kept {
    Names(Names),
    File(Arc<Content>),
}

#[derive(Debug)]
struct Entry {
    seen: Seen,
    kept: Kept,
    size: usize,
    /// Whether it has been asked for since entries gave way last.
    is_used: bool,
}

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<(u64, u64), Entry>,
    bytes: usize,
    /// How many were not kept since entries gave way last.
    passed: usize,
}

impl Known {
    /// Whether there is room for an entry in the place of `old` bytes.
    fn has_room(&mut self, size: usize, old: usize) -> bool {
        let fits = |known: &Self| known.bytes - old + size <= KEPT_MAX;
        if fits(self) {
            return true;
        }
        self.passed += 1;
        if self.passed > PASSED_MAX * self.entries.len() {
            self.passed = 0;
            self.entries.retain(|_, entry| std::mem::take(&mut entry.is_used));
            self.bytes = self.entries.values().map(|entry| entry.size).sum();
        }
        false
    }
}

/// The memory of one engine.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: Mutex<Known>,
    pub(super) looks: Looks,
}

impl Memo {
    pub(super) fn names(&self, seen: &Seen) -> Option<Names> {
        match self.get(seen)? {
            Kept::Names(names) => Some(names),
            Kept::File(_) => None,
        }
    }

    pub(super) fn file(&self, seen: &Seen) -> Option<Arc<Content>> {
        match self.get(seen)? {
            Kept::File(content) => Some(content),
            Kept::Names(_) => None,
        }
    }

    /// Keeps what was listed in a directory after `seen`, and before `now` plus any time.
    pub(super) fn keep_names(&self, seen: Seen, names: &Names, now: i64) {
        let size = names.iter().map(|(name, _)| ENTRY / 2 + name.len()).sum();
        self.keep(seen, || Kept::Names(names.clone()), size, now);
    }

    /// Keeps what was read of a file after `seen`.
    pub(super) fn keep_file(&self, seen: Seen, content: &Arc<Content>, now: i64) {
        if content.bytes.len() <= FILE_MAX {
            self.keep(seen, || Kept::File(content.clone()), content.bytes.len(), now);
        }
    }

    fn get(&self, seen: &Seen) -> Option<Kept> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entries.get_mut(&seen.mark.file()).filter(|entry| entry.seen == *seen)?;
        entry.is_used = true;
        Some(entry.kept.clone())
    }

    fn keep(&self, seen: Seen, kept: impl FnOnce() -> Kept, size: usize, now: i64) {
        let size = size + ENTRY;
        if size > KEPT_MAX / 4 || !seen.is_settled(now) {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let file = seen.mark.file();
        let old = known.entries.get(&file).map_or(0, |entry| entry.size);
        if known.has_room(size, old) {
            known.entries.insert(file, Entry { seen, kept: kept(), size, is_used: true });
            known.bytes = known.bytes - old + size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn seen(inode: u64, changed: i64) -> Seen {
        Seen { mark: Mark { dev: 1, ino: inode, size: 3, modified: 7 }, changed }
    }

    fn content(length: usize) -> Arc<Content> {
        Arc::new(Content { bytes: vec![b'x'; length], executable: false })
    }

    #[test]
    fn only_what_a_later_change_would_show_is_kept() {
        for (changed, now, is_kept) in [
            (5 * SECOND + 1, 5 * SECOND + SETTLED, false),
            (5 * SECOND + 1, 5 * SECOND + SETTLED + 2, true),
            (5 * SECOND, 6 * SECOND, false),
            (5 * SECOND, 9 * SECOND, true),
            (5 * SECOND + 1, 4 * SECOND, false),
        ] {
            let memo = Memo::default();
            memo.keep_file(seen(1, changed), &content(3), now);
            assert_eq!(memo.file(&seen(1, changed)).is_some(), is_kept, "{changed} at {now}");
        }
    }

    #[test]
    fn an_entry_is_believed_no_longer_than_it_is_the_same() {
        let memo = Memo::default();
        let is = seen(1, 1);
        memo.keep_file(is, &content(3), SECOND);
        memo.keep_names(seen(2, 1), &Names::from([("a".to_owned(), FileType::RegularFile)]), SECOND);
        assert!(memo.file(&is).is_some() && memo.names(&seen(2, 1)).is_some());
        assert!(memo.names(&is).is_none() && memo.file(&seen(2, 1)).is_none(), "each as what it is");
        let marks = [
            Mark { dev: 2, ..is.mark },
            Mark { ino: 3, ..is.mark },
            Mark { size: 4, ..is.mark },
            Mark { modified: 8, ..is.mark },
        ];
        let others = marks.map(|mark| Seen { mark, ..is });
        for other in others.into_iter().chain([Seen { changed: 2, ..is }]) {
            assert!(memo.file(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let memo = Memo::default();
        memo.keep_file(seen(0, 1), &content(FILE_MAX + 1), SECOND);
        assert!(memo.file(&seen(0, 1)).is_none());
        for inode in 0..1_000 {
            memo.keep_file(seen(inode % 500, 1), &content(FILE_MAX), SECOND);
            let known = memo.known.lock().unwrap();
            let bytes: usize = known.entries.values().map(|entry| entry.size).sum();
            assert!(known.bytes == bytes && bytes <= KEPT_MAX);
        }
        let fits = KEPT_MAX / (FILE_MAX + ENTRY);
        let kept = (0..500).filter(|inode| memo.file(&seen(*inode, 1)).is_some()).count();
        assert_eq!(kept, fits, "as many as have room");
    }

    #[test]
    fn a_full_memory_keeps_what_it_has_and_lets_go_what_nobody_asks_for() {
        let memo = Memo::default();
        let fits = (KEPT_MAX / (FILE_MAX + ENTRY)) as u64;
        let reads = |inode: u64| {
            let is_kept = memo.file(&seen(inode, 1)).is_some();
            if !is_kept {
                memo.keep_file(seen(inode, 1), &content(FILE_MAX), SECOND);
            }
            is_kept
        };
        // Search after search goes through half as much again as has room, in one order.
        let searched = fits + fits / 2;
        for round in 0..100 {
            let found = (0..searched).filter(|inode| reads(*inode)).count() as u64;
            assert!(round == 0 || found == fits, "{found} in round {round}");
        }
        // Other files take the place of those that are gone.
        let others = || (0..fits / 2).filter(|inode| reads(10_000 + *inode)).count() as u64;
        let rounds = (0..100).take_while(|_| others() < fits / 2).count();
        assert!((1..100).contains(&rounds), "{rounds}");
    }
}
