//! The result of an order, as the program prints it and the daemon records it.

use crate::Form;
use crate::files::Content;
use crate::plan::Change;
use serde::Serialize;

/// The change of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The package directory; in a repository relative to its root.
    pub package: String,
    /// The object's file inside the package.
    pub file: String,
    /// The object's kind, name and namespace.
    pub object: ObjectName,
    /// The replicas before and after.
    pub replicas: Replicas,
    /// The requested form.
    pub form: Form,
    /// Whether the object is only a part, to be applied server-side onto the whole that is kept elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Whether anything was written or, with `dry_run`, would be.
    pub changed: bool,
    /// Whether writing was disabled.
    pub dry_run: bool,
    /// The files that were or would be written, relative to the package.
    pub files: Vec<String>,
    /// The repository, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The branch of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The new commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The remote that the commit was pushed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_to: Option<String>,
    /// A note for the operator, although the intent is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The changed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectName {
    /// Deployment, `StatefulSet` or `ReplicaSet`, or the route's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
}

/// The number of replicas before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// `None` if the object or its field was missing.
    pub from: Option<u32>,
    /// The requested number.
    pub to: u32,
}

impl Outcome {
    /// One line of JSON.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The actual or intended change, with the bytes before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The outcome, for records.
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
