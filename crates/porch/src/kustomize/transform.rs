//! What one kustomization does to the objects that it brings in, in kustomize's order.

use super::{Builder, STEP, local};
use crate::PorchError;
use crate::kinds::is_counted;
use crate::patch::{Effect, Patch, selects};
use crate::rendered::{Number, Place, Rendered};
use crate::rules::{Rule, each_of};
use crate::yaml::{self, Node, Step, keys};

/// What an entry of patches says besides the patch.
#[derive(Clone, Copy)]
struct Choice<'n> {
    target: Option<&'n Node>,
    options: Option<&'n Node>,
}

/// A field whose value is written to other places.
struct Source<'n> {
    line: usize,
    select: &'n Node,
    field: Option<&'n str>,
}

impl Builder<'_> {
    /// Applies the transformations in kustomize's order.
    pub(super) fn transform(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        self.configure(file, document)?;
        self.patches(file, document, "patchesStrategicMerge", objects)?;
        self.patches(file, document, "patches", objects)?;
        self.move_all(file, document, objects)?;
        self.rename_all(file, document, objects)?;
        self.label(file, document, objects)?;
        self.patches(file, document, "patchesJson6902", objects)?;
        self.counts(file, document, objects)?;
        self.replacements(file, document, objects)?;
        self.transformers(file, document, objects)
    }

    /// The `namespace` field.
    fn move_all(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let Some(node) = document.get("namespace") else { return Ok(()) };
        let Some(text) = node.text().filter(|text| !text.is_empty()) else { return Ok(()) };
        let moved = format!("{}:{} puts it into the namespace {text}", self.world.name(file), node.line);
        self.spend(file, objects.len() * (text.len() + moved.len()))?;
        for object in objects.iter_mut().filter(|object| object.namespace() != Some(text)) {
            object.namespaces.push(text.to_owned());
            object.moved = Some(moved.clone());
        }
        Ok(())
    }

    /// The `namePrefix` and `nameSuffix` fields.
    fn rename_all(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        let affix = |key: &str| document.text_at(&[key]).unwrap_or_default();
        let (prefix, suffix) = (affix("namePrefix"), affix("nameSuffix"));
        if prefix.is_empty() && suffix.is_empty() {
            return Ok(());
        }
        let keys = ["namePrefix", "nameSuffix"];
        let line = keys.iter().find_map(|key| document.get(key)).map_or(1, |node| node.line);
        let shown = self.world.name(file);
        for object in objects.iter_mut() {
            let new = format!("{prefix}{}{suffix}", object.name());
            self.spend(file, 2 * new.len() + shown.len())?;
            object.moved = Some(format!("{shown}:{line} makes it {new}"));
            object.names.push(new);
        }
        Ok(())
    }

    /// Adds the labels of a kustomization.
    fn label(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let listed = document.items_at(&["labels"]);
        let all =
            document.get("commonLabels").into_iter().chain(listed.iter().filter_map(|one| one.get("pairs")));
        for (key, value) in all.flat_map(Node::entries) {
            if let (Some(key), Some(value)) = (key.text(), value.text()) {
                self.spend(file, objects.len() * (STEP + key.len() + value.len()))?;
                for object in objects.iter_mut() {
                    object.labels.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn patches(
        &mut self,
        file: &str,
        document: &Node,
        key: &str,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        let entries = document.items_at(&[key]);
        for (number, entry) in entries.iter().enumerate() {
            let outer = vec![Step::Key(key.to_owned()), Step::Item(number)];
            let options = entry.get("options");
            let (target, inline, reference) = match entry.text() {
                // A path, or the patch itself.
                Some(text) if text.contains('\n') || text.contains(": ") => {
                    (None, Some((outer, entry)), None)
                }
                Some(_) => (None, None, Some(entry)),
                None => {
                    let inline =
                        entry.get("patch").filter(|node| node.text().is_some_and(|text| !text.is_empty()));
                    let mut outer = outer;
                    outer.push(Step::Key("patch".to_owned()));
                    (entry.get("target"), inline.map(|node| (outer, node)), entry.get("path"))
                }
            };
            if let Some((outer, node)) = inline {
                let text = node.text().unwrap_or_default();
                self.spend(file, text.len())?;
                let inner = yaml::parse_expanded(text.as_bytes()).map_err(|error| {
                    let place = format!("{}:{}", self.world.name(file), node.line);
                    PorchError::unfit(place, format!("the patch {error}"))
                })?;
                let inline = Some((outer, node.line));
                for (number, whole) in inner.documents.iter().enumerate() {
                    for (within, document) in each_of(whole) {
                        let inline = inline.clone();
                        let patch = Patch { target, document, file, number, inline, within, options };
                        self.patch(&patch, objects)?;
                    }
                }
            } else if let Some(reference) = reference {
                self.patch_file(file, reference, Choice { target, options }, objects)?;
            }
        }
        Ok(())
    }

    fn patch_file(
        &mut self,
        file: &str,
        reference: &Node,
        choice: Choice<'_>,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        let text = reference.text().unwrap_or_default();
        if !objects.iter().any(|object| self.number_of(object).is_some() || !object.rules().is_empty()) {
            return local(file, text).map_or(Ok(()), |path| self.note_named(file, &path));
        }
        let Some(path) = self.named(file, text)? else {
            let concerned = |object: &&mut Rendered| {
                choice.target.is_none_or(|target| selects(target, object) != Some(false))
            };
            self.absent("a patch", file, reference, objects.iter_mut().filter(concerned))?;
            return Ok(());
        };
        let inner = self.world.stream(&path)?;
        let Choice { target, options } = choice;
        for (number, whole) in inner.documents.iter().enumerate() {
            for (within, document) in each_of(whole) {
                let one = Patch { target, document, file: &path, number, inline: None, within, options };
                self.patch(&one, objects)?;
            }
        }
        Ok(())
    }

    fn patch(&mut self, patch: &Patch<'_>, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let read = patch.document.bytes.len() + patch.target.map_or(0, |target| target.bytes.len());
        self.spend(patch.file, objects.len() * (STEP + read / STEP))?;
        for object in objects {
            let number = self.number_of(object);
            if number.is_none() && object.rules().is_empty() {
                continue;
            }
            let is_for = patch.is_for(object);
            if is_for == Some(false) {
                continue;
            }
            if let Some(aims) = patch.aims(object.rules()) {
                object.aim(aims, is_for.is_some());
            }
            let Some(number) = number else { continue };
            let shown = self.world.name(patch.file);
            for effect in patch.effects(&number) {
                apply_effect(object, effect, is_for, &shown);
            }
        }
        Ok(())
    }

    /// The configurations of kustomize, which may add kinds to those that `replicas` sets. They count in what builds on this
    /// one too.
    fn configure(&mut self, file: &str, document: &Node) -> Result<(), PorchError> {
        for entry in document.items_at(&["configurations"]) {
            let Some(text) = entry.text() else { continue };
            let Some(path) = self.named(file, text)? else {
                let place = format!("{}:{} ({text})", self.world.name(file), entry.line);
                self.configured.get_or_insert(place);
                continue;
            };
            let stream = self.world.stream(&path)?;
            let listed = stream.documents.iter().filter_map(|document| document.get("replicas"));
            let is_number = |field: &&Node| field.text_at(&["path"]) == Some("spec/replicas");
            let kinds = listed.flat_map(Node::items).filter(is_number);
            self.counted.extend(kinds.filter_map(|field| field.text_at(&["kind"]).map(str::to_owned)));
        }
        Ok(())
    }

    /// The `replicas` field.
    fn counts(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let entries = document.items_at(&["replicas"]);
        for (number, entry) in entries.iter().enumerate() {
            let Some(name) = entry.text_at(&["name"]) else { continue };
            let path =
                vec![Step::Key("replicas".to_owned()), Step::Item(number), Step::Key("count".to_owned())];
            let line = entry.get("count").unwrap_or(entry).line;
            let place = Place { file: file.to_owned(), document: 0, path, inside: None, line };
            let shown = format!("{}:{line}", self.world.name(file));
            self.spend(file, (objects.len() + 1) * STEP + name.len() + file.len())?;
            let mut used = false;
            for object in objects.iter_mut().filter(|object| object.is_called(name)) {
                if is_counted(&object.object.kind) || self.counted.contains(&object.object.kind) {
                    object.number = match entry.get("count") {
                        Some(_) => Number::At(place.clone()),
                        None => {
                            Number::Elsewhere(format!("{shown} sets its replicas to 0, for want of a count"))
                        }
                    };
                    used = true;
                } else if let Some(configured) =
                    self.configured.as_ref().filter(|_| self.number_of(object).is_some())
                {
                    let reason = format!("{shown} sets its replicas, if {configured} has its kind");
                    object.number = Number::Elsewhere(reason);
                }
            }
            if !used && entry.get("count").is_some() {
                self.built.loose.push((name.to_owned(), place));
            }
        }
        Ok(())
    }

    /// Applies replacements and variables, which write a value from another place.
    fn replacements(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        for entry in document.items_at(&["vars"]) {
            if let Some(named) = entry.get("objref") {
                let field = entry.text_at(&["fieldref", "fieldpath"]);
                self.source(file, &Source { line: entry.line, select: named, field }, objects);
            }
        }
        for entry in document.items_at(&["replacements"]) {
            let Some(reference) = entry.get("path") else {
                self.replacement(file, entry, objects)?;
                continue;
            };
            let Some(path) = self.named(file, reference.text().unwrap_or_default())? else {
                self.absent("a replacement", file, reference, objects.iter_mut())?;
                continue;
            };
            let stream = self.world.stream(&path)?;
            for document in &stream.documents {
                let all = if document.items().is_empty() {
                    std::slice::from_ref(document)
                } else {
                    document.items()
                };
                for entry in all {
                    self.replacement(&path, entry, objects)?;
                }
            }
        }
        Ok(())
    }

    /// A number that is written to another place too is not changed: both would differ.
    fn source(&self, file: &str, source: &Source<'_>, objects: &mut [Rendered]) {
        let place = format!("{}:{}", self.world.name(file), source.line);
        for object in objects.iter_mut() {
            let taken = |path: Vec<Step>| source.field.is_some_and(|field| leads_to(field, &path));
            if self.number_of(object).is_some_and(taken) && selects(source.select, object) != Some(false) {
                object.number = Number::Elsewhere(format!("{place} takes its replicas to another field"));
            }
        }
    }

    fn replacement(&mut self, file: &str, entry: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        self.spend(file, (objects.len() + 1) * (STEP + entry.bytes.len() / STEP))?;
        if let Some(source) = entry.get("source") {
            let field = source.text_at(&["fieldPath"]);
            self.source(file, &Source { line: source.line, select: source, field }, objects);
        }
        for target in entry.items_at(&["targets"]) {
            let Some(select) = target.get("select") else { continue };
            let fields = target.items_at(&["fieldPaths"]);
            // What kustomize replaces where no field is named.
            let fields: Vec<&str> = match fields {
                [] => vec!["metadata.name"],
                fields => fields.iter().filter_map(Node::text).collect(),
            };
            let rejects = target.items_at(&["reject"]);
            let is_rejected =
                |object: &Rendered| rejects.iter().any(|reject| selects(reject, object) == Some(true));
            for object in objects.iter_mut() {
                let path = self.number_of(object);
                let is_aimed = object.rules().iter().any(|rule| Parts::of(rule, &fields).any());
                if (path.is_none() && !is_aimed)
                    || selects(select, object) == Some(false)
                    || is_rejected(object)
                {
                    continue;
                }
                if is_aimed {
                    aim(object, entry.get("source"), &fields);
                }
                let Some(path) = path else { continue };
                let place = || format!("{}:{} (a replacement)", self.world.name(file), target.line);
                if fields.iter().any(|field| leads_to(field, &path)) {
                    object.number = Number::Elsewhere(format!("{} sets its replicas", place()));
                }
                let identity = ["kind", "metadata.name", "metadata.namespace"].map(keys);
                if fields.iter().any(|field| identity.iter().any(|path| leads_to(field, path))) {
                    object.lost = Some(format!("{} makes another object of it", place()));
                }
            }
        }
        Ok(())
    }
}

/// What some fields write of the object that another one scales.
struct Parts {
    name: bool,
    kind: bool,
}

impl Parts {
    fn of(rule: &Rule, fields: &[&str]) -> Self {
        let writes = |part: &str| {
            rule.field.is_some_and(|named| {
                let path = keys(&format!("spec.{named}.{part}"));
                fields.iter().any(|field| leads_to(field, &path))
            })
        };
        Self { name: writes("name"), kind: writes("kind") }
    }

    fn any(&self) -> bool {
        self.name || self.kind
    }
}

/// Gives an autoscaler the object that a replacement takes the name of, or any where it takes something else.
fn aim(object: &mut Rendered, source: Option<&Node>, fields: &[&str]) {
    let said = |key: &str| source.and_then(|source| source.text_at(&[key])).filter(|text| !text.is_empty());
    let is_name = said("fieldPath").is_none_or(|path| path == "metadata.name");
    let name = said("name").filter(|_| is_name);
    let mut rules = object.rules().to_vec();
    for rule in &mut rules {
        let parts = Parts::of(rule, fields);
        match name.filter(|_| parts.name) {
            Some(name) => rule.aim(None, Some(name)),
            None if parts.name => rule.aim_at_any_name(),
            None => {}
        }
        if parts.kind {
            rule.aim_at_any_kind();
        }
    }
    object.aim(rules, false);
}

fn apply_effect(object: &mut Rendered, effect: Effect, is_for: Option<bool>, file: &str) {
    match effect {
        Effect::Renames(name) => {
            object.moved = Some(format!("{file} makes it {name}"));
            object.names.push(name);
        }
        Effect::Moves(namespace) => {
            object.moved = Some(format!("{file} puts it into the namespace {namespace}"));
            object.namespaces.push(namespace);
        }
        Effect::Loses(line, does) => object.lost = Some(format!("{file}:{line} (a patch) {does}")),
        Effect::Relabels => object.relabelled = true,
        Effect::Sets(place) if is_for.is_some() => object.number = Number::At(place),
        Effect::Sets(place) => {
            let reason = format!("{file}:{} may set its replicas, by a selector", place.line);
            object.number = Number::Elsewhere(reason);
        }
        Effect::Decides(line, does) => {
            object.number = Number::Elsewhere(format!("{file}:{line} (a patch) {does}"));
        }
    }
}

/// Whether a field of a replacement is at a path or above it. An asterisk is any step.
fn leads_to(field: &str, path: &[Step]) -> bool {
    let mut steps = path.iter();
    field.split('.').all(|part| match steps.next() {
        Some(Step::Key(key)) => part == "*" || part == key,
        Some(Step::Item(_)) => true,
        None => false,
    })
}
