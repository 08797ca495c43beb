//! The bytes of regular files, within a bound: what grows meanwhile or is no file is told apart.

use super::opening::FILE;
use crate::files::Content;
use rustix::fs::{FileType, Mode, Stat, fstat, openat};
use std::os::fd::{AsFd, OwnedFd};

/// What reading an entry as a file gives.
pub(super) enum Read {
    /// A regular file, and what the file system said of it before it was read.
    File(Content, Stat),
    /// A regular file of more bytes than the limit.
    TooLarge,
    /// Any other entry.
    Other,
}

/// Reads a regular file of at most `limit` bytes.
pub(super) fn read_file(dir: impl AsFd, name: &str, limit: u64) -> std::io::Result<Read> {
    regular_file(&openat(dir, name, FILE, Mode::empty())?, limit)
}

/// Reads what has been opened, if it is a regular file of at most `limit` bytes.
pub(super) fn regular_file(file: &OwnedFd, limit: u64) -> std::io::Result<Read> {
    let stat = fstat(file)?;
    if !is_regular(&stat) {
        return Ok(Read::Other);
    }
    if u64::try_from(stat.st_size).unwrap_or(0) > limit {
        return Ok(Read::TooLarge);
    }
    let bytes = read_open(file, &stat, limit)?;
    if bytes.len() as u64 > limit {
        return Ok(Read::TooLarge);
    }
    Ok(Read::File(Content { bytes, executable: stat.st_mode & 0o100 != 0 }, stat))
}

/// The bytes of an open regular file, about `limit` at most.
pub(super) fn read_open(file: &OwnedFd, stat: &Stat, limit: u64) -> std::io::Result<Vec<u8>> {
    let expected = u64::try_from(stat.st_size).unwrap_or(0).min(limit);
    let mut bytes = vec![0; usize::try_from(expected).unwrap_or(0) + 1];
    let mut length = 0;
    // A regular file ends when a read returns less than requested; one byte more than expected reveals that it grew.
    loop {
        let room = bytes.get_mut(length..).unwrap_or_default();
        let (wanted, got) = (room.len(), rustix::io::retry_on_intr(|| rustix::io::read(file, &mut *room))?);
        length += got;
        if got < wanted || length as u64 > limit {
            break;
        }
        bytes.resize(2 * bytes.len(), 0);
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
