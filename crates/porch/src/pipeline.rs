//! What the pipelines of kpt packages do to a workload after an edit: functions that set its number, move or rename it, and
//! the setters that hold a value.

use crate::PorchError;
use crate::files::{KPTFILE, base_name, join, parent, resolve};
use crate::kinds::Governed;
use crate::tree::Tree;
use crate::yaml::{self, Node, Stream, YamlError};

/// The Kptfiles of a file's directory and of those above it that have a pipeline: the directory, and the content.
pub(crate) struct Pipelines<'t> {
    tree: &'t dyn Tree,
    kptfiles: Vec<(String, Stream)>,
}

/// The function of kpt that sets namespaces.
const SET_NAMESPACE: &str = "set-namespace";
/// The `ConfigMap` that kpt keeps in a package about it.
const CONTEXT: &str = "kptfile.kpt.dev";

/// The configuration of a function: the file that it is in, and the mapping of its values.
struct Config {
    place: String,
    text: String,
    /// The name of the object that it is, if it is one.
    name: Option<String>,
    values: Option<Node>,
}

impl<'t> Pipelines<'t> {
    pub(crate) fn of(tree: &'t dyn Tree, file: &str) -> Result<Self, PorchError> {
        let mut kptfiles = Vec::new();
        let mut dir = parent(file);
        loop {
            if let Some(stream) =
                read(tree, &join(dir, KPTFILE))?.filter(|(text, _)| text.contains("pipeline"))
            {
                kptfiles.push((dir.to_owned(), stream.1));
            }
            if dir.is_empty() {
                return Ok(Self { tree, kptfiles });
            }
            dir = parent(dir);
        }
    }

    /// Why an edit of the workload's number does not count or would be undone.
    pub(crate) fn objection(&self, workload: Governed<'_>) -> Result<Option<String>, PorchError> {
        // A later function may put it back.
        let mut moved = None;
        let mut space = workload.namespace.to_owned();
        for (dir, function) in self.functions().filter(|(_, function)| applies(function, workload)) {
            let config = self.config(dir, function)?;
            let name = name_of(function);
            let said = |does: &str| {
                let place = format!("{}:{}", self.tree.name(&join(dir, KPTFILE)), function.line);
                format!("{place} (the kpt function {name}) {does}; change that instead")
            };
            let does = match name {
                "apply-setters" => None,
                SET_NAMESPACE => {
                    if let Some(new) = config.namespace(Some(&space)) {
                        let does = format!("puts it into the namespace {new}");
                        moved = (new != workload.namespace).then(|| said(&does));
                        space = new.to_owned();
                    }
                    None
                }
                "ensure-name-substring" => Some("changes its name"),
                "search-replace" if replaces_numbers(&config) => Some("may set its replicas"),
                _ if name.starts_with("set-replica") => Some("sets its replicas"),
                _ => {
                    let speaks = config.text.to_ascii_lowercase().contains("replica")
                        || workload.kinds.speaks_of_number(&config.text);
                    speaks.then_some("may set its replicas")
                }
            };
            if let Some(does) = does {
                return Ok(Some(said(does)));
            }
        }
        Ok(moved)
    }

    /// The namespace that the functions put the workload into, if they do.
    pub(crate) fn namespace(&self, workload: Governed<'_>) -> Result<Option<String>, PorchError> {
        let mut space: Option<String> = None;
        for (dir, function) in self.functions().filter(|(_, function)| applies(function, workload)) {
            if name_of(function) == SET_NAMESPACE {
                let config = self.config(dir, function)?;
                let new = config.namespace(space.as_deref()).map(str::to_owned);
                space = new.or(space);
            }
        }
        Ok(space)
    }

    /// The place of the first of these setters that has a value.
    pub(crate) fn setter(&self, names: &[String]) -> Result<Option<String>, PorchError> {
        for (dir, function) in self.functions().filter(|(_, function)| name_of(function) == "apply-setters") {
            let config = self.config(dir, function)?;
            if let Some((name, value)) =
                names.iter().find_map(|name| config.value(name).map(|value| (name, value)))
            {
                return Ok(Some(format!("{name} stands at {}:{}", config.place, value.line)));
            }
        }
        Ok(None)
    }

    fn functions(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.kptfiles.iter().flat_map(|(dir, stream)| {
            let mutators =
                stream.documents.first().and_then(|document| document.at(&["pipeline", "mutators"]));
            mutators.map(Node::items).unwrap_or_default().iter().map(move |node| (dir.as_str(), node))
        })
    }

    fn config(&self, dir: &str, function: &Node) -> Result<Config, PorchError> {
        if let Some(path) = function.text_at(&["configPath"]) {
            let Some(path) = resolve(dir, path) else {
                let reason =
                    format!("names {path} as a function's configuration, which lies outside of all packages");
                return Err(PorchError::unfit(self.tree.name(&join(dir, KPTFILE)), reason));
            };
            let Some((text, stream)) = read(self.tree, &path)? else {
                let reason = format!("names {path} as a function's configuration, which is not here");
                return Err(PorchError::unfit(self.tree.name(&join(dir, KPTFILE)), reason));
            };
            let document = stream.documents.into_iter().next();
            let name = document.as_ref().and_then(|document| document.text_at(&["metadata", "name"]));
            let name = name.map(str::to_owned);
            let values = document.as_ref().and_then(|document| document.get("data").cloned()).or(document);
            return Ok(Config { place: self.tree.name(&path), text, name, values });
        }
        let values = function.get("configMap").cloned();
        let words = values.iter().flat_map(Node::entries).flat_map(|(key, value)| [key.text(), value.text()]);
        let text = words.flatten().collect::<Vec<_>>().join("\n");
        Ok(Config { place: self.tree.name(&join(dir, KPTFILE)), text, name: None, values })
    }
}

/// Whether a search of kpt's may put something in the place of a number without saying so by a path.
fn replaces_numbers(config: &Config) -> bool {
    let says = |key: &str| config.value(key).and_then(Node::text);
    let puts = says("put-value").or(says("put-comment")).is_some();
    let anywhere = says("by-path").is_none_or(|path| path.contains('*'));
    let number = says("by-value").is_none_or(|value| value.parse::<u32>().is_ok());
    puts && anywhere && number
}

impl Config {
    fn value(&self, key: &str) -> Option<&Node> {
        self.values.as_ref()?.get(key)
    }

    /// The namespace that it puts an object of `present` into: in the context of a package, the name of that.
    fn namespace(&self, present: Option<&str>) -> Option<&str> {
        let said = |key: &str| self.value(key).and_then(Node::text);
        let matcher = said("namespaceMatcher").filter(|only| !only.is_empty());
        if matcher.is_some_and(|only| present.is_some_and(|is| is != only)) {
            return None;
        }
        let is_context = self.name.as_deref() == Some(CONTEXT);
        said("namespace").or_else(|| said("name").filter(|_| is_context))
    }
}

/// A file as text and as YAML. A file that is there and cannot be read so is refused: what it says is not known.
fn read(tree: &dyn Tree, path: &str) -> Result<Option<(String, Stream)>, PorchError> {
    let Some(content) = tree.file(path)? else { return Ok(None) };
    let unfit = |error: YamlError| PorchError::unfit(tree.name(path), error.to_string());
    let stream = yaml::parse_expanded(&content.bytes).map_err(unfit)?;
    Ok(Some((String::from_utf8_lossy(&content.bytes).into_owned(), stream)))
}

/// The name of a function, without registry, version and digest.
fn name_of(function: &Node) -> &str {
    let called = function.text_at(&["image"]).or_else(|| function.text_at(&["exec"])).unwrap_or_default();
    let last = base_name(called.split_whitespace().next().unwrap_or_default());
    last.split([':', '@']).next().unwrap_or_default()
}

/// Whether a function's selectors choose the workload. What they say of labels and annotations is not looked at.
fn applies(function: &Node, workload: Governed<'_>) -> bool {
    let says = |selector: &Node, key: &str, value: &str| {
        selector.text_at(&[key]).is_none_or(|text| text.is_empty() || text == value)
    };
    let is_for = |selector: &Node| {
        says(selector, "kind", workload.kind)
            && says(selector, "name", workload.name)
            && says(selector, "namespace", workload.namespace)
    };
    let list = |key: &str| function.items_at(&[key]);
    let is_certain = |selector: &Node| selector.get("labels").or(selector.get("annotations")).is_none();
    let chosen = list("selectors").is_empty() || list("selectors").iter().any(is_for);
    chosen && !list("exclude").iter().any(|selector| is_certain(selector) && is_for(selector))
}
