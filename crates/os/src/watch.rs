//! inotify on one directory. Its events are hints: a name to look at, or a loss of events.

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A watch on one directory.
#[derive(Debug)]
pub struct Watch(OwnedFd);

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A file of this name was closed after writing, or renamed into the directory.
    Name(Box<[u8]>),
    /// The kernel's queue overflowed: events were lost.
    Overflow,
    /// The directory was deleted, moved or unmounted; no more events will come.
    Gone,
}

impl Watch {
    /// Watches the directory behind the descriptor, whatever its path leads to.
    pub fn on(directory: impl AsFd) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|errno| refused(errno, "fs.inotify.max_user_instances"))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()));
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        add_watch(&inotify, &path, flags).map_err(|errno| refused(errno, "fs.inotify.max_user_watches"))?;
        Ok(Self(inotify))
    }

    /// Passes waiting events to `each`: all, or a few more than `most`. The others stay waiting.
    pub fn drain(&self, most: usize, mut each: impl FnMut(Hint)) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut passed = 0;
        // What was read must be passed on.
        while passed < most || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            passed += 1;
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                each(Hint::Overflow);
            } else if flags.intersects(
                ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED,
            ) {
                each(Hint::Gone);
            } else if let Some(name) = event.file_name() {
                each(Hint::Name(name.to_bytes().into()));
            }
        }
        Ok(())
    }
}

/// The system's error, explained: inotify has limits of its own whose errors look like others.
fn refused(errno: Errno, limit: &str) -> io::Error {
    let error = io::Error::from(errno);
    let meaning = match errno {
        Errno::MFILE => format!("raise {limit} (sysctl), or this process's limit of descriptors"),
        Errno::NOSPC => format!("raise {limit} (sysctl)"),
        Errno::NOENT => "/proc is not mounted here".to_owned(),
        _ => return error,
    };
    io::Error::new(error.kind(), format!("inotify: {error}: {meaning}"))
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
