//! The files that decide one target's number: those of a package, and those that its kustomizations name beside it. Each
//! is read and parsed once.

use crate::PorchError;
use crate::files::{CHART, Content, Files, KUSTOMIZATIONS, Tree, base_name, holds_objects, join, parent};
use crate::krmignore;
use crate::objects::{Object, objects_of};
use crate::yaml::{self, Stream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The content that Git LFS leaves in place of a file kept elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Files by their path from the root of a tree.
pub(crate) struct World<'t> {
    /// The tree for other files; `None`: there are no other files.
    tree: Option<&'t dyn Tree>,
    /// The directory whose files are all loaded.
    pub dir: String,
    /// The display name of that directory.
    shown: String,
    /// Whether unreadable files are skipped.
    lenient: bool,
    files: RefCell<BTreeMap<String, Option<Rc<Content>>>>,
    streams: RefCell<BTreeMap<String, Rc<Stream>>>,
}

impl<'t> World<'t> {
    /// The files of `dir`, without those that `.krmignore` names and those of Helm charts.
    pub(crate) fn new(tree: Option<&'t dyn Tree>, dir: &str, shown: String, mut files: Files) -> Self {
        krmignore::apply(&mut files);
        let charts: Vec<String> = files
            .keys()
            .filter(|path| base_name(path) == CHART)
            .map(|path| path.strip_suffix(CHART).unwrap_or_default().to_owned())
            .collect();
        let of_chart = |path: &str| charts.iter().any(|chart| path.starts_with(chart.as_str()));
        let files = files
            .into_iter()
            .filter(|(path, _)| base_name(path) == CHART || !of_chart(path))
            .map(|(path, content)| (join(dir, &path), Some(Rc::new(content))))
            .collect();
        let (files, streams) = (RefCell::new(files), RefCell::default());
        Self { tree, dir: dir.to_owned(), shown, lenient: false, files, streams }
    }

    /// Makes the world lenient: a file that is not YAML contains no objects.
    pub(crate) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
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
        let found = match self.tree {
            // All files of the package are known.
            Some(tree) if self.below(path).is_none() => tree.file(path)?.map(Rc::new),
            _ => None,
        };
        self.files.borrow_mut().insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// The kustomization of a directory, if it has one.
    pub(crate) fn kustomization(&self, dir: &str) -> Result<Option<String>, PorchError> {
        for name in KUSTOMIZATIONS {
            let path = join(dir, name);
            if self.file(&path)?.is_some() && self.is_kustomization(&path)? {
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

    /// A file as YAML. A missing file is empty.
    pub(crate) fn stream(&self, path: &str) -> Result<Rc<Stream>, PorchError> {
        if let Some(known) = self.streams.borrow().get(path) {
            return Ok(known.clone());
        }
        let stream = match self.file(path)? {
            None => Stream::default(),
            Some(content) => match yaml::parse(&content.bytes) {
                Ok(stream) => stream,
                Err(_) if self.lenient => Stream::default(),
                Err(error) => return Err(self.unreadable(path, &content.bytes, &error.to_string())),
            },
        };
        let stream = Rc::new(stream);
        self.streams.borrow_mut().insert(path.to_owned(), stream.clone());
        Ok(stream)
    }

    fn unreadable(&self, path: &str, bytes: &[u8], error: &str) -> PorchError {
        let text = String::from_utf8_lossy(bytes);
        let reason = match text.lines().position(|line| line.contains("{{")) {
            Some(line) => format!(
                "has template marks ({{{{) at line {} and is no manifest: render it, or leave it out of the package (.krmignore)",
                line + 1
            ),
            None => format!("{error}; if it is no manifest, name it in .krmignore"),
        };
        PorchError::unfit(self.name(path), reason)
    }

    /// The objects of a file that may concern a target: none if it contains none of the texts.
    pub(crate) fn objects(&self, path: &str, texts: &[String]) -> Result<Vec<Rc<Object>>, PorchError> {
        let Some(content) = self.file(path)? else { return Ok(Vec::new()) };
        if is_pointer(&content.bytes) || !concerns(path, &content.bytes, texts) {
            return Ok(Vec::new());
        }
        Ok(objects_of(path, &*self.stream(path)?))
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

/// Whether the content of a file is kept elsewhere.
pub(crate) fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(LFS_POINTER)
}

/// A cheap check before parsing. Text that is not UTF-8 counts, and is then refused by name; JSON that is no manifest does not.
fn concerns(path: &str, bytes: &[u8], texts: &[String]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    let json = std::path::Path::new(path).extension().is_some_and(|end| end == "json");
    (texts.is_empty() || texts.iter().any(|wanted| text.contains(wanted.as_str())))
        && !(json && !(text.contains("\"apiVersion\"") && text.contains("\"kind\"")))
}
