//! The objects of a file: their positions and their names.

use crate::PorchError;
use crate::files::{KPTFILE, base_name, is_argo_source, parent};
use crate::kinds::{Kinds, group_of, version_of};
use crate::rules::{LISTS_MAX, Made, Rule, deploys, made, of_source, rules_of};
use crate::yaml::{self, Node, Step, Stream};
use std::rc::Rc;

const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";
/// Annotations by which a tool is told not to apply changes of an object.
const HELD: [(&str, &str); 9] = [
    ("client.lifecycle.config.k8s.io/mutation", "ignore"),
    ("configmanagement.gke.io/managed", "disabled"),
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent"),
    ("kustomize.toolkit.fluxcd.io/ssa", "Ignore"),
    ("fluxcd.io/ignore", "true"),
    ("argocd.argoproj.io/hook", "Skip"),
    ("kapp.k14s.io/noop", ""),
    ("kapp.k14s.io/exists", ""),
];
/// The kind that stands for a file that Argo CD merges into the source of an Application.
pub(crate) const SOURCE: &str = "ApplicationSource";

/// One object at any position in a file.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub file: String,
    pub document: usize,
    /// Its path within the document; empty if the document is the object.
    pub path: Vec<Step>,
    pub line: usize,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
    /// Whether it is marked as configuration that is not applied.
    pub local: bool,
    /// The annotation by which changes of it are not applied.
    pub held: Option<(&'static str, &'static str)>,
    /// Whether it has a pod template; a part of an object has none.
    pub whole: bool,
    pub labels: Vec<(String, String)>,
    pub rules: Vec<Rule>,
    /// The directories that it deploys, and the namespace that it gives to what states none in each.
    pub deploys: Vec<(String, String)>,
    /// The Helm releases and workloads that it makes under names of their own.
    pub made: Vec<Made>,
}

impl Object {
    /// Whether it can be what an intent names, decide its number, or be called so instead.
    pub(crate) fn matters(&self, kinds: Kinds<'_>) -> bool {
        let decides = !self.rules.is_empty() || !self.deploys.is_empty() || !self.made.is_empty();
        decides || kinds.knows(&self.group, &self.kind)
    }

    /// Kind and name, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }
}

/// The objects of a file, also those in Lists.
pub(crate) fn objects_of(file: &str, stream: &Stream, kinds: Kinds<'_>) -> Vec<Rc<Object>> {
    let mut found = Vec::new();
    for (number, document) in stream.documents.iter().enumerate() {
        let mut collection =
            Collection { file, kinds, document: number, path: Vec::new(), found: &mut found };
        if is_argo_source(base_name(file)) {
            collection.add_source(document);
        } else {
            collection.add(document, None);
        }
    }
    found
}

/// The objects of one document, while they are collected.
struct Collection<'c> {
    file: &'c str,
    kinds: Kinds<'c>,
    document: usize,
    /// The way to the present node.
    path: Vec<Step>,
    found: &'c mut Vec<Rc<Object>>,
}

impl Collection<'_> {
    /// Adds an object, or those of a List. `of_list`: version and kind of what states none, by its List.
    fn add(&mut self, node: &Node, of_list: Option<(&str, &str)>) {
        let stated =
            node.text_at(&["kind"]).map(|kind| (node.text_at(&["apiVersion"]).unwrap_or_default(), kind));
        let Some((api_version, kind)) = stated.or(of_list) else { return };
        let group = group_of(api_version);
        let inside = match kind {
            "Template" if group.is_empty() || group == "template.openshift.io" => Some("objects"),
            _ if kind.ends_with("List") => Some("items"),
            _ => None,
        };
        let is_list =
            |key: &&str| node.get(key).is_some_and(|list| matches!(list.value, yaml::Value::List(_)));
        match inside.filter(is_list) {
            Some(key) => {
                self.add_items(node, key, (api_version, kind.strip_suffix("List").unwrap_or_default()));
            }
            None => self.add_object(node, api_version, kind),
        }
    }

    fn add_items(&mut self, node: &Node, key: &str, of_list: (&str, &str)) {
        if self.path.len() >= 2 * LISTS_MAX {
            return;
        }
        if let Some(config) = node.get("functionConfig") {
            self.path.push(Step::Key("functionConfig".to_owned()));
            self.add(config, None);
            self.path.pop();
        }
        for (number, item) in node.items_at(&[key]).iter().enumerate() {
            self.path.extend([Step::Key(key.to_owned()), Step::Item(number)]);
            self.add(item, Some(of_list).filter(|(_, kind)| !kind.is_empty()));
            self.path.truncate(self.path.len() - 2);
        }
    }

    /// A file that Argo CD merges into the source of what it builds from the directory of that file.
    fn add_source(&mut self, document: &Node) {
        let rules = of_source(document, parent(self.file), self.kinds);
        if !rules.is_empty() {
            self.push(document, "argoproj.io/v1alpha1", SOURCE, rules);
        }
    }

    fn add_object(&mut self, node: &Node, api_version: &str, kind: &str) {
        let rules = rules_of(node, group_of(api_version), kind, self.kinds);
        self.push(node, api_version, kind, rules);
    }

    fn push(&mut self, node: &Node, api_version: &str, kind: &str, rules: Vec<Rule>) {
        let (group, name) = (group_of(api_version), node.text_at(&["metadata", "name"]));
        if name.is_none() && rules.is_empty() {
            return;
        }
        let labels = node.at(&["metadata", "labels"]).map(Node::entries).unwrap_or_default();
        let pair = |(key, value): &(Node, Node)| Some((key.text()?.to_owned(), value.text()?.to_owned()));
        self.found.push(Rc::new(Object {
            file: self.file.to_owned(),
            document: self.document,
            path: self.path.clone(),
            line: node.line,
            group: group.to_owned(),
            version: version_of(api_version).to_owned(),
            kind: kind.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            namespace: node
                .text_at(&["metadata", "namespace"])
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            local: node.text_at(&["metadata", "annotations", LOCAL_CONFIG]) == Some("true"),
            held: annotated(node),
            whole: node.at(&["spec", "template"]).is_some() || node.at(&["spec", "selector"]).is_some(),
            labels: labels.iter().filter_map(pair).collect(),
            rules,
            deploys: deploys(node, group, kind),
            made: made(node, group, kind),
        }));
    }
}

/// The annotation of an object by which a tool does not apply changes of it.
fn annotated(node: &Node) -> Option<(&'static str, &'static str)> {
    let annotations = node.at(&["metadata", "annotations"])?;
    HELD.into_iter().find(|(key, value)| annotations.text_at(&[key]) == Some(value))
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
