//! The operator's table: package, repository and object of each target. Without a table the default places apply. An
//! intent's constraints can only narrow the table.

use crate::kinds::Workload;
use crate::{Order, PorchError, glob};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest number of replicas that any intent can request.
const REPLICAS_MAX: u32 = 100;

/// The table of routes and the repositories they name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Routes {
    /// In order; the first route that covers an intent applies.
    #[serde(default, rename = "route")]
    table: Vec<Route>,
    #[serde(default, rename = "repository")]
    repositories: BTreeMap<String, Repository>,
    /// Kinds of workloads besides the built-in ones.
    #[serde(default, rename = "workload")]
    workloads: Vec<Workload>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Route {
    /// Patterns; `*` matches any text.
    #[serde(default = "any")]
    namespace: String,
    #[serde(default = "any")]
    target: String,
    /// Directory of the package, with `{namespace}`, `{target}` and `{package}`.
    #[serde(default = "default_package")]
    package: String,
    /// Name of a repository; `None`: the output directory.
    repository: Option<String>,
    /// The object's kind, if it is not a Deployment, `StatefulSet` or `ReplicaSet` with the target's name.
    kind: Option<String>,
    name: Option<String>,
    base: Option<PathBuf>,
    /// Whether a structured package gets a kustomize Component.
    #[serde(default)]
    kustomize: bool,
    #[serde(default)]
    min_replicas: u32,
    #[serde(default = "replicas_max")]
    max_replicas: u32,
}

/// A Git repository that packages are committed to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// A work tree or a bare repository on this machine.
    pub git: PathBuf,
    /// The branch to commit to; `None`: the one that HEAD of the repository leads to.
    pub branch: Option<String>,
    /// The start of a missing branch: another branch, or HEAD for the default branch. `None`: a missing branch is
    /// refused, unless the repository has no commit at all.
    pub from: Option<String>,
    /// The remote that each commit is pushed to.
    pub push: Option<String>,
    /// `Name <address>` of author and committer.
    #[serde(default = "default_author")]
    pub author: String,
    /// An SSH key that signs the commits.
    pub signing_key: Option<PathBuf>,
    /// The directory of the repository that contains the packages.
    #[serde(default)]
    pub directory: String,
}

/// The destination of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The package's directory by the table; `None`: the default places.
    pub dir: Option<String>,
    /// The package named by the intent, if the table names none.
    pub package: Option<String>,
    pub kind: Option<String>,
    /// Name of the object.
    pub object: String,
    pub base: Option<PathBuf>,
    pub kustomize: bool,
    pub repository: Option<Repository>,
    pub workloads: Vec<Workload>,
}

fn any() -> String {
    "*".to_owned()
}

fn default_package() -> String {
    "{namespace}/{package}".to_owned()
}

fn replicas_max() -> u32 {
    REPLICAS_MAX
}

/// Author and committer if none is configured.
fn default_author() -> String {
    "conductor-loop <conductor-loop@localhost>".to_owned()
}

impl Routes {
    /// Parses the tables `[[route]]`, `[[workload]]` and `[repository.NAME]`; the error is a sentence.
    pub fn from_toml(table: toml::Table) -> Result<Self, String> {
        let routes: Routes =
            table.try_into().map_err(|error: toml::de::Error| error.to_string().trim().to_owned())?;
        for (number, route) in routes.table.iter().enumerate() {
            route
                .validate(&routes.repositories)
                .map_err(|reason| format!("route {}: {reason}", number + 1))?;
        }
        routes.workloads.iter().try_for_each(Workload::validate)?;
        for (name, repository) in &routes.repositories {
            repository.validate().map_err(|reason| format!("repository '{name}': {reason}"))?;
        }
        Ok(routes)
    }

    /// Whether a repository may have to be read or written.
    pub fn uses_git(&self) -> bool {
        self.table.iter().any(|route| route.repository.is_some())
    }

    /// The repositories that routes lead to.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.table.iter().filter_map(|route| self.repositories.get(route.repository.as_ref()?))
    }

    /// The packages that routes copy new ones from.
    pub fn bases(&self) -> impl Iterator<Item = PathBuf> {
        self.table.iter().filter_map(|route| route.base.clone())
    }

    /// Name and place of each repository of the table.
    pub fn named_repositories(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.repositories.iter().map(|(name, repository)| (name.as_str(), repository.git.as_path()))
    }

    /// The repositories that a route leads to, with their names.
    pub(crate) fn used_repositories(&self) -> impl Iterator<Item = (&str, &Repository)> {
        let used = |name: &String| self.table.iter().any(|route| route.repository.as_ref() == Some(name));
        let used = self.repositories.iter().filter(move |(name, _)| used(name));
        used.map(|(name, repository)| (name.as_str(), repository))
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The destination of the order, or the reason for refusing it.
    pub(crate) fn assign(&self, order: &Order) -> Result<Assignment, PorchError> {
        let (key, intent) = (&order.intent.key, &order.intent);
        if self.table.is_empty() {
            if let Some(named) = &intent.repository {
                let reason = format!("the intent names the repository '{named}', and no route leads to one");
                return Err(PorchError::Policy(reason));
            }
            let (package, object) = (intent.package.clone(), key.target.clone());
            return Ok(Assignment {
                dir: None,
                package,
                kind: None,
                object,
                base: None,
                kustomize: false,
                repository: None,
                workloads: self.workloads.clone(),
            });
        }
        let replicas = order.replicas()?;
        let mut covering = self.table.iter().filter(|route| route.covers(order)).peekable();
        if covering.peek().is_none() {
            return Err(PorchError::Policy(format!("no route covers {key}")));
        }
        let narrowed = covering.find(|route| route.agrees(order));
        let route = narrowed.ok_or_else(|| {
            let asked = [("package", &intent.package), ("repository", &intent.repository)];
            let asked: Vec<String> = asked
                .iter()
                .filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} '{name}'")))
                .collect();
            PorchError::Policy(format!("no route of {key} leads to {}", asked.join(" in ")))
        })?;
        if !(route.min_replicas..=route.max_replicas).contains(&replicas) {
            let (low, high) = (route.min_replicas, route.max_replicas);
            return Err(PorchError::Policy(format!(
                "the route of {key} allows {low} to {high} replicas, not {replicas}"
            )));
        }
        Ok(Assignment {
            dir: Some(route.directory(order)),
            package: None,
            kind: route.kind.clone(),
            object: route.name.as_ref().unwrap_or(&key.target).clone(),
            base: route.base.clone(),
            kustomize: route.kustomize,
            repository: route.repository.as_ref().and_then(|name| self.repositories.get(name)).cloned(),
            workloads: self.workloads.clone(),
        })
    }
}

impl Route {
    fn validate(&self, repositories: &BTreeMap<String, Repository>) -> Result<(), String> {
        if self.min_replicas > self.max_replicas {
            return Err(format!(
                "min-replicas {} is above max-replicas {}",
                self.min_replicas, self.max_replicas
            ));
        }
        if let Some(name) = self.repository.as_ref().filter(|name| !repositories.contains_key(*name)) {
            return Err(format!("there is no [repository.{name}]"));
        }
        let filled = ["{namespace}", "{target}", "{package}"]
            .iter()
            .fold(self.package.clone(), |text, place| text.replace(place, "x"));
        check_directory(&filled).map_err(|reason| format!("package '{}' {reason}", self.package))
    }

    fn covers(&self, order: &Order) -> bool {
        let key = &order.intent.key;
        glob::matches(&self.namespace, &key.namespace) && glob::matches(&self.target, &key.target)
    }

    /// Whether the intent's constraints name this route's package and repository, or none.
    fn agrees(&self, order: &Order) -> bool {
        let dir = self.directory(order);
        let package = order.intent.package.as_ref();
        let repository = order.intent.repository.as_ref();
        package.is_none_or(|named| crate::files::base_name(&dir) == named)
            && repository.is_none_or(|named| self.repository.as_ref() == Some(named))
    }

    fn directory(&self, order: &Order) -> String {
        let key = &order.intent.key;
        // Names were judged: they contain no slash and do not begin with a dot, so they cannot lead elsewhere.
        self.package
            .replace("{namespace}", &key.namespace)
            .replace("{target}", &key.target)
            .replace("{package}", order.intent.package.as_ref().unwrap_or(&key.target))
    }
}

impl Repository {
    /// The repository at a path, with defaults for everything else.
    pub fn new(git: PathBuf) -> Self {
        Self {
            git,
            branch: None,
            from: None,
            push: None,
            author: default_author(),
            signing_key: None,
            directory: String::new(),
        }
    }

    /// Whether names and author can be passed to git.
    pub fn validate(&self) -> Result<(), String> {
        let refuse = |what: &str, value: &str| Err(format!("{what} '{value}' cannot be used"));
        if let Some((branch, reason)) = self.branch.as_ref().and_then(|name| Some((name, no_branch(name)?))) {
            return Err(format!("branch '{branch}' cannot be used: {reason}"));
        }
        let from = self.from.as_ref().filter(|from| *from != "HEAD");
        if let Some((from, reason)) = from.and_then(|name| Some((name, no_branch(name)?))) {
            return Err(format!("from '{from}' cannot be used: {reason}"));
        }
        if let Some(remote) = self.push.as_ref().filter(|remote| remote.is_empty() || remote.starts_with('-'))
        {
            return refuse("push", remote);
        }
        if self.author_parts().is_none() {
            return refuse("author", &self.author);
        }
        if !self.directory.is_empty() {
            check_directory(&self.directory)
                .map_err(|reason| format!("directory '{}' {reason}", self.directory))?;
        }
        Ok(())
    }

    /// Name and address of the author.
    pub(crate) fn author_parts(&self) -> Option<(&str, &str)> {
        let (name, address) = self.author.strip_suffix('>')?.split_once(" <")?;
        let clean = |text: &str| !text.trim().is_empty() && !text.contains(['<', '>', '\n', '\0']);
        (clean(name) && clean(address)).then_some((name, address))
    }
}

/// Why a text cannot be a branch name, by the rules of git-check-ref-format(1); also refuses text that git would take for
/// another ref or for a flag.
fn no_branch(name: &str) -> Option<&'static str> {
    let step_is = |wanted: fn(&str) -> bool| name.split('/').any(wanted);
    let is_lock = |step: &str| Path::new(step).extension().is_some_and(|end| end == "lock");
    match name {
        "" => Some("it is empty"),
        "HEAD" | "@" => Some("it is git's name for the checked-out commit; leave it out, or name the branch"),
        _ if name.starts_with("refs/") => {
            Some("name the branch as `git branch` lists it, without refs/heads/")
        }
        _ if name.starts_with('-') => Some("it begins with '-'"),
        _ if name.contains("..") => Some("it has '..' in it"),
        _ if name.contains("@{") => Some("it has '@{' in it"),
        _ if name.contains(|sign: char| sign.is_control() || " ~^:?*[\\".contains(sign)) => {
            Some("it has a blank, a control character or one of ~ ^ : ? * [ \\ in it")
        }
        _ if step_is(str::is_empty) => Some("it begins or ends with '/', or has two of them in a row"),
        _ if step_is(|step| step.starts_with('.')) => Some("one of its parts begins with '.'"),
        _ if step_is(is_lock) => Some("one of its parts ends with '.lock'"),
        _ if name.ends_with('.') => Some("it ends with '.'"),
        _ => None,
    }
}

/// Checks a directory below the root: it does not leave the root, and neither git nor we hide it.
fn check_directory(path: &str) -> Result<(), &'static str> {
    if path.contains(['{', '}', '\0', '\\']) {
        return Err("has a placeholder that does not exist; {namespace}, {target} and {package} do");
    }
    if path.split('/').any(|step| step.is_empty() || step.starts_with('.')) {
        return Err("must be relative, without empty parts and parts that begin with a dot");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
