//! Everything that can happen to the daemon: what its threads send to the loop.

use super::questions::Ask;
use super::surroundings::PlaceFound;
use crate::clerk::Ack;
use crate::intake::Report;
use crate::runner;

/// One thing that happened.
pub(super) enum Input {
    Intake(Report),
    Clerk(Vec<Ack>),
    Worker(runner::Report),
    Place(Box<PlaceFound>),
    /// A signal that stops the daemon.
    Stop(i32),
    /// The configuration is to be read again.
    Reload,
    Asked(Box<Ask>),
}
