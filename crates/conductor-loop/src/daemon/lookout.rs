//! Checks the places where runs write, and whether the volume of the configuration was exchanged, on a thread of its own,
//! because a check on a network file system may hang.

use super::input::{Input, PlaceFound};
use super::shared::Shared;
use crate::config::{Config, Projected};
use conductor_core::scheduler::Place;
use conductor_os::outlet::{Outage, Outlet};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The interval of the checks.
const LOOK: Duration = Duration::from_secs(1);

/// The checking thread; it ends when this is dropped.
pub(super) struct Lookout {
    _stop: Sender<()>,
}

impl Lookout {
    /// Starts checking the output directory, each repository and the configuration's volume.
    pub(super) fn start(
        places: Vec<(Place, Arc<Outlet>)>,
        config: &Config,
        shared: &Shared<'_>,
    ) -> io::Result<Self> {
        let (health, inputs) = (Arc::clone(shared.health), shared.inputs.clone());
        let mut projected = config.projected.clone();
        let (stop, stopped) = bounded::<()>(0);
        let mut before: Vec<Option<Outage>> = vec![None; places.len()];
        std::thread::Builder::new().name("lookout".to_owned()).spawn(move || {
            loop {
                if projected.as_mut().is_some_and(Projected::was_exchanged)
                    && inputs.send(Input::Reload).is_err()
                {
                    return;
                }
                for ((place, outlet), before) in places.iter().zip(&mut before) {
                    let outlook = outlet.look();
                    if *place == Place::Output {
                        health.metrics.set_out_free(outlook.free.unwrap_or(0));
                    }
                    if outlook.outage == *before {
                        continue;
                    }
                    *before = outlook.outage;
                    let (place, path) = (place.clone(), outlet.path().to_owned());
                    let found = PlaceFound { place, path, outage: outlook.outage };
                    if inputs.send(Input::Place(Box::new(found))).is_err() {
                        return;
                    }
                }
                if stopped.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}
