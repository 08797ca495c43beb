//! The socket's place in the private directory: its path, and its name while it is listened to.

use crate::handoff::layout::CONTROL as SOCKET;
use conductor_os::dir::Dir;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;

/// The name of the socket, which is removed when this is dropped.
pub(super) struct Name(pub(super) Arc<Dir>);

impl Drop for Name {
    fn drop(&mut self) {
        // A socket that stays behind is removed at the next start.
        let _ = self.0.unlink(SOCKET);
    }
}

/// The socket's path through the directory's descriptor: short enough for a socket address wherever the directory is.
pub(super) fn socket_path(private: &Dir) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", private.as_fd().as_raw_fd()))
}
