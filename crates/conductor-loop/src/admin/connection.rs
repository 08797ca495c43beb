//! Connections: their number, duration and size. One request each.

use super::endpoint::{Endpoint, Page};
use super::route::route;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Connections open at once on one address. One more ends the oldest: a client that holds many open keeps no other client out.
const CONNECTIONS_MAX: usize = 64;
/// The size limit of a request line with its headers; they must also arrive within the time limit.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The number of header fields in a request.
const FIELDS_MAX: usize = 64;
/// The time limit of a connection without events.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// The time limit of a connection with events; the page reconnects by itself.
const EVENTS_TIME: Duration = Duration::from_hours(1);
/// The pause after a failed accept, which lacks descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn accept(listener: TcpListener, endpoint: Arc<Endpoint>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await; // The return of descriptors is not announced.
            continue;
        };
        let task = tokio::spawn(converse(stream, Arc::clone(&endpoint)));
        open.retain(|connection| !connection.is_finished());
        open.push_back(task.abort_handle());
        if open.len() > CONNECTIONS_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
    }
}

/// Serves one connection; a peer that goes away, or speaks another protocol, is ignored.
async fn converse(stream: TcpStream, endpoint: Arc<Endpoint>) {
    // Health checks need no client certificate: probes have none.
    let authenticated = endpoint.serves.metrics || endpoint.serves.page != Page::Absent;
    match endpoint.security().await.acceptor(authenticated) {
        None => respond(stream, endpoint).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HEAD_TIME, acceptor.accept(stream)).await {
                respond(stream, endpoint).await;
            }
        }
    }
}

async fn respond(stream: impl AsyncRead + AsyncWrite + Unpin, endpoint: Arc<Endpoint>) {
    let carries_events = AtomicBool::new(false);
    let service = service_fn(|request| {
        let (endpoint, carries_events) = (Arc::clone(&endpoint), &carries_events);
        async move {
            let answer = route(&request, &endpoint).await;
            carries_events.store(answer.body().is_endless(), Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .header_read_timeout(HEAD_TIME)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let over = timeout(CONNECTION_TIME, connection.as_mut()).await.is_ok();
    if !over && carries_events.load(Ordering::Relaxed) {
        // The end of the stream concerns only the client.
        let _ = timeout(EVENTS_TIME, connection).await;
    }
}
