//! Why the daemon did not start or could not continue, with its exit status.

use crate::handoff::{Unusable, remedy_of};
use conductor_core::{Code, Exit};
use std::error::Error;
use std::io;

/// Why the daemon did not start or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not start: exit status 1.
    #[error("{code} {message}")]
    SetUp {
        /// The stable code.
        code: Code,
        /// The attempt, its object, and the reason.
        message: String,
        /// The remedy, if it is not that of the code.
        remedy: Option<&'static str>,
    },
    /// With `-once`: the remaining intents wait for an external condition: exit status 1.
    #[error("{code} {message}")]
    Hindered {
        /// The stable code.
        code: Code,
        /// The number of waiting intents, and the condition.
        message: String,
        /// What helps against the condition.
        remedy: &'static str,
    },
    /// State could not be read or written: exit status 3.
    #[error("{code} {message}")]
    State {
        /// The stable code.
        code: Code,
        /// The attempt, its object, and the reason.
        message: String,
    },
    /// The store or its directory was removed: exit status 3.
    #[error("{} {message}", Code::StoreDamaged)]
    StateGone {
        /// The removed part, and the result of its restoration.
        message: String,
        /// Whether it was restored.
        back: bool,
    },
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        let Unusable { code, message, remedy } = unusable;
        Self::SetUp { code, message, remedy }
    }
}

impl Failure {
    pub(super) fn set_up(code: Code, message: impl std::fmt::Display) -> Self {
        Failure::SetUp { code, message: message.to_string(), remedy: None }
    }

    /// One that comes from this error, with what helps against it.
    pub(super) fn because(
        code: Code,
        message: impl std::fmt::Display,
        error: &(dyn Error + 'static),
    ) -> Self {
        Failure::SetUp { code, message: message.to_string(), remedy: remedy_of(error) }
    }

    /// What the system refused, with what helps against its error.
    pub(super) fn refused(attempt: impl std::fmt::Display, error: &io::Error) -> Self {
        Unusable::refused(attempt, error).into()
    }

    /// The code, for its remedy.
    pub fn code(&self) -> Code {
        match self {
            Failure::SetUp { code, .. } | Failure::Hindered { code, .. } | Failure::State { code, .. } => {
                *code
            }
            Failure::StateGone { .. } => Code::StoreDamaged,
        }
    }

    /// The remedy.
    pub fn remedy(&self) -> &'static str {
        match self {
            Failure::StateGone { back: true, .. } => {
                "Start the daemon again: it continues with the restored state."
            }
            Failure::SetUp { remedy: Some(remedy), .. } | Failure::Hindered { remedy, .. } => remedy,
            _ => self.code().remedy(),
        }
    }

    /// The process's exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::SetUp { .. } | Failure::Hindered { .. } => Exit::SetUp,
            Failure::State { .. } | Failure::StateGone { .. } => Exit::State,
        }
    }
}
