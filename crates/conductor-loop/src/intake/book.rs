//! The entries that the intake holds back, for questions: entries left in the handoff directory, and taken files that
//! wait for their writers. Bounded; kept by the intake's thread, read by others.

use conductor_core::{Code, Seq};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries remembered by name. Further entries are left and retried too, but not named.
const LEFT_MAX: usize = 4_096;

/// An entry that could not be taken when it was last tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The error code.
    pub code: Code,
    /// The system's error message.
    pub reason: String,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Identity and state of the entry: device, inode, change time.
    seen_as: (u64, u64, i64),
    /// The last listing that contained it.
    listing: u64,
}

/// Ignored names that are remembered, so that each is told once; further ones are ignored in silence.
pub(super) const IGNORED_MAX: usize = 64;

/// An entry whose name is not that of an intent, and looks as if it were meant as one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ignored {
    mtime_ns: i64,
    /// The last listing that contained it.
    listing: u64,
}

/// A taken file that is open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithWriter {
    /// Sequence number.
    pub seq: Seq,
    /// Its raw name.
    pub name: Box<[u8]>,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// The entries held back.
#[derive(Debug, Default)]
pub struct Book(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    left: HashMap<Box<[u8]>, Left>,
    ignored: BTreeMap<Box<[u8]>, Ignored>,
    still_open: BTreeMap<Seq, WithWriter>,
    listing: u64,
}

/// Whether a left entry is to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It is to be reported.
    New,
    /// It was reported, and has not changed.
    Known,
    /// Too many entries are left to name each.
    TooMany,
}

impl Book {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No code that panics runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this name was left, if it was.
    pub fn left(&self, name: &[u8]) -> Option<Left> {
        self.entries().left.get(name).cloned()
    }

    /// All left entries, by name.
    pub fn all_left(&self) -> Vec<(Box<[u8]>, Left)> {
        let mut all: Vec<_> =
            self.entries().left.iter().map(|(name, left)| (name.clone(), left.clone())).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// The number of left entries.
    pub fn left_count(&self) -> usize {
        self.entries().left.len()
    }

    /// The names of entries that are ignored, and look as if they were meant as intents, with their modification times.
    pub fn all_ignored(&self) -> Vec<(Box<[u8]>, i64)> {
        self.entries().ignored.iter().map(|(name, ignored)| (name.clone(), ignored.mtime_ns)).collect()
    }

    /// Records such an entry. Returns whether it is to be told.
    pub(super) fn ignore(&self, name: &[u8], mtime_ns: i64) -> bool {
        let mut entries = self.entries();
        let ignored = Ignored { mtime_ns, listing: entries.listing };
        if !entries.ignored.contains_key(name) && entries.ignored.len() >= IGNORED_MAX {
            return false;
        }
        entries.ignored.insert(name.into(), ignored).is_none()
    }

    /// Taken files that wait for their writers, in order of taking.
    pub fn still_open(&self) -> Vec<WithWriter> {
        self.entries().still_open.values().cloned().collect()
    }

    /// A listing begins.
    pub(super) fn begin_listing(&self) {
        self.entries().listing += 1;
    }

    /// A listing has seen this name.
    pub(super) fn listed(&self, name: &[u8]) {
        let mut entries = self.entries();
        let listing = entries.listing;
        if let Some(left) = entries.left.get_mut(name) {
            left.listing = listing;
        }
    }

    /// A listing reached its end: names that it did not contain are gone.
    pub(super) fn end_listing(&self) {
        let mut entries = self.entries();
        let listing = entries.listing;
        entries.left.retain(|_, left| left.listing >= listing);
        entries.ignored.retain(|_, ignored| ignored.listing >= listing);
    }

    /// Removes a name that is no longer left.
    pub(super) fn forget(&self, name: &[u8]) {
        self.entries().left.remove(name);
    }

    /// Records a left entry. An unchanged entry of the same name is not reported again.
    pub(super) fn leave(
        &self,
        name: &[u8],
        seen_as: (u64, u64, i64),
        mtime_ns: i64,
        because: (Code, &str),
    ) -> News {
        let (code, reason) = because;
        let mut entries = self.entries();
        let listing = entries.listing;
        if let Some(left) = entries.left.get_mut(name) {
            let known = left.seen_as == seen_as && left.code == code;
            *left = Left { code, reason: reason.to_owned(), mtime_ns, seen_as, listing };
            return if known { News::Known } else { News::New };
        }
        if entries.left.len() >= LEFT_MAX {
            return News::TooMany;
        }
        let left = Left { code, reason: reason.to_owned(), mtime_ns, seen_as, listing };
        entries.left.insert(name.into(), left);
        News::New
    }

    /// Records a taken file that waits for its writer.
    pub(super) fn wait_for_writer(&self, file: WithWriter) {
        self.entries().still_open.insert(file.seq, file);
    }

    /// Whether this file is recorded as waiting for its writer.
    pub(super) fn is_waiting(&self, seq: Seq) -> bool {
        self.entries().still_open.contains_key(&seq)
    }

    /// Removes a file that no longer waits for its writer.
    pub(super) fn judged(&self, seq: Seq) {
        self.entries().still_open.remove(&seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: (Code, &str) = (Code::NotTakeable, "no");

    #[test]
    fn the_same_entry_is_news_once_and_another_of_its_name_again() {
        let book = Book::default();
        assert_eq!(book.leave(b"a", (1, 7, 1), 5, LEFT), News::New);
        assert_eq!(book.leave(b"a", (1, 7, 1), 5, LEFT), News::Known);
        assert_eq!(book.leave(b"a", (1, 7, 2), 5, LEFT), News::New, "it has changed");
        assert_eq!(book.leave(b"a", (1, 7, 2), 5, (Code::DirectoryLeft, "no")), News::New, "another reason");
        assert_eq!(book.leave(b"b", (1, 7, 2), 5, LEFT), News::New, "another name with its inode");
        book.forget(b"a");
        assert_eq!((book.left(b"a"), book.left_count()), (None, 1));
    }

    #[test]
    fn what_a_whole_listing_does_not_see_is_forgotten() {
        let book = Book::default();
        for name in [b"a", b"b"] {
            book.leave(name, (1, 1, 1), 5, LEFT);
        }
        book.begin_listing();
        book.listed(b"a");
        book.leave(b"c", (1, 3, 1), 5, LEFT);
        book.end_listing();
        let names: Vec<_> = book.all_left().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [Box::from(b"a".as_slice()), Box::from(b"c".as_slice())]);
    }

    #[test]
    fn more_than_can_be_remembered_is_not_named() {
        let book = Book::default();
        for number in 0..LEFT_MAX {
            assert_eq!(book.leave(number.to_string().as_bytes(), (1, 1, 1), 5, LEFT), News::New);
        }
        assert_eq!(book.leave(b"x", (1, 1, 1), 5, LEFT), News::TooMany);
        assert_eq!(book.left_count(), LEFT_MAX);
        assert!(book.all_left().is_sorted_by(|(one, _), (other, _)| one < other), "by name");
    }

    #[test]
    fn an_ignored_name_is_told_once_while_it_lies_there_and_only_so_many_are() {
        let book = Book::default();
        for number in 0..IGNORED_MAX {
            let name = format!("{number:02}.yaml");
            assert_eq!(
                [1, 2].map(|mtime_ns| book.ignore(name.as_bytes(), mtime_ns)),
                [true, false],
                "{name}"
            );
        }
        assert!(!book.ignore(b"one more", 1));
        assert!(!book.ignore(b"00.yaml", 3), "it is known");
        book.begin_listing();
        assert!(!book.ignore(b"00.yaml", 3));
        book.end_listing();
        assert_eq!(book.all_ignored(), [(Box::from(b"00.yaml".as_slice()), 3)], "the others are gone");
        assert!(book.ignore(b"one more", 1));
    }
}
