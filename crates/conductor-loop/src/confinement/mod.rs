//! What the process gives up, and what a run may use: the policy over the mechanics of `conductor_os::confine`. The
//! process gives up its rights once. A run happens on a thread that was confined for it ([`Policy::permitted`]), and
//! everything that the thread starts is born confined. A start as root may make a root directory of its own, becomes
//! another user, and may give porch one of its own, in this order.

mod begun;
mod given;
mod groups;
mod policy;
mod porch_user;
mod renewed;
mod root;
mod user;
mod written;

pub use begun::say_begun;
pub use given::give_up;
pub use policy::{Permitted, Policy, Refusal};
pub use porch_user::ONLY_A_PROGRAM;
pub use user::{NotBegun, begin};
