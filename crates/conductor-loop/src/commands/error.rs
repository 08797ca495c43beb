//! Why a command did not do what it was asked, and what to do about it.

use crate::config::ConfigError;
use crate::daemon::Failure;
use crate::handoff::Unusable;
use crate::store::StoreError;
use conductor_core::inquiry::Refused;
use conductor_core::{Code, Exit};
use std::io;

/// Why a command did not do what it was asked. The text says what was attempted, on what, and why it failed; it begins with a
/// code where there is one.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error("{code} {error}", code = .0.code(), error = .0)]
    Config(#[from] ConfigError),
    /// What a daemon would need could not be set up.
    #[error("{0}")]
    SetUp(#[from] Failure),
    /// The store could not be read or written.
    #[error("{code} {error}", code = .0.code(), error = .0)]
    Store(#[from] StoreError),
    /// The daemon, or the store in its place, refused the request.
    #[error("{}: {}", .0.kind, .0.text)]
    Refused(Refused),
    /// A file was refused, for a reason that has a code.
    #[error("{code} {text}")]
    Coded {
        /// The stable code; its remedy applies.
        code: Code,
        /// What was attempted, on what, why it failed.
        text: String,
    },
    /// Something that has no code.
    #[error("{text}")]
    Hindered {
        /// What was attempted, on what, why it failed.
        text: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    pub(super) fn coded(code: Code, text: impl std::fmt::Display) -> Self {
        Self::Coded { code, text: text.to_string() }
    }

    pub(super) fn hindered(text: impl std::fmt::Display, remedy: &'static str) -> Self {
        Self::Hindered { text: text.to_string(), remedy }
    }

    /// A question that was answered with something else.
    pub(super) fn other_version() -> Self {
        Self::hindered(
            "the daemon's answer does not match the question",
            "Use the same version of the program as the daemon's.",
        )
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Config(error) => error.code().remedy(),
            Self::SetUp(failure) => failure.remedy(),
            Self::Store(error) => error.code().remedy(),
            Self::Refused(refused) => &refused.advice,
            Self::Coded { code, .. } => code.remedy(),
            Self::Hindered { remedy, .. } => remedy,
            Self::Output(_) => "Check where the output goes.",
        }
    }

    /// The exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Coded { code: Code::BadFileName | Code::BadValue, .. } => Exit::Usage,
            _ => Exit::SetUp,
        }
    }
}

impl From<Unusable> for CommandError {
    fn from(unusable: Unusable) -> Self {
        Self::SetUp(unusable.into())
    }
}

impl From<Refused> for CommandError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
