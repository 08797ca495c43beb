//! Decides the files to write, from the existing ones. Pure: trees are read, nothing is written.

mod elsewhere;

use crate::choose::{Found, View, Wanted};
use crate::files::{Content, Files, KPTFILE, KUSTOMIZATIONS, Which, base_name, join, parent};
use crate::kinds::{Governed, Kinds};
use crate::pipeline::Pipelines;
use crate::rendered::Rendered;
use crate::routes::Assignment;
use crate::survey::{Extent, Search};
use crate::text::Text;
use crate::tree::{Tree, Watched};
use crate::world::World;
use crate::yaml::{Address, EditError, set_integer, set_integer_inside};
use crate::{Form, Order, PorchError, objects, template};
use conductor_core::intent::TargetKey;
use elsewhere::Elsewhere;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The path, relative to the package.
    pub path: String,
    /// The previous content; `None` if the file is new.
    pub before: Option<Vec<u8>>,
    pub after: Content,
}

/// The change of one package.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The package's directory, relative to the root of the tree.
    pub dir: String,
    /// Whether the directory is to be created.
    pub new: bool,
    /// Empty if the package is already as requested.
    pub changes: Vec<Change>,
    /// The object's file, relative to the package.
    pub file: String,
    pub kind: String,
    /// The previous replicas; `None` if the object or its field was missing.
    pub from: Option<u32>,
    pub to: u32,
    /// Whether the object is only a part, for server-side apply onto the whole.
    pub partial: bool,
    /// A note for the operator.
    pub note: Option<String>,
}

/// The form of the result, besides the intent's values.
pub(crate) struct Style<'s> {
    pub form: Form,
    pub kustomize: bool,
    /// The package a new one is copied from.
    pub base: Option<&'s dyn Tree>,
}

struct Planner<'p> {
    tree: &'p dyn Tree,
    order: &'p Order,
    assignment: &'p Assignment,
    style: &'p Style<'p>,
    replicas: u32,
}

/// The content of one directory.
enum Place {
    Nothing,
    NoObject,
    Package(Plan),
}

/// Plans one order. The plan has passed its own check.
pub(crate) fn plan(
    tree: &dyn Tree,
    order: &Order,
    assignment: &Assignment,
    style: &Style<'_>,
) -> Result<Plan, PorchError> {
    let (tree, base) = (Watched::new(tree), style.base.map(Watched::new));
    let style = Style { base: base.as_ref().map(|base| base as &dyn Tree), ..*style };
    let planned = planned(&tree, order, assignment, &style);
    let lacked = tree.lacked().or_else(|| base.as_ref()?.lacked());
    lacked.map_or(planned, Err)
}

fn planned(
    tree: &dyn Tree,
    order: &Order,
    assignment: &Assignment,
    style: &Style<'_>,
) -> Result<Plan, PorchError> {
    let planner = Planner { tree, order, assignment, style, replicas: order.replicas()? };
    let plan = match &assignment.dir {
        Some(dir) => planner.at_or_new(dir)?,
        None => planner.at_default_places()?,
    };
    planner.check_expected(&plan)?;
    if plan.new {
        planner.check(&plan).map_err(|error| PorchError::Check(error.to_string()))?;
    }
    Ok(plan)
}

impl Planner<'_> {
    /// Checks the number that the intent expects. If the requested one is there already, the intent has been carried out.
    fn check_expected(&self, plan: &Plan) -> Result<(), PorchError> {
        let Some(expected) = self.order.intent.expected_replicas else { return Ok(()) };
        if plan.from == Some(expected) || plan.from == Some(self.replicas) {
            return Ok(());
        }
        let target = &self.assignment.object;
        let file = self.tree.name(&join(&plan.dir, &plan.file));
        let found = match plan.from {
            _ if plan.new => "which nobody has here".to_owned(),
            Some(number) => format!("and {file} has {number}"),
            None => format!("and {file} has none"),
        };
        Err(PorchError::Policy(format!("the intent expects {expected} replicas of {target}, {found}")))
    }

    fn at_default_places(&self) -> Result<Plan, PorchError> {
        let key = &self.order.intent.key;
        if self.tree.file(KPTFILE)?.is_some() {
            return self.at_root();
        }
        let own = template::package_name(&key.target, self.style.form)
            .ok_or_else(|| PorchError::unfit(&key.target, "the name is too long for a package directory"))?;
        let in_namespace = |name: &str| join(&key.namespace, name);
        let places = match (&self.assignment.package, self.style.form) {
            (Some(named), _) => vec![in_namespace(named), named.clone()],
            (None, Form::Direct) => {
                vec![in_namespace(&key.target), key.target.clone(), in_namespace(&own)]
            }
            (None, Form::Structured) => vec![in_namespace(&own)],
        };
        // A directory at the top may be a namespace's; only a Kptfile makes it a package.
        let mut kept = Vec::new();
        for place in places {
            if place.contains('/') || self.is_package(&place)? {
                kept.push(place);
            }
        }
        let places = kept;
        let mut absent = Vec::new();
        for place in &places {
            match self.at(place)? {
                Place::Package(plan) => return Ok(plan),
                Place::Nothing => absent.push(place.as_str()),
                Place::NoObject => {}
            }
        }
        let new = if self.style.base.is_some() { key.target.clone() } else { own };
        match &self.assignment.package {
            Some(named) if *named != new && self.style.base.is_none() => Err(PorchError::Policy(format!(
                "the intent names the package '{named}', and {} has no such package that holds {}",
                self.tree.name(""),
                key.target
            ))),
            named => {
                // The object is kept there in another form.
                for place in &places {
                    if *place != in_namespace(named.as_ref().unwrap_or(&new))
                        && !self.tree.names(place)?.is_empty()
                    {
                        return Err(self.no_object(place));
                    }
                }
                let dir = in_namespace(named.as_ref().unwrap_or(&new));
                if absent.contains(&dir.as_str()) {
                    self.elsewhere_or_new(&dir)
                } else {
                    self.at_or_new(&dir)
                }
            }
        }
    }

    /// Whether a directory has a Kptfile. A place that is no directory has none; a Kptfile that is no file is refused.
    fn is_package(&self, dir: &str) -> Result<bool, PorchError> {
        match self.tree.file(&join(dir, KPTFILE)) {
            Err(error @ PorchError::Unfit { .. }) => match self.tree.names(dir) {
                Ok(names) if names.is_empty() => Ok(false),
                Ok(_) => Err(error),
                Err(PorchError::Unfit { .. }) => Ok(false),
                Err(other) => Err(other),
            },
            found => Ok(found?.is_some()),
        }
    }

    /// The root itself is the package: it must contain the object.
    fn at_root(&self) -> Result<Plan, PorchError> {
        match self.at("")? {
            Place::Package(plan) => Ok(plan),
            Place::Nothing | Place::NoObject => Err(self.no_object("")),
        }
    }

    fn at_or_new(&self, dir: &str) -> Result<Plan, PorchError> {
        match self.at(dir)? {
            Place::Package(plan) => Ok(plan),
            Place::Nothing => self.elsewhere_or_new(dir),
            Place::NoObject => Err(self.no_object(dir)),
        }
    }

    /// For a directory that is not there.
    fn elsewhere_or_new(&self, dir: &str) -> Result<Plan, PorchError> {
        match self.kept_elsewhere(dir)? {
            Elsewhere::Package(plan) => Ok(plan),
            Elsewhere::Nothing(notes) => Ok(Plan { note: one_note(notes), ..self.new_package(dir)? }),
        }
    }

    /// The refusal that names the content of a directory instead.
    fn no_object(&self, dir: &str) -> PorchError {
        let kind = self
            .assignment
            .kind
            .as_deref()
            .unwrap_or("Deployment, StatefulSet or other workload with replicas");
        let key = &self.order.intent.key;
        let wanted = format!("no {kind} {} of the namespace {}", self.assignment.object, key.namespace);
        let said = self.tree.read(dir, Which::Objects).and_then(|files| {
            let world =
                World::new(Some(self.tree), dir, self.tree.name(dir), files.unwrap_or_default()).lenient();
            let view = View::new(&world, self.wanted())?;
            let names = self.tree.names(dir)?;
            let near = view.near().or_else(|| view.elsewhere());
            // Such as a link or what is too large, of which `read` says nothing.
            let doubt = || match self.survey(dir, None).ok()?.doubt()? {
                PorchError::Unfit { package, reason } => Some(format!("; {package} {reason}")),
                _ => None,
            };
            Ok(near.unwrap_or_else(|| {
                format!("{}, {wanted}{}", view.holds(&names), doubt().unwrap_or_default())
            }))
        });
        let reason = said.unwrap_or_else(|error| format!("it holds {wanted}: {error}"));
        PorchError::unfit(self.tree.name(dir), reason)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.assignment.object,
            namespace: &self.order.intent.key.namespace,
            kinds: Kinds { more: &self.assignment.workloads, only: self.assignment.kind.as_deref() },
            local: self.style.form == Form::Structured,
            said: false,
        }
    }

    fn at(&self, dir: &str) -> Result<Place, PorchError> {
        let Some(files) = self.tree.read(dir, Which::Objects)? else { return Ok(Place::Nothing) };
        let name = self.tree.name(dir);
        let world = World::new(Some(self.tree), dir, name.clone(), files);
        let view = View::new(&world, self.wanted())?;
        let Some(found) = view.find()? else { return Ok(Place::NoObject) };
        view.check_single()?;
        if let Some(reason) = view.decided_above(&found)? {
            return Err(PorchError::unfit(name, reason));
        }
        if let (Some(named), true) = (&self.assignment.package, dir.is_empty())
            && let Some(kptfile) = self.tree.file(KPTFILE)?
            && let kpt_name = objects::check_kptfile(&kptfile.bytes, &name, false)?
            && kpt_name.as_ref() != Some(named)
        {
            let found = kpt_name.unwrap_or_default();
            return Err(PorchError::Policy(format!(
                "the intent names the package '{named}', and {name} is '{found}'"
            )));
        }
        let note = self.look_around(&world, &found)?;
        let plan = self.package(&world, &found)?;
        Ok(Place::Package(Plan { note, ..plan }))
    }

    /// Checks that nothing beside the package holds the object or decides its number. A note if not all was searched.
    fn look_around(&self, package: &World<'_>, found: &Found) -> Result<Option<String>, PorchError> {
        let dir = package.dir.as_str();
        if self.style.form == Form::Structured || dir.is_empty() {
            return Ok(None);
        }
        let around = parent(dir);
        self.check_own_part(dir)?;
        let mut notes = self.check_deployers(dir, around, found)?;
        let (target, name) = (&self.assignment.object, base_name(dir));
        let search = Search {
            text: target,
            names: &[],
            except: Some(name),
            is_said: found.is_said,
            kinds: self.wanted().kinds,
            extent: Extent::Beside,
        };
        let mut survey = self.tree.survey(around, search)?;
        let rest = survey.stopped.take().map(|bound| {
            format!("{} has {bound}; the rest was not searched for another {target}", self.tree.name(around))
        });
        notes.splice(0..0, rest);
        let concerns = |(path, content): (&String, &Content)| {
            let said = Text::of(&content.bytes);
            said.mentions(target)
                || search.is_decided_by(base_name(path), &said)
                || (KUSTOMIZATIONS.contains(&base_name(path)) && said.mentions(name))
        };
        let is_mentioned = survey.files.iter().any(concerns);
        if !is_mentioned && survey.skipped.is_empty() && survey.submodules.is_empty() {
            return Ok(one_note(notes));
        }
        let world = World::surveyed(self.tree, around, survey, search).knowing(package);
        if is_mentioned {
            let said = Wanted { said: true, ..self.wanted() };
            let view = View::new(&world, said)?;
            let space = self.order.intent.key.namespace.as_str();
            let is_another = |object: &Rendered| found.has_rival_in(object, space);
            let mut doubles = view.doubles(Some(dir)).into_iter();
            let double = doubles.find(|(object, _)| is_another(object));
            let reason = double.map(|(_, text)| format!("{target} is twice: {text} too; leave one"));
            let rival = view.rival_of(found.scaled());
            let reason = rival.or(reason).or_else(|| view.decided_beside(dir, found));
            if let Some(reason) = reason {
                return Err(PorchError::unfit(self.tree.name(around), reason));
            }
            if around == self.order.intent.key.namespace {
                notes.extend(self.unsaid_beside(&world, dir, found)?);
            }
        }
        notes.extend(world.notes());
        Ok(one_note(notes))
    }

    /// Another object beside the package that does not say its namespace, in the directory of that namespace. It may be a second
    /// one, or belong to nothing that is deployed.
    fn unsaid_beside(
        &self,
        world: &World<'_>,
        dir: &str,
        found: &Found,
    ) -> Result<Option<String>, PorchError> {
        let view = View::new(world, self.wanted())?;
        let mut doubles = view.doubles(Some(dir)).into_iter();
        let space = self.order.intent.key.namespace.as_str();
        let double =
            doubles.find(|(object, _)| found.has_rival_in(object, space) && object.namespace().is_none());
        Ok(double.map(|(_, text)| format!("{text} too and does not say its namespace; leave one")))
    }

    /// What is edited, for what may decide about it.
    fn governed<'g>(&'g self, found: &'g Found) -> Governed<'g> {
        let Wanted { name, namespace, kinds, .. } = self.wanted();
        Governed { kind: &found.kind, name, namespace, kinds }
    }

    /// Checks that no function of kpt decides the number that is edited.
    fn check_pipelines(&self, tree: &dyn Tree, found: &Found) -> Result<(), PorchError> {
        match Pipelines::of(tree, &found.file)?.objection(self.governed(found))? {
            Some(reason) => Err(PorchError::unfit(tree.name(parent(&found.file)), reason)),
            None => Ok(()),
        }
    }

    /// The change of one number in a package.
    fn package(&self, world: &World<'_>, found: &Found) -> Result<Plan, PorchError> {
        let dir = world.dir.as_str();
        self.check_pipelines(self.tree, found)?;
        self.check_fleet(world, found)?;
        if let Some(place) = world.overlay_of_ytt(self.governed(found)) {
            let reason = format!("{place} (an overlay of ytt) may set its replicas; change that instead");
            return Err(PorchError::unfit(self.tree.name(dir), reason));
        }
        let (from, after) = self.edit(self.tree, world, found)?;
        let file = world.below(&found.file).unwrap_or(&found.file).to_owned();
        let mut changes = Vec::new();
        if let (Some(after), Some(before)) = (after, world.file(&found.file)?) {
            let after = Content { bytes: after, executable: before.executable };
            changes.push(Change { path: file.clone(), before: Some(before.bytes.clone()), after });
        }
        let has_kustomization =
            KUSTOMIZATIONS.iter().any(|name| world.file(&join(dir, name)).is_ok_and(|file| file.is_some()));
        if self.style.kustomize && file == template::PATCH && !has_kustomization {
            let text = template::component(&self.order.intent.key, base_name(dir));
            let after = Content { bytes: text.into_bytes(), executable: false };
            changes.push(Change { path: KUSTOMIZATIONS[0].to_owned(), before: None, after });
        }
        let own = template::package_name(&self.assignment.object, Form::Direct);
        let partial =
            !found.whole && self.style.form == Form::Direct && own.as_deref() == Some(base_name(dir));
        let (dir, kind) = (dir.to_owned(), found.kind.clone());
        Ok(Plan { dir, new: false, changes, file, kind, from, to: self.replicas, partial, note: None })
    }

    /// The number that is there, and the bytes with the one of the intent. The files of `world` are those of `tree`.
    fn edit(
        &self,
        tree: &dyn Tree,
        world: &World<'_>,
        found: &Found,
    ) -> Result<(Option<u32>, Option<Vec<u8>>), PorchError> {
        let content = world.file(&found.file)?;
        let source = content.as_ref().map(|content| content.bytes.as_slice()).unwrap_or_default();
        let stream = world.written(&found.file)?;
        let edited = match &found.inside {
            None => set_integer(source, &stream, found.document, &found.path, self.replicas),
            Some((number, inner)) => set_integer_inside(
                source,
                &stream,
                Address { document: found.document, steps: &found.path },
                Address { document: *number, steps: inner },
                self.replicas,
            ),
        };
        edited.map_err(|error| {
            let place = world.name(&found.file);
            match &error {
                EditError::SelfCheck(_) => PorchError::Check(error.to_string()),
                EditError::Setter(_, names) => {
                    let setter = Pipelines::of(tree, &found.file).and_then(|all| all.setter(names));
                    let setter =
                        setter.ok().flatten().map(|setter| format!(" ({setter})")).unwrap_or_default();
                    PorchError::unfit(place, format!("{error}{setter}"))
                }
                _ => PorchError::unfit(place, error.to_string()),
            }
        })
    }

    /// The initial files of a new package, and their display name.
    fn model(&self, dir: &str) -> Result<(Files, String), PorchError> {
        if let Some(base) = self.style.base {
            let name = base.name("");
            return match base.read("", Which::All)? {
                Some(files) => Ok((files, name)),
                None => Err(PorchError::unfit(name, "the base package is not there or empty")),
            };
        }
        let name = self.tree.name(dir);
        if self.assignment.kind.as_deref().is_some_and(|kind| kind != "Deployment") {
            // The other required parts of such an object are unknown.
            return Err(PorchError::unfit(name, "there is no such package, and no base for it"));
        }
        let Style { form, kustomize, .. } = *self.style;
        let (namespace, target) = (self.order.intent.key.namespace.clone(), self.assignment.object.clone());
        let key = TargetKey { namespace, target };
        Ok((template::package(&key, self.replicas, base_name(dir), form, kustomize), name))
    }

    fn new_package(&self, dir: &str) -> Result<Plan, PorchError> {
        let (mut files, package) = self.model(dir)?;
        let world = World::new(None, "", package.clone(), files.clone());
        let found = View::new(&world, self.wanted())?.find()?;
        let found = found
            .ok_or_else(|| PorchError::unfit(&package, format!("it holds no {}", self.assignment.object)))?;
        if let Some(base) = self.style.base {
            self.check_pipelines(base, &found)?;
        }
        let (from, after) = self.edit(self.style.base.unwrap_or(self.tree), &world, &found)?;
        if let (Some(after), Some(content)) = (after, files.get_mut(&found.file)) {
            content.bytes = after;
        }
        let changes = files.into_iter().map(|(path, after)| Change { path, before: None, after }).collect();
        Ok(Plan {
            dir: dir.to_owned(),
            new: true,
            changes,
            file: found.file,
            kind: found.kind,
            from: from.filter(|_| self.style.base.is_some()),
            to: self.replicas,
            partial: self.style.base.is_none() && self.style.form == Form::Direct,
            note: None,
        })
    }

    /// Parses the files of a new package, and asserts kind, name, namespace, replicas and the Kptfile. An edit needs no
    /// more than its own check: only the one value differs from the previous content.
    fn check(&self, plan: &Plan) -> Result<(), PorchError> {
        let files: Files =
            plan.changes.iter().map(|change| (change.path.clone(), change.after.clone())).collect();
        let ours = plan.new && self.style.base.is_none();
        if let Some(kptfile) = files.get(KPTFILE) {
            objects::check_kptfile(&kptfile.bytes, &plan.dir, ours)?;
        }
        let world = World::new(None, "", plan.dir.clone(), files);
        let found = View::new(&world, self.wanted())?.find()?;
        let found = found.filter(|found| found.file == plan.file && found.kind == plan.kind);
        let found = found.ok_or_else(|| PorchError::Check("the object is not where it was".to_owned()))?;
        match self.edit(self.tree, &world, &found) {
            Ok((Some(is), None)) if is == plan.to => Ok(()),
            other => Err(PorchError::Check(format!("replicas are not {}: {other:?}", plan.to))),
        }
    }
}

/// Notes as one, each once.
fn one_note(mut notes: Vec<String>) -> Option<String> {
    notes.dedup();
    (!notes.is_empty()).then(|| notes.join("; "))
}
