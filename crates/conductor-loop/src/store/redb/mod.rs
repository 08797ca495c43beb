//! The ledger on redb, an embedded storage engine: one file, one writer, batches that are durable when they are committed.

mod answer;
mod batch;
mod codec;
mod conversion;
mod form;
mod index;
mod keep;
mod keyed;
mod layout;
mod mark;
mod open;
mod opened;
mod pending;
mod salvage;
mod screen;
mod sealed;
mod seq_key;
mod table;
mod version;

pub use keep::Place;
pub use mark::MARK;
pub use open::{Behind, Candidate};
pub use opened::{FILE, Store};
pub use salvage::{Rescued, Salvaged};
pub use sealed::Sealing;
pub use version::VERSION;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod former;
#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod seam;
#[cfg(test)]
mod tests;
