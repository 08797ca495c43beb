//! The ledger of intents: claims, starts, outcomes, and the last run of each target. [`Ledger`] is its interface;
//! [`Store`] is the implementation on redb.

mod error;
mod extent;
mod import_error;
mod last_run;
mod ledger;
mod outcomes;
mod pending;
mod redb;
mod take_over;
mod transfer;

pub use self::redb::{Behind, Candidate, FILE, MARK, Place, Rescued, Salvaged, Sealing, Store, VERSION};
pub use error::{BadRecord, Damage, Flaw, StoreError};
pub use extent::{Counts, Extent};
pub use import_error::ImportError;
pub use ledger::{Claiming, Decided, DecidedAt, Hold, Kept, Ledger, Page, Part, Search, Term, Upkeep, Work};
pub use outcomes::Outcomes;
pub use pending::{Content, Pending, Settled, Start};
pub use take_over::{Evidence, TakenOver, intents_from};
pub use transfer::{Import, ImportCount, export, export_header, export_outcome, import, looks_like_go_state};

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod suite;
