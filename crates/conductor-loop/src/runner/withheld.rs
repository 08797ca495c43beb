//! Why a run does not begin although nothing is wrong with its intent: a directory that cannot be written, a confinement
//! that would not hold. Nothing is started where one of these endings is given.

use super::settings::Settings;
use crate::confinement::Refusal;
use conductor_core::outcome::{Ending, Postponed};
use conductor_core::scheduler::Place;
use conductor_os::outlet::{Outage, Outlet};

/// The reason to postpone a run because of this outage.
pub fn cause_of(outage: Outage) -> Postponed {
    match outage {
        Outage::Full => Postponed::OutFull,
        Outage::ReadOnly => Postponed::OutReadOnly,
        Outage::Gone => Postponed::OutGone,
    }
}

/// The ending of a run that may not begin, because the directory that it would write is closed.
pub(super) fn closed(settings: &Settings, place: &Place) -> Option<Ending> {
    let outlet = match place {
        Place::Output => &settings.outlet,
        Place::Repository(_) => settings.repositories.get(place)?,
    };
    outlet.closed().map(|outage| out_of_order(outlet, outage))
}

/// The ending of a run whose directory of packages is not writable.
fn out_of_order(outlet: &Outlet, outage: Outage) -> Ending {
    let found = match (outage, outlet.floor()) {
        (Outage::Full, Some(_)) => "has less free space than --min-free asks for",
        (Outage::Full, None) => "is full",
        (Outage::ReadOnly, _) => "is mounted read-only, or its permissions were taken from us",
        (Outage::Gone, _) => "is not there, or not mounted",
    };
    Ending::Withheld { cause: cause_of(outage), reason: format!("{} {found}", outlet.path().display()) }
}

/// The ending of a run that would not have been confined: nothing was started.
pub(super) fn unconfined(refusal: &Refusal) -> Ending {
    Ending::Withheld { cause: Postponed::Unconfined, reason: refusal.to_string() }
}
