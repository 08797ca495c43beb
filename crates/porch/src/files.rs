//! The files of a package as the planner sees them: bounds, names that mean something, paths.

use std::collections::BTreeMap;

/// The deepest directory level below a package that is read.
pub(crate) const DEPTH_MAX: usize = 16;
/// The largest number of files in one package.
pub(crate) const FILES_MAX: usize = 2_000;
/// The largest size of one package in bytes; it is held in memory.
pub(crate) const PACKAGE_BYTES_MAX: u64 = 32 << 20;
/// The file that makes a directory a kpt package.
pub(crate) const KPTFILE: &str = "Kptfile";
/// The names that kustomize accepts.
pub(crate) const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The file that names the ignored files of a kpt package. It is read although its name begins with a dot.
pub(crate) const KRMIGNORE: &str = ".krmignore";
/// The number of directories and files opened, and of entries listed, in a survey for other copies of an object.
pub(crate) const SURVEY_MAX: usize = 100_000;
/// The extensions of templates and programs that make manifests.
const MAKERS: [&str; 14] = [
    "tmpl",
    "tpl",
    "gotmpl",
    "j2",
    "jinja",
    "jinja2",
    "jsonnet",
    "libsonnet",
    "cue",
    "dhall",
    "pkl",
    "erb",
    TERRAFORM[0],
    TERRAFORM[1],
];
/// The extensions of the files of Terraform and of `OpenTofu`, most of which make no manifests.
const TERRAFORM: [&str; 2] = ["tf", "tofu"];
/// What those say that do: the names of the providers' resources.
const TERRAFORM_MAKES: [&str; 3] = ["kubernetes_", "kubectl_manifest", "helm_release"];
/// Why an entry in the place of a file is refused.
pub(crate) const NO_FILE: &str = "is no regular file (symbolic links are not followed)";
/// The suffix of our unfinished files. Their names begin with a dot, so that no tool reads them.
pub(crate) const UNFINISHED: &str = ".porch-tmp";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// Files by path, relative to the package, with `/`.
pub(crate) type Files = BTreeMap<String, Content>;

/// The files to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Files that can contain an object.
    Objects,
    /// All files: for a package that is copied.
    All,
}

/// Whether a file of this name can contain objects, or decides which files are objects.
pub(crate) fn holds_objects(name: &str) -> bool {
    has_extension(name, &["yaml", "yml", "json"]) || KUSTOMIZATIONS.contains(&name) || name == KRMIGNORE
}

/// Whether a file of this name is a template or a program that makes manifests.
pub(crate) fn makes_objects(name: &str) -> bool {
    has_extension(name, &MAKERS)
}

/// Whether a template or program of this name and text may make manifests.
pub(crate) fn may_make(name: &str, text: &str) -> bool {
    !has_extension(name, &TERRAFORM) || TERRAFORM_MAKES.iter().any(|word| text.contains(word))
}

fn has_extension(name: &str, known: &[&str]) -> bool {
    let extension = std::path::Path::new(name).extension().and_then(|end| end.to_str());
    extension.is_some_and(|end| known.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// The file that makes a directory a Helm chart.
pub(crate) const CHART: &str = "Chart.yaml";

/// Whether a file of this name decides which others are objects.
pub(crate) fn decides_files(name: &str) -> bool {
    KUSTOMIZATIONS.contains(&name) || name == KRMIGNORE || name == CHART
}

/// Whether Argo CD merges a file of this name into the source of an Application that builds its directory.
pub(crate) fn is_argo_source(name: &str) -> bool {
    name == ".argocd-source.yaml" || (name.starts_with(".argocd-source-") && has_extension(name, &["yaml"]))
}

/// Whether an entry of this name is passed over: its name begins with a dot, and it decides nothing about others.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && !decides_files(name) && !is_argo_source(name)
}

/// Whether a directory is called as the packages that this engine makes.
pub(crate) fn is_called_like_ours(name: &str) -> bool {
    name.ends_with("-scaling") || name.ends_with("-scaling-patch")
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `dir/name`, where either may be empty.
pub(crate) fn join(dir: &str, name: &str) -> String {
    let between = if dir.is_empty() || name.is_empty() { "" } else { "/" };
    // One allocation: a search joins a path for each entry.
    [dir, between, name].concat()
}

/// The directory of a path; empty for an entry at the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The path of `reference` relative to `dir`; `None` if it leaves the root.
pub(crate) fn resolve(dir: &str, reference: &str) -> Option<String> {
    let mut steps: Vec<&str> = dir.split('/').filter(|step| !step.is_empty()).collect();
    for step in reference.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()?),
            step => steps.push(step),
        }
    }
    Some(steps.join("/"))
}
