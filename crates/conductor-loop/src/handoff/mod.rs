//! The handoff directory: its layout, its parts as open directories under one lock, their owners, and the names of their
//! entries. Every other module gets its paths and names from here.

mod archive;
mod head;
pub mod layout;
mod lent;
mod open;
mod overlap;
mod owned;
mod slots;
mod state;
mod taken;
mod unusable;
mod writers;

pub use archive::{Archive, ArchivedAs};
pub use head::{AuditHead, FORMAT as HEAD_FORMAT, HeadBody, HeadFile};
pub use open::{Dirs, Handoff};
pub use overlap::check_places;
pub use owned::check_owners;
pub use slots::{Slots, Unremovable};
pub use state::{Finder, StateFiles};
pub use taken::TakenFiles;
pub use unusable::{Owner, Unusable, remedy_of, remedy_of_shortage};
pub use writers::WriteAccess;
