//! The page: embedded files, no other resource. It renders the API's data as text, never as markup.

use super::response::{Content, respond};
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use hyper::{Response, StatusCode};

const SCRIPT: &str = "text/javascript; charset=utf-8";

const PARTS: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/plots.js", SCRIPT, include_str!("page/plots.js")),
    ("/detail.js", SCRIPT, include_str!("page/detail.js")),
];

/// Permits our own files only, and no injection: no inline script or style, no frame, no form.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The part of the page at this path.
pub(super) fn part(path: &str) -> Option<Response<Content>> {
    let (_, kind, text) = PARTS.into_iter().find(|(at, _, _)| *at == path)?;
    let mut response = respond(StatusCode::OK, kind, text);
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}
