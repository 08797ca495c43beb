//! Reads files that others name or can write: regular files only, and at most an agreed number of bytes.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Opens a regular file, also through symbolic links. A FIFO, device, socket or directory is refused at once: reading it
/// could block, or never end.
pub fn open_plain(path: &Path) -> io::Result<File> {
    // Checked before opening: opening a device can have effects.
    must_be_plain(std::fs::metadata(path)?.file_type())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    must_be_plain(file.metadata()?.file_type())?;
    Ok(file)
}

fn must_be_plain(kind: FileType) -> io::Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory, not a plain file"));
        }
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a plain file")))
}

/// Whether an error means that the path is not a regular file.
pub fn is_not_plain(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory)
}

/// Reads everything, if it is at most `most` bytes; more is the error `FileTooLarge`.
pub fn read_whole(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let bytes = read_start(file, most.saturating_add(1))?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads the first `most` bytes, or all if there are fewer.
pub fn read_start(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole regular file of at most `most` bytes.
pub fn read_plain(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_whole(open_plain(path)?, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_are_read_and_never_more_than_agreed() {
        let temp = tempfile::tempdir().unwrap();
        let fifo = temp.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [fifo.as_path(), temp.path(), Path::new("/dev/zero")] {
            assert!(is_not_plain(&read_plain(path, 10).unwrap_err()), "{}", path.display());
        }
        let file = temp.path().join("file");
        std::fs::write(&file, "ten bytes.").unwrap();
        assert_eq!(read_plain(&file, 10).unwrap(), b"ten bytes.");
        assert_eq!(read_plain(&file, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_start(open_plain(&file).unwrap(), 3).unwrap(), b"ten");
        // Sparse, so that a reader of all of it would be noticed.
        open_and_grow(&file);
        assert_eq!(read_plain(&file, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    fn open_and_grow(path: &Path) {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    }
}
