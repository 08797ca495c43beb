//! Messages to a service manager by the protocol of `sd_notify(3)`: ready, not ready and why, reloading, stopping, and
//! the watchdog. Its socket has a path, or an abstract name marked by `@`. Without a socket nothing is sent. An
//! undeliverable message is dropped: the service manager will notice by itself.

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The interval of watchdog messages; half the service manager's limit, as its documentation advises.
pub(super) fn watchdog_every() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    let patience = number("WATCHDOG_USEC").filter(|patience| is_ours && *patience > 0)?;
    Some(Duration::from_micros(patience) / 2)
}

/// The address behind the name in `NOTIFY_SOCKET`.
fn address(name: &OsStr) -> io::Result<SocketAddrUnix> {
    Ok(match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new(name)?,
    })
}

fn send(name: &OsStr, message: &str) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, message.as_bytes(), SendFlags::NOSIGNAL, &address(name)?)?;
    Ok(())
}

fn tell(message: &str) {
    let told = std::env::var_os("NOTIFY_SOCKET")
        .filter(|name| !name.is_empty())
        .map_or(Ok(()), |name| send(&name, message));
    if let Err(error) = told {
        tracing::debug!(%error, message, "the service manager could not be told");
    }
}

/// Reports that the start is complete.
pub(super) fn ready() {
    tell("READY=1\n");
}

/// Reports the reasons for not being ready; empty: ready.
pub(super) fn not_ready(reasons: &[String]) {
    let text =
        if reasons.is_empty() { "ready".to_owned() } else { format!("not ready: {}", reasons.join(", ")) };
    tell(&format!("STATUS={text}\n"));
}

/// Reports that the configuration is being read again; `ready` follows.
pub(super) fn reloading() {
    let now = conductor_os::monotonic().as_micros();
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
}

/// Reports that the end has begun.
pub(super) fn stopping() {
    tell("STOPPING=1\n");
}

/// Reports that the loop runs.
pub(super) fn turned() {
    tell("WATCHDOG=1\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn abstract_names_and_paths_are_reached() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify");
        let name = format!("conductor-loop-test-{}", std::process::id());
        let named = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let placed = UnixDatagram::bind(&path).unwrap();
        for (socket, address) in
            [(named, OsStr::new(&format!("@{name}")).to_owned()), (placed, path.into_os_string())]
        {
            send(&address, "READY=1\n").unwrap();
            let mut bytes = [0; 64];
            let length = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1\n");
        }
        assert!(send(OsStr::new("@nobody-listens-here"), "READY=1\n").is_err());
    }
}
