//! A bounded model checker for the daemon's protocol: every crash point, every disk a power cut can leave there, a second
//! crash at every point of the recovery, and a producer that interferes at every point. Each of the protocol's durability
//! steps can be left out, and then the checker must find a broken promise.

mod disk;
mod explorer;
mod judgement;
mod protocol;
mod variant;

pub use explorer::{Explored, explore};
pub use variant::{Omit, Porch, VARIANTS, Variant};
