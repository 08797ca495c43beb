//! The operating system as the other crates use it: directories by descriptor, processes, inotify, wake-ups, locks. Nothing here
//! knows of intents or packages, and nothing is decided here. The calls that need `unsafe` stand in the module `raw`, and only there.

#![deny(unsafe_code)]

pub mod attempt;
pub mod child;
mod clear;
mod clock;
pub mod dir;
mod failure;
pub mod lock;
pub mod outlet;
pub mod panics;
pub mod plain;
pub mod process;
pub mod raw;
pub mod remade;
mod system;
pub mod wake;
pub mod watch;

pub use clock::{monotonic, wall_ns};
pub use failure::{is_no_space, is_passing};
pub use system::{boot_id, descriptor_limit, kernel_lacks};
