//! Why a step of the cluster has no result.

/// Why there is no result.
pub(super) enum Stop {
    /// Something that the cluster needs is not here.
    NotTested(String),
    /// A defect.
    Failed(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}
