//! The endpoints: health, readiness, metrics, the page and its read-only API over HTTP, on one thread of their own and only when
//! an address is given. What they say comes from a [`View`]; nothing here can change anything.

mod answer;
mod api;
mod connection;
mod events;
mod page;
mod secure;
mod turns;

pub use secure::{Security, SecurityError, TlsFiles};

use conductor_core::inquiry::{Answer, Pulse, Question};
use connection::Listening;
use events::Feed;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use turns::Turns;

/// What the endpoints show.
pub trait View: Send + Sync {
    /// Whether the loop still turns.
    fn is_alive(&self) -> bool;
    /// Why nothing new is taken; empty: it is.
    fn not_ready(&self) -> Vec<String>;
    /// All metrics in Prometheus' text format. May take a moment.
    fn metrics(&self) -> String;
    /// All metrics in the `OpenMetrics` format. May take a moment.
    fn open_metrics(&self) -> String;
    /// The answer to a question; one that would change something is refused. May take a moment, and may stop with half an answer
    /// as soon as nobody wants it.
    fn answer(&self, question: Question, is_wanted: &dyn Fn() -> bool) -> Answer;
    /// The numbers of this moment.
    fn pulse(&self) -> Pulse;
}

/// What one address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// `/healthz`, `/livez`, `/readyz`.
    pub health: bool,
    /// `/metrics`.
    pub metrics: bool,
    /// `/` and `/api/v1/`.
    pub page: Page,
}

/// Whether an address has the page and its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// It is for something else.
    Absent,
    /// It would have them, and nobody is asked who he is: they say what to do about that.
    Closed,
    /// It has them.
    Served,
}

/// Binds every address and serves them on a thread of their own, for the rest of the process's life. The bound addresses, in
/// order.
pub fn serve(
    endpoints: &[(SocketAddr, Serves)],
    view: Arc<dyn View>,
    security: Security,
) -> io::Result<Vec<SocketAddr>> {
    let bind = |(address, serves): &(SocketAddr, Serves)| {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let listener = std::net::TcpListener::bind(address).map_err(told)?;
        listener.set_nonblocking(true)?;
        Ok((listener, *serves))
    };
    let bound = endpoints.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
    let addresses: Vec<SocketAddr> =
        bound.iter().map(|(listener, _)| listener.local_addr()).collect::<io::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(turns::THREADS)
        .thread_name("admin-answer")
        .build()?;
    let locals = addresses.clone();
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(async {
            let (feed, turns) = (Arc::new(Feed::default()), Arc::new(Turns::default()));
            let security = Arc::new(security);
            let mut tasks = tokio::task::JoinSet::new();
            if bound.iter().any(|(_, serves)| serves.page == Page::Served) {
                tasks.spawn(events::sample(Arc::clone(&feed), Arc::clone(&view)));
            }
            for ((listener, serves), address) in bound.into_iter().zip(locals) {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    let (view, feed) = (Arc::clone(&view), Arc::clone(&feed));
                    let (turns, security) = (Arc::clone(&turns), Arc::clone(&security));
                    let listening = Listening { address, serves, view, feed, turns, security };
                    tasks.spawn(connection::accept(listener, Arc::new(listening)));
                }
            }
            tasks.join_all().await;
        });
    })?;
    Ok(addresses)
}
