//! An accepted intent, as both forms give it.

use super::json::Json;
use super::target::TargetKey;
use crate::limits::PRIORITY_DEFAULT;
use serde::{Deserialize, Serialize};

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

/// The intent's priority, or the default. The table has checked the range.
pub(super) fn priority_of(value: Option<&Json>) -> u8 {
    value.and_then(Json::as_u64).and_then(|n| u8::try_from(n).ok()).unwrap_or(PRIORITY_DEFAULT)
}
