//! The search for what somebody has of a target before a new package is made, and for a part of it that this engine made.

use super::{Plan, Planner, one_note};
use crate::choose::{Found, Scaled, View, Wanted};
use crate::files::{base_name, join, parent};
use crate::fleet::{self, FLEET};
use crate::kinds::Governed;
use crate::pipeline::Pipelines;
use crate::rendered::Rendered;
use crate::survey::{Extent, Search};
use crate::world::World;
use crate::{Form, PorchError, objects, template, yaml};

/// What a search around a package that does not exist has found.
pub(super) enum Elsewhere {
    Package(Plan),
    /// No object, as far as was searched; the notes say what was not.
    Nothing(Vec<String>),
}

impl Planner<'_> {
    /// Checks that the default place has no package that this engine made before another one was chosen.
    pub(super) fn check_own_part(&self, dir: &str) -> Result<(), PorchError> {
        let Some(own) = template::package_name(&self.assignment.object, Form::Direct) else { return Ok(()) };
        let namespace = self.order.intent.key.namespace.as_str();
        let beside = join(parent(dir), &own);
        let default = join(namespace, &own);
        let places = [Some(&default), (beside != default).then_some(&beside)];
        for place in places.into_iter().flatten().filter(|place| *place != dir) {
            if self.holds_own_part(place)? {
                let reason = format!(
                    "{} holds a part of {} too; remove it",
                    self.tree.name(place),
                    self.assignment.object
                );
                return Err(PorchError::unfit(self.tree.name(parent(place)), reason));
            }
        }
        Ok(())
    }

    /// Whether a directory has the partial object that this engine makes for the target.
    fn holds_own_part(&self, dir: &str) -> Result<bool, PorchError> {
        let place = join(dir, template::OBJECT);
        let content = match self.tree.file(&place) {
            // Not ours, and whatever it is, it is met in the search.
            Err(PorchError::Unfit { .. }) => None,
            found => found?,
        };
        let Some(content) = content else { return Ok(false) };
        let Ok(stream) = yaml::parse_expanded(&content.bytes) else { return Ok(false) };
        let kinds = self.wanted().kinds;
        let objects = objects::objects_of(&place, &stream, kinds);
        let is_part = |object: &objects::Object| {
            !object.whole
                && object.name == self.assignment.object
                && kinds.path(&object.group, &object.kind).is_some()
        };
        Ok(objects.iter().any(|object| is_part(object)))
    }

    /// The object in any of the directories around a package that does not exist.
    pub(super) fn kept_elsewhere(&self, dir: &str) -> Result<Elsewhere, PorchError> {
        if self.style.form == Form::Structured || dir.is_empty() {
            return Ok(Elsewhere::Nothing(Vec::new()));
        }
        self.check_own_part(dir)?;
        let around = parent(dir);
        let mut notes = Vec::new();
        if !around.is_empty() {
            let world = self.survey(around, None)?;
            let view = View::new(&world, self.wanted())?;
            if let Some(found) = view.find()? {
                view.check_governing(&found)?;
                if let Some(reason) = view.decided_above(&found)? {
                    return Err(PorchError::unfit(self.tree.name(around), reason));
                }
                notes.extend(self.check_deployers(around, around, &found)?);
                let plan = self.package(&world, &found)?;
                notes.extend(world.notes());
                return Ok(Elsewhere::Package(Plan { note: one_note(notes), ..plan }));
            }
            let reason = view.near().or_else(|| view.unknown()).or_else(|| view.built_on_absent(false));
            let reason = reason.or_else(|| self.rival_of_new(&view, dir));
            if let Some(reason) = reason {
                return Err(PorchError::unfit(self.tree.name(around), reason));
            }
            world.doubt().map_or(Ok(()), Err)?;
            notes.extend(world.passed_over());
        }
        notes.extend(self.at_the_root(around, dir)?);
        Ok(Elsewhere::Nothing(notes))
    }

    /// What would decide the number in a new package.
    fn rival_of_new(&self, view: &View<'_, '_>, dir: &str) -> Option<String> {
        let kind = self.assignment.kind.as_deref().unwrap_or("Deployment");
        let file = &join(dir, template::OBJECT);
        view.rival_of(Scaled { group: "apps", version: "v1", kind, file, is_said: true })
    }

    /// Checks that nothing of Flux or Argo CD, no policy, autoscaler and kustomization elsewhere than around a package decides the number
    /// there. Notes if not all of that was searched.
    pub(super) fn check_deployers(
        &self,
        package: &str,
        around: &str,
        found: &Found,
    ) -> Result<Vec<String>, PorchError> {
        // Without a directory above it, all is around.
        if around.is_empty() {
            return Ok(Vec::new());
        }
        let search = Search {
            text: &self.assignment.object,
            names: &[base_name(package), base_name(around)],
            except: Some(around),
            is_said: found.is_said,
            kinds: self.wanted().kinds,
            extent: Extent::Deployers,
        };
        let mut survey = self.tree.survey("", search)?;
        let may_be_twice = survey.may_hold_object;
        let rest = survey.stopped.take().map(|bound| {
            let root = self.tree.name("");
            format!("{root} has {bound}; the rest was not searched for what else decides the number")
        });
        let mut notes: Vec<String> = rest.into_iter().collect();
        if !survey.files.is_empty() || !survey.skipped.is_empty() {
            let world = World::surveyed(self.tree, "", survey, search);
            let view = View::new(&world, Wanted { said: true, ..self.wanted() })?;
            let rival = view.rival_of(found.scaled());
            if let Some(reason) = rival.or_else(|| view.decided_beside(package, found)) {
                return Err(PorchError::unfit(self.tree.name(""), reason));
            }
            notes.extend(world.doubted());
        }
        if may_be_twice {
            notes.extend(self.second_owner(around, found)?);
        }
        Ok(notes)
    }

    /// Another object of the target elsewhere than around a package that has it. Where the operator's route chose the package, that
    /// may be another cluster's, and is a note; so is one of which nothing here says the namespace.
    fn second_owner(&self, around: &str, found: &Found) -> Result<Option<String>, PorchError> {
        let search = Search {
            text: &self.assignment.object,
            names: &[],
            except: Some(around),
            is_said: found.is_said,
            kinds: self.wanted().kinds,
            extent: Extent::Beside,
        };
        // The search for deployers has said where it ended, and this one goes no further.
        let survey = self.tree.survey("", search)?;
        let world = World::surveyed(self.tree, "", survey, search);
        let view = View::new(&world, self.wanted())?;
        let mut unsaid = None;
        for (object, text) in view.doubles(Some(around)) {
            if !found.has_rival_in(object, &self.order.intent.key.namespace) {
                continue;
            }
            let mut why = String::new();
            if object.namespace().is_none() {
                let Some(reason) = self.put_into_namespace(&view, object)? else {
                    unsaid.get_or_insert_with(|| format!("{text} too and does not say its namespace"));
                    continue;
                };
                why = format!(", which {reason}");
            }
            let target = &self.assignment.object;
            if self.assignment.dir.is_some() {
                return Ok(Some(format!("{text} too{why}")));
            }
            let reason = format!(
                "{target} is twice: {text} too{why}; leave one, or name the directory of the right one in a route"
            );
            return Err(PorchError::unfit(self.tree.name(""), reason));
        }
        Ok(unsaid)
    }

    /// The files below a directory that may name the object, except those below its entry `except`.
    pub(super) fn survey(&self, dir: &str, except: Option<&str>) -> Result<World<'_>, PorchError> {
        // A new package states its namespace.
        let (text, extent) = (self.assignment.object.as_str(), Extent::Whole);
        let search = Search { text, names: &[], except, is_said: true, kinds: self.wanted().kinds, extent };
        let survey = self.tree.survey(dir, search)?;
        if let Some(bound) = &survey.stopped {
            let reason = format!(
                "it has {bound} and no package for {}; name its directory in a route",
                self.assignment.object
            );
            return Err(PorchError::unfit(self.tree.name(dir), reason));
        }
        Ok(World::surveyed(self.tree, dir, survey, search))
    }

    /// An object elsewhere below the root must state its namespace, and so must what decides its number. A note if not all was
    /// searched.
    fn at_the_root(&self, around: &str, new: &str) -> Result<Option<String>, PorchError> {
        // What is around the package has been looked through.
        let world = self.survey("", Some(around).filter(|around| !around.is_empty()))?;
        let wanted = self.wanted();
        let view = View::new(&world, wanted)?;
        // Files at the root, and a directory with the target's name, belong to no namespace.
        let of_none = |file: &str| parent(file).is_empty() || parent(file) == wanted.name;
        let except = Some(around).filter(|around| !around.is_empty());
        let doubles = view.doubles(except);
        let (mut certain, mut unsaid) = (None, None);
        for (object, text) in &doubles {
            if object.namespace().is_some() || of_none(&object.object.file) {
                certain = Some(text.clone());
            } else if let Some(reason) = self.put_into_namespace(&view, object)? {
                certain = Some(format!("{text}, which {reason}"));
            } else {
                unsaid.get_or_insert_with(|| format!("{text} and does not say its namespace"));
            }
            if certain.is_some() {
                break;
            }
        }
        if let Some(text) = certain {
            let reason = format!(
                "{text}; move it to {}/{}, or name its directory in a route",
                wanted.namespace, wanted.name
            );
            return Err(PorchError::unfit(self.tree.name(""), reason));
        }
        drop(doubles);
        let absent = view.built_on_absent(true);
        let view = view.said();
        let instead = absent.or_else(|| view.near_said());
        if let Some(reason) = instead.or_else(|| self.rival_of_new(&view, new)) {
            return Err(PorchError::unfit(self.tree.name(""), reason));
        }
        let notes = || world.passed_over().into_iter().chain(unsaid);
        world.doubt().map_or_else(|| Ok(notes().reduce(|all, note| format!("{all}; {note}"))), Err)
    }

    /// What puts an object that states no namespace into that of the intent: Flux, Argo CD, Rancher Fleet, or a function of
    /// kpt.
    fn put_into_namespace(
        &self,
        view: &View<'_, '_>,
        object: &Rendered,
    ) -> Result<Option<String>, PorchError> {
        let (wanted, file) = (self.wanted(), &object.object.file);
        if let Some(place) = view.deployed_by(object) {
            return Ok(Some(format!("{place} deploys to {}", wanted.namespace)));
        }
        if let Some(place) = self.fleet_of(file)? {
            return Ok(Some(format!("{place} deploys to {}", wanted.namespace)));
        }
        let workload = Governed {
            kind: &object.object.kind,
            name: wanted.name,
            namespace: object.namespace().unwrap_or_default(),
            kinds: wanted.kinds,
        };
        let namespace = Pipelines::of(self.tree, file)?.namespace(workload)?;
        let is_it = namespace.is_some_and(|namespace| namespace == wanted.namespace);
        Ok(is_it.then(|| format!("a function of kpt puts into {}", wanted.namespace)))
    }

    /// Checks that no `fleet.yaml` of a package, in the directory of the object or above it, puts that into another namespace.
    pub(super) fn check_fleet(&self, package: &World<'_>, found: &Found) -> Result<(), PorchError> {
        let (namespace, mut dir) = (&self.order.intent.key.namespace, parent(&found.file));
        while package.below(&join(dir, FLEET)).is_some() {
            let place = join(dir, FLEET);
            if let Some(document) = package.stream(&place)?.documents.first() {
                let said = fleet::namespace(document, found.is_said);
                return match said.filter(|_| !fleet::deploys_to(document, namespace)) {
                    Some(other) => {
                        let reason = format!("puts {} into the namespace {other}", self.assignment.object);
                        Err(PorchError::unfit(package.name(&place), reason))
                    }
                    None => Ok(()),
                };
            }
            if dir.is_empty() {
                break;
            }
            dir = parent(dir);
        }
        Ok(())
    }

    /// The `fleet.yaml` in the directory of a file, or the nearest above it, if it says the namespace of the intent.
    fn fleet_of(&self, file: &str) -> Result<Option<String>, PorchError> {
        let mut dir = parent(file);
        loop {
            let place = join(dir, FLEET);
            if let Some(content) = self.tree.file(&place)? {
                let stream = yaml::parse_expanded(&content.bytes)
                    .map_err(|error| PorchError::unfit(self.tree.name(&place), error.to_string()))?;
                let namespace = &self.order.intent.key.namespace;
                let is_it = stream.documents.iter().any(|document| fleet::deploys_to(document, namespace));
                return Ok(is_it.then(|| self.tree.name(&place)));
            }
            if dir.is_empty() {
                return Ok(None);
            }
            dir = parent(dir);
        }
    }
}
