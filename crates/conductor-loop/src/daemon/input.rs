//! Every event that the daemon handles: the inputs that its threads send to the loop.

use super::ask::Ask;
use crate::config::{Config, ConfigError};
use crate::intake::Report;
use crate::runner;
use crate::writer::Ack;
use conductor_core::scheduler::Place;
use conductor_os::outlet::Outage;
use std::path::PathBuf;

/// Reads the configuration again, for SIGHUP.
pub type Reload<'r> = &'r dyn Fn() -> Result<Config, ConfigError>;

/// A place whose state has changed.
pub(super) struct PlaceFound {
    pub(super) place: Place,
    pub(super) path: PathBuf,
    pub(super) outage: Option<Outage>,
}

/// One event.
pub(super) enum Input {
    Intake(Report),
    Writer(Vec<Ack>),
    Worker(runner::Report),
    Place(Box<PlaceFound>),
    /// A signal that stops the daemon.
    Stop(i32),
    /// A request to read the configuration again: a signal, or its volume was exchanged.
    Reload,
    Asked(Box<Ask>),
}

impl Input {
    /// The kind, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Intake(_) => "intake",
            Self::Writer(_) => "writer",
            Self::Worker(_) => "worker",
            Self::Place(_) => "place",
            Self::Stop(_) => "stop",
            Self::Reload => "reload",
            Self::Asked(_) => "question",
        }
    }
}
