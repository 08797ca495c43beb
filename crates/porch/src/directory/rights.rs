//! What a successor has of what it replaces besides its bytes: owner, mode, access control lists and extended attributes.

use rustix::fs::{
    Gid, IFlags, Mode, RawMode, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fremovexattr,
    fsetxattr, fstat, ioctl_getflags,
};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;

/// Set-user-id and set-group-id. A sandbox may forbid to set them.
const SET_ID: RawMode = 0o6000;
/// Largest value of an attribute, and of the list of their names (xattr(7)).
const SIZE_MAX: usize = 65_536;
/// Access and default lists of a file or directory.
const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// Gives `new` what `original` has. What may be lost is what nobody but the system may give: another owner, labels.
pub(super) fn take_after(new: &OwnedFd, original: &OwnedFd, old: &Stat) -> io::Result<()> {
    let have = fstat(new)?;
    if (old.st_uid, old.st_gid) != (have.st_uid, have.st_gid) {
        // Only root may give a file away, and others only to a group of their own. The group counts for more people.
        let (user, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        if fchown(new, Some(user), Some(group)).is_err() {
            // An owner that we may not give stays ours.
            let _ = fchown(new, None, Some(group));
        }
    }
    copy_attributes(new, original)?;
    set_mode(new, old.st_mode & 0o7777)
}

/// Sets the mode if it is another one. Where set-id bits may not be set, everything else is; a directory that has them by
/// inheritance keeps them.
pub(super) fn set_mode(file: &OwnedFd, wanted: RawMode) -> io::Result<()> {
    let have = fstat(file)?.st_mode & 0o7777;
    if have == wanted {
        return Ok(());
    }
    match fchmod(file, Mode::from_raw_mode(wanted)) {
        Err(Errno::PERM) if wanted & SET_ID != 0 && have & SET_ID == wanted & SET_ID => Ok(()),
        Err(Errno::PERM) if wanted & SET_ID != 0 => Ok(fchmod(file, Mode::from_raw_mode(wanted & !SET_ID))?),
        set => Ok(set?),
    }
}

/// Attributes of the user and access control lists have to survive; labels of the system only where it lets us.
fn copy_attributes(new: &OwnedFd, original: &OwnedFd) -> io::Result<()> {
    let (theirs, ours) = (names(original)?, names(new)?);
    let must = |name: &str| name.starts_with("user.") || LISTS.contains(&name);
    for name in &theirs {
        // These speak of the old bytes.
        if matches!(name.as_str(), "security.ima" | "security.evm" | "security.capability") {
            continue;
        }
        let copied = value(original, name)
            .and_then(|value| fsetxattr(new, name.as_str(), &value, XattrFlags::empty()));
        match copied {
            // Somebody has removed it in this instant.
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) if must(name) || matches!(errno, Errno::NOSPC | Errno::DQUOT) => {
                return Err(errno.into());
            }
            Err(_) => {}
        }
    }
    // What the directory gives to new files, and the original does not have.
    for name in ours.iter().filter(|name| must(name) && !theirs.contains(name)) {
        fremovexattr(new, name.as_str())?;
    }
    Ok(())
}

fn names(file: &OwnedFd) -> io::Result<Vec<String>> {
    // Most files have none.
    let mut room = vec![0; 256];
    let length = loop {
        match flistxattr(file, &mut room[..]) {
            Ok(length) => break length,
            Err(Errno::RANGE) if room.len() < SIZE_MAX => room = vec![0; SIZE_MAX],
            // A file system without attributes.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
    };
    room.truncate(length);
    let all = room.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(all.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
}

fn value(file: &OwnedFd, name: &str) -> Result<Vec<u8>, Errno> {
    let mut room = vec![0; 256];
    let length = match fgetxattr(file, name, &mut room[..]) {
        Err(Errno::RANGE) => {
            room = vec![0; SIZE_MAX];
            fgetxattr(file, name, &mut room[..])?
        }
        length => length?,
    };
    room.truncate(length);
    Ok(room)
}

/// In a directory that may only grow, a draft could never be removed again.
pub(super) fn refuse_append_only(dir: &OwnedFd) -> io::Result<()> {
    match ioctl_getflags(dir) {
        Ok(flags) if flags.intersects(IFlags::APPEND | IFlags::IMMUTABLE) => {
            Err(io::Error::other("the directory may not be changed (chattr +a or +i); nothing was written"))
        }
        // Not every file system has flags.
        _ => Ok(()),
    }
}
