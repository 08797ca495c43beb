//! Makes text safe: control characters become visible escapes, secrets become `[masked]`, length is bounded. All text
//! from a file or from porch is scrubbed before it reaches a log, a status or an error log.

mod arguments;
mod blocks;
mod cuts;
mod display;
mod keys;
mod programs;
mod scanner;
mod secrets;
mod shapes;
#[cfg(test)]
mod tests;
mod value;

pub use cuts::{cut, from_next_line};
pub use display::{block, line, shown};
pub use secrets::{announces_secret, mask};
