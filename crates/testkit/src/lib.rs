//! What tests share: a directory with a handoff and a fake porch, the real daemon started in it, and waiting on
//! conditions. Tests supply data; the work is done here. Never a normal dependency of anything.

mod daemon;
mod environment;
pub mod page;
mod tracer;

pub use daemon::{Finished, Running};
pub use environment::{Call, TestEnv, TestUser, fake_porch, flat, wait_until};
pub use tracer::{Ended, kill_at};
