//! Finds the object of a package that an intent names, the place that decides its number, and the obstacles.

mod instead;
mod rivals;

use crate::PorchError;
use crate::files::{KUSTOMIZATIONS, base_name, is_argo_source, join, parent};
use crate::kinds::Kinds;
use crate::kustomize::{self, Built, Site};
use crate::objects::Object;
use crate::rendered::{Number, Rendered};
use crate::rules::Rule;
use crate::world::World;
use crate::yaml::Step;
use rivals::Deployed;
use std::cell::Cell;

/// The object to find.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'w> {
    pub name: &'w str,
    pub namespace: &'w str,
    pub kinds: Kinds<'w>,
    /// Whether an object that is not applied by itself counts, and kustomizations do not.
    pub local: bool,
    /// Whether an object must state its namespace.
    pub said: bool,
}

/// The found object, and the place of its number.
#[derive(Debug)]
pub(crate) struct Found {
    /// The file, from the root of the tree.
    pub file: String,
    /// The file of the object itself, from the root of the tree.
    pub origin: String,
    pub document: usize,
    pub path: Vec<Step>,
    pub inside: Option<(usize, Vec<Step>)>,
    pub group: String,
    pub version: String,
    pub kind: String,
    /// Whether the object has a pod template.
    pub whole: bool,
    /// Whether the object states its namespace, also by way of a kustomization.
    pub is_said: bool,
    /// The rules of what it scales down in order to run the pods itself.
    pub succeeded: Vec<Rule>,
}

/// An object that others may scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled<'s> {
    pub group: &'s str,
    pub version: &'s str,
    pub kind: &'s str,
    /// The file of its number.
    pub file: &'s str,
    pub is_said: bool,
}

impl Found {
    /// Whether another object of its name is a second owner of the pods: not its own file, which it may be built on, and not what it
    /// scales down.
    pub(crate) fn has_rival_in(&self, other: &Rendered, namespace: &str) -> bool {
        let is_succeeded = || self.succeeded.iter().any(|rule| other.may_be_under(rule, namespace));
        other.object.file != self.origin && !is_succeeded()
    }

    /// The object, for what may decide its number elsewhere.
    pub(crate) fn scaled(&self) -> Scaled<'_> {
        Scaled {
            group: &self.group,
            version: &self.version,
            kind: &self.kind,
            file: &self.file,
            is_said: self.is_said,
        }
    }
}

/// The objects of a package as rendered.
pub(crate) struct View<'w, 't> {
    world: &'w World<'t>,
    wanted: Wanted<'w>,
    /// What a file must contain for its objects to count; empty for anything.
    texts: Vec<String>,
    built: Built,
    deployed: Deployed,
    /// What is left for building kustomizations, of which others may name any number.
    left: Cell<usize>,
}

impl<'w, 't> View<'w, 't> {
    pub(crate) fn new(world: &'w World<'t>, wanted: Wanted<'w>) -> Result<Self, PorchError> {
        let mut texts = kustomize::texts(world, wanted.kinds, wanted.name)?;
        if wanted.local {
            texts = vec![wanted.name.to_owned()];
        }
        let left = Cell::new(kustomize::SPENT_MAX);
        let site = Site { world, kinds: wanted.kinds, texts: &texts, left: &left };
        let mut built = if wanted.local { Built::default() } else { site.build()? };
        for path in world.manifests() {
            let named = built.named.contains(&path) || KUSTOMIZATIONS.contains(&base_name(&path));
            // What Argo CD merges counts without being listed.
            let is_unlisted =
                || Ok::<_, PorchError>(!is_argo_source(base_name(&path)) && world.is_governed(&path)?);
            if (named && !is_flux(world, &path)?) || (!wanted.local && is_unlisted()?) {
                continue;
            }
            let objects = world.objects(&path, &[wanted.name.to_owned()], wanted.kinds)?;
            let matter = objects.iter().filter(|object| object.matters(wanted.kinds));
            built.objects.extend(matter.cloned().map(Rendered::plain));
        }
        Ok(Self { world, wanted, texts, built, deployed: Deployed::default(), left })
    }

    fn site(&self) -> Site<'_> {
        Site { world: self.world, kinds: self.wanted.kinds, texts: &self.texts, left: &self.left }
    }

    /// The same objects, of which those count alone that state their namespace.
    pub(crate) fn said(self) -> Self {
        Self { wanted: Wanted { said: true, ..self.wanted }, ..self }
    }

    /// Finds the object. `None` if the package has none; several objects, or another setting of its number, are refused.
    pub(crate) fn find(&self) -> Result<Option<Found>, PorchError> {
        if let Some(reason) = self.lost() {
            return Err(self.refuse(format!("{reason}; change that instead")));
        }
        let same = self.same();
        let Some(first) = same.first() else { return self.loose() };
        if let Some(other) = same.iter().find(|other| !is_same(&other.object, &first.object)) {
            if let Some(reason) = self.beside_successor(&same) {
                return Err(self.refuse(reason));
            }
            let reason = format!(
                "{} is in it twice: in {} ({}) and in {} ({}); leave one",
                self.wanted.name,
                self.line_of(&first.object),
                first.object.kind,
                self.line_of(&other.object),
                other.object.kind
            );
            return Err(self.refuse(reason));
        }
        if let Some(rival) = self.rival(first) {
            return Err(self.refuse(rival));
        }
        if let Some((key, value)) = first.object.held {
            let line = self.line_of(&first.object);
            return Err(self.refuse(format!("{line} says {key}: {value}, by which a change is not applied")));
        }
        if let Some(other) = same.iter().find(|other| other.number != first.number) {
            let reason = format!(
                "its kustomizations decide the replicas of {} in several places ({} and {}); name the directory of the right one in a route",
                first.object.shown(),
                self.number_shown(first),
                self.number_shown(other)
            );
            return Err(self.refuse(reason));
        }
        self.alone(first)?;
        self.place(first).map(Some)
    }

    /// The objects of the wanted kind, name and namespace, without what one of them scales down in order to run its pods.
    fn same(&self) -> Vec<&Rendered> {
        let all: Vec<&Rendered> = self.built.objects.iter().filter(|object| self.is_wanted(object)).collect();
        let is_succeeded =
            |object: &Rendered| all.iter().any(|other| other.succeeds(object, self.wanted.namespace));
        all.iter().copied().filter(|object| !is_succeeded(object)).collect()
    }

    /// Why it is not certain which of two objects an intent means, if one takes its pods from the other and leaves it running.
    fn beside_successor(&self, same: &[&Rendered]) -> Option<String> {
        let takes = |one: &Rendered, other: &Rendered| {
            let mut references = one.rules().iter().filter(|rule| rule.field == Some("workloadRef"));
            references.any(|rule| other.may_be_under(rule, self.wanted.namespace))
        };
        let pairs = same.iter().flat_map(|one| same.iter().map(move |other| (one, other)));
        let (one, other) = pairs.into_iter().find(|(one, other)| takes(one, other))?;
        let kind = &one.object.kind;
        Some(format!(
            "{} {} takes its pods from {} ({}), and both run them; set `scaleDown: onsuccess` in its workloadRef, or say kind = \"{kind}\" in a route",
            self.line_of(&one.object),
            one.object.shown(),
            other.object.shown(),
            self.line_of(&other.object),
        ))
    }

    /// Why it is not certain what becomes of an object of this name.
    fn lost(&self) -> Option<&str> {
        let concerns = |object: &&Rendered| {
            object.is_called(self.wanted.name)
                && object.may_be_in(self.wanted.namespace)
                && self.is_scaled(&object.object)
        };
        self.built.objects.iter().filter(concerns).find_map(|object| object.lost.as_deref())
    }

    /// Checks that no other object gets its number from the same place.
    fn alone(&self, found: &Rendered) -> Result<(), PorchError> {
        let shares = |other: &&Rendered| {
            let same_place = match &found.number {
                Number::Own => is_same(&other.object, &found.object) && other.number == Number::Own,
                place => other.number == *place,
            };
            same_place && !self.is_wanted(other)
        };
        let Some(other) = self.built.objects.iter().find(shares) else { return Ok(()) };
        let space = other.namespace().map(|name| format!(" of the namespace {name}")).unwrap_or_default();
        let why = other.moved.as_ref().map(|moved| format!(" ({moved})")).unwrap_or_default();
        Err(self.refuse(format!(
            "the replicas at {} are also those of {} {}{space}{why}; give this one a `replicas` entry in its own kustomization",
            self.number_shown(found),
            other.object.kind,
            other.name(),
        )))
    }

    fn place(&self, found: &Rendered) -> Result<Found, PorchError> {
        let object = &found.object;
        let (group, version) = (object.group.clone(), object.version.clone());
        let (kind, whole) = (object.kind.clone(), object.whole);
        let is_said = found.namespace().is_some();
        let succeeded: Vec<Rule> = found.rules().iter().filter(|rule| rule.is_successor).cloned().collect();
        let place = match &found.number {
            Number::Own => {
                let number = self.wanted.kinds.path(&object.group, &object.kind).unwrap_or_default();
                let path = object.path.iter().cloned().chain(number).collect();
                Found {
                    file: object.file.clone(),
                    origin: object.file.clone(),
                    document: object.document,
                    path,
                    inside: None,
                    group,
                    version,
                    kind,
                    whole,
                    is_said,
                    succeeded,
                }
            }
            Number::At(place) => Found {
                file: place.file.clone(),
                origin: object.file.clone(),
                document: place.document,
                path: place.path.clone(),
                inside: place.inside.clone(),
                group,
                version,
                kind,
                whole: true,
                is_said,
                succeeded,
            },
            Number::Elsewhere(reason) => return Err(self.refuse(format!("{reason}; change that instead"))),
        };
        if self.world.below(&place.file).is_none() {
            return Err(self.refuse(format!(
                "the replicas of {} stand in {}, outside of the package; add `replicas: [{{name: {}, count: N}}]` to its kustomization",
                object.shown(),
                self.world.name(&place.file),
                object.name
            )));
        }
        Ok(place)
    }

    /// A `replicas` entry for an object that is brought in from an unreadable place.
    fn loose(&self) -> Result<Option<Found>, PorchError> {
        if self.built.absent.is_empty() || self.wanted.kinds.only.is_some_and(|only| only != "Deployment") {
            return Ok(None);
        }
        let mut named = self.built.loose.iter().filter(|(name, _)| name == self.wanted.name);
        let Some((_, place)) = named.next() else { return Ok(None) };
        if let Some((_, other)) = named.next() {
            let reason = format!(
                "its replicas stand at {} and at {}",
                self.at(place.line, &place.file),
                self.at(other.line, &other.file)
            );
            return Err(self.refuse(reason));
        }
        Ok(Some(Found {
            file: place.file.clone(),
            origin: String::new(),
            document: place.document,
            path: place.path.clone(),
            inside: None,
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            whole: true,
            // What is brought in from elsewhere is not known to state none.
            is_said: true,
            succeeded: Vec::new(),
        }))
    }

    fn is_wanted(&self, object: &Rendered) -> bool {
        object.name() == self.wanted.name && self.is_here(object) && self.is_scaled(&object.object)
    }

    fn is_here(&self, object: &Rendered) -> bool {
        self.is_space(object.namespace())
    }

    /// Whether a stated namespace is the wanted one, or none has to be stated.
    fn is_space(&self, stated: Option<&str>) -> bool {
        stated.map_or(!self.wanted.said, |name| name == self.wanted.namespace)
    }

    fn is_scaled(&self, object: &Object) -> bool {
        (self.wanted.local || !object.local) && self.wanted.kinds.path(&object.group, &object.kind).is_some()
    }

    /// The objects of the wanted kind, name and namespace, except those of one directory, and where each is.
    pub(crate) fn doubles(&self, except: Option<&str>) -> Vec<(&Rendered, String)> {
        let is_other = |object: &&Rendered| except.is_none_or(|dir| !is_below(dir, &object.object.file));
        let same = self.built.objects.iter().filter(|object| self.is_wanted(object)).filter(is_other);
        same.map(|object| {
            (object, format!("{} holds {}", self.line_of(&object.object), object.object.shown()))
        })
        .collect()
    }

    fn refuse(&self, reason: String) -> PorchError {
        PorchError::unfit(self.world.name(&self.world.dir), reason)
    }

    fn at(&self, line: usize, file: &str) -> String {
        format!("{}:{line}", self.world.below(file).map_or_else(|| self.world.name(file), str::to_owned))
    }

    fn line_of(&self, object: &Object) -> String {
        self.at(object.line, &object.file)
    }

    fn number_shown(&self, object: &Rendered) -> String {
        match &object.number {
            Number::Own => self.line_of(&object.object),
            Number::At(place) => self.at(place.line, &place.file),
            Number::Elsewhere(reason) => reason.clone(),
        }
    }

    /// Checks that every kustomization in the directory of a place, or above it in the package, can be read.
    pub(crate) fn check_governing(&self, found: &Found) -> Result<(), PorchError> {
        let mut dir = parent(&found.file);
        loop {
            for name in KUSTOMIZATIONS {
                self.world.check(&join(dir, name))?;
            }
            if dir == self.world.dir || dir.is_empty() {
                return Ok(());
            }
            dir = parent(dir);
        }
    }

    /// Checks that no directory of the package has two kustomizations: kustomize builds neither.
    pub(crate) fn check_single(&self) -> Result<(), PorchError> {
        for path in self.world.paths().iter().filter(|path| base_name(path) == KUSTOMIZATIONS[0]) {
            for other in KUSTOMIZATIONS.iter().skip(1) {
                if self.world.file(&join(parent(path), other))?.is_some() {
                    let reason = format!("stands beside {other}, and kustomize builds neither; leave one");
                    return Err(PorchError::unfit(self.world.name(path), reason));
                }
            }
        }
        Ok(())
    }

    /// The kustomizations above the package that bring it in and override the number.
    pub(crate) fn decided_above(&self, found: &Found) -> Result<Option<String>, PorchError> {
        for dir in kustomize::above(self.world)? {
            let built = self.site().directory(&dir)?;
            let reason = self.decided_in(&built, &self.world.dir, found);
            if reason.is_some() {
                return Ok(reason);
            }
        }
        Ok(None)
    }

    /// A kustomization here that brings the object of another directory in and overrides its number.
    pub(crate) fn decided_beside(&self, dir: &str, found: &Found) -> Option<String> {
        self.decided_in(&self.built, dir, found)
    }

    /// Where a build overrides the number of the object of a directory. One that it makes into an object of another
    /// name or namespace is none of ours.
    fn decided_in(&self, built: &Built, dir: &str, found: &Found) -> Option<String> {
        let mut ours = built.objects.iter().filter(|object| {
            is_below(dir, &object.object.file)
                && object.name() == self.wanted.name
                && object.namespace().is_none_or(|name| name == self.wanted.namespace)
        });
        ours.find_map(|object| self.overridden(object, found))
    }

    /// Where the number of an object is decided, if not in the place that was found.
    fn overridden(&self, object: &Rendered, found: &Found) -> Option<String> {
        let elsewhere = match &object.number {
            Number::Own => false,
            Number::At(place) => place.file != found.file || place.path != found.path,
            Number::Elsewhere(_) => true,
        };
        if !elsewhere || !self.is_scaled(&object.object) {
            return None;
        }
        Some(match &object.number {
            Number::Elsewhere(reason) => format!("{reason}; change that instead"),
            _ => format!("{} sets its replicas; change that instead", self.number_shown(object)),
        })
    }
}

/// Whether a file is in a directory or below it.
fn is_below(dir: &str, file: &str) -> bool {
    file.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a file with a kustomization's name holds a Flux object.
fn is_flux(world: &World<'_>, path: &str) -> Result<bool, PorchError> {
    Ok(KUSTOMIZATIONS.contains(&base_name(path))
        && world.kustomization(parent(path))?.as_deref() != Some(path))
}

fn is_same(a: &Object, b: &Object) -> bool {
    a.file == b.file && a.document == b.document && a.path == b.path
}
