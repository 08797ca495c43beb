//! One address: its services, and the state shared by all its connections.

use super::events::Feed;
use super::turns::Turns;
use super::{Security, View};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The services of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// `/healthz`, `/livez`, `/readyz`.
    pub health: bool,
    /// `/metrics`.
    pub metrics: bool,
    /// `/` and `/api/v1/`.
    pub page: Page,
}

/// How long a connection waits for changed files to be read; after that the previous content is in force for it.
const FILES_TIME: Duration = Duration::from_secs(2);

/// Whether an address serves the page and its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The address is for other services.
    Absent,
    /// The address would serve them without authentication: its answer tells how to change that.
    Closed,
    /// The address serves them.
    Served,
}

/// An address that accepts connections.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) serves: Serves,
    pub(super) view: Arc<dyn View>,
    pub(super) feed: Arc<Feed>,
    pub(super) turns: Arc<Turns>,
    pub(super) security: Arc<Security>,
}

impl Endpoint {
    /// The requirements on clients, with changed files read again.
    pub(super) async fn security(&self) -> &Security {
        if self.security.is_due() {
            let security = Arc::clone(&self.security);
            // Too many that wait, or a disk that hangs: the previous content stays in force.
            let _ = timeout(FILES_TIME, self.turns.files.work(move |_| security.look())).await;
        }
        &self.security
    }
}
