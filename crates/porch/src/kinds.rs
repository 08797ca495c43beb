//! The kinds of objects with a number of replicas, and the place of that number. The built-in table has the common ones;
//! the operator's `[[workload]]` tables add others.

use crate::glob;
use crate::yaml::{Step, keys};
use serde::Deserialize;

/// Group and kind of workloads whose `spec.replicas` is the number of pods.
const SHIPPED: [(&str, &str); 17] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("extensions", "Deployment"),
    ("extensions", "ReplicaSet"),
    ("", "ReplicationController"),
    ("argoproj.io", "Rollout"),
    ("apps.kruise.io", "CloneSet"),
    ("apps.kruise.io", "StatefulSet"),
    ("apps.kruise.io", "UnitedDeployment"),
    ("game.kruise.io", "GameServerSet"),
    ("apps.openshift.io", "DeploymentConfig"),
    ("", "DeploymentConfig"),
    ("agones.dev", "Fleet"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"),
    ("kubevirt.io", "VirtualMachineInstanceReplicaSet"),
    ("pool.kubevirt.io", "VirtualMachinePool"),
];

/// Kinds that run pods or bring them in, without a number of replicas to set.
const WITHOUT_NUMBER: [(&str, &str); 22] = [
    ("apps", "DaemonSet"),
    ("extensions", "DaemonSet"),
    ("apps.kruise.io", "DaemonSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "Pod"),
    ("serving.knative.dev", "Service"),
    ("serving.knative.dev", "Configuration"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("helm.fluxcd.io", "HelmRelease"),
    ("helm.cattle.io", "HelmChart"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "ApplicationSet"),
    ("core.oam.dev", "Application"),
    ("batch", "JobSet"),
    ("ray.io", "RayService"),
    ("configsync.gke.io", "RootSync"),
    ("fn.kpt.dev", "RenderHelmChart"),
    ("operators.coreos.com", "ClusterServiceVersion"),
    ("kappctrl.k14s.io", "App"),
    ("packaging.carvel.dev", "PackageInstall"),
];

/// The kinds that kustomize's `replicas` field sets.
const COUNTED: [&str; 4] = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"];

/// One kind of workload, as the operator adds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Workload {
    /// The API group without version; empty for the core group.
    #[serde(default)]
    group: String,
    kind: String,
    /// The keys that lead to the number, with dots.
    #[serde(default = "spec_replicas")]
    path: String,
}

/// The path of the number where no other is said.
const REPLICAS: &str = "spec.replicas";

fn spec_replicas() -> String {
    REPLICAS.to_owned()
}

impl Workload {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let plain = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        if plain(&self.kind) && self.path.split('.').all(plain) {
            return Ok(());
        }
        Err(format!("the workload of kind '{}' and path '{}' cannot be used", self.kind, self.path))
    }
}

/// The workload that functions of kpt or overlays of ytt may change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Governed<'g> {
    pub kind: &'g str,
    pub name: &'g str,
    pub namespace: &'g str,
    pub kinds: Kinds<'g>,
}

/// The kinds that count for one order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kinds<'k> {
    pub more: &'k [Workload],
    /// Only this kind, of any API group.
    pub only: Option<&'k str>,
}

impl Kinds<'_> {
    /// The place of the number in such an object; `None` if it has none.
    pub(crate) fn path(self, group: &str, kind: &str) -> Option<Vec<Step>> {
        if self.only.is_some_and(|only| only != kind) {
            return None;
        }
        let added = self.more.iter().find(|more| more.group == group && more.kind == kind);
        if let Some(added) = added {
            return Some(keys(&added.path));
        }
        (self.only.is_some() || SHIPPED.contains(&(group, kind))).then(|| keys(REPLICAS))
    }

    /// Whether such an object stands for pods, whichever kind is selected.
    pub(crate) fn knows(self, group: &str, kind: &str) -> bool {
        let any = Kinds { only: None, ..self };
        self.path(group, kind).is_some()
            || any.path(group, kind).is_some()
            || is_counted(kind)
            || has_no_number(group, kind)
    }

    /// Whether objects of a kind that an expression stands for, or of any, may have a number.
    pub(crate) fn may_have_number(self, pattern: Option<&str>) -> bool {
        let Some(pattern) = pattern else { return true };
        self.names().any(|kind| glob::is_like(pattern, kind) != Some(false))
    }

    /// The names of the kinds with a number.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let added = self.more.iter().map(|more| more.kind.as_str());
        SHIPPED.iter().map(|(_, kind)| *kind).chain(added).chain(self.only)
    }

    /// The paths of numbers, of any kind.
    pub(crate) fn number_paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(REPLICAS).chain(self.more.iter().map(|more| more.path.as_str()))
    }

    /// The last keys of the paths of numbers.
    pub(crate) fn number_keys(&self) -> impl Iterator<Item = &str> {
        self.number_paths().filter_map(|path| path.rsplit('.').next())
    }

    /// Whether a text may speak of a number.
    pub(crate) fn speaks_of_number(&self, text: &str) -> bool {
        self.number_keys().any(|key| text.contains(key))
    }

    /// Whether a JSON pointer may lead to a number, or to what holds one.
    pub(crate) fn leads_to_number(&self, pointer: &str) -> bool {
        let mut is_above = self.number_paths().map(|path| {
            let mut keys = path.split('.');
            pointer.split('/').skip(1).all(|step| keys.next() == Some(step))
        });
        let last = pointer.rsplit('/').next();
        is_above.any(|is| is) || self.number_keys().any(|key| last == Some(key))
    }

    /// The selected kinds, as shown to people.
    pub(crate) fn named(self) -> String {
        self.only.map_or_else(
            || "Deployment, StatefulSet or other workload with replicas".to_owned(),
            str::to_owned,
        )
    }
}

/// Whether an entry of this kind stands for pods that no number scales.
pub(crate) fn has_no_number(group: &str, kind: &str) -> bool {
    WITHOUT_NUMBER.contains(&(group, kind))
}

/// Whether kustomize's `replicas` field sets it.
pub(crate) fn is_counted(kind: &str) -> bool {
    COUNTED.contains(&kind)
}

/// The version of an `apiVersion`.
pub(crate) fn version_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or(api_version, |(_, version)| version)
}

/// The group of an `apiVersion`.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
