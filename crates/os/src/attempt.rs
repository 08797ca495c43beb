//! Tests whether a start could use a directory, as this user, without leaving anything behind.

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The bytes written to test that there is room.
const ATTEMPT: [u8; 4096] = [0; 4096];

/// Whether files could be made in this directory: an unnamed file is made, written and dropped.
pub fn could_write(path: &Path) -> io::Result<()> {
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    accessat(CWD, path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
    match openat(&dir, ".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, Mode::from_raw_mode(0o600)) {
        Ok(file) => File::from(file).write_all(&ATTEMPT),
        // The file system, or the kernel, has no unnamed files: the permission check must do.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether this directory could be made, with its missing parents, or, if it exists, written.
pub fn could_make(path: &Path) -> io::Result<()> {
    for place in std::path::absolute(path)?.ancestors() {
        match std::fs::symlink_metadata(place) {
            Ok(_) => return could_write(place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an existing file could be read and written.
pub fn could_change(path: &Path) -> io::Result<()> {
    match accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        could_write(temp.path()).unwrap();
        could_make(&temp.path().join("a/b/c")).unwrap();
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
        std::fs::write(temp.path().join("file"), "").unwrap();
        assert!(could_make(&temp.path().join("file/below")).is_err());
        assert!(could_write(&temp.path().join("file")).is_err());
        std::os::unix::fs::symlink("nowhere", temp.path().join("link")).unwrap();
        assert!(could_make(&temp.path().join("link")).is_err(), "mkdir does not follow it");
    }
}
