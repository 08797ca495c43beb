//! The configured endpoints: opened by the start, tried by `doctor`.

use super::failure::Failure;
use super::not_started::NotStarted;
use super::questions::Questions;
use crate::admin;
use crate::config::{Config, Endpoint, Tls};
use std::sync::Arc;

/// Binds the endpoints, if addresses are configured.
fn bind(config: &Config) -> Result<Option<admin::Bound>, Failure> {
    if config.fixed.endpoints.is_empty() {
        return Ok(None);
    }
    let security = security(config)?;
    let serves = |endpoint: &Endpoint| {
        let Endpoint { address, health, metrics, .. } = *endpoint;
        (address, admin::Serves { health, metrics, page: page_on(endpoint, config) })
    };
    let bound = admin::bind(config.fixed.endpoints.iter().map(serves), security);
    Ok(Some(bound.map_err(NotStarted::from)?))
}

/// Binds the endpoints for a daemon, and logs their warnings.
pub(super) fn open_endpoints(config: &Config) -> Result<Option<admin::Bound>, Failure> {
    let bound = bind(config)?;
    for warning in bound.iter().flat_map(|bound| warnings(config, bound.security())) {
        tracing::warn!("{warning}");
    }
    Ok(bound)
}

/// Serves the bound endpoints; with `confined` on a thread with a filter of system calls.
pub(super) fn serve_endpoints(
    config: &Config,
    bound: admin::Bound,
    questions: &Arc<Questions>,
    confined: bool,
) -> Result<(), Failure> {
    let tls = config.fixed.tls.is_some();
    let urls = |address| format!("{}://{address}", if tls { "https" } else { "http" });
    let addresses: Vec<_> = bound.addresses().map(|address| (address, urls(address))).collect();
    questions.set_endpoints(addresses.iter().map(|(_, url)| url.clone()).collect());
    let view: Arc<dyn admin::View> = Arc::clone(questions) as _;
    bound.serve(view, confined).map_err(NotStarted::Serving)?;
    for (address, url) in addresses {
        tracing::info!(%address, tls, url, "listening");
    }
    Ok(())
}

/// Opens the endpoints as a start would, and closes them again. Returns the start's warnings.
pub fn try_endpoints(config: &Config) -> Result<Vec<String>, Failure> {
    Ok(bind(config)?.map(|bound| warnings(config, bound.security())).unwrap_or_default())
}

fn security(config: &Config) -> Result<admin::Security, Failure> {
    let tls = config.fixed.tls.clone().map(|Tls { certificate, key, client_authority }| admin::TlsFiles {
        certificate,
        key,
        client_authority,
    });
    Ok(admin::Security::new(tls, config.fixed.token_file.clone()).map_err(NotStarted::Security)?)
}

/// Warnings about endpoints that work.
fn warnings(config: &Config, security: &admin::Security) -> Vec<String> {
    let is_closed = |endpoint: &Endpoint| page_on(endpoint, config) == admin::Page::Closed;
    let closed = config.fixed.endpoints.iter().any(is_closed).then(|| {
        "page and API stay closed on --listen, because other users reach it too and no token is asked for: give --token-file FILE, or \
         --open-page to serve them without one; --metrics-addr and --health-addr say that only those are meant"
            .to_owned()
    });
    security.exposed().into_iter().chain(closed).collect()
}

/// Every user of the machine can reach each address, loopback too, so the content of intents needs authentication.
fn page_on(endpoint: &Endpoint, config: &Config) -> admin::Page {
    let asked = config.fixed.token_file.is_some()
        || config.fixed.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
    match endpoint.page {
        false => admin::Page::Absent,
        true if asked || config.fixed.open_page => admin::Page::Served,
        true => admin::Page::Closed,
    }
}
