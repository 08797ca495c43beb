//! The target of an intent: the key by which runs are serialised, and how it is written.

use serde::{Deserialize, Serialize};

/// The serialisation key: intents with equal keys never run concurrently.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetKey {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the intent's target.
    pub target: String,
}

impl TargetKey {
    /// Whether an operator's word names this target: `NAMESPACE/TARGET`, or the target alone.
    pub fn is_named(&self, word: &str) -> bool {
        word == self.target || word.split_once('/') == Some((&self.namespace, &self.target))
    }

    /// Whether the word names the target that is written `NAMESPACE/TARGET`.
    pub fn is_named_in(key: &str, word: &str) -> bool {
        key.parse().is_ok_and(|key: Self| key.is_named(word))
    }
}

impl std::fmt::Display for TargetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.target)
    }
}

/// A text that is not `NAMESPACE/TARGET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a target is written NAMESPACE/TARGET")]
pub struct NotATarget;

impl std::str::FromStr for TargetKey {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (namespace, target) = text.split_once('/').ok_or(NotATarget)?;
        Ok(Self { namespace: namespace.to_owned(), target: target.to_owned() })
    }
}
