//! What holds for every run: the engine, its places, its limits.

use super::engine::Engine;
use super::read_back::ReadBack;
use crate::confinement::Policy;
use conductor_core::limits::RunLimits;
use conductor_core::record::Claim;
use conductor_core::scheduler::Place;
use conductor_os::confine::limits::ResourceLimits;
use conductor_os::outlet::Outlet;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The settings shared by all runs. The time limits may change while running (SIGHUP).
#[derive(Clone)]
pub struct Settings {
    /// What runs intents.
    pub engine: Engine,
    /// The output directory.
    pub outlet: Arc<Outlet>,
    /// The repositories that routes lead to.
    pub repositories: Arc<BTreeMap<Place, Arc<Outlet>>>,
    /// Whether `-structured` is passed.
    pub structured: bool,
    /// Time limits of a run.
    pub limits: RunLimits,
    /// Passed on only when the operator configured it.
    pub kubeconfig: Option<String>,
    /// Reads bytes that are not in memory.
    pub read_back: ReadBack,
    /// Limits on the resources of porch's processes.
    pub resources: ResourceLimits,
    /// What runs are confined to; `None`: to nothing.
    pub policy: Option<Arc<Policy>>,
}

impl Settings {
    /// The time limit of one run: the intent may only shorten the operator's.
    pub(super) fn time_limit(&self, claim: &Claim) -> Duration {
        let limit = self.limits.timeout;
        claim.timeout_secs.map_or(limit, |secs| limit.min(Duration::from_secs(secs)))
    }
}
