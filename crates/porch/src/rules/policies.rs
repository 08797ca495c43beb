//! Policies that set a number of replicas in what others apply: overrides of Karmada and `KubeFleet`, mutations of Kyverno,
//! Gatekeeper and the API server, and what kapp keeps as it is in the cluster.

use super::choice::{Choice, Filter, Filters, Sort};
use super::{Name, Rule, decides_number, is_filled_in};
use crate::kinds::Kinds;
use crate::yaml::{self, Node, Value};

const OVERRIDES: &str = "overrides its replicas";
const MUTATES: &str = "mutates its replicas";
const GENERATES: &str = "generates an autoscaler of it";
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

fn texts<'n>(node: &'n Node, path: &[&str]) -> impl Iterator<Item = &'n str> + use<'n> {
    node.items_at(path).iter().filter_map(Node::text)
}

/// The overrides of a policy of Karmada.
fn karmada(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let all = node.items_at(&["spec", "overrideRules"]).iter().filter_map(|rule| rule.get("overriders"));
    let all = all.chain(node.at(&["spec", "overriders"]));
    let mut plain = all.flat_map(|overriders| overriders.items_at(&["plaintext"]));
    if !plain.any(|one| one.text_at(&["path"]).is_some_and(|pointer| kinds.leads_to_number(pointer))) {
        return Vec::new();
    }
    let rules: Vec<Rule> = node.items_at(&["spec", "resourceSelectors"]).iter().map(selected).collect();
    // Without a selector it is for everything.
    if rules.is_empty() { vec![Rule::new(None, Name::Any, OVERRIDES)] } else { rules }
}

/// The overrides of `KubeFleet`. One of a namespace is of all that is in it.
fn fleet(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let rules = node.items_at(&["spec", "policy", "overrideRules"]).iter();
    let mut operations = rules.flat_map(|rule| rule.items_at(&["jsonPatchOverrides"]));
    if !operations.any(|one| one.text_at(&["path"]).is_some_and(|pointer| kinds.leads_to_number(pointer))) {
        return Vec::new();
    }
    let of_cluster = node.items_at(&["spec", "clusterResourceSelectors"]).iter();
    let spaces =
        of_cluster.filter(|selector| selector.text_at(&["kind"]) == Some("Namespace")).map(|selector| {
            let space = selector.text_at(&["name"]).map_or(Name::Any, Name::written);
            Rule { space, ..Rule::new(None, Name::Any, OVERRIDES) }
        });
    node.items_at(&["spec", "resourceSelectors"]).iter().map(selected).chain(spaces).collect()
}

/// The rule for what a selector of a federation chooses.
fn selected(selector: &Node) -> Rule {
    let said = |key: &str| selector.text_at(&[key]).filter(|text| !text.is_empty());
    let name = said("name").map_or(Name::Any, Name::written);
    let space = said("namespace").map_or(Name::Any, Name::written);
    Rule { space, ..Rule::new(said("kind"), name, OVERRIDES) }
}

/// The rules of a policy of Kyverno: those that mutate the number, and the autoscalers that it generates.
fn kyverno(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let rules = node.items_at(&["spec", "rules"]);
    let made = rules.iter().filter_map(|rule| Some((rule, rule.get("generate")?)));
    let each = made.flat_map(|(rule, made)| {
        let all = made.items_at(&["foreach"]).iter().chain([made]);
        all.filter_map(move |one| generated(rule, one))
    });
    mutations(rules, kinds).into_iter().chain(each).collect()
}

/// The rule of an autoscaler that Kyverno generates. One that aims at what has set the rule off is for what the rule is for.
fn generated(rule: &Node, made: &Node) -> Option<Rule> {
    let aim = made.at(&["data", "spec", "scaleTargetRef"])?;
    let name = aim.text_at(&["name"]).unwrap_or_default();
    let inner = name.strip_prefix("{{").and_then(|name| name.strip_suffix("}}")).map(str::trim);
    let chosen = chosen(rule).choice.filter(|_| inner == Some("request.object.metadata.name"));
    let space = made.text_at(&["namespace"]).map_or(Name::Any, Name::written);
    let kind = aim.text_at(&["kind"]).filter(|kind| !is_filled_in(kind));
    Some(Rule { space, choice: chosen, ..Rule::new(kind, Name::written(name), GENERATES) })
}

/// The rules of Kyverno that mutate the number. A key in an anchor is a condition, or only adds what is not there.
fn mutations(rules: &[Node], kinds: Kinds<'_>) -> Vec<Rule> {
    let mut found = Vec::new();
    for rule in rules {
        let Some(mutate) = rule.get("mutate") else { continue };
        let mut patches = mutate.items_at(&["foreach"]).iter().chain([mutate]);
        if !patches.any(|holder| is_mutation(holder, kinds)) {
            continue;
        }
        let targets = mutate.items_at(&["targets"]);
        if targets.is_empty() {
            found.push(chosen(rule));
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
fn chosen(rule: &Node) -> Rule {
    let all = || Filters::All(Vec::new());
    let choice = Choice {
        chosen: rule.get("match").map_or_else(all, filters),
        left_out: rule.get("exclude").map_or(Filters::Any(Vec::new()), filters),
    };
    Rule { choice: Some(choice), ..Rule::new(None, Name::Any, MUTATES) }
}

/// The filters of a block of Kyverno: of its lists the first that is not empty counts, and where there is none, the block itself.
fn filters(block: &Node) -> Filters {
    let of = |key: &str| block.items_at(&[key]).iter().map(filter).collect::<Vec<_>>();
    let (any, all) = (of("any"), of("all"));
    if !any.is_empty() {
        Filters::Any(any)
    } else if all.is_empty() {
        Filters::Any(vec![filter(block)])
    } else {
        Filters::All(all)
    }
}

/// One filter of Kyverno.
fn filter(node: &Node) -> Filter {
    let resources = node.get("resources");
    let said = |key: &str| -> Vec<String> {
        let one = resources.and_then(|resources| resources.text_at(&[key])).filter(|text| !text.is_empty());
        let several = resources.into_iter().flat_map(|resources| texts(resources, &[key]));
        one.into_iter().chain(several).map(str::to_owned).collect()
    };
    let names = [said("name"), said("names")].concat();
    let sorts = said("kinds").iter().map(|kind| sort(kind)).collect();
    let mut filter =
        Filter { line: node.line, names, spaces: said("namespaces"), sorts, ..Filter::default() };
    let conditions = node
        .entries()
        .iter()
        .filter(|(key, _)| !["any", "all", "resources"].iter().any(|is| key.text() == Some(*is)));
    let inner = resources.map(Node::entries).unwrap_or_default().iter();
    let conditions = conditions
        .chain(inner)
        .filter_map(|(key, value)| Some((key.text()?, value)))
        .filter(|(_, value)| !says_nothing(value));
    filter.is_empty = true;
    for (key, value) in conditions {
        filter.is_empty = false;
        let is_judged = ["kinds", "name", "names", "namespaces"].contains(&key)
            || (key == "operations" && is_any_change(value));
        if !is_judged {
            filter.leave_unread(key, value);
        }
    }
    filter
}

/// Whether a value is as good as none. An empty selector selects all.
fn says_nothing(value: &Node) -> bool {
    match &value.value {
        Value::Scalar { text, .. } => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether operations are those by which a number gets into the cluster.
fn is_any_change(operations: &Node) -> bool {
    let has = |one: &str| operations.items().iter().any(|is| is.text() == Some(one));
    has("*") || (has("CREATE") && has("UPDATE"))
}

/// A kind as Kyverno writes it: with group and version before it, and a subresource behind it.
fn sort(kind: &str) -> Sort {
    let parts: Vec<&str> = kind.split('/').collect();
    let is_kind = |part: &&str| part.starts_with(|sign: char| sign.is_ascii_uppercase() || sign == '*');
    let [before @ .., last] = parts.as_slice() else { return Sort::default() };
    let is_whole = is_kind(last)
        && !last.contains('.')
        && !before.iter().any(|part| part.starts_with(|sign: char| sign.is_ascii_uppercase()));
    let of = |part: &str| vec![part.to_owned()];
    if !is_whole || before.len() > 2 {
        let kind = parts.iter().find(|part| is_kind(part)).unwrap_or(last);
        let kind = kind.split_once('.').map_or(*kind, |(kind, _)| kind);
        return Sort { kinds: of(kind), is_of_part: true, ..Sort::default() };
    }
    match before {
        [group, version] => {
            Sort { groups: of(group), versions: of(version), kinds: of(last), ..Sort::default() }
        }
        [version] => Sort { versions: of(version), kinds: of(last), ..Sort::default() },
        _ => Sort { kinds: of(last), ..Sort::default() },
    }
}

/// A mutation of Gatekeeper, by the place that it assigns to.
fn gatekeeper(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let location = node.text_at(&["spec", "location"]).unwrap_or_default();
    if location.is_empty() || !kinds.leads_to_number(&format!("/{}", location.replace('.', "/"))) {
        return Vec::new();
    }
    let matching = |key: &str| owned(node, &["spec", "match", key]);
    let sorts = |path: &[&str], groups: &str| {
        let of = |to: &Node| Sort {
            groups: owned(to, &[groups]),
            kinds: owned(to, &["kinds"]),
            ..Sort::default()
        };
        node.items_at(path).iter().map(of).collect::<Vec<Sort>>()
    };
    let name = node.text_at(&["spec", "match", "name"]).map(str::to_owned);
    let to = Filter { sorts: sorts(&["spec", "applyTo"], "groups"), ..Filter::default() };
    let matched = Filter {
        sorts: sorts(&["spec", "match", "kinds"], "apiGroups"),
        names: name.into_iter().collect(),
        spaces: matching("namespaces"),
        ..Filter::default()
    };
    let excluded = Filter { spaces: matching("excludedNamespaces"), ..Filter::default() };
    let left_out = if excluded.spaces.is_empty() { Vec::new() } else { vec![excluded] };
    // It is for nothing that it does not name.
    if to.sorts.is_empty() || node.text_at(&["spec", "match", "scope"]) == Some("Cluster") {
        return Vec::new();
    }
    let choice = Choice { chosen: Filters::All(vec![to, matched]), left_out: Filters::Any(left_out) };
    vec![Rule { choice: Some(choice), ..Rule::new(None, Name::Any, MUTATES) }]
}

/// A policy of the API server, whose mutations are expressions.
fn admission(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let expressions = node.items_at(&["spec", "mutations"]).iter().flat_map(|mutation| {
        ["applyConfiguration", "jsonPatch"].iter().filter_map(|way| mutation.text_at(&[way, "expression"]))
    });
    let mut speaking = expressions.filter(|text| kinds.speaks_of_number(text));
    if speaking.next().is_none() {
        return Vec::new();
    }
    let rules = |key: &str| {
        let all = node.items_at(&["spec", "matchConstraints", key]).iter();
        Filters::Any(all.map(of_resources).collect())
    };
    let choice = Choice { chosen: rules("resourceRules"), left_out: rules("excludeResourceRules") };
    vec![Rule { choice: Some(choice), ..Rule::new(None, Name::Any, MUTATES) }]
}

/// A rule by which the API server chooses requests.
fn of_resources(rule: &Node) -> Filter {
    let sort = Sort {
        groups: owned(rule, &["apiGroups"]),
        versions: owned(rule, &["apiVersions"]),
        kinds: owned(rule, &["resources"]),
        ..Sort::default()
    };
    let names = owned(rule, &["resourceNames"]);
    let mut filter = Filter { line: rule.line, sorts: vec![sort], names, ..Filter::default() };
    if let Some(operations) = rule.get("operations").filter(|operations| !is_any_change(operations)) {
        filter.leave_unread("operations", operations);
    }
    filter
}

/// The texts of a list.
fn owned(node: &Node, path: &[&str]) -> Vec<String> {
    texts(node, path).map(str::to_owned).collect()
}

/// The rebase rules of kapp that take the number from the cluster, or remove it.
fn kapp(node: &Node, kinds: Kinds<'_>) -> Vec<Rule> {
    let is_of_number = |path: &Node| {
        let steps = path.items().iter().filter_map(Node::text);
        kinds.leads_to_number(&steps.fold(String::new(), |pointer, step| pointer + "/" + step))
    };
    let is_kept = |rule: &&Node| {
        let source = rule.items_at(&["sources"]).first().and_then(Node::text);
        let mut paths = rule.get("path").into_iter().chain(rule.items_at(&["paths"]));
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
    let kept = node.items_at(&["rebaseRules"]).iter().filter(is_kept);
    kept.flat_map(|rule| rule.items_at(&["resourceMatchers"])).map(matched).collect()
}
