//! Failures of commands, with their remedies.

use crate::config::ConfigError;
use crate::daemon::Failure;
use crate::handoff::{Unusable, remedy_of};
use crate::store::StoreError;
use conductor_core::query::{RefusalKind, Refused};
use conductor_core::{Code, Exit};
use std::io;

/// The failure of a command. Its text states the attempt, its object, and the reason; it begins with a code if there is one.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error("{code} {error}", code = .0.code(), error = .0)]
    Config(#[from] ConfigError),
    /// A part that a daemon needs could not be set up.
    #[error("{0}")]
    SetUp(#[from] Failure),
    /// The store could not be read or written.
    #[error("{code} {error}", code = .0.code(), error = .0)]
    Store(#[from] StoreError),
    /// The daemon, or the store in its place, refused the request.
    #[error("{}: {}", .0.kind, .0.text)]
    Refused(Refused),
    /// A file was refused, for a reason with a code.
    #[error("{code} {text}")]
    Coded {
        /// The stable code; its remedy applies.
        code: Code,
        /// The attempt, its object, and the reason.
        text: String,
    },
    /// An intent would be refused by every daemon: exit status 8.
    #[error("{code} {text}")]
    Judged {
        /// The stable code; its remedy applies.
        code: Code,
        /// The file, and the reason.
        text: String,
    },
    /// A failure without a code.
    #[error("{text}")]
    Hindered {
        /// The attempt, its object, and the reason.
        text: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// Nothing could be checked: exit status 2.
    #[error("{text}")]
    Unchecked {
        /// The attempt, its object, and the reason.
        text: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
}

impl CommandError {
    pub(super) fn coded(code: Code, text: impl std::fmt::Display) -> Self {
        Self::Coded { code, text: text.to_string() }
    }

    pub(super) fn hindered(text: impl std::fmt::Display, remedy: &'static str) -> Self {
        Self::Hindered { text: text.to_string(), remedy }
    }

    pub(super) fn unchecked(text: impl std::fmt::Display, remedy: &'static str) -> Self {
        Self::Unchecked { text: text.to_string(), remedy }
    }

    /// The system refused what every machine permits.
    pub(super) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let remedy = "Free what the machine ran out of: memory, descriptors, processes.";
            Self::hindered(format!("{attempt}: {error}"), remedy)
        }
    }

    /// The answer does not match the question.
    pub(super) fn other_version() -> Self {
        Self::hindered(
            "the daemon's answer does not match the question",
            "Use the same version of the program as the daemon's.",
        )
    }

    /// Whether the same question may be answered a moment later.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.kind == RefusalKind::Busy)
    }

    /// The remedy.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Config(error) => error.code().remedy(),
            Self::SetUp(failure) => failure.remedy(),
            Self::Store(error) => remedy_of(error).unwrap_or(error.code().remedy()),
            Self::Refused(refused) => &refused.advice,
            Self::Coded { code, .. } | Self::Judged { code, .. } => code.remedy(),
            Self::Hindered { remedy, .. } | Self::Unchecked { remedy, .. } => remedy,
            Self::Output(_) => "Check where the output goes.",
        }
    }

    /// The exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unchecked { .. }
            | Self::Config(_)
            | Self::Coded { code: Code::BadFileName | Code::BadValue, .. } => Exit::Usage,
            Self::Judged { .. } => Exit::Failed,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Damage;

    #[test]
    fn what_helps_a_store_is_what_helps_against_the_error_of_the_system() {
        let remedy = |error: StoreError| CommandError::from(error).remedy().to_owned();
        let open = |kind: io::ErrorKind| remedy(StoreError::Open(kind.into()));
        assert!(open(io::ErrorKind::ReadOnlyFilesystem).contains("Mount it for writing"));
        assert!(remedy(StoreError::NoSpace(io::ErrorKind::QuotaExceeded.into())).contains("raise the quota"));
        assert_eq!(open(io::ErrorKind::Other), Code::StoreFailed.remedy());
        assert_eq!(remedy(StoreError::Damaged(Damage::Empty)), Code::StoreDamaged.remedy());
    }
}
