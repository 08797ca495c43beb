//! The peer of a local socket.

use crate::pid::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Who is at the other end of a local socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user id.
    pub uid: u32,
    /// The process id; `None`: a process of another PID namespace, such as the host of a container.
    pub pid: Option<Pid>,
}

/// The peer that connected to this local socket, as the kernel noted it then (`SO_PEERCRED`). Safe libraries, whose type
/// has no process id 0, fail for a peer of another PID namespace.
#[expect(unsafe_code, reason = "safe libraries refuse a peer of another PID namespace")]
pub fn peer(socket: impl AsFd) -> io::Result<Peer> {
    // Three integers of four bytes.
    const SIZE: libc::socklen_t = 12;
    const { assert!(size_of::<libc::ucred>() == 12) };
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = SIZE;
    // SAFETY: the descriptor is open for the length of the call, because it is borrowed; the kernel writes at most `length`
    // bytes to `peer`, which has as many and outlives the call, and any bytes are a valid `ucred`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    match answer {
        0 if length == SIZE => {
            let pid = u32::try_from(peer.pid).ok().filter(|pid| *pid != 0).map(Pid);
            Ok(Peer { uid: peer.uid, pid })
        }
        0 => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel reports the peer in an unknown form"))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_kernel_says_who_is_at_the_other_end() {
        let (one, _other) = UnixStream::pair().unwrap();
        let us = Peer { uid: rustix::process::geteuid().as_raw(), pid: Some(Pid::own()) };
        assert_eq!(peer(&one).unwrap(), us);
        assert!(peer(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
