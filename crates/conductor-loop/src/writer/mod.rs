//! The writer: one thread that makes records durable in batches. Commands that arrive during a sync form the next batch.
//!
//! A batch is one transaction: claims, recorded starts, outcomes, and the DONE of what an earlier sync covered. After
//! the commit it answers, then publishes (archived file, error log, status). A helper thread syncs the file system
//! behind published files; only then are they DONE. What is committed is in the audit trail before it is answered.

mod audit;
mod batch;
mod broken;
mod clocks;
mod commit;
mod drafts;
mod entries;
mod files;
mod filing;
mod gathered;
mod head;
mod late_statuses;
mod limits;
mod message;
mod packages;
mod publish;
mod republication;
mod retention;
mod sweep;
#[cfg(test)]
mod tests;
mod thread;
mod trail;
mod turn;
mod writer_loop;

pub use audit::{Audit, AuditDoor};
pub use broken::Broken;
pub use entries::{admin as admin_entry, filed as filed_entries, taken as taken_entry};
pub use head::Head;
pub use message::{Ack, Again, Command, Full, Holding, NewClaim, Publication, PublicationKind, Source};
pub use thread::{Parts, Writer};
