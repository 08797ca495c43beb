//! What `fleet.yaml` says of the directory that it is in and of those below it.

use crate::yaml::Node;

/// The file in which Rancher Fleet is told how a directory is deployed.
pub(crate) const FLEET: &str = "fleet.yaml";

/// The namespace into which it puts an object: all of them, or by default those that state none.
pub(crate) fn namespace(document: &Node, is_said: bool) -> Option<&str> {
    let of_unsaid = || document.text_at(&["defaultNamespace"]).filter(|_| !is_said);
    document.text_at(&["namespace"]).or_else(of_unsaid)
}

/// Whether it puts what states no namespace into this one, on any cluster.
pub(crate) fn deploys_to(document: &Node, space: &str) -> bool {
    let of_clusters = document.items_at(&["targetCustomizations"]);
    std::iter::once(document).chain(of_clusters).any(|said| namespace(said, false) == Some(space))
}
