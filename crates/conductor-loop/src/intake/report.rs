//! What an intake reports: its observations, for the scheduler. It proposes nothing.

use super::judged::Judged;
use conductor_core::scheduler::Sighting;
use conductor_core::{Code, Seq};

/// An observation, for the scheduler.
#[derive(Debug)]
pub enum Report {
    /// Names were seen.
    Sighted(Vec<Sighting>),
    /// A slice of the scan ended; `complete`: it was the last one.
    Slice {
        /// Whether the directory's end was reached.
        complete: bool,
    },
    /// The directory could not be listed at the moment.
    ScanFailed(String),
    /// The kernel lost events.
    Overflow,
    /// A requested name is gone or cannot be taken.
    NotTaken(Box<[u8]>),
    /// A requested name has changed meanwhile.
    Unsettled(Sighting),
    /// A name was taken.
    Taken(Box<[u8]>),
    /// A taken file is held by a writer and waits.
    Held {
        /// Sequence number.
        seq: Seq,
    },
    /// A taken file was judged.
    Judged(Box<Judged>),
    /// A taken file was removed by another process before it was judged.
    Vanished {
        /// Sequence number.
        seq: Seq,
        /// Its name, escaped.
        name: String,
    },
    /// An entry is ignored for its name, which looks as if it were meant as an intent's; reported once.
    Ignored {
        /// Its name, escaped.
        name: String,
    },
    /// An entry is left in the handoff directory; reported once until it changes, retried at every scan.
    Left {
        /// Its name, escaped.
        name: String,
        /// The error code.
        code: Code,
        /// The system's error message.
        reason: String,
    },
    /// There is no space to take files.
    NoSpace,
    /// For several seconds the system has had no descriptor or memory to look at a taken file.
    FilesWait(String),
    /// It has again.
    FilesGoOn,
    /// The handoff directory is missing or was replaced.
    Gone(String),
    /// The sub-directories whose names lead to other directories now; empty: all lead to the open ones again.
    Replaced(Vec<String>),
    /// Events no longer work; scans replace them.
    NoEvents(String),
    /// Events work again.
    EventsAgain,
}
