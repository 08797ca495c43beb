//! How directories and files are opened: without following links below the root, and without waiting for anybody.

use crate::PorchError;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Opens a directory.
pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// Waits for nobody, whatever it turns out to be.
pub(super) const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// No link on the way is followed, and nothing above the root is reached.
pub(super) const BELOW: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Opens a directory named by the operator.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, PorchError> {
    open(path, DIRECTORY, Mode::empty()).map_err(|errno| PorchError::io(path, errno))
}

/// A directory below another one; no link on its way is followed.
pub(super) fn steps_below(top: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let mut dir = openat(top, ".", DIRECTORY, Mode::empty())?;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        dir = openat(&dir, step, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(dir)
}
