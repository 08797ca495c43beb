//! Answers requests: the path, the permission, the thread that answers. Bodies of health and metrics contain no file
//! names and no content of intents.

use super::endpoint::{Endpoint, Page};
use super::response::{Content, JSON, TEXT, respond};
use super::turns::{NoTurn, Turn, Wanted};
use super::{api, events, page};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, HOST, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The two text formats of metrics.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The body of page and API when they have no token.
const CLOSED: &str = "page and API are closed: other users can reach this address, and no token is required. Start the daemon \
                      with --token-file FILE, or with --open-page to serve them without one\n";

/// Answers GET and HEAD of a known path; every other request is refused with its status. hyper omits the body of an
/// answer to HEAD.
pub(super) async fn route(request: &Request<Incoming>, endpoint: &Endpoint) -> Response<Content> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let (serves, view) = (endpoint.serves, &endpoint.view);
    let path = request.uri().path();
    match path {
        "/healthz" | "/livez" if serves.health => return health(view.is_alive()),
        "/readyz" if serves.health => return ready(&view.not_ready()),
        _ => {}
    }
    if !is_for_us(request, endpoint.address) {
        let text = "Host header rejected: use the IP address or localhost\n";
        return respond(StatusCode::MISDIRECTED_REQUEST, TEXT, text);
    }
    let part = page::part(path);
    match (serves.page, path) {
        (_, "/metrics") if serves.metrics => {}
        (Page::Closed, path) if part.is_some() || path.starts_with(api::PREFIX) => {
            return respond(StatusCode::FORBIDDEN, TEXT, CLOSED);
        }
        (Page::Served, path) if path.starts_with(api::PREFIX) => {}
        (Page::Served, _) if part.is_some() => return part.unwrap_or_else(not_found),
        _ => return not_found(),
    }
    let token = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if !endpoint.security().await.permits(token) {
        view.token_refused();
        let mut refused = respond(StatusCode::UNAUTHORIZED, TEXT, "a bearer token is needed\n");
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    if path == "/metrics" {
        return metrics(request, endpoint).await;
    }
    if path == events::PATH {
        return events::answer(&endpoint.feed);
    }
    let question = api::question(path, request.uri().query().unwrap_or_default());
    let turn = api::turn(&endpoint.turns, &question);
    let view = Arc::clone(view);
    apart(turn, move |wanted| api::answer(question, &*view, wanted)).await
}

fn not_found() -> Response<Content> {
    respond(StatusCode::NOT_FOUND, TEXT, "not found\n")
}

/// Prevents DNS rebinding: a foreign page could resolve its own name to this machine's address and send requests from a
/// browser; then the Host header names that page.
fn is_for_us(request: &Request<Incoming>, local: SocketAddr) -> bool {
    let Some(host) = request.headers().get(HOST).filter(|_| local.ip().is_loopback()) else { return true };
    let host = host.to_str().unwrap_or_default();
    let bare = |text: &str| text == "localhost" || text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    bare(host) || host.rsplit_once(':').is_some_and(|(name, _)| bare(name))
}

async fn metrics(request: &Request<Incoming>, endpoint: &Endpoint) -> Response<Content> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let open = accept.contains("application/openmetrics-text");
    let view = Arc::clone(&endpoint.view);
    apart(&endpoint.turns.metrics, move |_| {
        let (kind, text) = if open { (OPEN_METRICS, view.open_metrics()) } else { (CLASSIC, view.metrics()) };
        respond(StatusCode::OK, kind, text)
    })
    .await
}

/// Runs an answer that may take a moment on another thread, so that health is answered meanwhile.
async fn apart(
    turn: &Turn,
    work: impl FnOnce(&Wanted) -> Response<Content> + Send + 'static,
) -> Response<Content> {
    match turn.work(work).await {
        Ok(answer) => answer,
        Err(NoTurn::Failed) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the answer failed\n"),
        Err(NoTurn::Busy) => {
            let text = "too many such questions are being answered; ask again in a moment\n";
            let mut refused = respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
            refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            refused
        }
    }
}

fn health(alive: bool) -> Response<Content> {
    if alive {
        respond(StatusCode::OK, TEXT, "ok\n")
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the loop does not turn\n")
    }
}

/// The reasons are words of a closed list (docs/FORMATS.md), so no escaping is needed.
fn ready(reasons: &[String]) -> Response<Content> {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({"ready": reasons.is_empty(), "reasons": reasons});
    respond(status, JSON, format!("{body}\n"))
}
