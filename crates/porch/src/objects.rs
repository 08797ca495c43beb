//! The objects of a file: their positions, their names, and the objects whose numbers they set.

use crate::PorchError;
use crate::files::KPTFILE;
use crate::kinds::{Kinds, group_of};
use crate::yaml::{self, Node, Step, Stream};
use std::rc::Rc;

const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";
/// The depth of lists within lists.
const LISTS_MAX: usize = 4;

/// One object at any position in a file.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub file: String,
    pub document: usize,
    /// Its path within the document; empty if the document is the object.
    pub path: Vec<Step>,
    pub line: usize,
    pub group: String,
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
    /// Whether it is marked as configuration that is not applied.
    pub local: bool,
    /// Whether it has a pod template; a part of an object has none.
    pub whole: bool,
    pub labels: Vec<(String, String)>,
    pub rules: Vec<Rule>,
}

/// A rule by which one object decides the number of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The other object's kind, if stated.
    pub kind: Option<String>,
    pub name: String,
    pub does: &'static str,
}

impl Object {
    /// Whether it can be what an intent names, decide its number, or be called so instead.
    pub(crate) fn matters(&self, kinds: Kinds<'_>) -> bool {
        !self.rules.is_empty() || kinds.knows(&self.group, &self.kind)
    }

    /// Kind and name, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }
}

/// The objects of a file, also those in Lists.
pub(crate) fn objects_of(file: &str, stream: &Stream) -> Vec<Rc<Object>> {
    let mut found = Vec::new();
    for (number, document) in stream.documents.iter().enumerate() {
        collect(file, number, document, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(file: &str, document: usize, node: &Node, path: &mut Vec<Step>, found: &mut Vec<Rc<Object>>) {
    let Some(kind) = node.text_at(&["kind"]) else { return };
    let group = group_of(node.text_at(&["apiVersion"]).unwrap_or_default());
    let inside = match kind {
        "Template" if group.is_empty() || group == "template.openshift.io" => Some("objects"),
        _ if kind.ends_with("List") => Some("items"),
        _ => None,
    };
    if let Some(key) =
        inside.filter(|key| node.get(key).is_some_and(|list| matches!(list.value, yaml::Value::List(_))))
    {
        if path.len() < 2 * LISTS_MAX {
            if let Some(config) = node.get("functionConfig") {
                path.push(Step::Key("functionConfig".to_owned()));
                collect(file, document, config, path, found);
                path.pop();
            }
            for (number, item) in node.get(key).map(Node::items).unwrap_or_default().iter().enumerate() {
                path.extend([Step::Key(key.to_owned()), Step::Item(number)]);
                collect(file, document, item, path, found);
                path.truncate(path.len() - 2);
            }
        }
        return;
    }
    let (name, rules) = (node.text_at(&["metadata", "name"]), rules(node, group, kind));
    if name.is_none() && rules.is_empty() {
        return;
    }
    let labels = node.at(&["metadata", "labels"]).map(Node::entries).unwrap_or_default();
    let pair = |(key, value): &(Node, Node)| Some((key.text()?.to_owned(), value.text()?.to_owned()));
    found.push(Rc::new(Object {
        file: file.to_owned(),
        document,
        path: path.clone(),
        line: node.line,
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        namespace: node
            .text_at(&["metadata", "namespace"])
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        local: node.text_at(&["metadata", "annotations", LOCAL_CONFIG]) == Some("true"),
        whole: node.at(&["spec", "template"]).is_some() || node.at(&["spec", "selector"]).is_some(),
        labels: labels.iter().filter_map(pair).collect(),
        rules,
    }));
}

/// The objects whose numbers an object decides.
fn rules(node: &Node, group: &str, kind: &str) -> Vec<Rule> {
    let reference = |path: &[&str], does| {
        let named = node.at(path)?;
        let name = named.text_at(&["name"]).or_else(|| named.text_at(&["deployment"]))?;
        let kind = named.text_at(&["kind"]).or((kind == "ScaledObject").then_some("Deployment"));
        Some(Rule { kind: kind.map(str::to_owned), name: name.to_owned(), does })
    };
    let scales = "sets its replicas";
    let mut found: Vec<Rule> = reference(&["spec", "scaleTargetRef"], scales).into_iter().collect();
    match (group, kind) {
        ("argoproj.io", "Rollout") => {
            found
                .extend(reference(&["spec", "workloadRef"], "takes its pods from it and scales them itself"));
        }
        ("flagger.app", "Canary") => {
            found.extend(reference(&["spec", "targetRef"], "scales it by itself"));
        }
        (_, "VerticalPodAutoscaler") => {}
        _ if kind.ends_with("Autoscaler") => found.extend(reference(&["spec", "targetRef"], scales)),
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => found.extend(flux_rules(node)),
        ("argoproj.io", "Application" | "ApplicationSet") => found.extend(argo_rules(node)),
        _ => {}
    }
    found
}

/// A patch of Flux's own Kustomization that sets `spec.replicas`.
fn flux_rules(node: &Node) -> Vec<Rule> {
    let patches = node.at(&["spec", "patches"]).map(Node::items).unwrap_or_default();
    let rule = |patch: &Node| {
        let text = patch.text_at(&["patch"]).filter(|text| text.contains("replicas"))?;
        let inner = yaml::parse(text.as_bytes()).ok()?;
        let document = inner.documents.first()?;
        let name = patch.text_at(&["target", "name"]).or_else(|| document.text_at(&["metadata", "name"]))?;
        let kind = patch.text_at(&["target", "kind"]).or_else(|| document.text_at(&["kind"]));
        Some(Rule {
            kind: kind.map(str::to_owned),
            name: name.to_owned(),
            does: "has a patch that sets its replicas",
        })
    };
    patches.iter().filter_map(rule).collect()
}

/// The replicas of an Application whose source is built with kustomize.
fn argo_rules(node: &Node) -> Vec<Rule> {
    let spec = node.at(&["spec", "template", "spec"]).or_else(|| node.get("spec"));
    let sources = spec.and_then(|spec| spec.get("sources")).map(Node::items).unwrap_or_default();
    let all = spec.and_then(|spec| spec.get("source")).into_iter().chain(sources);
    let counts = all.filter_map(|source| source.at(&["kustomize", "replicas"])).flat_map(Node::items);
    let rule = |count: &Node| {
        Some(Rule {
            kind: None,
            name: count.text_at(&["name"])?.to_owned(),
            does: "sets its replicas (kustomize.replicas)",
        })
    };
    counts.filter_map(rule).collect()
}

/// The fields that kpt's decoder accepts at the top of a Kptfile; it refuses any other (kpt.dev/v1).
const KPTFILE_FIELDS: [&str; 9] =
    ["apiVersion", "kind", "metadata", "upstream", "upstreamLock", "info", "pipeline", "inventory", "status"];

/// Checks that the Kptfile is valid. `strict`: ours, which kpt must accept; otherwise unknown fields are the owner's business.
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
