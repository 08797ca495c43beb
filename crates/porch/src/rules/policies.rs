//! Policies that set a number of replicas in what others apply: overrides of Karmada and `KubeFleet`, mutations of Kyverno,
//! Gatekeeper and the API server, and what kapp keeps as it is in the cluster.

use super::{Name, Rule, decides_number};
use crate::kinds::Kinds;
use crate::yaml::{self, Node};

const OVERRIDES: &str = "overrides its replicas";
const MUTATES: &str = "mutates its replicas";
const REBASES: &str = "has a rebase rule for its replicas";

/// The rules of a policy.
pub(super) fn rules_of(node: &Node, group: &str, kind: &str, kinds: Kinds<'_>) -> Vec<Rule> {
    match (group, kind) {
        ("policy.karmada.io", "OverridePolicy" | "ClusterOverridePolicy") => karmada(node, kinds),
        ("placement.kubernetes-fleet.io", "ResourceOverride" | "ClusterResourceOverride") => {
            fleet(node, kinds)
        }
        ("kyverno.io", "Policy" | "ClusterPolicy") => kyverno(node, kinds),
        ("mutations.gatekeeper.sh", _) => gatekeeper(node, kinds),
        ("kapp.k14s.io", "Config") => kapp(node, kinds),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy")
        | ("policies.kyverno.io", "MutatingPolicy" | "NamespacedMutatingPolicy") => admission(node, kinds),
        _ => Vec::new(),
    }
}

fn list<'n>(node: &'n Node, path: &[&str]) -> &'n [Node] {
    node.at(path).map(Node::items).unwrap_or_default()
}

fn texts<'n>(node: &'n Node, path: &[&str]) -> impl Iterator<Item = &'n str> {
    list(node, path).iter().filter_map(Node::text)
}

/// The overrides of a policy of Karmada.
fn karmada(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let all = list(node, &["spec", "overrideRules"]).iter().filter_map(|rule| rule.get("overriders"));
    let all = all.chain(node.at(&["spec", "overriders"]));
    let mut plain = all.flat_map(|overriders| list(overriders, &["plaintext"]));
    if !plain.any(|one| one.text_at(&["path"]).is_some_and(|pointer| kinds.leads_to_number(pointer))) {
        return Vec::new();
    }
    let rules: Vec<Rule> = list(node, &["spec", "resourceSelectors"]).iter().map(selected).collect();
    // Without a selector it is for everything.
    if rules.is_empty() { vec![Rule::new(None, Name::Any, OVERRIDES)] } else { rules }
}

/// The overrides of `KubeFleet`. One of a namespace is of all that is in it.
fn fleet(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let rules = list(node, &["spec", "policy", "overrideRules"]).iter();
    let mut operations = rules.flat_map(|rule| list(rule, &["jsonPatchOverrides"]));
    if !operations.any(|one| one.text_at(&["path"]).is_some_and(|pointer| kinds.leads_to_number(pointer))) {
        return Vec::new();
    }
    let of_cluster = list(node, &["spec", "clusterResourceSelectors"]).iter();
    let spaces =
        of_cluster.filter(|selector| selector.text_at(&["kind"]) == Some("Namespace")).map(|selector| {
            let space = selector.text_at(&["name"]).map_or(Name::Any, Name::written);
            Rule { space, ..Rule::new(None, Name::Any, OVERRIDES) }
        });
    list(node, &["spec", "resourceSelectors"]).iter().map(selected).chain(spaces).collect()
}

/// The rule for what a selector of a federation chooses.
fn selected(selector: &Node) -> Rule {
    let said = |key: &str| selector.text_at(&[key]).filter(|text| !text.is_empty());
    let name = said("name").map_or(Name::Any, Name::written);
    let space = said("namespace").map_or(Name::Any, Name::written);
    Rule { space, ..Rule::new(said("kind"), name, OVERRIDES) }
}

/// The rules of a policy of Kyverno that mutate the number. A key in an anchor is a condition, or only adds what is not there.
fn kyverno(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let mut found = Vec::new();
    for rule in list(node, &["spec", "rules"]) {
        let Some(mutate) = rule.get("mutate") else { continue };
        let mut patches = list(mutate, &["foreach"]).iter().chain([mutate]);
        if !patches.any(|holder| is_mutation(holder, kinds)) {
            continue;
        }
        let targets = list(mutate, &["targets"]);
        if targets.is_empty() {
            found.extend(chosen(rule));
        }
        found.extend(targets.iter().map(|target| Rule {
            space: Name::of_patterns(target.text_at(&["namespace"])),
            ..Rule::new(target.text_at(&["kind"]), Name::of_patterns(target.text_at(&["name"])), MUTATES)
        }));
    }
    found
}

/// Whether a mutation decides a number of replicas. A patch that cannot be read may.
fn is_mutation(holder: &Node, kinds: Kinds<'_>) -> bool {
    ["patchStrategicMerge", "patchesJson6902"].iter().filter_map(|key| holder.get(key)).any(|patch| {
        match patch.text().map(|text| yaml::parse_expanded(text.as_bytes())) {
            None => decides_number(patch, kinds),
            Some(Ok(stream)) => stream.documents.iter().any(|document| decides_number(document, kinds)),
            Some(Err(_)) => true,
        }
    })
}

/// What a rule of Kyverno is for.
fn chosen(rule: &Node) -> Vec<Rule> {
    let Some(matching) = rule.get("match") else { return vec![Rule::new(None, Name::Any, MUTATES)] };
    let one = std::iter::once(matching);
    let all = one.chain(list(matching, &["any"])).chain(list(matching, &["all"]));
    let of = |resources: &Node| {
        let named = resources.text_at(&["name"]).into_iter().chain(texts(resources, &["names"]));
        Rule {
            kind: of_kinds(texts(resources, &["kinds"])),
            space: Name::of_patterns(texts(resources, &["namespaces"])),
            ..Rule::new(None, Name::of_patterns(named), MUTATES)
        }
    };
    all.filter_map(|filter| filter.get("resources")).map(of).collect()
}

/// The expression for kinds that may be said with group, version and subresource.
fn of_kinds<'k>(kinds: impl Iterator<Item = &'k str>) -> Option<String> {
    let is_kind = |part: &&str| part.starts_with(|sign: char| sign.is_ascii_uppercase() || sign == '*');
    match Name::of_patterns(kinds.map(|kind| kind.split('/').rfind(is_kind).unwrap_or(kind))) {
        Name::Like(pattern) => Some(pattern),
        Name::Is(_) | Name::Not(_) | Name::Any => None,
    }
}

/// A mutation of Gatekeeper, by the place that it assigns to.
fn gatekeeper(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let location = node.text_at(&["spec", "location"]).unwrap_or_default();
    if location.is_empty() || !kinds.leads_to_number(&format!("/{}", location.replace('.', "/"))) {
        return Vec::new();
    }
    let space = || Name::of_patterns(texts(node, &["spec", "match", "namespaces"]));
    let name = || Name::of_patterns(node.text_at(&["spec", "match", "name"]));
    let applied = list(node, &["spec", "applyTo"]).iter();
    let rule = |to: &Node| Rule {
        kind: of_kinds(texts(to, &["kinds"])),
        space: space(),
        ..Rule::new(None, name(), MUTATES)
    };
    applied.map(rule).collect()
}

/// A policy of the API server, whose mutations are expressions.
fn admission(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let expressions = list(node, &["spec", "mutations"]).iter().flat_map(|mutation| {
        ["applyConfiguration", "jsonPatch"].iter().filter_map(|way| mutation.text_at(&[way, "expression"]))
    });
    let mut speaking = expressions.filter(|text| kinds.speaks_of_number(text));
    if speaking.next().is_none() {
        return Vec::new();
    }
    let rules = list(node, &["spec", "matchConstraints", "resourceRules"]).iter();
    let resources = rules.flat_map(|rule| texts(rule, &["resources"]));
    resources.map(|one| Rule::new((one != "*").then_some(one), Name::Any, MUTATES)).collect()
}

/// The rebase rules of kapp that take the number from the cluster, or remove it.
fn kapp(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let is_of_number = |path: &Node| {
        let steps = path.items().iter().filter_map(Node::text);
        kinds.leads_to_number(&steps.fold(String::new(), |pointer, step| pointer + "/" + step))
    };
    let is_kept = |rule: &&Node| {
        let source = list(rule, &["sources"]).first().and_then(Node::text);
        let mut paths = rule.get("path").into_iter().chain(list(rule, &["paths"]));
        source != Some("new") && paths.any(is_of_number)
    };
    let matched = |matcher: &Node| {
        let mut known = ["apiVersionKindMatcher", "kindNamespaceNameMatcher"].iter();
        // Any other one may match anything.
        let Some(said) = known.find_map(|key| matcher.get(key)) else {
            return Rule::new(None, Name::Any, REBASES);
        };
        let written = |key: &str| said.text_at(&[key]).map_or(Name::Any, Name::written);
        Rule { space: written("namespace"), ..Rule::new(said.text_at(&["kind"]), written("name"), REBASES) }
    };
    let kept = list(node, &["rebaseRules"]).iter().filter(is_kept);
    kept.flat_map(|rule| list(rule, &["resourceMatchers"])).map(matched).collect()
}
