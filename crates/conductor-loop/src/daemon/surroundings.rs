//! The loop's knowledge of what its runs need and what can disappear: the program, the staging directory, the directories of
//! packages.

use crate::runner::Stamp;
use conductor_core::ready::NotReady;
use conductor_core::scheduler::Place;
use conductor_os::outlet::Outage;
use std::collections::BTreeMap;

/// The program, from a failed start until it is used again.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsettled {
    /// It works.
    #[default]
    No,
    /// It was missing, or could not be started.
    Away,
    /// It exists, with this stamp at the last check.
    Seen(Option<Stamp>),
}

/// The loop's knowledge of the external resources.
#[derive(Default)]
pub(super) struct Surroundings {
    pub(super) outages: BTreeMap<Place, Outage>,
    /// Reasons met by a run and not confirmed by a check: they hold until a run succeeds.
    pub(super) met: Vec<NotReady>,
    /// Why runs for a place could not begin at the last try, as it was logged.
    pub(super) withheld: BTreeMap<Place, String>,
    /// It is used again when it exists and has not changed for a moment, so that no half-written file is started.
    pub(super) unsettled: Unsettled,
    /// The path of the staging directory led elsewhere at the last check.
    pub(super) staging_moved: bool,
    /// A part of the handoff directory was replaced.
    pub(super) parts_replaced: bool,
}
