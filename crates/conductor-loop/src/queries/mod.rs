//! Answers about intents: finished ones from the store, unfinished ones from [`Unfinished`]. The answers are the same
//! with a daemon (then its loop knows the unfinished ones) and without (then the store does, see [`OfflineView`]). Answers do
//! not change state.

mod cancellable;
mod explain;
mod export;
mod filed;
mod find;
mod lined;
mod list;
mod lying;
mod offline;
mod proof;
mod purge;
mod refusals;
mod rows;
mod selector;
mod show;
mod sources;
mod timeline;
mod unfinished;

pub use lined::{Lined, ParkedOf, only_the_store_knows, parked_row};
pub use lying::{Lying, entry_row};
pub use offline::OfflineView;
pub use proof::proof_entry;
pub use refusals::store_refused;
pub use rows::{finished_row, sighted_row};
pub use selector::Selector;
pub use sources::Queries;
pub use unfinished::{Found, Unfinished, hold_on};
