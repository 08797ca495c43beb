//! The local socket `.conductor/control`: one question per connection, a line of JSON each way. Only the daemon's own
//! user and root get an answer, from any PID namespace. It knows nothing of the questions; the daemon supplies the
//! answering function.

mod answering;
mod ask;
mod door;
mod requests;
mod server;
mod silent;
mod socket;
#[cfg(test)]
mod tests;

pub use answering::{Answering, Refusing, Runs};
pub use ask::{AskError, ask};
pub use server::{Bound, Control};
