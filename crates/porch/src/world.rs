//! The files that decide one target's number: those of a package, and those that its kustomizations name beside it. Each
//! is read and parsed once.

use crate::PorchError;
use crate::files::{CHART, Content, Files, KUSTOMIZATIONS, base_name, holds_objects, join, parent};
use crate::glob;
use crate::kinds::{Governed, Kinds};
use crate::krmignore::Ignored;
use crate::objects::{Object, objects_of};
use crate::survey::{Search, Survey, is_pointer};
use crate::text::{Text, mentions, says};
use crate::tree::Tree;
use crate::yaml::{self, Stream};
use crate::ytt;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The largest number of nodes of YAML that is kept for one order: of the file that is edited, and of what decides about it.
const NODES_MAX: usize = 400_000;
/// The number up to which other files are kept too, so that they are parsed once.
const NODES_LOOSE_MAX: usize = 50_000;
/// The largest number of objects that is kept for one order.
const OBJECTS_MAX: usize = 20_000;

/// The number of directories that are compared with a pattern.
const DIRECTORIES_MAX: usize = 256;

/// Files by their path from the root of a tree.
pub(crate) struct World<'t> {
    /// The tree for other files; `None`: there are no other files.
    tree: Option<&'t dyn Tree>,
    /// The directory whose files are all loaded.
    pub dir: String,
    /// The display name of that directory.
    shown: String,
    /// Whether files of the directory that are not YAML are noted and hold nothing.
    lenient: bool,
    /// The first place that may hold objects and was not read, as shown, and the reason.
    doubt: RefCell<Option<(String, String)>>,
    /// The submodules that a survey did not search, as a note.
    passed_over: Option<String>,
    /// The text that a survey searched for.
    text: String,
    /// Whether the object that a survey searched for states its namespace.
    is_said: bool,
    /// Files of the directory that were read in a survey, do not mention the target, and are not loaded.
    silent: BTreeSet<String>,
    /// Files of the directory that are none of the package's; a kustomization may name them all the same.
    aside: BTreeMap<String, Rc<Content>>,
    /// Other files that a kustomization names.
    named: RefCell<BTreeMap<String, Option<Rc<Content>>>>,
    files: RefCell<BTreeMap<String, Option<Rc<Content>>>>,
    /// As they are written.
    written: RefCell<BTreeMap<String, Rc<Stream>>>,
    /// With aliases and merge keys replaced.
    streams: RefCell<BTreeMap<String, Rc<Stream>>>,
    objects: RefCell<BTreeMap<String, Rc<[Rc<Object>]>>>,
    /// What is kept of all files, also of those of a world that this one has taken over.
    kept: Rc<Kept>,
}

/// What is kept of files: in hundreds of files, a few megabytes of text are gigabytes of nodes.
#[derive(Debug, Default)]
struct Kept {
    nodes: Cell<usize>,
    objects: Cell<usize>,
}

impl<'t> World<'t> {
    /// The files of `dir`; those that `.krmignore` names and those of Helm charts are set aside.
    pub(crate) fn new(tree: Option<&'t dyn Tree>, dir: &str, shown: String, files: Files) -> Self {
        let ignored = Ignored::of(&files);
        let charts: Vec<String> = files
            .keys()
            .filter(|path| base_name(path) == CHART && !ignored.covers(path))
            .map(|path| path.strip_suffix(CHART).unwrap_or_default().to_owned())
            .collect();
        let of_chart = |path: &str| charts.iter().any(|chart| path.starts_with(chart.as_str()));
        let (mut here, mut aside) = (BTreeMap::new(), BTreeMap::new());
        for (path, content) in files {
            let (place, content) = (join(dir, &path), Rc::new(content));
            if ignored.covers(&path) || (base_name(&path) != CHART && of_chart(&path)) {
                aside.insert(place, content);
            } else {
                here.insert(place, Some(content));
            }
        }
        Self {
            tree,
            dir: dir.to_owned(),
            shown,
            lenient: false,
            doubt: RefCell::default(),
            passed_over: None,
            text: String::new(),
            is_said: true,
            silent: BTreeSet::new(),
            aside,
            named: RefCell::default(),
            files: RefCell::new(here),
            written: RefCell::default(),
            streams: RefCell::default(),
            objects: RefCell::default(),
            kept: Rc::default(),
        }
    }

    /// The files that a survey of `dir` found.
    pub(crate) fn surveyed(tree: &'t dyn Tree, dir: &str, survey: Survey, search: Search<'_>) -> Self {
        let Search { text, is_said, .. } = search;
        let Survey { files, silent, skipped, mut submodules, .. } = survey;
        let ignored = Ignored::of(&files);
        // A list may name it as a file or as a directory.
        let is_ignored = |path: &str| ignored.covers(path) || ignored.covers(&join(path, "_"));
        let chart = chart_of(&files, text).map(|path| (path, "belongs to a Helm chart"));
        let doubt = skipped.into_iter().chain(chart).find(|(path, _)| !is_ignored(path));
        let doubt = doubt.map(|(path, reason)| {
            let reason = format!("{reason} and may hold {text}: put it right, or name it in .krmignore");
            (tree.name(&join(dir, &path)), reason)
        });
        submodules.retain(|path| !is_ignored(path));
        let passed_over = submodules.first().map(|first| {
            let first = tree.name(&join(dir, first));
            match submodules.len() {
                1 => format!("{first} is a submodule, which was not searched for {text}"),
                count => format!(
                    "{first} and {} more are submodules, which were not searched for {text}",
                    count - 1
                ),
            }
        });
        let silent = silent.into_iter().map(|path| join(dir, &path)).collect();
        let world = Self::new(Some(tree), dir, tree.name(dir), files);
        Self {
            silent,
            text: text.to_owned(),
            is_said,
            doubt: RefCell::new(doubt),
            passed_over,
            ..world.lenient()
        }
    }

    /// Makes the world lenient: a file of the directory that is not YAML contains no objects.
    pub(crate) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Why an object may be here although none was found: an entry that cannot be read or is not YAML.
    pub(crate) fn doubt(&self) -> Option<PorchError> {
        let doubt = self.doubt.borrow();
        doubt.as_ref().map(|(place, reason)| PorchError::unfit(place, reason))
    }

    /// The same, as a note on what was done all the same.
    pub(crate) fn doubted(&self) -> Option<String> {
        self.doubt.borrow().as_ref().map(|(place, reason)| format!("{place} {reason}"))
    }

    /// The same and what was passed over.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.doubted().into_iter().chain(self.passed_over())
    }

    /// The note on the submodules that a survey did not search.
    pub(crate) fn passed_over(&self) -> Option<String> {
        self.passed_over.clone()
    }

    /// Notes, in a lenient world, that objects are not known because a file is unfit. Any other error stays one.
    pub(crate) fn pardon(&self, error: PorchError) -> Result<(), PorchError> {
        match error {
            PorchError::Unfit { package, reason } if self.lenient => {
                self.doubt.borrow_mut().get_or_insert((package, reason));
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Takes over the files of another world, so that none of them is read again.
    pub(crate) fn knowing(self, other: &World<'_>) -> Self {
        let others = other.files.borrow();
        let others = others.iter().map(|(path, content)| (path.clone(), content.clone()));
        self.named.borrow_mut().extend(others);
        self.written.borrow_mut().extend(other.written.borrow().clone());
        self.streams.borrow_mut().extend(other.streams.borrow().clone());
        Self { kept: other.kept.clone(), ..self }
    }

    /// The display name of a file.
    pub(crate) fn name(&self, path: &str) -> String {
        match (self.below(path), self.tree) {
            (Some(inner), _) => join(&self.shown, inner),
            (None, Some(tree)) => tree.name(path),
            (None, None) => path.to_owned(),
        }
    }

    /// The path of a file relative to the package, if it is in it.
    pub(crate) fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.dir.is_empty() { Some(path) } else { path.strip_prefix(self.dir.as_str())?.strip_prefix('/') }
    }

    /// The paths of the package's files.
    pub(crate) fn paths(&self) -> Vec<String> {
        let files = self.files.borrow();
        files
            .iter()
            .filter(|(path, content)| content.is_some() && self.below(path).is_some())
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// A file, here or elsewhere in the tree.
    pub(crate) fn file(&self, path: &str) -> Result<Option<Rc<Content>>, PorchError> {
        if let Some(known) = self.files.borrow().get(path) {
            return Ok(known.clone());
        }
        if let Some(known) = self.named.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = match self.tree {
            Some(tree) if self.below(path).is_none() => tree.file(path)?.map(Rc::new),
            // All files of the package are known.
            _ => return Ok(None),
        };
        self.files.borrow_mut().insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// A file that a kustomization names, whether or not its name or `.krmignore` makes it a part of the package. `None`
    /// if it is not here.
    pub(crate) fn named(&self, path: &str) -> Result<Option<Rc<Content>>, PorchError> {
        let known = self.files.borrow().get(path).or(self.named.borrow().get(path)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = match (self.aside.get(path), self.tree) {
            (Some(content), _) => Some(content.clone()),
            (None, None) => None,
            (None, Some(tree)) => match tree.file(path) {
                // A link on its way.
                Err(PorchError::Unfit { .. }) => None,
                found => found?.map(Rc::new),
            },
        };
        self.named.borrow_mut().insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// Whether a survey has read the file and found no mention of the target.
    pub(crate) fn is_silent(&self, path: &str) -> bool {
        self.silent.contains(path)
    }

    /// The place of a directory of the repository, of which the root of the packages may be any directory; `None` if it is
    /// not here. A place that cannot be looked at is an error.
    pub(crate) fn place_of(&self, dir: &str) -> Result<Option<String>, PorchError> {
        let Some(tree) = self.tree else { return Ok(None) };
        let steps: Vec<&str> = dir.split('/').filter(|step| !matches!(*step, "" | ".")).collect();
        let ends_with = |whole: &str, end: &str| {
            whole.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', ':']))
        };
        if steps.is_empty() || steps.contains(&"..") || ends_with(&tree.name(""), &steps.join("/")) {
            return Ok(Some(String::new()));
        }
        for end in (0..steps.len()).filter_map(|from| steps.get(from..)).map(|end| end.join("/")) {
            if !tree.names(&end)?.is_empty() {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Whether the root of the tree is called like a pattern of directories of the repository, in which an asterisk is any text.
    pub(crate) fn root_is_like(&self, pattern: &str) -> bool {
        let Some(tree) = self.tree else { return false };
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        // What is above a name that does not begin at the root of the machine may be called anything.
        let name = format!("_/{}", tree.name(""));
        let begins = name.match_indices(['/', ':']).map(|(at, _)| at + 1);
        let mut ends = std::iter::once(0).chain(begins).filter_map(|at| name.get(at..));
        ends.any(|end| glob::matches(pattern, end))
    }

    /// The directories below a place whose paths from there are like a pattern, from the root of the tree; `None` if there are too
    /// many to be looked through.
    pub(crate) fn directories_like(
        &self,
        place: &str,
        pattern: &str,
    ) -> Result<Option<Vec<String>>, PorchError> {
        let Some(tree) = self.tree else { return Ok(None) };
        let (mut found, mut open, mut left) = (Vec::new(), vec![String::new()], DIRECTORIES_MAX);
        while let Some(dir) = open.pop() {
            let Some(rest) = left.checked_sub(1) else { return Ok(None) };
            left = rest;
            let names = tree.names(&join(place, &dir))?;
            open.extend(names.iter().filter_map(|name| name.strip_suffix('/')).map(|name| join(&dir, name)));
            if glob::matches(pattern, &dir) {
                found.push(join(place, &dir));
            }
        }
        Ok(Some(found))
    }

    /// The kustomization of a directory, if it has one.
    pub(crate) fn kustomization(&self, dir: &str) -> Result<Option<String>, PorchError> {
        self.kustomization_by(dir, Self::file)
    }

    /// The kustomization of a directory that another kustomization names.
    pub(crate) fn named_kustomization(&self, dir: &str) -> Result<Option<String>, PorchError> {
        self.kustomization_by(dir, Self::named)
    }

    fn kustomization_by(
        &self,
        dir: &str,
        read: impl Fn(&Self, &str) -> Result<Option<Rc<Content>>, PorchError>,
    ) -> Result<Option<String>, PorchError> {
        for name in KUSTOMIZATIONS {
            let path = join(dir, name);
            if read(self, &path)?.is_some() && self.is_kustomization(&path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Whether a file is a kustomization: Flux's objects of the same kind may be in a file of that name.
    fn is_kustomization(&self, path: &str) -> Result<bool, PorchError> {
        let stream = self.stream(path)?;
        let version = stream.documents.first().and_then(|document| document.text_at(&["apiVersion"]));
        Ok(version.is_none_or(|version| version.starts_with("kustomize.config.k8s.io/")))
    }

    /// A file as YAML, with aliases and merge keys replaced. A missing file is empty.
    pub(crate) fn stream(&self, path: &str) -> Result<Rc<Stream>, PorchError> {
        if let Some(known) = self.streams.borrow().get(path) {
            return Ok(known.clone());
        }
        let read = self.written(path).and_then(|written| match written.expanded() {
            Some(stream) => self.keep(path, stream),
            None => Ok(written),
        });
        let stream = match read {
            Err(error) if self.below(path).is_some() => self.pardon(error).map(|()| Rc::default())?,
            read => read?,
        };
        self.streams.borrow_mut().insert(path.to_owned(), stream.clone());
        Ok(stream)
    }

    /// A file as the YAML that is written there, which an edit needs. A missing file is empty.
    pub(crate) fn written(&self, path: &str) -> Result<Rc<Stream>, PorchError> {
        if let Some(known) = self.written.borrow().get(path) {
            return Ok(known.clone());
        }
        let stream = self.keep(path, self.parse(path)?)?;
        self.written.borrow_mut().insert(path.to_owned(), stream.clone());
        Ok(stream)
    }

    /// A file as [`World::stream`] has it, which is not kept if it is large.
    pub(crate) fn reading(&self, path: &str) -> Result<Rc<Stream>, PorchError> {
        if let Some(known) = self.streams.borrow().get(path) {
            return Ok(known.clone());
        }
        let stream = self.parse(path)?;
        if self.kept.nodes.get() + stream.nodes <= NODES_LOOSE_MAX {
            let stream = self.keep(path, stream)?;
            self.written.borrow_mut().insert(path.to_owned(), stream);
            return self.stream(path);
        }
        Ok(Rc::new(stream.expanded().unwrap_or(stream)))
    }

    /// Counts the nodes of a file that is kept.
    fn keep(&self, path: &str, stream: Stream) -> Result<Rc<Stream>, PorchError> {
        let nodes = self.kept.nodes.get() + stream.nodes;
        if nodes > NODES_MAX {
            let reason =
                format!("has, with the files that it is read with, more than {NODES_MAX} nodes of YAML");
            return Err(PorchError::unfit(self.name(path), reason));
        }
        self.kept.nodes.set(nodes);
        Ok(Rc::new(stream))
    }

    fn parse(&self, path: &str) -> Result<Stream, PorchError> {
        Ok(match self.file(path)? {
            None => Stream::default(),
            Some(content) => match yaml::parse(&content.bytes) {
                Ok(stream) => stream,
                Err(error) => {
                    let reason = reason_of(&content.bytes, &error.to_string());
                    // Outside of the directory only what decides about the object is read.
                    if !self.lenient || self.below(path).is_none() {
                        return Err(PorchError::unfit(self.name(path), reason));
                    }
                    if mentions(&content.bytes, &self.text) {
                        self.doubt.borrow_mut().get_or_insert_with(|| (self.name(path), reason));
                    }
                    Stream::default()
                }
            },
        })
    }

    /// Refuses a file of the directory that is not YAML.
    pub(crate) fn check(&self, path: &str) -> Result<(), PorchError> {
        let Some(content) = self.file(path)? else { return Ok(()) };
        let reason = |error: yaml::YamlError| reason_of(&content.bytes, &error.to_string());
        yaml::parse(&content.bytes)
            .map(drop)
            .map_err(|error| PorchError::unfit(self.name(path), reason(error)))
    }

    /// The objects of a file that may concern a target: none if it contains none of the texts. The kinds of the operator are
    /// the same for each file.
    pub(crate) fn objects(
        &self,
        path: &str,
        texts: &[String],
        kinds: Kinds<'_>,
    ) -> Result<Rc<[Rc<Object>]>, PorchError> {
        let Some(content) = self.file(path)? else { return Ok(Rc::default()) };
        let decides = || {
            let said = Text::of(&content.bytes);
            said.decides_others(base_name(path)) || (!self.is_said && said.gives_namespace())
        };
        let concerns = concerns(path, &content.bytes, texts) || decides();
        if is_pointer(&content.bytes) || !concerns {
            return Ok(Rc::default());
        }
        if let Some(known) = self.objects.borrow().get(path) {
            return Ok(known.clone());
        }
        let objects: Rc<[Rc<Object>]> = objects_of(path, &*self.reading(path)?, kinds).into();
        let count = self.kept.objects.get() + objects.len();
        if count > OBJECTS_MAX {
            let reason = format!("has, with the files that it is read with, more than {OBJECTS_MAX} objects");
            self.pardon(PorchError::unfit(self.name(path), reason))?;
            return Ok(Rc::default());
        }
        self.kept.objects.set(count);
        self.objects.borrow_mut().insert(path.to_owned(), objects.clone());
        Ok(objects)
    }

    /// The first overlay of ytt in the package that may decide the number of an object: file and line.
    pub(crate) fn overlay_of_ytt(&self, workload: Governed<'_>) -> Option<String> {
        self.files.borrow().iter().find_map(|(path, content)| {
            let (path, content) = (self.below(path)?, content.as_ref()?);
            let line = ytt::overlay(std::str::from_utf8(&content.bytes).ok()?, workload)?;
            Some(format!("{path}:{line}"))
        })
    }

    /// The files of the package that can hold objects, except those that decide about others.
    pub(crate) fn manifests(&self) -> Vec<String> {
        let mut paths = self.paths();
        paths.retain(|path| holds_objects(base_name(path)) && base_name(path) != CHART);
        paths
    }

    /// Whether a directory, or one above it within the package, has a kustomization.
    pub(crate) fn is_governed(&self, path: &str) -> Result<bool, PorchError> {
        let mut dir = parent(path);
        loop {
            if self.kustomization(dir)?.is_some() {
                return Ok(true);
            }
            if dir == self.dir || dir.is_empty() {
                return Ok(false);
            }
            dir = parent(dir);
        }
    }
}

/// A file of a Helm chart that may make an object of this name: the chart's own, if it is called so, or a template.
fn chart_of(files: &Files, text: &str) -> Option<String> {
    let mut charts =
        files.iter().filter_map(|(path, content)| Some((path.strip_suffix(CHART)?, path, content)));
    let of_chart = |(dir, path, content): (&str, &String, &Content)| {
        let is_called = String::from_utf8_lossy(&content.bytes).lines().any(|line| {
            line.strip_prefix("name:").is_some_and(|name| name.trim_matches([' ', '"', '\'']) == text)
        });
        let templates = format!("{dir}templates/");
        let template = files
            .range(templates.clone()..)
            .take_while(|(path, _)| path.starts_with(&templates))
            .find(|(_, content)| mentions(&content.bytes, text));
        template.map(|(path, _)| path.clone()).or_else(|| is_called.then(|| path.clone()))
    };
    charts.find_map(of_chart)
}

/// Why a file that is not YAML is none, and the remedy.
fn reason_of(bytes: &[u8], error: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.lines().position(|line| line.contains("{{")) {
        Some(line) => format!(
            "has template marks ({{{{) at line {} and is no manifest: render it, or leave it out of the package (.krmignore)",
            line + 1
        ),
        None => format!("{error}; if it is no manifest, name it in .krmignore"),
    }
}

/// A cheap check before parsing. Text that is not UTF-8 counts, and is then refused by name; JSON that is no manifest does not.
fn concerns(path: &str, bytes: &[u8], texts: &[String]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    let json = std::path::Path::new(path).extension().is_some_and(|end| end == "json");
    says(text, |text| {
        (texts.is_empty() || texts.iter().any(|wanted| text.contains(wanted.as_str())))
            && !(json && !(text.contains("\"apiVersion\"") && text.contains("\"kind\"")))
    })
}
