//! Calls on mounts that no safe library offers: a mount namespace of its own, and attributes of a mount with all below it.

use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Gives this thread, and what it starts from now on, a copy of the mounts, which ends with the last of them. Root and
/// working directory are its own from then on as well.
#[expect(
    unsafe_code,
    reason = "the library's call is unsafe because of another flag, which takes descriptors away from threads"
)]
pub fn own_mounts() -> io::Result<()> {
    // SAFETY: the flag concerns mounts alone; no thread loses a descriptor.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?)
}

/// Adds attributes (`MOUNT_ATTR_*`) to a mount, with `all_below` to those below it as well; what each has stays. The
/// mounts hand on nothing and are handed nothing on.
#[expect(
    unsafe_code,
    reason = "no safe library offers mount_setattr; the kernel reads one structure of four integers"
)]
pub fn add_to_mount(mount: impl AsFd, attributes: u64, all_below: bool) -> io::Result<()> {
    let wanted =
        libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if all_below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open for the length of the call, because it is borrowed; path and structure outlive the
    // call, the length is that of the structure, and the kernel writes nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
