//! The two steps of the endpoints: the addresses are bound while everything is opened, and served once threads may run.

use super::connection::accept;
use super::endpoint::{Endpoint, Page, Serves};
use super::events::{Feed, sample};
use super::turns::{THREADS, Turns};
use super::{Security, View};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinSet;

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

impl Listener {
    fn bind(address: SocketAddr, serves: Serves) -> io::Result<Self> {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let socket = TcpListener::bind(address).map_err(told)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, serves })
    }
}

/// Binds every address.
pub fn bind(
    endpoints: impl IntoIterator<Item = (SocketAddr, Serves)>,
    security: Security,
) -> io::Result<Bound> {
    let bound = endpoints.into_iter().map(|(address, serves)| Listener::bind(address, serves));
    let listeners = bound.collect::<io::Result<_>>()?;
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

    /// Serves every address on a thread of their own, for the rest of the process's life.
    pub fn serve(self, view: Arc<dyn View>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .thread_name("admin-answer")
            .build()?;
        std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(self.run(view)))?;
        Ok(())
    }

    async fn run(self, view: Arc<dyn View>) {
        let (feed, turns) = (Arc::new(Feed::default()), Arc::new(Turns::default()));
        let security = Arc::new(self.security);
        let mut tasks = JoinSet::new();
        if self.listeners.iter().any(|listener| listener.serves.page == Page::Served) {
            tasks.spawn(sample(Arc::clone(&feed), Arc::clone(&view)));
        }
        for Listener { socket, address, serves } in self.listeners {
            if let Ok(listener) = tokio::net::TcpListener::from_std(socket) {
                let (view, feed) = (Arc::clone(&view), Arc::clone(&feed));
                let (turns, security) = (Arc::clone(&turns), Arc::clone(&security));
                let endpoint = Endpoint { address, serves, view, feed, turns, security };
                tasks.spawn(accept(listener, Arc::new(endpoint)));
            }
        }
        tasks.join_all().await;
    }
}
