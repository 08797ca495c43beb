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

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_porch::{Repository, Settings};

    #[test]
    fn runs_lead_into_repositories_only_where_the_embedded_engine_is_given_one() {
        let embedded = |repository: Option<Repository>| {
            let settings = Settings { repository, ..Settings::new("out") };
            Engine::Embedded(Arc::new(conductor_porch::Engine::new(settings)))
        };
        assert!(!embedded(None).uses_git());
        assert!(embedded(Some(Repository::new("repository".into()))).uses_git());
        assert!(!Engine::External(Arc::new(Program::find("/bin/true", None, true).unwrap())).uses_git());
    }
}
