//! What one kustomization does to the objects that it brings in, in kustomize's order.

use super::{Builder, STEP, local};
use crate::PorchError;
use crate::files::parent;
use crate::kinds::is_counted;
use crate::patch::{Effect, Patch, selects};
use crate::rendered::{Number, Place, Rendered};
use crate::yaml::{self, Node, Step};

impl Builder<'_> {
    /// Applies the transformations in kustomize's order.
    pub(super) fn transform(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
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
        let listed = document.get("labels").map(Node::items).unwrap_or_default();
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
                self.spend(file, text.len())?;
                let inner = yaml::parse(text.as_bytes()).map_err(|error| {
                    let place = format!("{}:{}", self.world.name(file), node.line);
                    PorchError::unfit(place, format!("the patch {error}"))
                })?;
                let inline = Some((outer, node.line));
                for (number, document) in inner.documents.iter().enumerate() {
                    self.patch(&Patch { target, document, file, number, inline: inline.clone() }, objects)?;
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
            return local(file, text).map_or(Ok(()), |path| self.note_named(file, &path));
        }
        let Some(path) = self.named(file, text)? else {
            let concerned =
                |object: &&mut Rendered| target.is_none_or(|target| selects(target, object) != Some(false));
            self.absent("a patch", file, reference, objects.iter_mut().filter(concerned))?;
            return Ok(());
        };
        let inner = self.world.stream(&path)?;
        for (number, document) in inner.documents.iter().enumerate() {
            self.patch(&Patch { target, document, file: &path, number, inline: None }, objects)?;
        }
        Ok(())
    }

    fn patch(&mut self, patch: &Patch<'_>, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let read = patch.document.bytes.len() + patch.target.map_or(0, |target| target.bytes.len());
        self.spend(patch.file, objects.len() * (STEP + read / STEP))?;
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
        Ok(())
    }

    /// The `replicas` field.
    fn counts(&mut self, file: &str, document: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        let entries = document.get("replicas").map(Node::items).unwrap_or_default();
        for (number, entry) in entries.iter().enumerate() {
            let (Some(name), Some(count)) = (entry.text_at(&["name"]), entry.get("count")) else { continue };
            let path =
                vec![Step::Key("replicas".to_owned()), Step::Item(number), Step::Key("count".to_owned())];
            let place = Place { file: file.to_owned(), document: 0, path, inside: None, line: count.line };
            self.spend(file, (objects.len() + 1) * STEP + name.len() + file.len())?;
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
        Ok(())
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

    fn replacement(&mut self, file: &str, entry: &Node, objects: &mut [Rendered]) -> Result<(), PorchError> {
        self.spend(file, (objects.len() + 1) * (STEP + entry.bytes.len() / STEP))?;
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
        Ok(())
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
                self.absent("a transformer", file, entry, objects.iter_mut())?;
                continue;
            };
            self.spend(file, content.len() + objects.len() * (STEP + place.len()))?;
            let relabels = content.contains("abel");
            let counts = (content.contains("replica") || content.contains("Replica"))
                && self.texts.iter().any(|text| content.contains(text.as_str()));
            for object in objects.iter_mut() {
                object.relabelled |= relabels;
                if counts {
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
        self.note_named(file, &path)?;
        let whole = match self.world.named_kustomization(&path)? {
            Some(_) => self.world.paths().into_iter().filter(|other| parent(other) == path).collect(),
            None => vec![path.clone()],
        };
        let mut text = String::new();
        for one in whole {
            let Some(one) = self.named("", &one)? else { return Ok(None) };
            if let Some(content) = self.world.named(&one)? {
                self.spend(file, content.bytes.len())?;
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

fn dotted(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => key.clone(),
        Step::Item(item) => item.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}
