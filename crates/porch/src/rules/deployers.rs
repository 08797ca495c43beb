//! What Flux and Argo CD decide in what they build from a directory of a repository, and where they deploy it to.

use super::sets::applications;
use super::{Name, Part, Rule, SETS, aims_of, decides_number, each_of, is_filled_in, itself, pattern_of};
use crate::kinds::Kinds;
use crate::yaml::{self, Node};

const UNREAD: &str = "has a patch that is not YAML and may set its replicas";
const COMPONENT: &str = "adds a component that is not here or sets its replicas";
const COUNT: &str = "sets its replicas (kustomize.replicas)";
const RENAMES: &str = "gives it another name (namePrefix or nameSuffix)";
const AIMS_AT: &str = "has a patch that aims an autoscaler or controller at it";
const MOVES: &str = "puts it into another namespace";
const IGNORES: &str = "ignores differences of its replicas";
const GIVES_SPACE: &str = "puts what states no namespace into another";
const TEMPLATE_PATCH: &str = "has a templatePatch that may set its replicas";

/// The name of the `ConfigMap` with the settings of Argo CD.
pub(crate) const ARGO_CONFIG: &str = "argocd-cm";
/// The beginning of the keys there by which differences of one kind, or of all, are ignored.
const IGNORED_OF: &str = "resource.customizations.ignoreDifferences.";

/// The namespace that an Application gives to what states none.
const DESTINED: &[&str] = &["destination", "namespace"];

/// What one deployer builds.
struct Source<'s> {
    kinds: Kinds<'s>,
    /// The directory, in which an asterisk is any text; `None` for any.
    dir: Option<String>,
    /// Whether nothing of the directory is a template or variable.
    is_known: bool,
}

/// The rules of an object of Flux or Argo CD.
pub(super) fn rules_of(node: &Node, group: &str, kind: &str, kinds: Kinds<'_>) -> Vec<Rule> {
    match (group, kind) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => {
            let of_spec = |spec| Source::new(spec, kinds).build(spec);
            node.get("spec").map(of_spec).unwrap_or_default()
        }
        ("argoproj.io", "Application" | "ApplicationSet") => of_argo(node, kind, kinds),
        ("fleet.cattle.io", "GitRepo") => of_fleet(node)
            .map(|(path, space)| Rule {
                space: Name::Not(vec![space.to_owned()]),
                dir: Some(path.to_owned()),
                ..Rule::new(None, Name::Any, MOVES)
            })
            .collect(),
        ("", "ConfigMap") if node.text_at(&["metadata", "name"]) == Some(ARGO_CONFIG) => {
            ignored_everywhere(node, kinds)
        }
        _ => Vec::new(),
    }
}

/// The rules of an Application, or of all that an `ApplicationSet` makes.
fn of_argo(node: &Node, kind: &str, kinds: Kinds<'_>) -> Vec<Rule> {
    let all = applications(node, kind);
    let mut rules = Vec::new();
    for spec in all.iter().map(|one| &*one.spec) {
        let ignored = spec.get("ignoreDifferences");
        for source in sources(spec) {
            let from = Source::new(source, kinds);
            rules.extend(source.get("kustomize").into_iter().flat_map(|fields| from.kustomize(fields)));
            rules.extend(ignored.into_iter().flat_map(|ignored| from.ignored(ignored)));
            rules.extend(spec.text_at(DESTINED).and_then(|space| from.given(source, space)));
        }
    }
    let is_open = |spec: &Node| {
        let inner =
            sources(spec).into_iter().filter_map(|source| source.text_at(&["kustomize", "namespace"]));
        inner.chain(spec.text_at(DESTINED)).any(is_filled_in)
    };
    unite(&mut rules, all.iter().any(|one| is_open(&one.spec)));
    let may_set = node.text_at(&["spec", "templatePatch"]).is_some_and(|text| kinds.speaks_of_number(text));
    if may_set && !all.iter().all(|one| one.is_patched) {
        rules.push(Rule::new(None, Name::Any, TEMPLATE_PATCH));
    }
    rules
}

/// Makes one rule of those that give other namespaces to what is in one directory: an object may be in each of them. If one of the
/// namespaces is not known, no rule tells which it is not in.
fn unite(rules: &mut Vec<Rule>, is_one_unknown: bool) {
    let mut kept: Vec<Rule> = Vec::new();
    for mut rule in std::mem::take(rules) {
        let Name::Not(spaces) = &mut rule.space else {
            if kept.last() != Some(&rule) {
                kept.push(rule);
            }
            continue;
        };
        let same = kept.iter_mut().find_map(|known| match &mut known.space {
            Name::Not(all) if known.dir == rule.dir && known.does == rule.does => Some(all),
            _ => None,
        });
        match same {
            _ if is_one_unknown => {}
            Some(all) => all.append(spaces),
            None => kept.push(rule),
        }
    }
    *rules = kept;
}

/// The rules of the settings of Argo CD by which it ignores differences of the number in all that it deploys.
fn ignored_everywhere(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let entries = node.get("data").map(Node::entries).unwrap_or_default();
    let texts = entries.iter().filter_map(|(key, value)| Some((key.text()?, value.text()?)));
    let ignored = texts.flat_map(|(key, text)| match key.strip_prefix(IGNORED_OF) {
        Some(of) => vec![(of.to_owned(), text.to_owned())],
        None if key == "resource.customizations" => ignored_of_all(text),
        None => Vec::new(),
    });
    let speaks = |text: &str| match yaml::parse_expanded(text.as_bytes()) {
        Ok(stream) => stream.documents.iter().any(|entry| speaks_of_number(entry, kinds)),
        Err(_) => kinds.speaks_of_number(text),
    };
    let rule = |(of, _): (String, String)| {
        let kind = of.rsplit(['_', '/']).next().filter(|kind| !matches!(*kind, "all" | "*"));
        Rule::new(kind, Name::Any, IGNORES)
    };
    ignored.filter(|(_, text)| speaks(text)).map(rule).collect()
}

/// What is ignored of each kind, where the customizations of all kinds are one text.
fn ignored_of_all(text: &str) -> Vec<(String, String)> {
    let Ok(stream) = yaml::parse_expanded(text.as_bytes()) else {
        return vec![("all".to_owned(), text.to_owned())];
    };
    let entries = stream.documents.iter().flat_map(Node::entries);
    let pair = |(key, of): &(Node, Node)| {
        Some((key.text()?.to_owned(), of.text_at(&["ignoreDifferences"])?.to_owned()))
    };
    entries.filter_map(pair).collect()
}

/// Whether what an entry says to be ignored is a number.
fn speaks_of_number(entry: &Node, kinds: Kinds<'_>) -> bool {
    let listed = |key: &str| entry.items_at(&[key]).iter().filter_map(Node::text);
    listed("jsonPointers").any(|pointer| kinds.leads_to_number(pointer))
        || listed("jqPathExpressions").any(|path| kinds.speaks_of_number(path))
}

/// The rules of a file that Argo CD merges into the source of what it builds from the directory of that file.
pub(crate) fn of_source(document: &Node, dir: &str, kinds: Kinds<'_>) -> Vec<Rule> {
    let source = Source { kinds, dir: Some(dir.to_owned()), is_known: true };
    document.get("kustomize").map(|kustomize| source.kustomize(kustomize)).unwrap_or_default()
}

/// The directories that an object deploys, in which an asterisk is any text, and the namespace that it gives to what states none in
/// each.
pub(crate) fn deploys(node: &Node, group: &str, kind: &str) -> Vec<(String, String)> {
    let path = |holder: &Node| pattern_of(holder.text_at(&["path"]).unwrap_or_default());
    match (group, kind) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => {
            let spec = node.get("spec").into_iter();
            let each =
                spec.filter_map(|spec| Some((path(spec), spec.text_at(&["targetNamespace"])?.to_owned())));
            each.collect()
        }
        ("argoproj.io", "Application" | "ApplicationSet") => {
            let mut each = Vec::new();
            for one in applications(node, kind) {
                let given = sources(&one.spec).into_iter().filter_map(|source| {
                    let space = source.text_at(&["kustomize", "namespace"]).or(one.spec.text_at(DESTINED))?;
                    Some((path(source), space.to_owned()))
                });
                each.extend(given);
            }
            each.dedup();
            each
        }
        ("fleet.cattle.io", "GitRepo") => {
            of_fleet(node).map(|(path, space)| (path.to_owned(), space.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// The directories that a `GitRepo` of Rancher Fleet deploys, and the namespace into which it puts all that is in each.
fn of_fleet(node: &Node) -> impl Iterator<Item = (&str, &str)> {
    let space = node.text_at(&["spec", "targetNamespace"]).filter(|space| !space.is_empty());
    let paths = node.items_at(&["spec", "paths"]);
    let paths = paths.iter().filter_map(Node::text).filter(|path| !is_filled_in(path));
    paths.filter_map(move |path| Some((path, space?)))
}

/// The sources of an Application.
fn sources(spec: &Node) -> Vec<&Node> {
    let listed = spec.items_at(&["sources"]);
    let dry = spec.at(&["sourceHydrator", "drySource"]);
    spec.get("source").into_iter().chain(dry).chain(listed).collect()
}

impl<'s> Source<'s> {
    /// What is built from the `path` that a node says.
    fn new(node: &Node, kinds: Kinds<'s>) -> Self {
        let path = node.text_at(&["path"]);
        let is_known = path.is_some_and(|path| !path.contains(['{', '$']));
        Self { kinds, dir: path.map(pattern_of).filter(|pattern| pattern != "*"), is_known }
    }

    fn rule(&self, rule: Rule) -> Rule {
        Rule { dir: self.dir.clone(), ..rule }
    }

    /// The fields of Argo CD for a source that is built with kustomize.
    fn kustomize(&self, holder: &Node) -> Vec<Rule> {
        let counts = holder.items_at(&["replicas"]);
        let names = counts.iter().filter_map(|count| count.text_at(&["name"]));
        let counted = names.map(|name| self.rule(Rule::new(None, Name::written(name), COUNT)));
        counted.chain(self.build(holder)).collect()
    }

    /// The namespace that an Application gives to what states none in a directory.
    fn given(&self, source: &Node, space: &str) -> Option<Rule> {
        let is_one = self.is_known && !space.is_empty() && !is_filled_in(space);
        let is_last = source.at(&["kustomize", "namespace"]).is_none();
        let space = Name::Not(vec![space.to_owned()]);
        let rule = Rule { space, is_for_unsaid: true, ..Rule::new(None, Name::Any, GIVES_SPACE) };
        (is_one && is_last).then(|| self.rule(rule))
    }

    /// The numbers whose differences an Application ignores: a change of one is not applied.
    fn ignored(&self, ignored: &Node) -> Vec<Rule> {
        let rule = |entry: &Node| {
            let said = |key: &str| entry.text_at(&[key]).filter(|text| !text.is_empty());
            let space = said("namespace").map_or(Name::Any, Name::written);
            let kind = said("kind").filter(|kind| *kind != "*");
            let name = Name::of_patterns(said("name"));
            self.rule(Rule { space, ..Rule::new(kind, name, IGNORES) })
        };
        ignored.items().iter().filter(|entry| speaks_of_number(entry, self.kinds)).map(rule).collect()
    }

    /// The patches and components of a build, and the names that it gives.
    fn build(&self, holder: &Node) -> Vec<Rule> {
        let listed = |key: &str| holder.items_at(&[key]);
        let mut rules = Vec::new();
        let affixes = ["namePrefix", "nameSuffix"].iter().filter_map(|key| holder.text_at(&[key]));
        // What is built of any directory would be renamed for all.
        if self.is_known && affixes.into_iter().any(|text| !text.is_empty()) {
            rules.push(self.rule(Rule::new(None, Name::Any, RENAMES)));
        }
        let space = holder.text_at(&["targetNamespace"]).or_else(|| holder.text_at(&["namespace"]));
        let space = space.filter(|space| !space.is_empty() && !is_filled_in(space) && self.is_known);
        rules.extend(space.map(|space| {
            let space = Name::Not(vec![space.to_owned()]);
            self.rule(Rule { space, ..Rule::new(None, Name::Any, MOVES) })
        }));
        for entry in listed("patches").iter().chain(listed("patchesJson6902")) {
            let target = entry.get("target");
            match (entry.get("patch"), entry.text_at(&["path"])) {
                (Some(patch), _) => rules.extend(self.patch(patch, target)),
                (None, Some(path)) => {
                    let part = Part::Patch { path: path.to_owned(), is_aimed: target.is_some() };
                    let rule =
                        target.map_or_else(|| Rule::new(None, Name::Any, SETS), |target| aimed(target, SETS));
                    rules.push(self.rule(Rule { part: Some(part), ..rule }));
                }
                (None, None) => {}
            }
        }
        rules.extend(listed("patchesStrategicMerge").iter().flat_map(|entry| self.patch(entry, None)));
        for path in listed("components").iter().filter_map(Node::text) {
            let part = Some(Part::Component(path.to_owned()));
            rules.push(self.rule(Rule { part, ..Rule::new(None, Name::Any, COMPONENT) }));
        }
        rules
    }

    /// The rules of one patch, as a text or as it stands, if it decides a number of replicas.
    fn patch(&self, patch: &Node, target: Option<&Node>) -> Vec<Rule> {
        let inner = patch.text().map(|text| yaml::parse_expanded(text.as_bytes()));
        let documents = match &inner {
            None => std::slice::from_ref(patch),
            Some(Ok(stream)) => stream.documents.as_slice(),
            Some(Err(_)) => {
                let rule =
                    target.map_or_else(|| Rule::new(None, Name::Any, UNREAD), |target| aimed(target, UNREAD));
                return vec![self.rule(rule)];
            }
        };
        let each: Vec<&Node> = documents.iter().flat_map(each_of).map(|(_, document)| document).collect();
        let deciding = each.iter().filter(|document| decides_number(document, self.kinds));
        let rule = |document| target.map_or_else(|| itself(document), |target| aimed(target, SETS));
        let aims = each.iter().filter_map(|document| aims_of(document));
        let aims = aims.map(|name| self.rule(Rule::new(None, name, AIMS_AT)));
        deciding.map(|document| self.rule(rule(document))).chain(aims).collect()
    }
}

/// The rule for what the target of a patch selects.
fn aimed(target: &Node, does: &'static str) -> Rule {
    let said = |key: &str| target.text_at(&[key]).filter(|text| !text.is_empty());
    let name = said("name").map_or(Name::Any, |pattern| Name::Like(pattern.to_owned()));
    Rule::new(said("kind"), name, does)
}
