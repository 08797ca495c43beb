//! Bytes to [`Intent`] or [`Refusal`]. Both forms of an intent (flat and Kubernetes style) are declared as
//! tables in `flat` and `kube`; `shape` checks a document against a table and turns the same table into the
//! JSON Schema, so that code and schema cannot drift apart.

mod flat;
mod json;
mod kube;
mod schema;
mod shape;
pub mod text;

pub use json::Json;
pub use schema::schema;

use crate::code::Code;
use crate::limits::PRIORITY_DEFAULT;
use crate::scrub;
use serde::{Deserialize, Serialize};

/// The refusal of an intent: the rule, the place, the value found and the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// JSON pointer (RFC 6901) to the value; empty for the document or the file itself.
    pub field: String,
    /// The value found, made safe for a terminal.
    pub found: String,
    /// The expected value.
    pub expected: String,
}

impl Refusal {
    /// Makes a refusal; `found` is cut and escaped here, so callers can pass unsafe text.
    pub fn new(code: Code, field: &str, found: &str, expected: &str) -> Self {
        let member = field.rsplit('/').next().unwrap_or_default();
        let found = if found.starts_with('\'') && scrub::announces_secret(member) {
            "a text that is not shown, for its name is a secret's".to_owned()
        } else {
            scrub::shown(found, 120)
        };
        Self { code, field: scrub::shown(field, 300), found, expected: expected.to_owned() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code.title())?;
        if !self.field.is_empty() {
            write!(f, " at {}", self.field)?;
        }
        write!(f, ": found {}; expected {}", self.found, self.expected)
    }
}

/// The serialisation key: intents with equal keys never run concurrently.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetKey {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the intent's target.
    pub target: String,
}

impl TargetKey {
    /// Whether an operator's word names this target: `NAMESPACE/TARGET`, or the target alone.
    pub fn is_named(&self, word: &str) -> bool {
        word == self.target || word.split_once('/') == Some((&self.namespace, &self.target))
    }

    /// Whether the word names the target that is written `NAMESPACE/TARGET`.
    pub fn is_named_in(key: &str, word: &str) -> bool {
        key.parse().is_ok_and(|key: Self| key.is_named(word))
    }
}

impl std::fmt::Display for TargetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.target)
    }
}

/// A text that is not `NAMESPACE/TARGET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a target is written NAMESPACE/TARGET")]
pub struct NotATarget;

impl std::str::FromStr for TargetKey {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (namespace, target) = text.split_once('/').ok_or(NotATarget)?;
        Ok(Self { namespace: namespace.to_owned(), target: target.to_owned() })
    }
}

/// The type of request: an `intent_type`, or the kind of the Kubernetes form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Flat form, `intent_type: scaling`.
    Scaling,
    /// Flat form, `intent_type: deployment`.
    Deployment,
    /// Flat form, `intent_type: service`.
    Service,
    /// Flat form, `intent_type: configuration`.
    Configuration,
    /// Kubernetes form.
    NetworkIntent,
    /// Kubernetes form.
    ResourceIntent,
    /// Kubernetes form; with target and replicas it is the same request as flat scaling.
    ScalingIntent,
    /// Kubernetes form.
    DeploymentIntent,
    /// Kubernetes form.
    ServiceIntent,
}

/// An accepted intent: the fields that decide how it runs. The bytes themselves go to porch unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The type of request.
    pub kind: Kind,
    /// Namespace and target.
    pub key: TargetKey,
    /// Requested replicas, if given.
    pub replicas: Option<u32>,
    /// 0 (lowest) to 10 (highest).
    pub priority: u8,
    /// The producer's identifier, if given.
    pub correlation_id: Option<String>,
    /// The reason, in the producer's words.
    pub reason: Option<String>,
    /// The producer's name, as it claims.
    pub source: Option<String>,
    /// A shorter time limit for porch than the daemon's, in seconds.
    pub timeout_secs: Option<u64>,
    /// The package for the target (`constraints.kpt_package_name`), if given.
    pub package: Option<String>,
    /// The repository of that package (`constraints.porch_repository`), if given.
    pub repository: Option<String>,
    /// The required number of replicas in the package before the change (`constraints.expected_replicas`), if given.
    pub expected_replicas: Option<u32>,
}

/// The rules that an operator may relax; the shipped schema describes the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Whether `replicas: 0` is accepted.
    pub allow_scale_to_zero: bool,
}

/// Judges the bytes of one intent file.
pub fn judge(bytes: &[u8], policy: Policy) -> Result<Intent, Refusal> {
    let document = json::parse(bytes)?;
    if document.get("apiVersion").is_some() || document.get("kind").is_some() {
        kube::judge(&document, policy)
    } else {
        flat::judge(&document, policy)
    }
}

/// The intent's own correlation id, if the document has a usable one, even when the intent is refused.
pub fn correlation_id(bytes: &[u8]) -> Option<String> {
    let document = json::parse(bytes).ok()?;
    let mut places = [Some(&document), document.get("spec")].into_iter().flatten();
    let id = places.find_map(|place| place.get("correlation_id")?.as_str())?;
    text::is_correlation_id(id).then(|| id.to_owned())
}

/// The intent's priority, or the default. The table has checked the range.
fn priority_of(value: Option<&Json>) -> u8 {
    value.and_then(Json::as_u64).and_then(|n| u8::try_from(n).ok()).unwrap_or(PRIORITY_DEFAULT)
}

#[cfg(test)]
mod tests;
