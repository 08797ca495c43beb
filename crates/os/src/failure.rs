//! Classes of I/O errors: temporary ones, and lack of space.

/// Whether an I/O error reports a temporary lack of a resource: the same call may succeed later.
pub fn is_passing(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::NOMEM, Errno::NFILE, Errno::MFILE, Errno::INTR, Errno::AGAIN, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// Whether an I/O error reports that process or system has no descriptor or memory left at the moment, or that a signal came in
/// between: it says nothing about what was opened or read.
pub fn is_exhausted(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR];
    Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}

/// Whether an I/O error reports a lack of space: on the file system, in a quota, or under the process's own file size
/// limit, whose signal is ignored.
pub fn is_no_space(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
