//! The `CONDUCTOR_*` variables of the process: read once, all of them as text, and checked against the known names. An
//! empty one counts as unset: compose files and CI write `X=${X:-}`.

use super::error::ConfigError;
use super::settings::{SETTINGS, Setting};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

const PREFIX: &str = "CONDUCTOR_";

/// Set by Kubernetes in every pod.
const POD: &str = "KUBERNETES_SERVICE_HOST";

/// Variables that the daemon gives to porch: a command called by porch has them too.
const OF_PORCH: [&str; 4] = [
    "CONDUCTOR_INTENT_SHA256",
    "CONDUCTOR_INTENT_SEQ",
    "CONDUCTOR_INTENT_ATTEMPT",
    "CONDUCTOR_CORRELATION_ID",
];

/// The least similarity of a known name that is suggested.
const LIKENESS_MIN: f64 = 0.7;

/// The variables of this program that are not empty.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    in_pod: bool,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Result<Self, ConfigError> {
        Self::of(std::env::vars_os())
    }

    /// Selects from `variables`; one whose name or value is not text is refused, because ignoring a restriction could be
    /// unsafe.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let mut environment = Self::default();
        for (name, value) in variables {
            if name == POD {
                environment.in_pod = !value.is_empty();
            }
            if !name.as_bytes().starts_with(PREFIX.as_bytes()) || value.is_empty() {
                continue;
            }
            match (name.to_str(), value.to_str()) {
                (Some(name), Some(value)) => {
                    environment.values.insert(name.to_owned(), value.to_owned());
                }
                _ => {
                    return Err(ConfigError::NotText {
                        name: conductor_core::name::escaped(name.as_bytes()),
                    });
                }
            }
        }
        Ok(environment)
    }

    /// The variable's value, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Whether this is a pod in Kubernetes.
    pub(super) fn is_pod(&self) -> bool {
        self.in_pod
    }

    /// A warning for each variable that has no effect.
    pub(super) fn unknown(&self) -> Vec<String> {
        let is_known = |name: &str| {
            OF_PORCH.contains(&name) || SETTINGS.iter().any(|setting| setting.environment == Some(name))
        };
        let names = self.values.keys().filter(|name| !is_known(name));
        let ours = names.filter(|name| !(self.in_pod && is_service_link(name)));
        ours.map(|name| format!("the variable {name} is not known and has no effect; {}", nearest(name)))
            .collect()
    }
}

/// Whether Kubernetes sets this variable for a Service whose name begins with `conductor`.
fn is_service_link(name: &str) -> bool {
    let has_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.contains(protocol))
    });
    has_port || name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.ends_with("_PORT")
}

/// The probable intention: the most similar name of a variable or a flag.
fn nearest(name: &str) -> String {
    let written = name.strip_prefix(PREFIX).unwrap_or(name);
    let likeness = |setting: &Setting| {
        let key = setting.key.replace('-', "_").to_ascii_uppercase();
        let variable = setting.environment.and_then(|name| name.strip_prefix(PREFIX)).unwrap_or(&key);
        strsim::jaro_winkler(written, variable).max(strsim::jaro_winkler(written, &key))
    };
    let scored = SETTINGS.iter().map(|setting| (likeness(setting), setting));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > LIKENESS_MIN) {
        Some((_, Setting { environment: Some(variable), .. })) => format!("did you mean {variable}?"),
        Some((_, Setting { key, .. })) => {
            format!("--{key} has no variable: give the flag, or the key in the --config file")
        }
        None => "`conductor-loop config show` lists all settings".to_owned(),
    }
}
