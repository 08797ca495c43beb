//! Files in memory for what git is given and what it says: a pipe would have to be read while it runs.

use conductor_os::plain::read_whole;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Seek, Write};

/// The largest answer in bytes; a listing of 100,000 files is about 10 MB.
const ANSWER_MAX: u64 = 256 << 20;

/// A file with this content, read from its beginning.
pub(super) fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("git", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// What was written to it.
pub(super) fn content(mut file: File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    read_whole(file, ANSWER_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => io::Error::other("git's answer is too large"),
        _ => error,
    })
}
