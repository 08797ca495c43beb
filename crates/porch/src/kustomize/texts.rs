//! What a file must contain for its objects to count in a build: the name of the target, or anything, where a kustomization
//! may give an object that name, aim an autoscaler at it, or set its number together with those of others.

use super::{BUILT_MAX, local, references};
use crate::PorchError;
use crate::files::{base_name, holds_objects, parent};
use crate::glob;
use crate::kinds::Kinds;
use crate::text::says;
use crate::world::World;
use crate::yaml::Node;
use std::collections::BTreeSet;

/// Where a JSON patch changes a name.
const NAME_POINTER: &str = "/metadata/name";
/// Words of a kustomization that may give an object another name.
const RENAMES: [&str; 4] = ["namePrefix", "nameSuffix", "allowNameChange", NAME_POINTER];
/// Words of a kustomization or patch that may aim an autoscaler or controller at another object.
const AIMS: [&str; 3] = ["scaleTargetRef", "targetRef", "workloadRef"];

/// The lists of a kustomization that name files which may concern others.
const LISTS: [&str; 5] =
    ["patches", "patchesJson6902", "patchesStrategicMerge", "replacements", "transformers"];

/// The names that a target may have before the package's kustomizations change it; an empty list for any name.
pub(crate) fn texts(world: &World<'_>, kinds: Kinds<'_>, name: &str) -> Result<Vec<String>, PorchError> {
    let mut search = Search { world, kinds, seen: BTreeSet::new(), open: Vec::new() };
    for path in world.paths() {
        if world.kustomization(parent(&path))?.as_ref() == Some(&path) {
            search.open.push(path);
        }
    }
    while let Some(path) = search.open.pop() {
        if search.concerns_others(&path)? {
            return Ok(Vec::new());
        }
    }
    Ok(vec![name.to_owned()])
}

struct Search<'s> {
    world: &'s World<'s>,
    kinds: Kinds<'s>,
    /// The files and directories that have been looked at, besides those of the package.
    seen: BTreeSet<String>,
    /// The kustomizations to look at.
    open: Vec<String>,
}

impl Search<'_> {
    /// Whether a kustomization by itself, or by a patch that has not been seen, concerns objects of other names.
    fn concerns_others(&mut self, path: &str) -> Result<bool, PorchError> {
        let Some(content) = self.world.named(path)? else { return Ok(false) };
        let text = String::from_utf8_lossy(&content.bytes);
        if says(&text, |text| RENAMES.iter().chain(&AIMS).any(|word| text.contains(word))) {
            return Ok(true);
        }
        let stream = self.world.stream(path)?;
        let Some(document) = stream.documents.first() else { return Ok(false) };
        self.follow(path, document)?;
        for entry in references(document, &LISTS) {
            if self.entry_concerns_others(path, entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same of one patch, replacement or transformer.
    fn entry_concerns_others(&mut self, path: &str, entry: &Node) -> Result<bool, PorchError> {
        let named = entry.text().filter(|text| !text.contains('\n')).or_else(|| entry.text_at(&["path"]));
        let Some(named) = named else {
            return Ok(self.is_shared(entry, entry.text_at(&["patch"]).unwrap_or_default()));
        };
        let Some(file) = local(path, named) else { return Ok(false) };
        let is_new = self.seen.insert(file.clone());
        let Some(content) = self.world.named(&file)? else { return Ok(false) };
        let text = String::from_utf8_lossy(&content.bytes);
        let words = || AIMS.iter().chain([&NAME_POINTER]);
        let is_aimed = is_new && says(&text, |text| words().any(|word| text.contains(word)));
        // The number of a patch that is named twice may be that of two objects.
        let is_twice = !is_new && entry.get("target").is_some() && self.speaks_of_number(&text);
        Ok(is_aimed || is_twice || self.is_shared(entry, &text))
    }

    /// Notes the kustomizations outside of the package that one names.
    fn follow(&mut self, path: &str, document: &Node) -> Result<(), PorchError> {
        for reference in references(document, &["resources", "bases", "components"]) {
            let Some(dir) = reference.text().and_then(|text| local(path, text)) else { continue };
            let is_outside = self.world.below(&dir).is_none() && !holds_objects(base_name(&dir));
            if !is_outside || self.seen.len() > BUILT_MAX || !self.seen.insert(dir.clone()) {
                continue;
            }
            match self.world.named_kustomization(&dir) {
                Ok(found) => self.open.extend(found),
                Err(error) => self.world.pardon(error)?,
            }
        }
        Ok(())
    }

    /// Whether a patch may set the numbers of several objects.
    fn is_shared(&self, entry: &Node, text: &str) -> bool {
        entry.get("target").is_some_and(|target| self.may_be_for_several(target))
            && self.speaks_of_number(text)
    }

    fn speaks_of_number(&self, text: &str) -> bool {
        says(text, |text| self.kinds.speaks_of_number(text))
    }

    /// Whether a patch's target may be workloads of several names.
    fn may_be_for_several(&self, target: &Node) -> bool {
        let said = |key: &str| target.text_at(&[key]).filter(|text| !text.is_empty());
        let is_one = said("name").is_some_and(glob::is_plain);
        !is_one && self.kinds.may_have_number(said("kind"))
    }
}
