//! Finds the one object of a package that an intent is about, and whatever else in the package decides its replicas.

use crate::PorchError;
use crate::files::{Files, KPTFILE, KUSTOMIZATIONS, base_name, holds_objects};
use crate::yaml::{self, Node, Stream};

/// Kinds of `apps/*` whose `spec.replicas` is the number of pods.
const SCALED_KINDS: [&str; 3] = ["Deployment", "StatefulSet", "ReplicaSet"];
const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// Which object is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'w> {
    pub name: &'w str,
    pub namespace: &'w str,
    /// Only this kind, of whatever API; else the scaled kinds of `apps`.
    pub kind: Option<&'w str>,
    /// Whether an object that is not applied by itself counts.
    pub local: bool,
}

/// The object that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub file: String,
    pub document: usize,
    pub kind: String,
    pub stream: Stream,
}

/// Finds the object. `None` when the package has none; several, or something else that sets its replicas, are refused.
pub(crate) fn find(files: &Files, wanted: &Wanted<'_>, package: &str) -> Result<Option<Found>, PorchError> {
    let mut found: Option<Found> = None;
    let mut rivals = Vec::new();
    for (path, content) in files {
        let base = base_name(path);
        if !holds_objects(base) || !mentions(&content.bytes, wanted.name) {
            continue;
        }
        let stream = yaml::parse(&content.bytes)
            .map_err(|error| PorchError::unfit(format!("{package}/{path}"), error.to_string()))?;
        for (number, document) in stream.documents.iter().enumerate() {
            if let Some(rival) = rival(document, wanted, KUSTOMIZATIONS.contains(&base)) {
                rivals.push(format!("{path}:{} {rival}", document.line));
            }
            let Some(kind) = is_wanted(document, wanted) else { continue };
            if let Some(first) = &found {
                let reason = format!(
                    "{} is in it twice: in {} and in {path}:{}",
                    wanted.name, first.file, document.line
                );
                return Err(PorchError::unfit(package, reason));
            }
            let (file, kind) = (path.clone(), kind.to_owned());
            found = Some(Found { file, document: number, kind, stream: Stream::default() });
        }
        if let Some(found) = found.as_mut().filter(|found| found.file == *path) {
            found.stream = stream;
        }
    }
    match (found, rivals.first()) {
        (Some(_), Some(rival)) => Err(PorchError::unfit(package, format!("{rival}; change that instead"))),
        (found, _) => Ok(found),
    }
}

/// A cheap look before parsing. What is not UTF-8 counts, and is then refused by name.
fn mentions(bytes: &[u8], name: &str) -> bool {
    std::str::from_utf8(bytes).map_or(true, |text| text.contains(name))
}

fn is_wanted<'n>(document: &'n Node, wanted: &Wanted<'_>) -> Option<&'n str> {
    let text = |path: &[&str]| document.at(path).and_then(Node::text);
    let kind = text(&["kind"])?;
    let right_kind = match wanted.kind {
        Some(only) => kind == only,
        None => SCALED_KINDS.contains(&kind) && text(&["apiVersion"])?.starts_with("apps/"),
    };
    let right_namespace =
        text(&["metadata", "namespace"]).is_none_or(|namespace| namespace == wanted.namespace);
    let local = text(&["metadata", "annotations", LOCAL_CONFIG]) == Some("true");
    let right_name = text(&["metadata", "name"])? == wanted.name;
    (right_kind && right_name && right_namespace && (wanted.local || !local)).then_some(kind)
}

/// What else in the package decides how many replicas the object has.
fn rival(document: &Node, wanted: &Wanted<'_>, kustomization: bool) -> Option<&'static str> {
    let text = |path: &[&str]| document.at(path).and_then(Node::text);
    let names_it = |node: &Node| node.get("name").and_then(Node::text) == Some(wanted.name);
    if kustomization && document.get("replicas").is_some_and(|list| list.items().iter().any(names_it)) {
        return Some("(kustomization) sets its replicas");
    }
    let autoscaler = match text(&["kind"]) {
        Some("HorizontalPodAutoscaler") => "HorizontalPodAutoscaler sets its replicas",
        Some("ScaledObject") => "ScaledObject sets its replicas",
        _ => return None,
    };
    let same_namespace =
        text(&["metadata", "namespace"]).is_none_or(|namespace| namespace == wanted.namespace);
    let targets_it = document.at(&["spec", "scaleTargetRef"]).is_some_and(names_it);
    (same_namespace && targets_it).then_some(autoscaler)
}

/// The fields that kpt's decoder knows at the top of a Kptfile; it refuses any other (kpt.dev/v1).
const KPTFILE_FIELDS: [&str; 9] =
    ["apiVersion", "kind", "metadata", "upstream", "upstreamLock", "info", "pipeline", "inventory", "status"];

/// Whether the Kptfile is one. `strict`: ours, which kpt has to accept; else unknown fields are the owner's business.
pub(crate) fn check_kptfile(bytes: &[u8], package: &str, strict: bool) -> Result<Option<String>, PorchError> {
    let unfit = |reason: String| PorchError::unfit(format!("{package}/{KPTFILE}"), reason);
    let stream = yaml::parse(bytes).map_err(|error| unfit(error.to_string()))?;
    let [document] = stream.documents.as_slice() else {
        return Err(unfit(format!("holds {} documents instead of one", stream.documents.len())));
    };
    let text = |path: &[&str]| document.at(path).and_then(Node::text);
    if text(&["kind"]) != Some("Kptfile") || !text(&["apiVersion"]).is_some_and(|v| v.starts_with("kpt.dev/"))
    {
        return Err(unfit("is not a Kptfile of kpt.dev".to_owned()));
    }
    let unknown = document.entries().iter().filter_map(|(key, _)| key.text());
    match unknown.into_iter().find(|key| strict && !KPTFILE_FIELDS.contains(key)) {
        Some(key) => Err(unfit(format!("has the field '{key}', which kpt does not know"))),
        None => Ok(text(&["metadata", "name"]).map(str::to_owned)),
    }
}
