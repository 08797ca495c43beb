//! The operating system's interface for the other crates: directories by descriptor, processes, inotify, wake-ups, locks, terminals.
//! It knows nothing of intents or packages and takes no decisions. Calls that need `unsafe` are in the module `raw` only.

#![deny(unsafe_code)]

pub mod attempt;
pub mod cgroup;
pub mod child;
mod clear;
mod clock;
pub mod command;
pub mod confine;
pub mod dir;
pub mod elf;
mod failure;
pub mod links;
pub mod lock;
pub mod mounts;
pub mod outlet;
pub mod panics;
mod pid;
pub mod plain;
pub mod process;
pub mod raw;
pub mod remade;
pub mod root;
pub mod second;
pub mod stalled;
mod start;
mod system;
pub mod terminal;
mod under_way;
pub mod user;
pub mod wake;
pub mod watch;

pub use clock::{monotonic, wall_ns};
pub use failure::{is_exhausted, is_no_space, is_passing};
pub use system::{BOOT_ID, boot_id, descriptor_limit, kernel_lacks};
