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
mod pending;
mod salvage;
mod screen;
mod sealed;
mod seq_key;
mod table;

pub use answer::{FILE, Store};
pub use keep::Place;
pub use layout::VERSION;
pub use mark::MARK;
pub use open::{Behind, Candidate};
pub use salvage::{Rescued, Salvaged};
pub use sealed::Sealing;

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
