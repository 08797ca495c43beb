//! What the pipelines of kpt packages do to a workload after an edit: functions that set its number, move or rename it, and
//! the setters that hold a value.

use crate::PorchError;
use crate::files::{KPTFILE, base_name, join, parent, resolve};
use crate::tree::Tree;
use crate::yaml::{self, Node, Stream, YamlError};

/// The workload that functions may change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Governed<'g> {
    pub kind: &'g str,
    pub name: &'g str,
    pub namespace: &'g str,
}

/// The Kptfiles of a file's directory and of those above it that have a pipeline: the directory, and the content.
pub(crate) struct Pipelines<'t> {
    tree: &'t dyn Tree,
    kptfiles: Vec<(String, Stream)>,
}

/// The configuration of a function: the file that it is in, and the mapping of its values.
struct Config {
    place: String,
    text: String,
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
        for (dir, function) in self.functions().filter(|(_, function)| applies(function, workload)) {
            let config = self.config(dir, function)?;
            let place = format!("{}:{}", self.tree.name(&join(dir, KPTFILE)), function.line);
            let name = name_of(function);
            let does = match name {
                "apply-setters" => None,
                "set-namespace" => config
                    .value("namespace")
                    .and_then(Node::text)
                    .filter(|namespace| *namespace != workload.namespace)
                    .map(|namespace| format!("puts it into the namespace {namespace}")),
                "ensure-name-substring" => Some("changes its name".to_owned()),
                "search-replace" if replaces_numbers(&config) => Some("may set its replicas".to_owned()),
                _ if name.starts_with("set-replica") => Some("sets its replicas".to_owned()),
                _ => config
                    .text
                    .to_ascii_lowercase()
                    .contains("replica")
                    .then(|| "may set its replicas".to_owned()),
            };
            if let Some(does) = does {
                return Ok(Some(format!("{place} (the kpt function {name}) {does}; change that instead")));
            }
        }
        Ok(None)
    }

    /// The namespace that the functions put the workload into, if they do.
    pub(crate) fn namespace(&self, workload: Governed<'_>) -> Result<Option<String>, PorchError> {
        for (dir, function) in self.functions().filter(|(_, function)| applies(function, workload)) {
            if name_of(function) == "set-namespace" {
                return Ok(self
                    .config(dir, function)?
                    .value("namespace")
                    .and_then(Node::text)
                    .map(str::to_owned));
            }
        }
        Ok(None)
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
            let (text, stream) = read(self.tree, &path)?.unwrap_or_default();
            let document = stream.documents.into_iter().next();
            let values = document.as_ref().and_then(|document| document.get("data").cloned()).or(document);
            return Ok(Config { place: self.tree.name(&path), text, values });
        }
        let values = function.get("configMap").cloned();
        let words = values.iter().flat_map(Node::entries).flat_map(|(key, value)| [key.text(), value.text()]);
        let text = words.flatten().collect::<Vec<_>>().join("\n");
        Ok(Config { place: self.tree.name(&join(dir, KPTFILE)), text, values })
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
    let list = |key: &str| function.get(key).map(Node::items).unwrap_or_default();
    let is_certain = |selector: &Node| selector.get("labels").or(selector.get("annotations")).is_none();
    let chosen = list("selectors").is_empty() || list("selectors").iter().any(is_for);
    chosen && !list("exclude").iter().any(|selector| is_certain(selector) && is_for(selector))
}
