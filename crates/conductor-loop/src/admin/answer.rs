//! From a request to its answer. Bodies carry no names of files and nothing of what is in intents.

use super::{Serves, View};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// GET and HEAD of a known path; everything else is refused by its status. hyper leaves the body of an answer to HEAD out.
pub(super) fn to(request: &Request<Incoming>, serves: Serves, view: &dyn View) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n".to_owned());
        refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/healthz" | "/livez" if serves.health => health(view.is_alive()),
        "/readyz" if serves.health => ready(&view.not_ready()),
        "/metrics" if serves.metrics => respond(StatusCode::OK, METRICS, view.metrics()),
        _ => respond(StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
    }
}

fn health(alive: bool) -> Response<Full<Bytes>> {
    if alive {
        respond(StatusCode::OK, TEXT, "ok\n".to_owned())
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the loop does not turn\n".to_owned())
    }
}

/// The reasons are words of a closed list (docs/FORMATS.md), so nothing has to be escaped.
fn ready(reasons: &[String]) -> Response<Full<Bytes>> {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({"ready": reasons.is_empty(), "reasons": reasons});
    respond(status, JSON, format!("{body}\n"))
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}
