//! The handoff directory as the daemon keeps it: where taken files lie and under which names, and the slots that runs are staged in.

mod slots;
mod taken;

pub use slots::{Slots, Unremovable};
pub use taken::TakenFiles;
