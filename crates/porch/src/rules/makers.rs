//! What other objects make: Helm releases, and the workloads of an application model. Their names are not those of the
//! objects that say them, and they may be in another namespace.

use super::is_filled_in;
use super::sets::applications;
use crate::yaml::{self, Node};

/// The value by which most charts call what they make.
const FULL_NAME: &str = "fullnameOverride";

/// The group and kind that the Operator Lifecycle Manager installs Deployments from.
pub(super) const INSTALLER: (&str, &str) = ("operators.coreos.com", "ClusterServiceVersion");

/// What an object makes of which it says the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub names: Vec<String>,
    /// The namespace in which it makes them, if it says another than its own.
    pub space: Option<String>,
}

/// What an object makes, by namespaces; nothing if it says no name.
pub(crate) fn made(node: &Node, group: &str, kind: &str) -> Vec<Made> {
    let all = match (group, kind) {
        ("argoproj.io", "Application" | "ApplicationSet") => {
            let all = applications(node, kind);
            all.iter().map(|one| of_argo(&one.spec, Some(one.name.as_str()))).collect()
        }
        (_, "ConfigMap" | "Kustomization") => Vec::new(),
        _ => {
            let one = of_one(node, group, kind);
            let is_custom = group.contains('.') && one == Made::default();
            let mut all = vec![one];
            if is_custom {
                releases(node, &mut all);
            }
            all
        }
    };
    all.into_iter().filter(|made| *made != Made::default()).collect()
}

/// The Helm releases that an object of any other group says: those of Sveltos, k0s, Cluster API and whoever else has charts
/// installed. All of them name the release, and its namespace or none.
fn releases(node: &Node, found: &mut Vec<Made>) {
    let is_of_chart = || ["chartName", "chartname"].iter().any(|key| node.text_at(&[key]).is_some());
    let name = node.text_at(&["releaseName"]).or_else(|| node.text_at(&["name"]).filter(|_| is_of_chart()));
    if let Some(name) = name.filter(|name| !name.is_empty() && !is_filled_in(name)) {
        let spaces = ["releaseNamespace", "targetNamespace", "namespace"];
        let space = spaces.iter().find_map(|key| node.text_at(&[key])).map(str::to_owned);
        found.push(Made { names: vec![name.to_owned()], space });
    }
    for value in node.entries().iter().map(|(_, value)| value).chain(node.items()) {
        releases(value, found);
    }
}

/// What one Application makes of charts. A name with a template is not known here.
fn of_argo(spec: &Node, own: Option<&str>) -> Made {
    let one = spec.get("source").into_iter();
    let all = one.chain(spec.items_at(&["sources"]));
    let names: Vec<String> =
        all.flat_map(|source| of_chart(source, own)).filter(|name| !is_filled_in(name)).collect();
    let space = spec.text_at(&["destination", "namespace"]).filter(|_| !names.is_empty());
    Made { space: space.map(str::to_owned), names }
}

fn of_one(node: &Node, group: &str, kind: &str) -> Made {
    if (group, kind) == ("fn.kpt.dev", "RenderHelmChart") {
        return of_function(node);
    }
    if (group, kind) == INSTALLER {
        return Made { names: installed(node).map(str::to_owned).collect(), space: None };
    }
    let Some(spec) = node.get("spec") else { return Made::default() };
    let space = spec.text_at(&["targetNamespace"]).map(str::to_owned);
    let own = node.text_at(&["metadata", "name"]);
    match (group, kind) {
        ("helm.toolkit.fluxcd.io" | "helm.fluxcd.io", "HelmRelease") => {
            let release = spec.text_at(&["releaseName"]).or(own);
            let full = spec.get("values").and_then(full_name);
            Made { names: names([release.map(str::to_owned), full]), space }
        }
        ("helm.cattle.io", "HelmChart") => {
            let set = spec.text_at(&["set", FULL_NAME]).map(str::to_owned);
            let full = spec.get("valuesContent").and_then(full_name);
            Made { names: names([own.map(str::to_owned), set, full]), space }
        }
        ("helm.crossplane.io", "Release") => {
            let external = node.text_at(&["metadata", "annotations", "crossplane.io/external-name"]);
            let space = spec.text_at(&["forProvider", "namespace"]).map(str::to_owned);
            Made { names: names([external.or(own).map(str::to_owned)]), space }
        }
        ("core.oam.dev", "Application") => {
            let parts = spec.items_at(&["components"]);
            let named = parts.iter().filter_map(|part| part.text_at(&["name"]));
            Made { names: named.map(str::to_owned).collect(), space: None }
        }
        ("configsync.gke.io", "RootSync") => {
            let Some(helm) = spec.get("helm") else { return Made::default() };
            let said = |key: &str| helm.text_at(&[key]).map(str::to_owned);
            let full = helm.get("values").and_then(full_name);
            let release = said("releaseName").or_else(|| said("chart"));
            Made {
                names: names([release, full]),
                space: said("namespace").or_else(|| said("deployNamespace")),
            }
        }
        _ => Made::default(),
    }
}

/// The Deployments that the manager of operators installs from an object of [`INSTALLER`].
pub(super) fn installed(node: &Node) -> impl Iterator<Item = &str> {
    let all = node.items_at(&["spec", "install", "spec", "deployments"]);
    all.iter().filter_map(|one| one.text_at(&["name"]))
}

/// What a function of kpt makes of charts: each is a release of its own, and its configuration has no `spec`.
fn of_function(node: &Node) -> Made {
    let charts = node.items_at(&["helmCharts"]);
    let said =
        |key: &'static str| charts.iter().filter_map(move |chart| chart.text_at(&["templateOptions", key]));
    let plain = charts.iter().filter_map(|chart| chart.text_at(&["chartArgs", "name"]));
    let names = said("releaseName").chain(plain).map(str::to_owned).collect();
    Made { names, space: said("namespace").next().map(str::to_owned) }
}

/// The names of the release that Argo CD makes of a source, if that is a chart.
fn of_chart(source: &Node, own: Option<&str>) -> Vec<String> {
    let helm = source.get("helm");
    if helm.is_none() && source.text_at(&["chart"]).is_none() {
        return Vec::new();
    }
    let release = helm.and_then(|helm| helm.text_at(&["releaseName"])).or(own);
    let parameters = helm.and_then(|helm| helm.get("parameters")).map(Node::items).unwrap_or_default();
    let set = parameters.iter().find(|one| one.text_at(&["name"]) == Some(FULL_NAME));
    let set = set.and_then(|one| one.text_at(&["value"])).map(str::to_owned);
    let values =
        ["valuesObject", "values"].map(|key| helm.and_then(|helm| helm.get(key)).and_then(full_name));
    names([release.map(str::to_owned), set].into_iter().chain(values))
}

/// The full name that the values of a chart set, as a mapping or as text.
fn full_name(values: &Node) -> Option<String> {
    let written = |values: &Node| values.text_at(&[FULL_NAME]).map(str::to_owned);
    match values.text() {
        None => written(values),
        Some(text) if text.contains(FULL_NAME) => {
            yaml::parse_expanded(text.as_bytes()).ok()?.documents.first().and_then(written)
        }
        Some(_) => None,
    }
}

fn names(all: impl IntoIterator<Item = Option<String>>) -> Vec<String> {
    all.into_iter().flatten().collect()
}
