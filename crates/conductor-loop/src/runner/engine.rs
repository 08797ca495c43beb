//! What runs an intent: the package engine as a library call, or a program. How either is run stands elsewhere.

use super::program::Program;
use conductor_core::Runs;
use std::sync::Arc;

/// What runs intents.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The package engine as a library call.
    Embedded(Arc<conductor_porch::Engine>),
    /// A program, checked at start and whenever it changed.
    External(Arc<Program>),
}

impl Engine {
    /// Whether runs may lead into repositories.
    pub fn uses_git(&self) -> bool {
        matches!(self, Self::Embedded(engine) if engine.uses_git())
    }

    /// Its name in sentences.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => Runs::Embedded.name(),
            Self::External(_) => "porch",
        }
    }
}
