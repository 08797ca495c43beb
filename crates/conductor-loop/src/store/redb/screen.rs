//! The store's file as the storage engine sees it. Until the store is accepted, the engine's writes (a repair, the note
//! that it is open) stay in memory: a store that is refused, or only read, keeps every byte.

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

/// The other processes that may have the file open meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// None: it is opened for writing.
    Alone,
    /// None, and it is read again before it matters whether the machine ends: nothing of it is synced.
    Passing,
    /// Other readers.
    Lookers,
}

/// Shared between the engine and the caller who decides whether to accept the store.
#[derive(Debug, Clone)]
pub(super) struct Screen(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    sharing: Sharing,
    /// Writes before the store was accepted; `None` from then on.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    /// Length of the file itself, which no other process changes.
    below: u64,
    /// Length including the held writes.
    length: u64,
    writes: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl Screen {
    pub(super) fn over(file: File, sharing: Sharing) -> Result<Self, redb::DatabaseError> {
        let length = file.metadata().map_err(redb::StorageError::from)?.len();
        let held = Held { below: length, length, writes: Vec::new() };
        Ok(Self(Arc::new(Inner { file: FileBackend::new(file)?, sharing, held: Mutex::new(Some(held)) })))
    }

    /// Accepts the store: held writes are written in their order and with their syncs, and all later ones go to the file.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.take() {
            for write in held.writes {
                match write {
                    Write::Bytes(offset, bytes) => self.0.file.write(offset, &bytes)?,
                    Write::Length(length) => self.0.file.set_len(length)?,
                    Write::Sync => self.0.file.sync_data()?,
                }
            }
        }
        Ok(())
    }

    /// The held writes, as pieces in their order: offset and bytes; a change of length has no bytes.
    #[cfg(test)]
    pub(super) fn held_back(&self) -> Vec<(u64, Option<Vec<u8>>)> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = held.as_ref().map(|held| held.writes.iter()).into_iter().flatten();
        let piece = |write: &Write| match write {
            Write::Bytes(at, bytes) => Some((*at, Some(bytes.clone()))),
            Write::Length(length) => Some((*length, None)),
            Write::Sync => None,
        };
        writes.filter_map(piece).collect()
    }

    fn with<T>(&self, held: impl FnOnce(&mut Held) -> T, through: impl FnOnce(&FileBackend) -> T) -> T {
        let mut guard = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = guard.as_mut() {
            return held(inner);
        }
        drop(guard);
        through(&self.0.file)
    }
}

impl Held {
    fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= self.length);
        let end = end.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "beyond the end"))?;
        let there = clip(out, offset, self.below);
        if there > 0 {
            file.read(offset, &mut out[..there])?;
        }
        out[there..].fill(0);
        for write in &self.writes {
            match write {
                Write::Bytes(at, bytes) => {
                    let (from, to) = ((*at).max(offset), (at + bytes.len() as u64).min(end));
                    if from < to {
                        let source = &bytes[index(from - at)..index(to - at)];
                        out[index(from - offset)..index(to - offset)].copy_from_slice(source);
                    }
                }
                Write::Length(length) => {
                    let kept = clip(out, offset, *length);
                    out[kept..].fill(0);
                }
                Write::Sync => {}
            }
        }
        Ok(())
    }
}

/// The part of `out`, which begins at `offset`, that is before `end`.
fn clip(out: &[u8], offset: u64, end: u64) -> usize {
    out.len().min(index(end.saturating_sub(offset)))
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl StorageBackend for Screen {
    fn len(&self) -> io::Result<u64> {
        self.with(|held| Ok(held.length), StorageBackend::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut guard = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = guard.as_mut() {
            return held.read(&self.0.file, offset, out);
        }
        drop(guard);
        self.0.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let hold = |held: &mut Held| {
            held.length = len;
            held.writes.push(Write::Length(len));
            Ok(())
        };
        self.with(hold, |file| file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.0.sharing == Sharing::Passing {
            return Ok(());
        }
        let hold = |held: &mut Held| {
            held.writes.push(Write::Sync);
            Ok(())
        };
        self.with(hold, StorageBackend::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let hold = |held: &mut Held| {
            held.length = held.length.max(offset + data.len() as u64);
            held.writes.push(Write::Bytes(offset, data.to_vec()));
            Ok(())
        };
        self.with(hold, |file| file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match self.0.sharing {
            Sharing::Alone | Sharing::Passing => self.0.file.try_lock_range(start, end),
            // The engine asks for a writer's lock, but writes into memory only.
            Sharing::Lookers => self.0.file.try_lock_shared_range(start, end),
        }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match self.0.sharing {
            Sharing::Alone | Sharing::Passing => self.0.file.lock_range(start, end),
            Sharing::Lookers => self.0.file.lock_shared_range(start, end),
        }
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_held_back_read_back_and_released_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        let open = || std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let screen = Screen::over(open(), Sharing::Alone).unwrap();
        let read = |offset, length: usize| {
            let mut out = vec![9; length];
            screen.read(offset, &mut out).map(|()| out)
        };
        screen.write(2, b"ab").unwrap();
        screen.set_len(5).unwrap();
        screen.sync_data().unwrap();
        screen.set_len(12).unwrap();
        screen.write(10, b"yz").unwrap();
        assert_eq!(read(0, 12).unwrap(), b"01ab4\0\0\0\0\0yz");
        assert_eq!(read(3, 4).unwrap(), b"b4\0\0");
        assert!(read(11, 2).is_err() && screen.len().unwrap() == 12);
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789", "nothing reached the file");
        screen.release().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"01ab4\0\0\0\0\0yz");
        screen.write(0, b"X").unwrap();
        assert_eq!(read(0, 3).unwrap(), b"X1a");
        assert_eq!(std::fs::read(&path).unwrap()[0], b'X');
    }
}
