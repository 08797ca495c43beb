//! An order to the engine: one judged intent, and its origin.

use crate::PorchError;
use conductor_core::Seq;
use conductor_core::intent::{Intent, Kind};
use serde::Serialize;
use std::time::Instant;

/// One intent to carry out.
#[derive(Debug, Clone)]
pub struct Order {
    /// The judged intent.
    pub intent: Intent,
    /// Its origin; recorded in commits.
    pub provenance: Provenance,
    /// The time at which it came in, where orders wait for their turn: what another one saw of the output since then, and not
    /// long ago, it need not look at itself. `None`: it sees everything for itself.
    pub came: Option<Instant>,
}

/// The origin of an intent, as a commit records it.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// SHA-256 of the intent's bytes, in hexadecimal.
    pub sha256: String,
    /// The correlation id, if known.
    pub correlation_id: Option<String>,
    /// The daemon's sequence number, if there is one.
    pub seq: Option<Seq>,
}

/// The two forms of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The object itself: edited in the package that owns it, else a partial object for server-side apply.
    Direct,
    /// A strategic-merge patch that is not applied by itself.
    Structured,
}

impl Order {
    /// The requested replicas, if the engine has a package form for this kind of intent.
    pub(crate) fn replicas(&self) -> Result<u32, PorchError> {
        let scales = matches!(self.intent.kind, Kind::Scaling | Kind::ScalingIntent);
        self.intent
            .replicas
            .filter(|_| scales)
            .ok_or_else(|| PorchError::Unsupported { kind: self.intent.kind, key: self.intent.key.clone() })
    }
}
