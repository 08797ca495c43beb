//! The two steps of the endpoints: the addresses are bound while everything is opened, and served once threads may run.
//! One thread speaks HTTP and TLS. Where the daemon is confined it has a filter of its own, under which it can open, start
//! and connect nothing; the threads that answer are older than the filter.

use super::connection::accept;
use super::endpoint::{Endpoint, Page, Serves};
use super::events::{Feed, sample};
use super::turns::Turns;
use super::{Security, View};
use conductor_os::confine::serving;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Connections that may wait in the kernel's queue, as the standard library sets it.
const BACKLOG: i32 = 128;

/// Addresses that are bound and not served yet. Connections made meanwhile wait in the kernel's queue.
pub struct Bound {
    listeners: Vec<Listener>,
    security: Security,
}

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    serves: Serves,
}

/// An address at which nobody can listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct NotBound {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub cause: io::Error,
}

impl Listener {
    fn bind(asked: SocketAddr, serves: Serves) -> Result<Self, NotBound> {
        let opened = listen(asked).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        });
        let (address, socket) = opened.map_err(|cause| NotBound { address: asked, cause })?;
        Ok(Self { socket, address, serves })
    }
}

/// Listens on an address. `[::]` means every address, those of IPv4 too, whatever the system's default; and those of
/// IPv4 alone where the kernel has no IPv6.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let SocketAddr::V6(every) = address else { return TcpListener::bind(address) };
    if !every.ip().is_unspecified() {
        return TcpListener::bind(address);
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = match socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None) {
        Err(Errno::AFNOSUPPORT) => return TcpListener::bind((Ipv4Addr::UNSPECIFIED, every.port())),
        socket => socket?,
    };
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    rustix::net::bind(&socket, &every)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Binds every address.
pub fn bind(
    endpoints: impl IntoIterator<Item = (SocketAddr, Serves)>,
    security: Security,
) -> Result<Bound, NotBound> {
    let bound = endpoints.into_iter().map(|(address, serves)| Listener::bind(address, serves));
    let listeners = bound.collect::<Result<_, _>>()?;
    Ok(Bound { listeners, security })
}

impl Bound {
    /// The addresses, in order, with the ports that the kernel chose where none was given.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|listener| listener.address)
    }

    /// The requirements on clients.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// Serves every address on a thread of their own, for the rest of the process's life. With `confined` that thread has a
    /// filter of system calls, or nothing is served.
    pub fn serve(self, view: Arc<dyn View>, confined: bool) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let turns = Arc::new(Turns::start()?);
        let (began, answer) = sync_channel(1);
        std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            match self.begin(&runtime, &view, &turns, confined) {
                Ok(tasks) => go_on(&runtime, tasks, &began),
                // Who starts the thread waits for this.
                Err(error) => drop(began.send(Err(error))),
            }
        })?;
        answer.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that serves has ended")))
    }

    /// Makes what serves, and puts the filter on.
    fn begin(
        self,
        runtime: &Runtime,
        view: &Arc<dyn View>,
        turns: &Arc<Turns>,
        confined: bool,
    ) -> io::Result<JoinSet<()>> {
        let _entered = runtime.enter();
        let feed = Arc::new(Feed::default());
        let security = Arc::new(self.security);
        let mut tasks = JoinSet::new();
        if self.listeners.iter().any(|listener| listener.serves.page == Page::Served) {
            tasks.spawn(sample(Arc::clone(&feed), Arc::clone(view)));
        }
        for Listener { socket, address, serves } in self.listeners {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            let (view, feed) = (Arc::clone(view), Arc::clone(&feed));
            let (turns, security) = (Arc::clone(turns), Arc::clone(&security));
            let endpoint = Endpoint { address, serves, view, feed, turns, security };
            tasks.spawn(accept(listener, Arc::new(endpoint)));
        }
        if security.uses_tls() {
            // The first bytes on a thread take calls that none takes later.
            conductor_crypto::random_bytes::<1>();
        }
        if confined {
            serving::allow_nothing_else().map_err(io::Error::other)?;
        }
        Ok(tasks)
    }
}

/// Serves for the rest of the process's life: under the filter a thread cannot end.
fn go_on(runtime: &Runtime, tasks: JoinSet<()>, began: &SyncSender<io::Result<()>>) -> ! {
    // Who starts the thread waits for this.
    let _ = began.send(Ok(()));
    runtime.block_on(async {
        tasks.join_all().await;
        std::future::pending().await
    })
}
