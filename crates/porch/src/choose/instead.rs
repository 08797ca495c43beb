//! What a directory holds instead of the object that an intent names, for the refusal that says so.

use super::View;
use super::rivals::is_remote_rule;
use crate::files::{CHART, base_name};
use crate::fleet::{self, FLEET};
use crate::kinds::has_no_number;
use crate::objects::Object;
use crate::rendered::Rendered;
use crate::rules::Made;
use crate::survey::is_pointer;
use crate::text::{mentions, says};
use crate::yaml::{self, Node};
use std::rc::Rc;

/// The number of entries of a directory that a message names.
const NAMED_MAX: usize = 6;

/// How the types of what Pulumi makes in Kubernetes begin.
const PULUMI: &str = "kubernetes:";

/// Where a node is that may be an object inside of another.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Outermost,
    Within,
    /// In text that has been parsed. Text within that is not looked at: it could go on for as long as memory lasts.
    Text,
}

impl View<'_, '_> {
    /// Why the package does not have the object, if it has a similar one.
    pub(crate) fn near(&self) -> Option<String> {
        let scaled = self.built.objects.iter().filter(|object| self.is_scaled(&object.object));
        for object in scaled {
            if let Some(moved) = &object.moved
                && object.is_called(self.wanted.name)
            {
                return Some(format!("it holds {}, but {moved}", object.object.shown()));
            }
            if object.name() == self.wanted.name && !self.wanted.said && !self.is_here(object) {
                let space = object.namespace().unwrap_or_default();
                return Some(format!(
                    "it holds {} of the namespace {space} ({})",
                    object.object.shown(),
                    self.line_of(&object.object)
                ));
            }
        }
        self.unlisted().or_else(|| self.pods_without_number()).or_else(|| self.made_by_others())
    }

    /// What others make or hold of this name.
    fn made_by_others(&self) -> Option<String> {
        let released = self.released().or_else(|| self.released_by_fleet());
        released.or_else(|| self.declared()).or_else(|| self.wrapped())
    }

    /// An object of the target's name and of a kind in no table, that has a number of replicas.
    pub(crate) fn unknown(&self) -> Option<String> {
        let texts = [self.wanted.name.to_owned()];
        self.world.manifests().iter().find_map(|path| {
            let objects = self.world.objects(path, &texts, self.wanted.kinds).unwrap_or_default();
            if objects.is_empty() {
                return None;
            }
            let stream = self.world.reading(path).ok()?;
            let counts = |object: &Object| {
                let root = stream.documents.get(object.document).and_then(|root| root.walk(&object.path));
                root.and_then(|root| root.get("spec")).is_some_and(has_replicas)
            };
            let is_it = |object: &&Rc<Object>| {
                object.name == self.wanted.name
                    && self.is_space(object.namespace.as_deref())
                    && !object.matters(self.wanted.kinds)
                    && counts(object)
            };
            let object = objects.iter().find(is_it)?;
            let line = self.line_of(object);
            Some(format!(
                "{line} holds {}, a kind with replicas that is in no table; add it as a [[workload]]",
                object.shown()
            ))
        })
    }

    /// The external base of the package.
    pub(crate) fn elsewhere(&self) -> Option<String> {
        let (_, reference) = self.built.absent.first()?;
        Some(format!(
            "it builds on {reference}, which is not here: add `replicas: [{{name: {}, count: N}}]` to its kustomization",
            self.wanted.name
        ))
    }

    /// What a kustomization that names the target builds on and is not here: the object may be in it. `of_namespace`: only a
    /// kustomization that puts it into the namespace counts.
    pub(crate) fn built_on_absent(&self, of_namespace: bool) -> Option<String> {
        let name = self.wanted.name;
        let names_it = |file: &str| {
            let content = self.world.file(file).ok().flatten();
            content.is_some_and(|content| mentions(&content.bytes, name))
                || mentions(self.world.below(file).unwrap_or(file).as_bytes(), name)
        };
        let puts_there = |file: &str| {
            let stream = self.world.stream(file).ok();
            let document = stream.as_ref().and_then(|stream| stream.documents.first());
            document.and_then(|document| document.text_at(&["namespace"])) == Some(self.wanted.namespace)
        };
        let counts = |file: &str| (!of_namespace || puts_there(file)) && names_it(file);
        let (_, text) = self.built.absent.iter().find(|(file, _)| counts(file))?;
        Some(format!(
            "{text} is not here and may hold {name}: add `replicas: [{{name: {name}, count: N}}]` to that kustomization, or name it in .krmignore"
        ))
    }

    /// An object in a file that no kustomization lists.
    fn unlisted(&self) -> Option<String> {
        let paths = self.world.manifests();
        let left = paths.into_iter().filter(|path| !self.built.named.contains(path));
        for path in left.filter(|path| self.world.is_governed(path).unwrap_or(false)) {
            let objects = self
                .world
                .objects(&path, &[self.wanted.name.to_owned()], self.wanted.kinds)
                .unwrap_or_default();
            let wanted =
                objects.iter().find(|object| self.is_scaled(object) && object.name == self.wanted.name);
            if let Some(object) = wanted {
                return Some(format!(
                    "{} holds {}, but no kustomization lists that file",
                    self.line_of(object),
                    object.shown()
                ));
            }
        }
        None
    }

    /// What is certainly of the namespace and stands for the target elsewhere than around a package: objects that state
    /// their namespace, or make what they do in one that they state.
    pub(crate) fn near_said(&self) -> Option<String> {
        let reason = self.pods_without_number().or_else(|| self.unknown());
        reason.or_else(|| self.made_by_others())
    }

    /// A release of this name in a file of Helmfile or Skaffold.
    fn released(&self) -> Option<String> {
        let mut paths = self.world.manifests();
        let is_known = |name: &str| name.starts_with("helmfile") || name.starts_with("skaffold");
        paths.retain(|path| is_known(base_name(path)) || path.contains("helmfile.d/"));
        paths.iter().find_map(|path| {
            let stream = self.world.reading(path).ok()?;
            let releases = |document: &Node| {
                let places: [&[&str]; 3] =
                    [&["releases"], &["deploy", "helm", "releases"], &["manifests", "helm", "releases"]];
                let listed = places.into_iter().filter_map(|place| document.at(place));
                listed.flat_map(Node::items).cloned().collect::<Vec<Node>>()
            };
            let is_it = |release: &Node| {
                release.text_at(&["name"]) == Some(self.wanted.name)
                    && self.is_space(release.text_at(&["namespace"]))
            };
            let release = stream.documents.iter().flat_map(releases).find(is_it)?;
            let line = self.at(release.line, path);
            Some(format!(
                "{line} holds a release of Helm that is called {}; its values have the number",
                self.wanted.name
            ))
        })
    }

    /// A release of this name that Rancher Fleet makes of a chart.
    fn released_by_fleet(&self) -> Option<String> {
        let mut paths = self.world.manifests();
        paths.retain(|path| base_name(path) == FLEET);
        paths.iter().find_map(|path| {
            let stream = self.world.reading(path).ok()?;
            let is_it = |document: &&Node| {
                document.text_at(&["helm", "releaseName"]) == Some(self.wanted.name)
                    && self.is_space(fleet::namespace(document, false))
            };
            let line = self.at(stream.documents.iter().find(is_it)?.line, path);
            Some(format!("{line} makes a release of Helm that is called {}", self.wanted.name))
        })
    }

    /// A workload of this name among the resources of a program of Pulumi that is written in YAML.
    fn declared(&self) -> Option<String> {
        self.world.manifests().iter().find_map(|path| {
            let content = self.world.file(path).ok().flatten()?;
            if !says(&String::from_utf8_lossy(&content.bytes), |text| text.contains(PULUMI)) {
                return None;
            }
            let stream = self.world.reading(path).ok()?;
            let is_it = |resource: &&Node| {
                let metadata = resource.at(&["properties", "metadata"]);
                let said = |key: &str| metadata.and_then(|metadata| metadata.text_at(&[key]));
                resource.text_at(&["type"]).is_some_and(|sort| sort.starts_with(PULUMI))
                    && said("name") == Some(self.wanted.name)
                    && self.is_space(said("namespace"))
            };
            let all = stream.documents.iter().filter_map(|document| document.get("resources"));
            let resource = all.flat_map(Node::entries).map(|(_, resource)| resource).find(is_it)?;
            let (line, name) = (self.at(resource.line, path), self.wanted.name);
            Some(format!("{line} holds {name} as a resource of Pulumi; change its number there"))
        })
    }

    /// An entry of this name that stands for pods and has no number.
    fn pods_without_number(&self) -> Option<String> {
        let named = |object: &&Rendered| {
            let Object { group, kind, made, .. } = &*object.object;
            (has_no_number(group, kind) || !made.is_empty()) && self.stands_for_target(object)
        };
        let object = &self.built.objects.iter().find(named)?.object;
        Some(format!("{} holds {}, no {}", self.line_of(object), object.shown(), self.wanted.kinds.named()))
    }

    /// Whether an object without a number is called like the target, or makes what is, and may be for the namespace, or is where that
    /// must be stated.
    fn stands_for_target(&self, object: &Rendered) -> bool {
        let all = &object.object.made;
        let mut named = all.iter().filter(|made| made.names.iter().any(|name| name == self.wanted.name));
        let is_called = object.name() == self.wanted.name;
        if !self.wanted.said {
            let is_remote = is_remote_rule(&object.object);
            let is_here = |made: &Made| self.is_space(made.space.as_deref().or(object.namespace()));
            return (is_called && (self.is_here(object) || is_remote))
                || named.any(|made| is_remote || is_here(made));
        }
        let is_here = |space: Option<&str>| space.or(object.namespace()) == Some(self.wanted.namespace);
        // A deployer of a directory makes what is there, which is searched by itself, and a set of them nothing of its own name.
        let is_one =
            object.object.kind != "ApplicationSet" && !(all.is_empty() && is_remote_rule(&object.object));
        let by_its_own = || {
            let spaces = all.iter().map(|made| made.space.as_deref());
            let none = all.is_empty().then_some(None);
            is_called && is_one && spaces.chain(none).any(is_here)
        };
        named.any(|made| is_here(made.space.as_deref())) || by_its_own()
    }

    /// A workload that is part of another object.
    fn wrapped(&self) -> Option<String> {
        let texts = [self.wanted.name.to_owned()];
        for path in self.world.manifests() {
            let objects = self.world.objects(&path, &texts, self.wanted.kinds).unwrap_or_default();
            if objects.is_empty() {
                continue;
            }
            let stream = self.world.reading(&path).ok()?;
            for object in objects.iter() {
                let root = stream.documents.get(object.document).and_then(|root| root.walk(&object.path))?;
                if let Some(line) = self.inside(root, Level::Outermost) {
                    return Some(format!(
                        "{}, in {}, holds {}: what is written inside of another object is not edited",
                        self.at(line, &path),
                        object.shown(),
                        self.wanted.name
                    ));
                }
            }
        }
        None
    }

    fn inside(&self, node: &Node, level: Level) -> Option<usize> {
        let group = node.text_at(&["apiVersion"]).map(crate::kinds::group_of);
        if level != Level::Outermost
            && let (Some(group), Some(kind)) = (group, node.text_at(&["kind"]))
            && node.text_at(&["metadata", "name"]) == Some(self.wanted.name)
            && (!self.wanted.said || self.is_space(node.text_at(&["metadata", "namespace"])))
            && self.wanted.kinds.path(group, kind).is_some()
        {
            return Some(node.line);
        }
        if level != Level::Text
            && let Some(text) =
                node.text().filter(|text| text.contains("kind") && text.contains(self.wanted.name))
        {
            let stream = yaml::parse(text.as_bytes()).unwrap_or_default();
            let holds =
                |document: &Node| document.text().is_none() && self.inside(document, Level::Text).is_some();
            return stream.documents.iter().any(holds).then_some(node.line);
        }
        let values = node.entries().iter().map(|(_, value)| value).chain(node.items());
        let level = if level == Level::Text { level } else { Level::Within };
        values.into_iter().find_map(|value| self.inside(value, level))
    }

    /// The content of the directory, for messages.
    pub(crate) fn holds(&self, names: &[String]) -> String {
        let shown = self.world.paths();
        if let Some(pointer) = shown.iter().find(|path| {
            self.world.file(path).is_ok_and(|file| file.is_some_and(|content| is_pointer(&content.bytes)))
        }) {
            return format!(
                "{} is a Git LFS pointer, its content is not here (git lfs pull)",
                self.world.name(pointer)
            );
        }
        if let Some(chart) = shown.iter().find(|path| base_name(path) == CHART) {
            return format!(
                "{} makes it a Helm chart: the number is one of its values",
                self.world.name(chart)
            );
        }
        let mut found: Vec<String> = Vec::new();
        for path in self.world.manifests() {
            let objects = self.world.objects(&path, &[], self.wanted.kinds).unwrap_or_default();
            found.extend(objects.iter().map(|object| object.shown()));
        }
        if found.is_empty() {
            found = names.to_vec();
        }
        let more = found.len().saturating_sub(NAMED_MAX);
        found.truncate(NAMED_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        if found.is_empty() {
            "it is empty but for hidden files".to_owned()
        } else {
            format!("it holds {}{rest}", found.join(", "))
        }
    }
}

/// Whether a number of replicas stands anywhere in a node.
fn has_replicas(node: &Node) -> bool {
    let is_number = |key: &Node, value: &Node| {
        key.text() == Some("replicas") && value.text().is_some_and(|text| text.parse::<u32>().is_ok())
    };
    node.entries().iter().any(|(key, value)| is_number(key, value) || has_replicas(value))
        || node.items().iter().any(has_replicas)
}
