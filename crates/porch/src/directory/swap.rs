//! Exchanges a complete draft with the entry at a name, then checks the displaced entry. A check followed by a
//! replacement would lose anything written in between; an exchange followed by a check does not: an unexpected entry is
//! put back.

use super::opening::FILE;
use super::reading::read_open;
use conductor_os::raw::{OpenForWriting, open_for_writing};
use rustix::fs::{AtFlags, FileType, Mode, RenameFlags, Stat, fstat, openat, renameat_with, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How often another process's entry is put back before it is kept beside.
const BACK_MAX: u32 = 40;
/// The first pause for a writer that still has the file open; later ones are longer.
const PAUSE: Duration = Duration::from_micros(250);

/// The entry at a name.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    File(Seen),
    /// A symbolic link.
    Link(Stat),
    /// A directory, a pipe, a device.
    Other(Stat),
}

/// A regular file with the content read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub bytes: Vec<u8>,
    pub stat: Stat,
    /// Whether a process had it open for writing when it was opened, as far as the kernel reports.
    pub busy: bool,
}

/// Metadata that identifies an entry and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: i64,
    /// The time of the last change of the content, in nanoseconds.
    pub(super) modified: i64,
}

impl Mark {
    pub(crate) fn of(stat: &Stat) -> Self {
        let modified = nanoseconds(stat.st_mtime, stat.st_mtime_nsec);
        Self { dev: stat.st_dev, ino: stat.st_ino, size: stat.st_size, modified }
    }

    pub(crate) fn at(dir: &OwnedFd, name: &str) -> io::Result<Self> {
        Ok(Self::of(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// The device and the inode.
    pub(super) fn file(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.file() == other.file()
    }
}

/// A time of a file system as one number.
pub(super) fn nanoseconds(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or(0))
}

impl Found {
    /// Reads the entry, about `limit` bytes at most: enough to compare the size.
    pub(crate) fn at(dir: impl AsFd, name: &str, limit: usize) -> io::Result<Self> {
        Self::look(&dir, name, limit, Writing::NotAsked)
    }

    /// Like `at`, and also checks for a process that has it open for writing.
    pub(crate) fn quiet_at(dir: &OwnedFd, name: &str, limit: usize) -> io::Result<Self> {
        Self::look(dir, name, limit, Writing::Asked)
    }

    fn look(dir: &impl AsFd, name: &str, limit: usize, asked: Writing) -> io::Result<Self> {
        let file = match openat(dir, name, FILE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Self::Absent),
            // A link, or an entry that cannot be opened, such as a socket.
            Err(Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Self::unopened(dir, name),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Self::Other(stat));
        }
        // Checked before reading: a process that opens it later cannot reach it by its name any more.
        let busy = asked == Writing::Asked && open_for_writing(&file) == OpenForWriting::Some;
        Ok(Self::File(Seen { bytes: read_open(&file, &stat, limit as u64)?, stat, busy }))
    }

    fn unopened(dir: &impl AsFd, name: &str) -> io::Result<Self> {
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Self::Absent),
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Ok(Self::Link(stat));
        }
        Ok(Self::Other(stat))
    }

    /// The bytes of a regular file.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::File(seen) = self { Some(&seen.bytes) } else { None }
    }

    pub(crate) fn stat(&self) -> Option<&Stat> {
        match self {
            Self::Absent => None,
            Self::File(Seen { stat, .. }) | Self::Link(stat) | Self::Other(stat) => Some(stat),
        }
    }

    /// `None` for a missing entry and for one that is still being written.
    fn mark(&self) -> Option<Mark> {
        if matches!(self, Self::File(Seen { busy: true, .. })) { None } else { self.stat().map(Mark::of) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Asked,
    NotAsked,
}

/// The result of an exchange. The other entry is then at the draft's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// The displaced entry was the expected one.
    Done,
    /// The displaced entry was another one, and has been put back.
    Undone,
    /// Another process wrote faster than we could put back: the entry at the draft's name may be its own.
    Unsettled,
    /// This file system cannot exchange; nothing was changed.
    Unable,
}

/// The entry to put in.
pub(crate) struct Draft<'d> {
    /// Its name, in the same directory.
    pub name: &'d str,
    /// Its metadata when it was complete.
    pub mark: Mark,
}

/// Exchanges a draft with `name`, if the displaced entry is `expected`; otherwise puts that back.
pub(crate) fn swap(
    dir: &OwnedFd,
    draft: &Draft<'_>,
    name: &str,
    limit: usize,
    expected: impl Fn(&Found) -> bool,
) -> io::Result<Swap> {
    let exchange = || renameat_with(dir, draft.name, dir, name, RenameFlags::EXCHANGE);
    let look = || Found::look(dir, draft.name, limit, Writing::Asked);
    match exchange() {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Swap::Undone),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(Swap::Unable),
        Err(errno) => return Err(errno.into()),
    }
    if expected(&look()?) {
        return Ok(Swap::Done);
    }
    // The entry we put in last. If it comes out unchanged, no process has written into it, and nothing is lost with it.
    let mut inside = draft.mark;
    for turn in 0..BACK_MAX {
        let next = Mark::at(dir, draft.name)?;
        match exchange() {
            Ok(()) => {}
            // Another process removed it: then there is nothing to exchange.
            Err(Errno::NOENT) => match renameat_with(dir, draft.name, dir, name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Swap::Undone),
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(errno.into()),
            },
            Err(errno) => return Err(errno.into()),
        }
        if look()?.mark() == Some(inside) {
            // A foreign version comes out when a newer one replaced it, or when its writer wrote into ours, taking it for
            // its own.
            let superseded = inside == draft.mark || !next.is_same_file(&draft.mark);
            return Ok(if superseded { Swap::Undone } else { Swap::Unsettled });
        }
        inside = next;
        std::thread::sleep(PAUSE * turn.min(20)); // The end of a writer is not announced.
    }
    Ok(Swap::Unsettled)
}
