//! What an I/O error means for the caller: it passes by itself, or there is no room.

/// Whether an I/O error says that the system lacks something at the moment: the same call may succeed later.
pub fn is_passing(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::NOMEM, Errno::NFILE, Errno::MFILE, Errno::INTR, Errno::AGAIN, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// Whether an I/O error says that there is no room: on the file system, in a quota, or under the process's own limit of a
/// file's size, whose signal we do not let end us.
pub fn is_no_space(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
