//! What was done, as the program prints it and the daemon records it.

use crate::Form;
use crate::files::Content;
use crate::plan::Change;
use serde::Serialize;

/// What was done to one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The package directory; for a repository relative to it.
    pub package: String,
    /// The object's file inside the package.
    pub file: String,
    /// The object.
    pub object: ObjectName,
    /// Before and after.
    pub replicas: Replicas,
    /// Which of the two forms was asked for.
    pub form: Form,
    /// Whether the object is only a part, to be applied server-side onto the whole that is kept elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Whether anything was, or with `dry_run` would be, written.
    pub changed: bool,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// The files that were, or would be, written, relative to the package.
    pub files: Vec<String>,
    /// The repository, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The new commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The remote it was pushed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_to: Option<String>,
    /// What the operator should know, though the intent is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which object was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectName {
    /// Deployment, `StatefulSet` or `ReplicaSet`, or what the route names.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// The number of replicas before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// `None` when the object or its field was not there.
    pub from: Option<u32>,
    /// What is asked for.
    pub to: u32,
}

impl Outcome {
    /// One line of JSON.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What was done, or would be, with the bytes before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// For records.
    pub outcome: Outcome,
    pub(crate) changes: Vec<Change>,
}

impl Applied {
    /// The changes as a unified diff, for people and for `patch -p1`.
    pub fn diff(&self) -> String {
        unified_diff(&self.outcome.package, &self.changes)
    }
}

fn unified_diff(package: &str, changes: &[Change]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut diff = String::new();
    for Change { path, before, after: Content { bytes, .. } } in changes {
        let name = crate::files::join(package.trim_start_matches('/'), path);
        let (old, new) = (before.as_deref().map(text).unwrap_or_default(), text(bytes));
        let old_name = before.as_ref().map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{name}"));
        diff.push_str(
            &similar::TextDiff::from_lines(&old, &new)
                .unified_diff()
                .header(&old_name, &format!("b/{name}"))
                .to_string(),
        );
    }
    diff
}
