//! kustomize's rendering of a package, as far as it concerns names, namespaces and numbers of replicas: the objects that
//! a kustomization brings in, their final names, and the last setting of their numbers.

mod texts;
mod transform;
mod transformers;

pub(crate) use texts::texts;

use crate::PorchError;
use crate::files::{parent, resolve};
use crate::kinds::Kinds;
use crate::rendered::{Number, Place, Rendered};
use crate::survey::is_pointer;
use crate::world::World;
use crate::yaml::{Node, Step};
use std::cell::Cell;
use std::collections::BTreeSet;

/// The longest chain of kustomizations that is followed.
const DEPTH_MAX: usize = 16;
/// The largest number of kustomizations that one brings in, each counted as often as it is named.
const BUILT_MAX: usize = 1_000;
/// What one build may take, in bytes: what it keeps of names, objects and settings, and [`STEP`] for each step.
pub(crate) const SPENT_MAX: usize = 32 << 20;
/// The price of one step.
const STEP: usize = 16;
/// The price of one object, besides its names.
const OBJECT: usize = 512;
/// The price of one reference, besides its path.
const REFERENCE: usize = 64;

/// All objects that the kustomizations of a package bring in.
#[derive(Default)]
pub(crate) struct Built {
    pub objects: Vec<Rendered>,
    /// Files named as resources, patches or otherwise: none of them is an object by itself.
    pub named: BTreeSet<String>,
    /// The references to places that are not here or cannot be read: the kustomization, and the file, line and reference for a
    /// message.
    pub absent: Vec<(String, String)>,
    /// `replicas` entries without an object here: the name, and the place of the number.
    pub loose: Vec<(String, Place)>,
}

/// What kustomizations are built of, and what is left of [`SPENT_MAX`] for building them.
#[derive(Clone, Copy)]
pub(crate) struct Site<'s> {
    pub world: &'s World<'s>,
    pub kinds: Kinds<'s>,
    pub texts: &'s [String],
    pub left: &'s Cell<usize>,
}

impl<'s> Site<'s> {
    /// Builds every kustomization of the package that no other one brings in.
    pub(crate) fn build(self) -> Result<Built, PorchError> {
        self.with(|builder| {
            let world = builder.world;
            for root in builder.roots()? {
                builder.count = 0;
                match builder.directory(&root, 0) {
                    Ok(objects) => builder.built.objects.extend(objects),
                    Err(error) => world.pardon(error)?,
                }
            }
            Ok(std::mem::take(&mut builder.built))
        })
    }

    /// Builds the one kustomization of a directory, if it has one.
    pub(crate) fn directory(self, dir: &str) -> Result<Built, PorchError> {
        self.with(|builder| {
            let objects = builder.directory(dir, 0)?;
            Ok(Built { objects, ..std::mem::take(&mut builder.built) })
        })
    }

    /// An object as it is with a component besides; `None` if that is not here.
    pub(crate) fn component(self, dir: &str, object: &Rendered) -> Result<Option<Rendered>, PorchError> {
        if self.world.named_kustomization(dir)?.is_none() {
            return Ok(None);
        }
        self.with(|builder| {
            let mut objects = vec![object.clone()];
            builder.apply(dir, &mut objects, 0)?;
            Ok(objects.into_iter().next())
        })
    }

    fn with<T>(self, work: impl FnOnce(&mut Builder<'s>) -> Result<T, PorchError>) -> Result<T, PorchError> {
        let mut builder = Builder::new(self);
        let done = work(&mut builder);
        self.left.set(builder.left);
        done
    }
}

struct Builder<'b> {
    world: &'b World<'b>,
    kinds: Kinds<'b>,
    texts: &'b [String],
    /// The kinds that configurations of kustomize add to those that `replicas` sets.
    counted: BTreeSet<String>,
    /// A configuration that is not here, which may add some: file, line and reference.
    configured: Option<String>,
    built: Built,
    /// The kustomizations applied for one root.
    count: usize,
    /// The rest of [`SPENT_MAX`].
    left: usize,
}

impl<'b> Builder<'b> {
    fn new(site: Site<'b>) -> Self {
        let Site { world, kinds, texts, left } = site;
        let (counted, configured) = (BTreeSet::new(), None);
        let built = Built::default();
        Self { world, kinds, texts, counted, configured, built, count: 0, left: left.get() }
    }

    /// The directories of the package with a kustomization that no other one brings in.
    fn roots(&mut self) -> Result<Vec<String>, PorchError> {
        let (mut roots, mut components, mut inner) = (Vec::new(), Vec::new(), BTreeSet::new());
        for path in self.world.paths() {
            let dir = parent(&path);
            if self.world.kustomization(dir)?.as_ref() != Some(&path) {
                continue;
            }
            self.built.named.insert(path.clone());
            let stream = self.world.stream(&path)?;
            let Some(document) = stream.documents.first() else { continue };
            let others = references(document, &["resources", "bases", "components"]);
            inner.extend(
                others.into_iter().filter_map(Node::text).filter_map(|reference| resolve(dir, reference)),
            );
            let is_component = document.text_at(&["kind"]) == Some("Component");
            if is_component { &mut components } else { &mut roots }.push(dir.to_owned());
        }
        // Where there is nothing else, a component is what others build on.
        if roots.is_empty() {
            roots = components;
        }
        roots.retain(|root| !inner.contains(root));
        Ok(roots)
    }

    /// Counts what a file costs. Files that name each other often would otherwise take any time and memory.
    fn spend(&mut self, file: &str, price: usize) -> Result<(), PorchError> {
        self.left = self.left.checked_sub(price).ok_or_else(|| {
            let reason = format!(
                "leads to more than {} MiB of names, objects and settings, each counted as often as it is used",
                SPENT_MAX >> 20
            );
            PorchError::unfit(self.world.name(file), reason)
        })?;
        Ok(())
    }

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
        self.spend(&file, REFERENCE + document.bytes.len() / STEP)?;
        for reference in references(document, &["resources", "bases"]) {
            self.resource(&file, reference, objects, depth)?;
        }
        for reference in references(document, &["components"]) {
            self.spend(&file, REFERENCE)?;
            let path = reference.text().and_then(|text| local(&file, text));
            let found = match &path {
                Some(path) => self.world.named_kustomization(path)?,
                None => None,
            };
            if let (Some(path), Some(_)) = (path, found) {
                self.apply(&path, objects, depth + 1)?;
            } else {
                self.unknown(&file, reference)?;
                self.absent("a component", &file, reference, objects.iter_mut())?;
            }
        }
        for key in ["helmCharts", "helmChartInflationGenerator", "generators"] {
            if let Some(node) = document.get(key).filter(|node| !node.items().is_empty()) {
                self.not_here(&file, node.line, key)?;
            }
        }
        self.transform(&file, document, objects)
    }

    fn unknown(&mut self, file: &str, reference: &Node) -> Result<(), PorchError> {
        self.not_here(file, reference.line, reference.text().unwrap_or_default())
    }

    fn not_here(&mut self, file: &str, line: usize, what: &str) -> Result<(), PorchError> {
        let text = format!("{}:{line} ({what})", self.world.name(file));
        self.spend(file, REFERENCE + file.len() + text.len())?;
        self.built.absent.push((file.to_owned(), text));
        Ok(())
    }

    /// Notes that something named is not here, or cannot be read, and may set the number of the objects.
    fn absent<'o>(
        &mut self,
        what: &str,
        file: &str,
        reference: &Node,
        objects: impl Iterator<Item = &'o mut Rendered>,
    ) -> Result<(), PorchError> {
        let text = reference.text().unwrap_or_default();
        let place = format!("{}:{}", self.world.name(file), reference.line);
        let reason = format!("{place} names {what} that is not here ({text}) and may set its replicas");
        for object in objects {
            self.spend(file, STEP + reason.len())?;
            if self.number_of(object).is_some() {
                object.number = Number::Elsewhere(reason.clone());
            }
        }
        Ok(())
    }

    /// Notes that a kustomization names a file, which is no object by itself then.
    fn note_named(&mut self, file: &str, path: &str) -> Result<(), PorchError> {
        self.spend(file, REFERENCE + path.len())?;
        self.built.named.insert(path.to_owned());
        Ok(())
    }

    /// The place of the number in such an object.
    fn number_of(&self, object: &Rendered) -> Option<Vec<Step>> {
        self.kinds.path(&object.object.group, &object.object.kind)
    }

    /// The path of a file named by a kustomization, if it is here and has its content.
    fn named(&mut self, file: &str, reference: &str) -> Result<Option<String>, PorchError> {
        let Some(path) = local(file, reference) else { return Ok(None) };
        self.note_named(file, &path)?;
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
            self.unknown(file, reference)?;
            return Ok(());
        };
        self.note_named(file, &path)?;
        // What does not mention the target matters only where a kustomization may give it that name.
        if self.world.is_silent(&path) && !self.texts.is_empty() {
            return Ok(());
        }
        if self.world.named(&path)?.is_some() {
            let all = self.world.objects(&path, self.texts, self.kinds)?;
            let kinds = self.kinds;
            for object in all.iter().filter(|object| object.matters(kinds)) {
                let names = object.name.len() + object.namespace.as_ref().map_or(0, String::len);
                self.spend(file, OBJECT + names)?;
                objects.push(Rendered::plain(object.clone()));
            }
        } else if self.world.named_kustomization(&path)?.is_some() {
            let inner = self.directory(&path, depth + 1)?;
            objects.extend(inner);
        } else {
            self.unknown(file, reference)?;
        }
        Ok(())
    }
}

/// The path of what a file names, if it can be in the tree.
fn local(file: &str, reference: &str) -> Option<String> {
    if reference.contains("://") { None } else { resolve(parent(file), reference) }
}

fn references<'n>(document: &'n Node, keys: &[&str]) -> Vec<&'n Node> {
    keys.iter().filter_map(|key| document.get(key)).flat_map(Node::items).collect()
}

/// The directories above a package that have a kustomization.
pub(crate) fn above(world: &World<'_>) -> Result<Vec<String>, PorchError> {
    let mut dirs = Vec::new();
    let mut dir = world.dir.as_str();
    while !dir.is_empty() {
        dir = parent(dir);
        if world.kustomization(dir)?.is_some() {
            dirs.push(dir.to_owned());
        }
    }
    Ok(dirs)
}
