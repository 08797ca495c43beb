//! `ledger.mark`: the extent of the store at its last durable commit. It is written after each commit and never synced,
//! so it may be behind the store and is never ahead of it. A store behind its mark has lost a commit: the storage engine
//! silently takes the previous commit if the newest is unreadable.

use super::form::checksum;
use crate::store::{Extent, StoreError};
use conductor_core::record::one_line;
use conductor_os::dir::{Dir, Meta};
use conductor_os::is_no_space;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Name of the mark beside the store.
pub const MARK: &str = "ledger.mark";
const FORMAT: &str = "conductor-loop mark";
/// Fixed, so that each mark overwrites the one before completely.
const LENGTH: usize = 400;

#[derive(Serialize, Deserialize)]
struct Body {
    format: String,
    #[serde(flatten)]
    extent: Extent,
    /// The state of the store's file at closing; if it is unchanged, the file has not been written since.
    left: Option<Left>,
}

/// Metadata that reveals a later write to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    inode: u64,
    size: u64,
    changed_ns: i64,
}

impl Left {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let meta = Meta::of(file)?;
        Ok(Self { inode: meta.id.1, size: meta.size, changed_ns: meta.ctime_ns })
    }
}

/// The open mark, with its last content.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    said: Mutex<Extent>,
}

/// The content of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) extent: Extent,
    pub(super) left: Option<Left>,
}

impl Mark {
    /// Opens the mark for writing, creating it if missing.
    pub(super) fn open(dir: &Dir) -> Result<Self, StoreError> {
        let file = dir.open_rw(MARK, 0o600).map_err(StoreError::Open)?;
        Ok(Self { file, said: Mutex::default() })
    }

    /// The content of the mark in `dir`. A missing or torn mark says nothing: a power cut may destroy it.
    pub(super) fn read(dir: &Dir) -> Result<Option<Said>, StoreError> {
        let file = match dir.open_read(MARK) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::Open(error)),
        };
        let mut bytes = [0; LENGTH];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(StoreError::Open(error)),
        }
    }

    /// Records the extent of the store.
    pub(super) fn write(&self, extent: Extent) -> Result<(), StoreError> {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = extent;
        self.say(extent, None)
    }

    /// Records that the store is closed, with the state of its file.
    pub(super) fn closed(&self, left: Left) -> Result<(), StoreError> {
        let extent = *self.said.lock().unwrap_or_else(PoisonError::into_inner);
        self.say(extent, Some(left))
    }

    fn say(&self, extent: Extent, left: Option<Left>) -> Result<(), StoreError> {
        let line = render(&Body { format: FORMAT.to_owned(), extent, left });
        match self.file.write_all_at(&line, 0) {
            // The previous mark stays, which is behind the store, and the next commit writes again.
            Err(error) if is_no_space(&error) => Ok(()),
            written => written.map_err(|source| StoreError::Mark { name: MARK, source }),
        }
    }
}

fn render(body: &Body) -> Vec<u8> {
    let mut line = one_line(body);
    // Room for the checksum, the blank after it, and the newline.
    line.resize(LENGTH - 18, b' ');
    let mut bytes = format!("{:016x} ", checksum(&line)).into_bytes();
    bytes.extend(&line);
    bytes.push(b'\n');
    bytes
}

fn parse(bytes: &[u8]) -> Option<Said> {
    let (sum, rest) = bytes.split_at_checked(17)?;
    let line = rest.strip_suffix(b"\n")?;
    if *sum != *format!("{:016x} ", checksum(line)).as_bytes() {
        return None;
    }
    let Body { format, extent, left } = serde_json::from_slice(line).ok()?;
    (format == FORMAT).then_some(Said { extent, left })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Counts;
    use conductor_core::Seq;

    #[test]
    fn a_mark_reads_back_and_a_torn_one_says_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert_eq!(Mark::read(&dir).unwrap(), None);
        let most = Counts { processed: u64::MAX, failed: u64::MAX, duplicates: u64::MAX };
        let extent = Extent { commits: u64::MAX, last_seq: Seq::MAX, counts: most };
        let mark = Mark::open(&dir).unwrap();
        let left = Left { inode: u64::MAX, size: u64::MAX, changed_ns: i64::MIN };
        mark.write(extent).unwrap();
        assert_eq!(Mark::read(&dir).unwrap(), Some(Said { extent, left: None }));
        mark.closed(left).unwrap();
        assert_eq!(Mark::read(&dir).unwrap(), Some(Said { extent, left: Some(left) }));
        let mut bytes = std::fs::read(temp.path().join(MARK)).unwrap();
        assert_eq!(bytes.len(), LENGTH);
        bytes[100] ^= 1;
        std::fs::write(temp.path().join(MARK), &bytes).unwrap();
        assert_eq!(Mark::read(&dir).unwrap(), None);
        std::fs::write(temp.path().join(MARK), &bytes[..50]).unwrap();
        assert_eq!(Mark::read(&dir).unwrap(), None);
    }
}
