//! What searches around packages have read, kept between orders. An entry is believed as long as its device, inode, size
//! and times are those of the reading, and no longer.

use crate::files::Content;
use rustix::fs::{FileType, Stat};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of bytes that is kept, names included. One more, and all is forgotten.
const KEPT_MAX: usize = 4 << 20;
/// The largest file that is kept.
const FILE_MAX: usize = 32 << 10;
/// What an entry costs besides its bytes.
const ENTRY: usize = 160;
/// The time after which a further change has another time. File systems take it from a clock of a few milliseconds.
const SETTLED: i64 = 50_000_000;
/// The same for file systems that keep full seconds, or every second one.
const SETTLED_COARSE: i64 = 3_000_000_000;

/// The names in a directory, with their types.
pub(super) type Names = Arc<[(String, FileType)]>;

/// An entry of a file system at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    device: u64,
    inode: u64,
    size: i64,
    modified: i64,
    changed: i64,
}

impl Seen {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Whether a change after `now`, a time of the system's clock in nanoseconds, is seen in the times.
    fn is_settled(&self, now: i64) -> bool {
        let coarse = self.changed % 1_000_000_000 == 0;
        let since = if coarse { SETTLED_COARSE } else { SETTLED };
        self.changed.max(self.modified).saturating_add(since) < now
    }
}

fn nanoseconds(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or(0))
}

#[derive(Debug, Clone)]
enum Kept {
    Names(Names),
    File(Arc<Content>),
}

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<(u64, u64), (Seen, Kept, usize)>,
    bytes: usize,
}

/// The memory of one engine.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<Known>);

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
    pub(super) fn keep_file(&self, seen: Seen, content: &Content, now: i64) {
        if content.bytes.len() <= FILE_MAX {
            self.keep(seen, || Kept::File(Arc::new(content.clone())), content.bytes.len(), now);
        }
    }

    fn get(&self, seen: &Seen) -> Option<Kept> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (is, kept, _) = known.entries.get(&(seen.device, seen.inode))?;
        (is == seen).then(|| kept.clone())
    }

    fn keep(&self, seen: Seen, kept: impl FnOnce() -> Kept, size: usize, now: i64) {
        let size = size + ENTRY;
        if size > KEPT_MAX / 4 || !seen.is_settled(now) {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes + size > KEPT_MAX {
            *known = Known::default();
        }
        known.bytes += size;
        if let Some((_, _, old)) = known.entries.insert((seen.device, seen.inode), (seen, kept(), size)) {
            known.bytes -= old;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn seen(inode: u64, changed: i64) -> Seen {
        Seen { device: 1, inode, size: 3, modified: 7, changed }
    }

    fn content(length: usize) -> Content {
        Content { bytes: vec![b'x'; length], executable: false }
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
        for other in [
            Seen { device: 2, ..is },
            Seen { inode: 3, ..is },
            Seen { size: 4, ..is },
            Seen { modified: 8, ..is },
            Seen { changed: 2, ..is },
        ] {
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
            let known = memo.0.lock().unwrap();
            let bytes: usize = known.entries.values().map(|(_, _, size)| size).sum();
            assert!(known.bytes == bytes && bytes <= KEPT_MAX);
        }
        assert!(memo.file(&seen(499, 1)).is_some(), "the last is kept");
    }
}
