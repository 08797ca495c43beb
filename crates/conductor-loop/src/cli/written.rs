//! Settings as the command line has them, and the configuration that they lead to.

use crate::config::{Config, ConfigError, Environment, Layers, layer};
use std::collections::BTreeMap;

/// Settings as written by the user, by key.
pub(super) type Written = BTreeMap<&'static str, String>;

/// The settings of all sources, each value with its origin.
pub(super) fn layers(written: &Written) -> Result<Layers, ConfigError> {
    layer(written, &Environment::of_process()?)
}

/// The configuration in force.
pub(super) fn config(written: &Written) -> Result<Config, ConfigError> {
    layers(written).and_then(Config::new)
}
