//! The names in a directory, and what stands behind them.

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The names in a directory, sorted, with their types as far as the file system reports them.
pub(super) fn listing(dir: OwnedFd) -> Result<(Dir, Vec<(String, FileType)>), Errno> {
    let mut listing = Dir::new(dir)?;
    let mut names = Vec::new();
    while let Some(entry) = listing.read() {
        let entry = entry?;
        // A name that is not UTF-8 is not one of ours.
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push((name.to_owned(), entry.file_type()));
        }
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((listing, names))
}

/// The type of an entry; some file systems do not report it in the listing.
pub(super) fn known_type(dir: BorrowedFd<'_>, name: &str, listed: FileType) -> Result<FileType, Errno> {
    match listed {
        FileType::Unknown => {
            Ok(FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
        }
        known => Ok(known),
    }
}

/// Whether a name is that of a directory.
pub(super) fn is_directory(dir: impl AsFd, name: &str) -> bool {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
