//! The endpoints: health, readiness, metrics, the page and its read-only API over HTTP, on one thread of their own and
//! only when an address is given. Their data comes from a [`View`]; no request can change anything.

mod api;
mod connection;
mod endpoint;
mod events;
mod page;
mod response;
mod route;
mod secure;
mod serve;
mod turns;
mod view;

pub use endpoint::{Page, Serves};
pub use secure::{Security, SecurityError, TlsFiles};
pub use serve::{Bound, NotBound, bind};
pub use view::View;
