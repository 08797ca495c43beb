//! The layers of values: default < file < environment < flag, each value with its origin.

use super::environment::Environment;
use super::error::ConfigError;
use super::file;
use super::origin::{Origin, Raw};
use super::projected::Projected;
use super::settings::{SETTINGS, Setting};
use conductor_porch::Routes;
use std::collections::BTreeMap;
use std::path::Path;

/// All layers together: the settings, and the routes, which only a file can hold.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Every setting.
    pub values: Raw,
    /// The `[[route]]` and `[repository.NAME]` tables.
    pub routes: Routes,
    /// Whether the environment is that of a pod in Kubernetes.
    pub in_pod: bool,
    /// A warning for each variable that has no effect.
    pub unknown: Vec<String>,
    /// The volume of the file, where whole volumes are exchanged; seen before the file was read.
    pub projected: Option<Projected>,
}

/// Layers defaults, file, environment and flags.
pub fn layer(
    flags: &BTreeMap<&'static str, String>,
    environment: &Environment,
) -> Result<Layers, ConfigError> {
    let mut raw = Raw::new();
    let mut routes = Routes::default();
    for setting in SETTINGS {
        raw.insert(setting.key, (setting.default.to_owned(), Origin::Default));
    }
    let from_environment = |setting: &Setting| {
        let name = setting.environment?;
        environment.get(name).map(|value| (value, Origin::Environment(name)))
    };
    let mut projected = None;
    let path = flags.get("config").cloned().or_else(|| environment.get("CONDUCTOR_CONFIG"));
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        projected = Projected::around(Path::new(&path));
        let content = file::read(&path)?;
        for (key, value) in content.values {
            raw.insert(key, (value, Origin::File(path.clone())));
        }
        routes = content.routes;
    }
    for setting in SETTINGS {
        if let Some(value) = from_environment(setting) {
            raw.insert(setting.key, value);
        }
        if let Some(value) = flags.get(setting.key) {
            raw.insert(setting.key, (value.clone(), Origin::Flag));
        }
    }
    let (in_pod, unknown) = (environment.is_pod(), environment.unknown());
    Ok(Layers { values: raw, routes, in_pod, unknown, projected })
}
