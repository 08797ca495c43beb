//! Puts one complete thing in the place of another and looks at what came out. Looking first and replacing then would lose
//! what somebody puts there in between; exchanging first and looking then does not: what was not expected goes back.

use super::{FileType, read_open};
use conductor_os::raw::{Writers, writers};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Stat, fstat, openat, renameat_with, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How often what somebody else puts there is put back before it is kept beside.
const BACK_MAX: u32 = 40;
/// A writer that still has the file open is waited for this long, and longer each time.
const PAUSE: Duration = Duration::from_micros(250);

/// What is at a name.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    File(Seen),
    /// A symbolic link.
    Link(Stat),
    /// A directory, a pipe, a device.
    Other(Stat),
}

/// A regular file as it was read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub bytes: Vec<u8>,
    pub stat: Stat,
    /// Whether somebody had it open for writing when it was opened, as far as the kernel says.
    pub busy: bool,
}

/// What tells one thing, and one state of it, from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    dev: u64,
    ino: u64,
    size: i64,
    changed: (i64, u64),
}

impl Mark {
    pub(crate) fn of(stat: &Stat) -> Self {
        let Stat { st_dev, st_ino, st_size, st_mtime, st_mtime_nsec, .. } = *stat;
        Self { dev: st_dev, ino: st_ino, size: st_size, changed: (st_mtime, st_mtime_nsec) }
    }

    pub(crate) fn at(dir: &OwnedFd, name: &str) -> io::Result<Self> {
        Ok(Self::of(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

impl Found {
    /// Looks, and reads about `limit` bytes at most: enough to tell whether they are as many.
    pub(crate) fn at(dir: impl AsFd, name: &str, limit: usize) -> io::Result<Self> {
        Self::look(&dir, name, limit, Writing::NotAsked)
    }

    /// The same, and asks whether somebody has it open for writing.
    pub(crate) fn quiet_at(dir: &OwnedFd, name: &str, limit: usize) -> io::Result<Self> {
        Self::look(dir, name, limit, Writing::Asked)
    }

    fn look(dir: &impl AsFd, name: &str, limit: usize, asked: Writing) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Self::Absent),
            // A link, or something that cannot be opened, such as a socket.
            Err(Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Self::unopened(dir, name),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Self::Other(stat));
        }
        // Asked before it is read: who opens it later cannot reach it by its name any more.
        let busy = asked == Writing::Asked && writers(&file) == Writers::Some;
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

    /// `None` for what is not there and for what somebody still writes.
    fn mark(&self) -> Option<Mark> {
        if matches!(self, Self::File(Seen { busy: true, .. })) { None } else { self.stat().map(Mark::of) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Asked,
    NotAsked,
}

/// How an exchange ended. The other one of both is then at the draft's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// What came out is what was expected.
    Done,
    /// It was not, and is where it was.
    Undone,
    /// Somebody wrote faster than we could put back: what is at the draft's name now may be his.
    Unsettled,
    /// This file system cannot exchange; nothing was done.
    Unable,
}

/// What is put in.
pub(crate) struct Draft<'d> {
    /// Its name, in the same directory.
    pub name: &'d str,
    /// As it was when it was complete.
    pub mark: Mark,
}

/// Exchanges a draft with `name`, if what comes out is `expected`; else puts that back.
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
    // What we put in at last. When it comes out as it was, nobody has written into it, and nothing is lost with it.
    let mut inside = draft.mark;
    for turn in 0..BACK_MAX {
        let next = Mark::at(dir, draft.name)?;
        match exchange() {
            Ok(()) => {}
            // Somebody removed it: then there is nothing to exchange it with.
            Err(Errno::NOENT) => match renameat_with(dir, draft.name, dir, name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Swap::Undone),
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(errno.into()),
            },
            Err(errno) => return Err(errno.into()),
        }
        if look()?.mark() == Some(inside) {
            // Somebody's own version comes out when a newer one was put over it, or written into ours, which he took for it.
            let superseded = inside == draft.mark || !next.is_same_file(&draft.mark);
            return Ok(if superseded { Swap::Undone } else { Swap::Unsettled });
        }
        inside = next;
        std::thread::sleep(PAUSE * turn.min(20)); // Nothing tells when a writer is done.
    }
    Ok(Swap::Unsettled)
}
