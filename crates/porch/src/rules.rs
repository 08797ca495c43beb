//! The rules by which one object decides the number of another: autoscalers, controllers that take a workload's pods over,
//! patches that Flux and Argo CD make, and policies of a cluster or of a federation of clusters.

mod choice;
mod deployers;
mod makers;
mod policies;
mod sets;

pub(crate) use choice::Subject;
pub(crate) use deployers::{ARGO_CONFIG, deploys, of_source};
pub(crate) use makers::{Made, made};

use crate::glob;
use crate::kinds::{Kinds, group_of};
use crate::yaml::{Node, Step, Value};
use choice::Choice;

/// The depth of lists within lists.
pub(crate) const LISTS_MAX: usize = 4;

/// A rule by which one object decides the number of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The other object's kind, if stated.
    kind: Option<String>,
    name: Name,
    /// The namespace of the other object, if the rule says more than its own object does.
    space: Name,
    /// What a policy chooses and leaves out, which counts besides.
    choice: Option<Choice>,
    /// The directory of the repository that the rule is for, in which an asterisk is any text; `None` for any.
    dir: Option<String>,
    /// Whether it is only for an object that states no namespace.
    pub is_for_unsaid: bool,
    /// What `dir` is built with besides, which is what decides.
    pub part: Option<Part>,
    /// The field of `spec` that names the object.
    pub field: Option<&'static str>,
    /// Whether its own object runs the pods in place of the other, which it scales down.
    pub is_successor: bool,
    does: &'static str,
}

/// What a deployer adds to the build of a directory, by its path from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Component(String),
    Patch {
        path: String,
        /// Whether the rule's kind and name are those that its entry says, and not the patch itself.
        is_aimed: bool,
    },
}

/// The name that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Is(String),
    /// An expression, as kustomize anchors it.
    Like(String),
    /// Any but these.
    Not(Vec<String>),
    Any,
}

impl Name {
    /// A name as it is written. One with a template or variable may be any.
    fn written(text: &str) -> Self {
        if is_filled_in(text) { Self::Any } else { Self::Is(text.to_owned()) }
    }

    /// Any of these patterns, in which an asterisk is any text; any name where there are none.
    fn of_patterns<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let all: Vec<String> = patterns.into_iter().map(|pattern| pattern.replace('*', ".*")).collect();
        if all.is_empty() { Self::Any } else { Self::Like(all.join("|")) }
    }

    fn may_be(&self, text: &str) -> bool {
        match self {
            Self::Is(name) => name == text,
            Self::Like(pattern) => glob::is_like(pattern, text) != Some(false),
            Self::Not(names) => names.iter().all(|name| name != text),
            Self::Any => true,
        }
    }
}

impl Rule {
    fn new(kind: Option<&str>, name: Name, does: &'static str) -> Self {
        let kind = kind.map(str::to_owned);
        let (space, choice, dir, part, field) = (Name::Any, None, None, None, None);
        Self { kind, name, space, choice, dir, is_for_unsaid: false, part, field, is_successor: false, does }
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
        (self.kind, self.name, self.space, self.dir) = (None, Name::Any, Name::Any, None);
    }

    /// Makes it one for any name of its kind.
    pub(crate) fn aim_at_any_name(&mut self) {
        self.name = Name::Any;
    }

    /// Makes it one for any kind of its name.
    pub(crate) fn aim_at_any_kind(&mut self) {
        self.kind = None;
    }

    /// Whether it may be for an object, wherever that lies.
    pub(crate) fn may_be_for(&self, subject: Subject<'_>) -> bool {
        let Subject { kind, names, namespace, .. } = subject;
        names.iter().any(|name| self.name.may_be(name))
            && self.space.may_be(namespace)
            && self
                .kind
                .as_ref()
                .is_none_or(|is| glob::is_like(is, kind) != Some(false) || is_plural(is, kind))
            && self.choice.as_ref().is_none_or(|choice| choice.may_choose(subject))
    }

    /// What it does to an object, for a message.
    pub(crate) fn does(&self, subject: Subject<'_>) -> String {
        match self.choice.as_ref().and_then(|choice| choice.unjudged(subject)) {
            Some((field, line)) => format!(
                "{}, unless its exclusion at line {line} holds, which goes by {field} and cannot be judged here",
                self.does
            ),
            None => self.does.to_owned(),
        }
    }

    /// Whether it says the one namespace of what it is for.
    pub(crate) fn says_space(&self) -> bool {
        matches!(self.space, Name::Is(_))
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
            Name::Not(_) | Name::Any => false,
        }
    }
}

/// Whether a kind is given by the name of its resource, `deployments` for Deployment.
fn is_plural(text: &str, kind: &str) -> bool {
    text.strip_suffix('s').is_some_and(|one| one.eq_ignore_ascii_case(kind))
}

/// The objects whose numbers an object decides.
pub(crate) fn rules_of(node: &Node, group: &str, kind: &str, kinds: Kinds<'_>) -> Vec<Rule> {
    // Without a name it is for nobody, until a patch gives it one.
    let reference = |field: &'static str, does| {
        let named = node.at(&["spec", field]).filter(|named| named.text().is_none())?;
        let keys = ["name", "deployment", "deploymentName"];
        let name = keys.iter().find_map(|key| named.text_at(&[key])).unwrap_or_default();
        let kind = named.text_at(&["kind"]).or((kind == "ScaledObject").then_some("Deployment"));
        Some(Rule { field: Some(field), ..Rule::new(kind, Name::Is(name.to_owned()), does) })
    };
    let scales = "sets its replicas";
    let mut found: Vec<Rule> = reference("scaleTargetRef", scales).into_iter().collect();
    match (group, kind) {
        ("argoproj.io", "Rollout") => {
            // Only then the controller of Rollouts scales the other one down to 0; else both run pods.
            let is_successor = matches!(
                node.text_at(&["spec", "workloadRef", "scaleDown"]),
                Some("onsuccess" | "progressively")
            );
            let rule = reference("workloadRef", "takes its pods from it and scales them itself");
            found.extend(rule.map(|rule| Rule { is_successor, ..rule }));
        }
        ("flagger.app", "Canary") => {
            found.extend(reference("targetRef", "scales it by itself"));
        }
        makers::INSTALLER => found.extend(makers::installed(node).map(|name| {
            Rule::new(Some("Deployment"), Name::written(name), "installs it with replicas of its own")
        })),
        (_, "VerticalPodAutoscaler") => {}
        _ if kind.to_ascii_lowercase().ends_with("autoscaler") => {
            found.extend(reference("targetRef", scales));
            let by_key = [("deploymentName", "Deployment"), ("replicaSetName", "ReplicaSet")];
            found.extend(by_key.iter().filter_map(|(key, kind)| {
                let name = node.text_at(&["spec", key])?;
                Some(Rule::new(Some(kind), Name::written(name), scales))
            }));
        }
        _ => {
            found.extend(deployers::rules_of(node, group, kind, kinds));
            found.extend(policies::rules_of(node, group, kind, kinds));
            found.extend(proportional(node, kinds));
            if !kinds.knows(group, kind) {
                wrapped(node, kinds, &mut found);
            }
        }
    }
    found
}

/// The program that scales what its flags name by the size of the cluster.
const PROPORTIONAL: &str = "cluster-proportional-autoscaler";

/// What a workload scales that runs [`PROPORTIONAL`].
fn proportional(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let mut found = Vec::new();
    let containers = node.items_at(&["spec", "template", "spec", "containers"]);
    for container in containers {
        let lists = ["command", "args"].iter().filter_map(|key| container.get(key));
        let words: Vec<&str> = lists.flat_map(Node::items).filter_map(Node::text).collect();
        if !words.iter().copied().chain(container.text_at(&["image"])).any(|text| text.contains(PROPORTIONAL))
        {
            continue;
        }
        let flag = |name| words.iter().find_map(|word| word.strip_prefix(name));
        let space = flag("--namespace=").map_or(Name::Any, Name::written);
        for (kind, name) in
            flag("--target=").into_iter().flat_map(|all| all.split(',')).filter_map(|one| one.split_once('/'))
        {
            let kind = kinds.names().find(|known| known.eq_ignore_ascii_case(kind));
            let rule = Rule::new(kind, Name::written(name), "sets its replicas by the size of the cluster");
            found.push(Rule { space: space.clone(), ..rule });
        }
    }
    found
}

/// The rules of the autoscalers and controllers that are written inside of another object, as Crossplane and Open Cluster Management
/// wrap them. The namespace that such a one states is that of what it scales.
fn wrapped(node: &Node, kinds: Kinds<'_>, found: &mut Vec<Rule>) {
    let values = node.entries().iter().map(|(_, value)| value).chain(node.items());
    for value in values {
        let (Some(version), Some(kind)) = (value.text_at(&["apiVersion"]), value.text_at(&["kind"])) else {
            wrapped(value, kinds, found);
            continue;
        };
        let space = value.text_at(&["metadata", "namespace"]).filter(|space| !space.is_empty());
        let inner = rules_of(value, group_of(version), kind, kinds).into_iter();
        found.extend(inner.filter(|rule| rule.field.is_some()).map(|rule| match space {
            Some(space) if rule.space == Name::Any => Rule { space: Name::written(space), ..rule },
            _ => rule,
        }));
    }
}

/// The objects whose numbers the documents of a patch decide: of a kind and name that they say themselves.
pub(crate) fn of_patch(documents: &[Node], kinds: Kinds<'_>) -> Vec<Rule> {
    let each = documents.iter().flat_map(each_of).map(|(_, document)| document);
    each.filter(|document| decides_number(document, kinds)).map(itself).collect()
}

/// The fields of `spec` that name what an object scales.
const AIMS: [&str; 3] = ["scaleTargetRef", "targetRef", "workloadRef"];

/// What a patch names as what another object scales.
fn aims_of(document: &Node) -> Option<Name> {
    let named = |node: &Node| node.text_at(&["name"]).map_or(Name::Any, Name::written);
    let Value::List(operations) = &document.value else {
        return AIMS
            .iter()
            .find_map(|field| document.at(&["spec", field, "name"])?.text())
            .map(Name::written);
    };
    operations.iter().find_map(|one| {
        let pointer = one.text_at(&["path"])?.strip_prefix("/spec/")?;
        let (field, part) = pointer.split_once('/').unwrap_or((pointer, ""));
        let value = one.get("value").filter(|_| AIMS.contains(&field));
        match part {
            "name" => value.and_then(Node::text).map(Name::written),
            "" => value.map(named),
            _ => None,
        }
    })
}

/// The rule for the object that a patch says it is for.
fn itself(document: &Node) -> Rule {
    let name = document.text_at(&["metadata", "name"]).map_or(Name::Any, Name::written);
    Rule::new(document.text_at(&["kind"]), name, SETS)
}

/// What a patch does to the number.
const SETS: &str = "has a patch that sets its replicas";

/// Whether a path or name holds a template or variable: what that stands for is not known here.
pub(crate) fn is_filled_in(dir: &str) -> bool {
    dir.contains(['{', '$', '*'])
}

/// A path with an asterisk, which is any text, in place of each template or variable.
fn pattern_of(path: &str) -> String {
    let mut pattern = path.to_owned();
    for (begin, end) in [("{{", "}}"), ("${", "}")] {
        let mut replaced = String::new();
        let mut rest = pattern.as_str();
        while let Some((before, inner)) = rest.split_once(begin)
            && let Some((_, after)) = inner.split_once(end)
        {
            replaced.extend([before, "*"]);
            rest = after;
        }
        pattern = replaced + rest;
    }
    // What is left of them may be any part of it.
    if pattern.contains(['{', '}', '$']) { "*".to_owned() } else { pattern }
}

/// The patches that one document is, and the way to each: a List is one for each item.
pub(crate) fn each_of(document: &Node) -> Vec<(Vec<Step>, &Node)> {
    let mut found = Vec::new();
    open(document, Vec::new(), &mut found);
    found
}

fn open<'n>(node: &'n Node, way: Vec<Step>, found: &mut Vec<(Vec<Step>, &'n Node)>) {
    let is_list = node.text_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"));
    let is_opened = is_list && way.len() < 2 * LISTS_MAX;
    match node.get("items").map(Node::items).filter(|items| is_opened && !items.is_empty()) {
        None => found.push((way, node)),
        Some(items) => {
            for (number, item) in items.iter().enumerate() {
                let step = [Step::Key("items".to_owned()), Step::Item(number)];
                open(item, way.iter().cloned().chain(step).collect(), found);
            }
        }
    }
}

/// Whether a patch may decide a number of replicas: an operation on it or on what holds it, a merge with its key, or one
/// that takes away what holds it.
pub(crate) fn decides_number(document: &Node, kinds: Kinds<'_>) -> bool {
    match &document.value {
        Value::List(operations) => operations.iter().any(|one| {
            let from = one.text_at(&["from"]).filter(|_| one.text_at(&["op"]) == Some("move"));
            one.text_at(&["path"]).into_iter().chain(from).any(|pointer| kinds.leads_to_number(pointer))
        }),
        // A variable stands for what is not known.
        Value::Scalar { text, .. } => !text.is_empty(),
        _ => has_number_key(document, kinds) || kinds.number_paths().any(|path| removes(document, path)),
    }
}

/// Whether any key of a node may be that of a number.
fn has_number_key(node: &Node, kinds: Kinds<'_>) -> bool {
    node.entries().iter().any(|(key, value)| {
        key.text().is_some_and(|key| kinds.number_keys().any(|known| known == key))
            || has_number_key(value, kinds)
    })
}

/// Whether a merge removes or replaces what holds a number.
fn removes(document: &Node, path: &str) -> bool {
    let mut node = document;
    for key in path.split('.') {
        if matches!(node.text_at(&["$patch"]), Some("delete" | "replace")) {
            return true;
        }
        let Some(inner) = node.get(key) else { return false };
        if matches!(inner.text(), Some("" | "~" | "null" | "Null" | "NULL")) {
            return true;
        }
        node = inner;
    }
    false
}
