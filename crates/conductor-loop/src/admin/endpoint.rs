//! One address: what it serves, and what every connection to it needs.

use super::events::Feed;
use super::turns::Turns;
use super::{Security, View};
use std::net::SocketAddr;
use std::sync::Arc;

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

/// An address on which connections are accepted.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) serves: Serves,
    pub(super) view: Arc<dyn View>,
    pub(super) feed: Arc<Feed>,
    pub(super) turns: Arc<Turns>,
    pub(super) security: Arc<Security>,
}
