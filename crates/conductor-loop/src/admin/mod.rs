//! The endpoints: health, readiness and metrics over HTTP, on one thread of their own and only when an address is given. What
//! they say comes from a [`View`]; nothing here can change anything.

mod answer;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// Connections open at once on one address. One more ends the oldest: whoever only holds connections open keeps nobody else out.
const CONNECTIONS_MAX: usize = 64;
/// A request line and its headers must fit, and arrive within this time.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Most header fields of a request.
const FIELDS_MAX: usize = 64;
/// The longest a connection may live: one request each.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// A pause after a failed accept, which is for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the endpoints show.
pub trait View: Send + Sync {
    /// Whether the loop still turns.
    fn is_alive(&self) -> bool;
    /// Why nothing new is taken; empty: it is.
    fn not_ready(&self) -> Vec<String>;
    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// What one address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// `/healthz`, `/livez`, `/readyz`.
    pub health: bool,
    /// `/metrics`.
    pub metrics: bool,
}

/// Binds every address and serves them on a thread of their own, for the rest of the process's life. The bound addresses, in
/// order.
pub fn serve(endpoints: &[(SocketAddr, Serves)], view: Arc<dyn View>) -> io::Result<Vec<SocketAddr>> {
    let bind = |(address, serves): &(SocketAddr, Serves)| {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let listener = std::net::TcpListener::bind(address).map_err(told)?;
        listener.set_nonblocking(true)?;
        Ok((listener, *serves))
    };
    let bound = endpoints.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
    let addresses = bound.iter().map(|(listener, _)| listener.local_addr()).collect::<io::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut listening = tokio::task::JoinSet::new();
            for (listener, serves) in bound {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    listening.spawn(accept(listener, serves, Arc::clone(&view)));
                }
            }
            listening.join_all().await;
        });
    })?;
    Ok(addresses)
}

async fn accept(listener: TcpListener, serves: Serves, view: Arc<dyn View>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await; // Nothing announces that there are descriptors again.
            continue;
        };
        let view = Arc::clone(&view);
        let task = tokio::spawn(async move {
            let respond = service_fn(move |request| {
                let answer = answer::to(&request, serves, &*view);
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(HEAD_BYTES_MAX)
                .max_headers(FIELDS_MAX)
                .header_read_timeout(HEAD_TIME)
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), respond);
            // A peer that goes away, or speaks something else, is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
        });
        open.retain(|connection| !connection.is_finished());
        open.push_back(task.abort_handle());
        if open.len() > CONNECTIONS_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
    }
}
