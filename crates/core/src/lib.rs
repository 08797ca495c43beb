//! The decisions of conductor-loop. Pure: no files, no clock, no threads, no environment, no randomness. Adapters carry
//! out the decisions and report back; a test in the workspace keeps this crate pure.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod age;
pub mod arguments;
pub mod attestation;
pub mod code;
pub mod confinement;
pub mod digest;
pub mod exit;
pub mod fact;
pub mod hint;
pub mod ids;
pub mod intent;
pub mod limits;
pub mod name;
pub mod outcome;
pub mod query;
pub mod ready;
pub mod record;
pub mod runs;
pub mod scheduler;
pub mod scrub;
pub mod shortage;
pub mod stage;
mod status;
pub mod units;

pub use code::Code;
pub use confinement::Confinement;
pub use digest::Digest;
pub use exit::Exit;
pub use ids::{Attempt, Seq, Slot};
pub use intent::{Intent, Refusal, TargetKey};
pub use limits::Limits;
pub use ready::NotReady;
pub use runs::Runs;
