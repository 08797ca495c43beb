//! Responses: their bodies, and the headers common to all of them.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// The body of a response.
pub(super) enum Content {
    /// A complete body.
    Whole(Option<Bytes>),
    /// Events as they come.
    Events(Receiver<Bytes>),
}

impl Content {
    /// Whether the body has no end of its own.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self, Self::Events(_))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                events.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Content> {
    with_headers(Content::Whole(Some(body.into())), status, kind)
}

/// The headers of every answer.
pub(super) fn with_headers(content: Content, status: StatusCode, kind: &'static str) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    for (name, value) in
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
