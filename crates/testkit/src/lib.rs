//! Shared test support: a directory with a handoff and a fake porch, the real daemon started in it, and waiting on
//! conditions. Tests supply data, this crate does the work. Never a normal dependency of any crate.

mod alone;
mod at_call;
mod browser;
pub mod calls;
mod causes;
mod daemon;
mod environment;
pub mod fuzz;
pub mod model;
pub mod page;
mod patience;
pub mod promise;
mod records;
mod rendering;
mod sandbox;
mod screen;
mod terminal;
pub mod trail;

pub use alone::{all_descriptors, is_alone};
pub use at_call::{Action, Report, at_call};
pub use browser::Browser;
pub use causes::told_cause;
pub use daemon::{Finished, Running};
pub use environment::{Call, TestEnv, TestUser, fake_porch, flat, has, memory_kb, tool};
pub use patience::wait_until;
pub use records::claim;
pub use rendering::{render, renderer_version};
pub use sandbox::{with_call_answered, without_set_id};
pub use screen::Screen;
pub use terminal::Terminal;
