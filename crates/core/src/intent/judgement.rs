//! The judgement of one intent file: which of the two forms it has, and what its table says of it.

use super::accepted::Intent;
use super::policy::Policy;
use super::refusal::Refusal;
use super::{flat, json, kube, text};

/// Judges the bytes of one intent file.
pub fn judge(bytes: &[u8], policy: Policy) -> Result<Intent, Refusal> {
    let document = json::parse(bytes)?;
    if document.get("apiVersion").is_some() || document.get("kind").is_some() {
        kube::judge(&document, policy)
    } else {
        flat::judge(&document, policy)
    }
}

/// The intent's own correlation id, if the document has a usable one, even when the intent is refused.
pub fn correlation_id(bytes: &[u8]) -> Option<String> {
    let document = json::parse(bytes).ok()?;
    let mut places = [Some(&document), document.get("spec")].into_iter().flatten();
    let id = places.find_map(|place| place.get("correlation_id")?.as_str())?;
    text::is_correlation_id(id).then(|| id.to_owned())
}
