//! kustomize's rendering of a package, as far as it concerns names, namespaces and numbers of replicas: the objects that
//! a kustomization brings in, their final names, and the last setting of their numbers.

use crate::PorchError;
use crate::files::{parent, resolve};
use crate::kinds::{Kinds, is_counted};
use crate::patch::{Effect, Patch, selects};
use crate::rendered::{Number, Place, Rendered};
use crate::world::{World, is_pointer};
use crate::yaml::{self, Node, Step};
use std::collections::BTreeSet;

/// Where a JSON patch changes a name.
const NAME_POINTER: &str = "/metadata/name";
/// The longest chain of kustomizations that is followed.
const DEPTH_MAX: usize = 16;
/// The largest number of kustomizations that one brings in, each counted as often as it is named.
const BUILT_MAX: usize = 1_000;

/// All objects that the kustomizations of a package bring in.
#[derive(Default)]
pub(crate) struct Built {
    pub objects: Vec<Rendered>,
    /// Files named as resources, patches or otherwise: none of them is an object by itself.
    pub named: BTreeSet<String>,
    /// References to unreadable places: file, line and reference.
    pub unknown: Vec<String>,
    /// `replicas` entries without an object here: the name, and the place of the number.
    pub loose: Vec<(String, Place)>,
}

/// Builds every kustomization of the package that no other one brings in.
pub(crate) fn build(world: &World<'_>, kinds: Kinds<'_>, texts: &[String]) -> Result<Built, PorchError> {
    let mut builder = Builder { world, kinds, texts, built: Built::default(), count: 0 };
    let mut roots = Vec::new();
    let mut inner = BTreeSet::new();
    for path in world.paths() {
        let dir = parent(&path);
        if world.kustomization(dir)?.as_ref() != Some(&path) {
            continue;
        }
        builder.built.named.insert(path.clone());
        let stream = world.stream(&path)?;
        let Some(document) = stream.documents.first() else { continue };
        let others = ["resources", "bases", "components"].iter().filter_map(|key| document.get(key));
        let others = others.flat_map(Node::items).filter_map(Node::text);
        inner.extend(others.filter_map(|reference| resolve(dir, reference)));
        if document.text_at(&["kind"]) != Some("Component") {
            roots.push(dir.to_owned());
        }
    }
    for root in roots.into_iter().filter(|root| !inner.contains(root)) {
        builder.count = 0;
        let objects = builder.directory(&root, 0)?;
        builder.built.objects.extend(objects);
    }
    Ok(builder.built)
}

/// Builds the one kustomization of a directory, if it has one.
pub(crate) fn build_one(
    world: &World<'_>,
    kinds: Kinds<'_>,
    texts: &[String],
    dir: &str,
) -> Result<Built, PorchError> {
    let mut builder = Builder { world, kinds, texts, built: Built::default(), count: 0 };
    let objects = builder.directory(dir, 0)?;
    builder.built.objects = objects;
    Ok(builder.built)
}

struct Builder<'b> {
    world: &'b World<'b>,
    kinds: Kinds<'b>,
    texts: &'b [String],
    built: Built,
    /// The kustomizations applied for one root.
    count: usize,
}

impl Builder<'_> {
    fn directory(&mut self, dir: &str, depth: usize) -> Result<Vec<Rendered>, PorchError> {
        let mut objects = Vec::new();
        self.apply(dir, &mut objects, depth)?;
        Ok(objects)
    }

    /// Applies one kustomization to the existing objects.
    fn apply(&mut self, dir: &str, objects: &mut Vec<Rendered>, depth: usize) -> Result<(), PorchError> {
        let Some(file) = self.world.kustomization(dir)? else { return Ok(()) };
        if depth > DEPTH_MAX {
            return Err(PorchError::unfit(self.world.name(&file), "leads to itself, or too deep"));
        }
        self.count += 1;
        if self.count > BUILT_MAX {
            let reason = format!("leads to more than {BUILT_MAX} kustomizations");
            return Err(PorchError::unfit(self.world.name(&file), reason));
        }
        let stream = self.world.stream(&file)?;
        let Some(document) = stream.documents.first() else { return Ok(()) };
        for reference in references(document, &["resources", "bases"]) {
            self.resource(&file, reference, objects, depth)?;
        }
        for reference in references(document, &["components"]) {
            let path = reference.text().and_then(|text| local(&file, text));
            let found = match &path {
                Some(path) => self.world.named_kustomization(path)?,
                None => None,
            };
            if let (Some(path), Some(_)) = (path, found) {
                self.apply(&path, objects, depth + 1)?;
            } else {
                self.unknown(&file, reference);
                self.absent("a component", &file, reference, objects.iter_mut());
            }
        }
        for key in ["helmCharts", "helmChartInflationGenerator", "generators"] {
            if let Some(node) = document.get(key).filter(|node| !node.items().is_empty()) {
                self.built.unknown.push(format!("{}:{} ({key})", self.world.name(&file), node.line));
            }
        }
        self.transform(&file, document, objects)
    }

    fn unknown(&mut self, file: &str, reference: &Node) {
        let text = reference.text().unwrap_or_default();
        self.built.unknown.push(format!("{}:{} ({text})", self.world.name(file), reference.line));
    }

    /// Notes that something named is not here, or cannot be read, and may set the number of the objects.
    fn absent<'o>(
        &self,
        what: &str,
        file: &str,
        reference: &Node,
        objects: impl Iterator<Item = &'o mut Rendered>,
    ) {
        let text = reference.text().unwrap_or_default();
        let place = format!("{}:{}", self.world.name(file), reference.line);
        for object in objects.filter(|object| self.number_of(object).is_some()) {
            object.number = Number::Elsewhere(format!(
                "{place} names {what} that is not here ({text}) and may set its replicas"
            ));
        }
    }

    /// The place of the number in such an object.
    fn number_of(&self, object: &Rendered) -> Option<Vec<Step>> {
        self.kinds.path(&object.object.group, &object.object.kind)
    }

    /// The path of a file named by a kustomization, if it is here and has its content.
    fn named(&mut self, file: &str, reference: &str) -> Result<Option<String>, PorchError> {
        let Some(path) = local(file, reference) else { return Ok(None) };
        self.built.named.insert(path.clone());
        let content = self.world.named(&path)?;
        Ok(content.filter(|content| !is_pointer(&content.bytes)).map(|_| path))
    }

    fn resource(
        &mut self,
        file: &str,
        reference: &Node,
        objects: &mut Vec<Rendered>,
        depth: usize,
    ) -> Result<(), PorchError> {
        let Some(path) = reference.text().and_then(|text| local(file, text)) else {
            self.unknown(file, reference);
            return Ok(());
        };
        // What does not mention the target matters only where a kustomization may give it that name.
        if self.world.is_silent(&path) && !self.texts.is_empty() {
            self.built.named.insert(path);
        } else if self.world.named(&path)?.is_some() {
            self.built.named.insert(path.clone());
            objects.extend(self.world.objects(&path, self.texts)?.into_iter().map(Rendered::plain));
        } else if self.world.named_kustomization(&path)?.is_some() {
            let inner = self.directory(&path, depth + 1)?;
            objects.extend(inner);
        } else {
            self.unknown(file, reference);
        }
        Ok(())
    }

    /// Applies the transformations in kustomize's order.
    fn transform(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        self.patches(file, document, "patchesStrategicMerge", objects)?;
        self.patches(file, document, "patches", objects)?;
        if let Some(node) = document.get("namespace")
            && let Some(text) = node.text().filter(|text| !text.is_empty())
        {
            for object in objects.iter_mut().filter(|object| object.namespace() != Some(text)) {
                object.namespaces.push(text.to_owned());
                object.moved = Some(format!(
                    "{}:{} puts it into the namespace {text}",
                    self.world.name(file),
                    node.line
                ));
            }
        }
        let affix = |key: &str| document.text_at(&[key]).unwrap_or_default();
        let (prefix, suffix) = (affix("namePrefix"), affix("nameSuffix"));
        if !prefix.is_empty() || !suffix.is_empty() {
            let line = ["namePrefix", "nameSuffix"]
                .iter()
                .find_map(|key| document.get(key))
                .map_or(1, |node| node.line);
            for object in objects.iter_mut() {
                let new = format!("{prefix}{}{suffix}", object.name());
                object.moved = Some(format!("{}:{line} makes it {new}", self.world.name(file)));
                object.names.push(new);
            }
        }
        label(document, objects);
        self.patches(file, document, "patchesJson6902", objects)?;
        self.counts(file, document, objects);
        self.replacements(file, document, objects)?;
        self.transformers(file, document, objects)
    }

    fn patches(
        &mut self,
        file: &str,
        document: &Node,
        key: &str,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        let entries = document.get(key).map(Node::items).unwrap_or_default();
        for (number, entry) in entries.iter().enumerate() {
            let outer = vec![Step::Key(key.to_owned()), Step::Item(number)];
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
                let inner = yaml::parse(text.as_bytes()).map_err(|error| {
                    let place = format!("{}:{}", self.world.name(file), node.line);
                    PorchError::unfit(place, format!("the patch {error}"))
                })?;
                let inline = Some((outer, node.line));
                for (number, document) in inner.documents.iter().enumerate() {
                    self.patch(&Patch { target, document, file, number, inline: inline.clone() }, objects);
                }
            } else if let Some(reference) = reference {
                self.patch_file(file, reference, target, objects)?;
            }
        }
        Ok(())
    }

    fn patch_file(
        &mut self,
        file: &str,
        reference: &Node,
        target: Option<&Node>,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        let text = reference.text().unwrap_or_default();
        if !objects.iter().any(|object| self.number_of(object).is_some()) {
            self.built.named.extend(local(file, text));
            return Ok(());
        }
        let Some(path) = self.named(file, text)? else {
            let concerned =
                |object: &&mut Rendered| target.is_none_or(|target| selects(target, object) != Some(false));
            self.absent("a patch", file, reference, objects.iter_mut().filter(concerned));
            return Ok(());
        };
        let inner = self.world.stream(&path)?;
        for (number, document) in inner.documents.iter().enumerate() {
            self.patch(&Patch { target, document, file: &path, number, inline: None }, objects);
        }
        Ok(())
    }

    fn patch(&self, patch: &Patch<'_>, objects: &mut [Rendered]) {
        for object in objects {
            let Some(number) = self.number_of(object) else { continue };
            let is_for = patch.is_for(object);
            if is_for == Some(false) {
                continue;
            }
            let shown = self.world.name(patch.file);
            for effect in patch.effects(&number) {
                apply_effect(object, effect, is_for, &shown);
            }
        }
    }
    /// The `replicas` field.
    fn counts(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) {
        let entries = document.get("replicas").map(Node::items).unwrap_or_default();
        for (number, entry) in entries.iter().enumerate() {
            let (Some(name), Some(count)) = (entry.text_at(&["name"]), entry.get("count")) else { continue };
            let path =
                vec![Step::Key("replicas".to_owned()), Step::Item(number), Step::Key("count".to_owned())];
            let place = Place { file: file.to_owned(), document: 0, path, inside: None, line: count.line };
            let mut used = false;
            for object in objects.iter_mut() {
                if object.is_called(name) && is_counted(&object.object.kind) {
                    object.number = Number::At(place.clone());
                    used = true;
                }
            }
            if !used {
                self.built.loose.push((name.to_owned(), place));
            }
        }
    }

    /// Applies replacements, which write a value from another place.
    fn replacements(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        for entry in document.get("replacements").map(Node::items).unwrap_or_default() {
            let Some(reference) = entry.get("path") else {
                self.replacement(file, entry, objects);
                continue;
            };
            let Some(path) = self.named(file, reference.text().unwrap_or_default())? else {
                self.absent("a replacement", file, reference, objects.iter_mut());
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
                    self.replacement(&path, entry, objects);
                }
            }
        }
        Ok(())
    }

    fn replacement(&self, file: &str, entry: &Node, objects: &mut [Rendered]) {
        for target in entry.get("targets").map(Node::items).unwrap_or_default() {
            let fields = target.get("fieldPaths").map(Node::items).unwrap_or_default();
            let Some(select) = target.get("select") else { continue };
            for object in objects.iter_mut() {
                let Some(path) = self.number_of(object) else { continue };
                let dotted = dotted(&path);
                let writes = fields.iter().any(|field| field.text() == Some(&dotted));
                if writes && selects(select, object) != Some(false) {
                    let place = format!("{}:{}", self.world.name(file), target.line);
                    object.number = Number::Elsewhere(format!("{place} (a replacement) sets its replicas"));
                }
            }
        }
    }

    /// Plugins of kustomize in files of their own, or written inline.
    fn transformers(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        for entry in document.get("transformers").map(Node::items).unwrap_or_default() {
            let Some(text) = entry.text() else { continue };
            let (content, place) = if text.contains('\n') {
                (text.to_owned(), format!("{}:{}", self.world.name(file), entry.line))
            } else if let Some(found) = self.transformer(file, text)? {
                found
            } else {
                self.absent("a transformer", file, entry, objects.iter_mut());
                continue;
            };
            for object in objects.iter_mut().filter(|_| content.contains("abel")) {
                object.relabelled = true;
            }
            for object in
                objects.iter_mut().filter(|_| content.contains("replica") || content.contains("Replica"))
            {
                if self.texts.iter().any(|text| content.contains(text.as_str())) {
                    object.number =
                        Number::Elsewhere(format!("{place} (a transformer) may set its replicas"));
                }
            }
        }
        Ok(())
    }

    /// The text of a transformer that is named, in a file or a directory, and its place.
    fn transformer(&mut self, file: &str, reference: &str) -> Result<Option<(String, String)>, PorchError> {
        let Some(path) = local(file, reference) else { return Ok(None) };
        self.built.named.insert(path.clone());
        let whole = match self.world.named_kustomization(&path)? {
            Some(_) => self.world.paths().into_iter().filter(|other| parent(other) == path).collect(),
            None => vec![path.clone()],
        };
        let mut text = String::new();
        for one in whole {
            let Some(one) = self.named("", &one)? else { return Ok(None) };
            if let Some(content) = self.world.named(&one)? {
                text.push_str(&String::from_utf8_lossy(&content.bytes));
            }
        }
        Ok(Some((text, self.world.name(&path))))
    }
}

fn apply_effect(object: &mut Rendered, effect: Effect, is_for: Option<bool>, file: &str) {
    match effect {
        Effect::Renames(name) => {
            object.moved = Some(format!("{file} makes it {name}"));
            object.names.push(name);
        }
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

/// Adds the labels of a kustomization.
fn label(document: &Node, objects: &mut [Rendered]) {
    let listed = document.get("labels").map(Node::items).unwrap_or_default();
    let all =
        document.get("commonLabels").into_iter().chain(listed.iter().filter_map(|one| one.get("pairs")));
    for (key, value) in all.flat_map(Node::entries) {
        if let (Some(key), Some(value)) = (key.text(), value.text()) {
            for object in objects.iter_mut() {
                object.labels.push((key.to_owned(), value.to_owned()));
            }
        }
    }
}

/// The path of what a file names, if it can be in the tree.
fn local(file: &str, reference: &str) -> Option<String> {
    if reference.contains("://") { None } else { resolve(parent(file), reference) }
}

fn references<'n>(document: &'n Node, keys: &[&str]) -> Vec<&'n Node> {
    keys.iter().filter_map(|key| document.get(key)).flat_map(Node::items).collect()
}

fn dotted(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => key.clone(),
        Step::Item(item) => item.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// The names that a target may have before the package's kustomizations change it; an empty list for any name.
pub(crate) fn texts(world: &World<'_>, name: &str) -> Result<Vec<String>, PorchError> {
    for path in world.paths() {
        if world.kustomization(parent(&path))?.as_ref() == Some(&path) && renames(world, &path)? {
            return Ok(Vec::new());
        }
    }
    Ok(vec![name.to_owned()])
}

/// Whether a kustomization changes names by itself or by a patch.
fn renames(world: &World<'_>, path: &str) -> Result<bool, PorchError> {
    let Some(content) = world.file(path)? else { return Ok(false) };
    let text = String::from_utf8_lossy(&content.bytes);
    if ["namePrefix", "nameSuffix", NAME_POINTER].iter().any(|key| text.contains(key)) {
        return Ok(true);
    }
    let stream = world.stream(path)?;
    let Some(document) = stream.documents.first() else { return Ok(false) };
    for entry in references(document, &["patches", "patchesJson6902"]) {
        let named = match entry.text_at(&["path"]).and_then(|reference| local(path, reference)) {
            Some(file) => world.named(&file)?,
            None => None,
        };
        if named.is_some_and(|content| String::from_utf8_lossy(&content.bytes).contains(NAME_POINTER)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The directories above a package that have a kustomization.
pub(crate) fn above(world: &World<'_>) -> Vec<String> {
    let mut dirs = Vec::new();
    let mut dir = world.dir.as_str();
    while !dir.is_empty() {
        dir = parent(dir);
        if world.kustomization(dir).is_ok_and(|found| found.is_some()) {
            dirs.push(dir.to_owned());
        }
    }
    dirs
}
