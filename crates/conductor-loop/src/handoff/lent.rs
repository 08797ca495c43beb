//! What is lent to porch's user, where it has one of its own: the way to the slots, and a slot for a run. All of it stays
//! the daemon's by owner, so that porch cannot change its mode, and is reached by porch's group. Nobody else's file is ever
//! given away: each is reached by its descriptor, and must be ours.

use conductor_os::dir::Dir;
use conductor_os::second;
use rustix::fs::{Gid, Mode, fchmod, fchown};
use std::io;
use std::os::fd::AsFd;

/// A directory on the way: passed through, neither read nor written.
const WAY: u32 = 0o710;
/// A slot: porch makes files in it, and removes only its own.
const SLOT: u32 = 0o1770;
/// A slot between its runs.
const OURS: u32 = 0o700;
/// The permissions of a directory that may only be passed through by its group.
const GROUP: u32 = 0o070;
const PASS: u32 = 0o010;
/// How often both users remove what is theirs: what one has made may lie in the way of the other.
const ROUNDS: usize = 3;

fn give(dir: &Dir, gid: u32, mode: u32) -> io::Result<()> {
    if dir.meta()?.uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    fchown(dir, None, Some(Gid::from_raw(gid)))?;
    Ok(fchmod(dir, Mode::from_raw_mode(mode))?)
}

/// Lets porch's user pass through this directory of ours; without such a user, nobody any more.
pub(super) fn let_pass(dir: &Dir) -> io::Result<()> {
    if let Some(second) = second::get() {
        return give(dir, second.identity().gid, WAY);
    }
    let mode = dir.meta()?.mode;
    if mode & GROUP == PASS {
        fchmod(dir, Mode::from_raw_mode(mode & !GROUP))?;
    }
    Ok(())
}

/// Lends a slot.
pub(super) fn lend(slot: Dir) -> io::Result<Dir> {
    if let Some(second) = second::get() {
        give(&slot, second.identity().gid, SLOT)?;
    }
    Ok(slot)
}

/// Takes a slot back after its run.
pub(super) fn take_back(slot: &Dir) -> io::Result<()> {
    if second::get().is_none() {
        return Ok(());
    }
    Ok(fchmod(slot, Mode::from_raw_mode(OURS))?)
}

/// Takes a slot back that a daemon before left lent.
pub(super) fn take_back_left(slot: &Dir) -> io::Result<()> {
    if slot.meta()?.mode & 0o7777 == SLOT {
        fchmod(slot, Mode::from_raw_mode(OURS))?;
    }
    Ok(())
}

/// Empties a slot, in which either user may have made what only that user can remove.
pub(super) fn clear(slot: &Dir, keep: Option<&str>) -> io::Result<()> {
    let Some(second) = second::get() else { return slot.clear(keep) };
    for _ in 0..ROUNDS {
        if slot.clear(keep).is_ok() {
            return Ok(());
        }
        let theirs = Dir::over(slot.as_fd().try_clone_to_owned()?);
        let keep = keep.map(str::to_owned);
        // What is not theirs is ours, and is tried next.
        drop(second.run(move || theirs.clear(keep.as_deref())));
    }
    slot.clear(keep)
}
