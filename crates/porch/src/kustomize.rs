//! kustomize's rendering of a package, as far as it concerns names, namespaces and numbers of replicas: the objects that
//! a kustomization brings in, their final names, and the last setting of their numbers.

use crate::PorchError;
use crate::files::{parent, resolve};
use crate::kinds::{Kinds, is_counted};
use crate::objects::Object;
use crate::patch::{Effect, Patch, Place, selects};
use crate::world::World;
use crate::yaml::{self, Node, Step};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The longest chain of kustomizations that is followed.
const DEPTH_MAX: usize = 16;

/// The place that decides the number of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    /// The object itself.
    Own,
    At(Place),
    /// An uneditable place; file, line and content.
    Elsewhere(String),
}

/// One rendered object.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub object: Rc<Object>,
    /// Its names so far, the final one last.
    pub names: Vec<String>,
    /// Its namespaces so far, the final one last; empty if none is stated.
    pub namespaces: Vec<String>,
    pub number: Number,
    /// The file and line of its last renaming or move.
    pub moved: Option<String>,
}

impl Rendered {
    /// An object that nothing has changed.
    pub(crate) fn plain(object: Rc<Object>) -> Self {
        let (names, namespaces) = (vec![object.name.clone()], object.namespace.clone().into_iter().collect());
        Self { object, names, namespaces, number: Number::Own, moved: None }
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    pub(crate) fn may_be_in(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|known| known == namespace)
    }

    /// Its final name.
    pub(crate) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Its final namespace, if stated.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespaces.last().map(String::as_str)
    }
}

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
    let mut builder = Builder { world, kinds, texts, built: Built::default() };
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
    let mut builder = Builder { world, kinds, texts, built: Built::default() };
    let objects = builder.directory(dir, 0)?;
    builder.built.objects = objects;
    Ok(builder.built)
}

struct Builder<'b> {
    world: &'b World<'b>,
    kinds: Kinds<'b>,
    texts: &'b [String],
    built: Built,
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
        let stream = self.world.stream(&file)?;
        let Some(document) = stream.documents.first() else { return Ok(()) };
        for reference in references(document, &["resources", "bases"]) {
            self.resource(&file, reference, objects, depth)?;
        }
        for reference in references(document, &["components"]) {
            let path = reference.text().and_then(|text| resolve(dir, text));
            match path.filter(|path| self.world.kustomization(path).is_ok_and(|found| found.is_some())) {
                Some(path) => self.apply(&path, objects, depth + 1)?,
                None => self.unknown(&file, reference),
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

    fn resource(
        &mut self,
        file: &str,
        reference: &Node,
        objects: &mut Vec<Rendered>,
        depth: usize,
    ) -> Result<(), PorchError> {
        let path = reference
            .text()
            .filter(|text| !text.contains("://"))
            .and_then(|text| resolve(parent(file), text));
        let Some(path) = path else {
            self.unknown(file, reference);
            return Ok(());
        };
        if self.world.file(&path)?.is_some() {
            self.built.named.insert(path.clone());
            objects.extend(self.world.objects(&path, self.texts)?.into_iter().map(Rendered::plain));
        } else if self.world.kustomization(&path)?.is_some() {
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
            let (target, inline, path) = match entry.text() {
                // A path, or the patch itself.
                Some(text) if text.contains('\n') || text.contains(": ") => {
                    (None, Some((outer, entry)), None)
                }
                Some(text) => (None, None, Some(text)),
                None => {
                    let inline =
                        entry.get("patch").filter(|node| node.text().is_some_and(|text| !text.is_empty()));
                    let mut outer = outer;
                    outer.push(Step::Key("patch".to_owned()));
                    (entry.get("target"), inline.map(|node| (outer, node)), entry.text_at(&["path"]))
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
            } else if let Some(path) = path.and_then(|path| resolve(parent(file), path)) {
                self.built.named.insert(path.clone());
                let inner = self.world.stream(&path)?;
                for (number, document) in inner.documents.iter().enumerate() {
                    self.patch(&Patch { target, document, file: &path, number, inline: None }, objects);
                }
            }
        }
        Ok(())
    }

    fn patch(&self, patch: &Patch<'_>, objects: &mut [Rendered]) {
        for object in objects {
            let Some(number) = self.kinds.path(&object.object.group, &object.object.kind) else { continue };
            let is_for = patch.is_for(object);
            if is_for == Some(false) {
                continue;
            }
            let shown = self.world.name(patch.file);
            match (patch.effect(&number), is_for) {
                (Effect::Nothing, _) => {}
                (Effect::Renames(name), _) => {
                    object.moved = Some(format!("{shown} makes it {name}"));
                    object.names.push(name);
                }
                (Effect::Sets(place), Some(_)) => object.number = Number::At(place),
                (Effect::Sets(place), None) => {
                    let reason = format!("{shown}:{} may set its replicas, by a selector", place.line);
                    object.number = Number::Elsewhere(reason);
                }
                (Effect::Decides(line, does), _) => {
                    object.number = Number::Elsewhere(format!("{shown}:{line} (a patch) {does}"));
                }
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
            let path = entry.text_at(&["path"]).and_then(|path| resolve(parent(file), path));
            let Some(path) = path else {
                self.replacement(file, entry, objects);
                continue;
            };
            self.built.named.insert(path.clone());
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
                let Some(path) = self.kinds.path(&object.object.group, &object.object.kind) else { continue };
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
            let path = resolve(parent(file), text).filter(|_| !text.contains('\n'));
            let (content, place) = match path {
                None => (text.to_owned(), format!("{}:{}", self.world.name(file), entry.line)),
                Some(path) => {
                    self.built.named.insert(path.clone());
                    let whole = match self.world.kustomization(&path)? {
                        Some(_) => {
                            self.world.paths().into_iter().filter(|other| parent(other) == path).collect()
                        }
                        None => vec![path.clone()],
                    };
                    let mut text = String::new();
                    for one in whole {
                        if let Some(content) = self.world.file(&one)? {
                            text.push_str(&String::from_utf8_lossy(&content.bytes));
                        }
                        self.built.named.insert(one);
                    }
                    (text, self.world.name(&path))
                }
            };
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
pub(crate) fn renames(world: &World<'_>, path: &str) -> Result<bool, PorchError> {
    let Some(content) = world.file(path)? else { return Ok(false) };
    let text = String::from_utf8_lossy(&content.bytes);
    Ok(["namePrefix", "nameSuffix", "/metadata/name"].iter().any(|key| text.contains(key)))
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
