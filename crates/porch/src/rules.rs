//! The rules by which one object decides the number of another: autoscalers, controllers that take a workload's pods over,
//! and patches that Flux, Argo CD or a federation of clusters makes.

use crate::glob;
use crate::yaml::{self, Node, Value};

/// A rule by which one object decides the number of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The other object's kind, if stated.
    kind: Option<String>,
    name: Name,
    /// The directory of the repository that the rule is for; `None` for any.
    dir: Option<String>,
    /// The field of `spec` that names the object.
    pub field: Option<&'static str>,
    pub does: &'static str,
}

/// The name that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Is(String),
    /// An expression, as kustomize anchors it.
    Like(String),
    Any,
}

impl Rule {
    fn new(kind: Option<&str>, name: Name, does: &'static str) -> Self {
        Self { kind: kind.map(str::to_owned), name, dir: None, field: None, does }
    }

    /// Gives it another object, or only another kind or name.
    pub(crate) fn aim(&mut self, kind: Option<&str>, name: Option<&str>) {
        if let Some(kind) = kind {
            self.kind = Some(kind.to_owned());
        }
        if let Some(name) = name {
            self.name = Name::Is(name.to_owned());
        }
    }

    /// Makes it one for any object, wherever it lies: which it is in the end is not known.
    pub(crate) fn aim_anywhere(&mut self) {
        (self.kind, self.name, self.dir) = (None, Name::Any, None);
    }

    /// Makes it one for any name of its kind.
    pub(crate) fn aim_at_any_name(&mut self) {
        self.name = Name::Any;
    }

    /// Makes it one for any kind of its name.
    pub(crate) fn aim_at_any_kind(&mut self) {
        self.kind = None;
    }

    /// Whether it may be for an object of this kind, with these names, wherever it lies.
    pub(crate) fn may_be_for(&self, kind: &str, names: &[String]) -> bool {
        let is_named = match &self.name {
            Name::Is(name) => names.contains(name),
            Name::Like(pattern) => names.iter().any(|name| glob::is_like(pattern, name) != Some(false)),
            Name::Any => true,
        };
        is_named
            && self
                .kind
                .as_ref()
                .is_none_or(|is| glob::is_like(is, kind) != Some(false) || is_plural(is, kind))
    }

    /// The directory of the repository that it is for; `None` for any.
    pub(crate) fn dir(&self) -> Option<&str> {
        self.dir.as_deref()
    }

    /// Whether it is for one name, and not for what an expression or nothing chooses.
    pub(crate) fn is_for_one_name(&self) -> bool {
        match &self.name {
            Name::Is(_) => true,
            Name::Like(pattern) => glob::is_plain(pattern),
            Name::Any => false,
        }
    }
}

/// Whether a kind is given by the name of its resource, `deployments` for Deployment.
fn is_plural(text: &str, kind: &str) -> bool {
    text.strip_suffix('s').is_some_and(|one| one.eq_ignore_ascii_case(kind))
}

/// The objects whose numbers an object decides.
pub(crate) fn rules_of(node: &Node, group: &str, kind: &str) -> Vec<Rule> {
    // Without a name it is for nobody, until a patch gives it one.
    let reference = |field: &'static str, does| {
        let named = node.at(&["spec", field]).filter(|named| named.text().is_none())?;
        let name = named.text_at(&["name"]).or_else(|| named.text_at(&["deployment"])).unwrap_or_default();
        let kind = named.text_at(&["kind"]).or((kind == "ScaledObject").then_some("Deployment"));
        Some(Rule { field: Some(field), ..Rule::new(kind, Name::Is(name.to_owned()), does) })
    };
    let scales = "sets its replicas";
    let mut found: Vec<Rule> = reference("scaleTargetRef", scales).into_iter().collect();
    match (group, kind) {
        ("argoproj.io", "Rollout") => {
            found.extend(reference("workloadRef", "takes its pods from it and scales them itself"));
        }
        ("flagger.app", "Canary") => {
            found.extend(reference("targetRef", "scales it by itself"));
        }
        (_, "VerticalPodAutoscaler") => {}
        _ if kind.ends_with("Autoscaler") => found.extend(reference("targetRef", scales)),
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => {
            if let Some(spec) = node.get("spec") {
                found.extend(patches(spec, spec.text_at(&["path"])));
            }
        }
        ("argoproj.io", "Application" | "ApplicationSet") => found.extend(argo_rules(node)),
        ("policy.karmada.io", "OverridePolicy" | "ClusterOverridePolicy") => {
            found.extend(karmada_rules(node));
        }
        ("placement.kubernetes-fleet.io", "ResourceOverride" | "ClusterResourceOverride") => {
            found.extend(fleet_rules(node));
        }
        _ => {}
    }
    found
}

/// The directory that an object deploys, and the namespace that it gives to what states none.
pub(crate) fn deploys(node: &Node, group: &str, kind: &str) -> Option<(String, String)> {
    let (dir, namespace): (&[&str], &[&str]) = match (group, kind) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => (&["spec", "path"], &["spec", "targetNamespace"]),
        ("argoproj.io", "Application") => {
            (&["spec", "source", "path"], &["spec", "destination", "namespace"])
        }
        _ => return None,
    };
    let namespace = node.text_at(namespace)?.to_owned();
    Some((node.text_at(dir).unwrap_or_default().to_owned(), namespace))
}

/// The name of the Helm release that an object makes, if it states one.
pub(crate) fn release(node: &Node, kind: &str) -> Option<String> {
    let name = match kind {
        "HelmRelease" => node.text_at(&["spec", "releaseName"]),
        "Application" => node.text_at(&["spec", "source", "helm", "releaseName"]),
        _ => None,
    };
    name.map(str::to_owned)
}

/// The patches of a deployer that set a number of replicas in what it builds from a directory.
fn patches(holder: &Node, dir: Option<&str>) -> Vec<Rule> {
    let dir = dir.filter(|dir| !is_filled_in(dir));
    let listed = |key: &str| holder.get(key).map(Node::items).unwrap_or_default();
    let mut rules = Vec::new();
    for entry in listed("patches").iter().chain(listed("patchesJson6902")) {
        let target = entry.get("target");
        match entry.get("patch").map(|patch| (patch, patch.text())) {
            Some((_, Some(text))) => {
                let inner = yaml::parse_expanded(text.as_bytes()).unwrap_or_default();
                rules.extend(inner.documents.iter().filter_map(|document| rule(document, target, dir)));
            }
            Some((written, None)) => rules.extend(rule(written, target, dir)),
            None => {}
        }
    }
    for entry in listed("patchesStrategicMerge") {
        match entry.text() {
            Some(text) => {
                let inner = yaml::parse_expanded(text.as_bytes()).unwrap_or_default();
                rules.extend(inner.documents.iter().filter_map(|document| rule(document, None, dir)));
            }
            None => rules.extend(rule(entry, None, dir)),
        }
    }
    rules
}

/// Whether a path holds a template or variable: what that stands for is not known here.
fn is_filled_in(dir: &str) -> bool {
    dir.contains(['{', '$', '*'])
}

/// The rule of one patch, if it sets a number of replicas.
fn rule(document: &Node, target: Option<&Node>, dir: Option<&str>) -> Option<Rule> {
    if !sets_number(document) {
        return None;
    }
    let said = |key: &str| target.and_then(|target| target.text_at(&[key])).filter(|text| !text.is_empty());
    let own = document.text_at(&["metadata", "name"]).filter(|_| target.is_none());
    let name = match (said("name"), own) {
        (Some(pattern), _) => Name::Like(pattern.to_owned()),
        (None, Some(name)) => Name::Is(name.to_owned()),
        (None, None) => Name::Any,
    };
    let kind = said("kind").or_else(|| document.text_at(&["kind"]).filter(|_| target.is_none()));
    let dir = dir.map(str::to_owned);
    Some(Rule { dir, ..Rule::new(kind, name, "has a patch that sets its replicas") })
}

/// Whether a patch may set a number of replicas: an operation on it or on what holds it, or a merge with that key.
fn sets_number(document: &Node) -> bool {
    let is_of_number = |pointer: &str| matches!(pointer, "" | "/spec") || pointer.ends_with("/replicas");
    match &document.value {
        Value::List(operations) => {
            operations.iter().filter_map(|one| one.text_at(&["path"])).any(is_of_number)
        }
        _ => has_key(document, "replicas"),
    }
}

fn has_key(node: &Node, wanted: &str) -> bool {
    let in_entry = |(key, value): &(Node, Node)| key.text() == Some(wanted) || has_key(value, wanted);
    node.entries().iter().any(in_entry)
}

/// The replicas and patches of an Application whose source is built with kustomize.
fn argo_rules(node: &Node) -> Vec<Rule> {
    let spec = node.at(&["spec", "template", "spec"]).or_else(|| node.get("spec"));
    let sources = spec.and_then(|spec| spec.get("sources")).map(Node::items).unwrap_or_default();
    let all = spec.and_then(|spec| spec.get("source")).into_iter().chain(sources);
    let mut rules = Vec::new();
    for source in all {
        let Some(kustomize) = source.get("kustomize") else { continue };
        let counts = kustomize.get("replicas").map(Node::items).unwrap_or_default();
        let names = counts.iter().filter_map(|count| count.text_at(&["name"]));
        let does = "sets its replicas (kustomize.replicas)";
        let path = source.text_at(&["path"]);
        let dir = path.filter(|dir| !is_filled_in(dir)).map(str::to_owned);
        let count =
            |name: &str| Rule { dir: dir.clone(), ..Rule::new(None, Name::Is(name.to_owned()), does) };
        rules.extend(names.map(count));
        rules.extend(patches(kustomize, path));
    }
    rules
}

/// The overrides of a policy of Karmada that set a number of replicas.
fn karmada_rules(node: &Node) -> Vec<Rule> {
    let mut pointers = Vec::new();
    let overriders = node.at(&["spec", "overrideRules"]).map(Node::items).unwrap_or_default();
    let all =
        overriders.iter().filter_map(|rule| rule.get("overriders")).chain(node.at(&["spec", "overriders"]));
    for overriders in all {
        let plain = overriders.get("plaintext").map(Node::items).unwrap_or_default();
        pointers.extend(plain.iter().filter_map(|one| one.text_at(&["path"])));
    }
    overrides(node, &pointers)
}

/// The same of an override of `KubeFleet`.
fn fleet_rules(node: &Node) -> Vec<Rule> {
    let rules = node.at(&["spec", "policy", "overrideRules"]).map(Node::items).unwrap_or_default();
    let operations = rules.iter().filter_map(|rule| rule.get("jsonPatchOverrides")).flat_map(Node::items);
    let pointers: Vec<&str> = operations.filter_map(|one| one.text_at(&["path"])).collect();
    overrides(node, &pointers)
}

/// The rules of a policy that overrides what its selectors choose, if that is a number of replicas.
fn overrides(node: &Node, pointers: &[&str]) -> Vec<Rule> {
    if !pointers.iter().any(|pointer| matches!(*pointer, "/spec/replicas" | "/spec")) {
        return Vec::new();
    }
    let selectors = node.at(&["spec", "resourceSelectors"]).map(Node::items).unwrap_or_default();
    let rule = |selector: &Node| {
        let name = selector.text_at(&["name"]).map_or(Name::Any, |name| Name::Is(name.to_owned()));
        Rule::new(selector.text_at(&["kind"]), name, "overrides its replicas")
    };
    selectors.iter().map(rule).collect()
}
