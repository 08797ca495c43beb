//! Failures of commands, with their remedies.

use super::not_handed_in::{NotHandedIn, NotRetried};
use crate::backup::BackupError;
use crate::config::ConfigError;
use crate::daemon::Failure;
use crate::handoff::{Unusable, remedy_of, remedy_of_shortage};
use crate::keys::KeyError;
use crate::store::StoreError;
use conductor_core::query::{RefusalKind, Refused};
use conductor_core::{Code, Exit, Refusal};
use std::error::Error;
use std::io;
use std::sync::Arc;

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
    /// A backup could not be made, checked or restored.
    #[error("{code} {0}", code = Code::BackupFailed)]
    Backup(#[from] BackupError),
    /// The keys of the state cannot be used.
    #[error("{code} {0}", code = .0.code())]
    Keys(#[source] Arc<KeyError>),
    /// A file was not handed in.
    #[error("{0}")]
    NotHandedIn(#[from] NotHandedIn),
    /// A failed intent was not handed in again.
    #[error("{0}")]
    NotRetried(#[from] NotRetried),
    /// A failure with a code.
    #[error("{code} {attempt}{}", after(cause.as_deref()))]
    Coded {
        /// The stable code; its remedy applies.
        code: Code,
        /// The attempt and its object; where no error stands behind it, what is wrong.
        attempt: String,
        /// The error behind it.
        #[source]
        cause: Option<Cause>,
    },
    /// An intent would be refused by every daemon: exit status 8.
    #[error("{code} {file} was not handed in: {refusal}", code = .refusal.code)]
    Judged {
        /// What the user called it.
        file: String,
        /// The rule that it breaks.
        refusal: Refusal,
    },
    /// A failure without a code.
    #[error("{attempt}{}", after(cause.as_deref()))]
    Hindered {
        /// The attempt and its object; where no error stands behind it, what is wrong.
        attempt: String,
        /// The error behind it.
        #[source]
        cause: Option<Cause>,
        /// The remedy.
        remedy: &'static str,
    },
    /// Nothing could be checked: exit status 2.
    #[error("{attempt}{}", after(cause.as_deref()))]
    Unchecked {
        /// The attempt and its object; where no error stands behind it, what is wrong.
        attempt: String,
        /// The error behind it.
        #[source]
        cause: Option<Cause>,
        /// The remedy.
        remedy: &'static str,
    },
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
}

/// An error of the system or of a part of the product that stands behind the failure of a command.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What is told of a cause, behind the attempt.
fn after(cause: Option<&(dyn Error + Send + Sync)>) -> String {
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}

impl CommandError {
    /// What is wrong, with a code; no error stands behind it.
    pub(super) fn coded(code: Code, finding: impl Into<String>) -> Self {
        Self::Coded { code, attempt: finding.into(), cause: None }
    }

    /// What was attempted, and the error with a code that it failed by.
    pub(super) fn coded_by(code: Code, attempt: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Coded { code, attempt: attempt.into(), cause: Some(cause.into()) }
    }

    /// What is wrong; no error stands behind it.
    pub(super) fn hindered(finding: impl Into<String>, remedy: &'static str) -> Self {
        Self::Hindered { attempt: finding.into(), cause: None, remedy }
    }

    /// What was attempted, and the error that it failed by.
    pub(super) fn hindered_by(
        attempt: impl Into<String>,
        cause: impl Into<Cause>,
        remedy: &'static str,
    ) -> Self {
        Self::Hindered { attempt: attempt.into(), cause: Some(cause.into()), remedy }
    }

    /// Why nothing could be checked; no error stands behind it.
    pub(super) fn unchecked(finding: impl Into<String>, remedy: &'static str) -> Self {
        Self::Unchecked { attempt: finding.into(), cause: None, remedy }
    }

    /// What had to work for a check, and the error that it failed by.
    pub(super) fn unchecked_by(
        attempt: impl Into<String>,
        cause: impl Into<Cause>,
        remedy: &'static str,
    ) -> Self {
        Self::Unchecked { attempt: attempt.into(), cause: Some(cause.into()), remedy }
    }

    /// The system refused what every machine permits.
    pub(super) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let remedy = "Free what the machine ran out of: memory, descriptors, processes.";
            Self::hindered_by(attempt, error, remedy)
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
            Self::Backup(_) => Code::BackupFailed.remedy(),
            Self::Keys(error) => remedy_of_shortage(error).unwrap_or(error.code().remedy()),
            Self::NotHandedIn(error) => error.remedy(),
            Self::NotRetried(_) => "Hand in the file by `conductor-loop submit`.",
            Self::Coded { code, .. } => code.remedy(),
            Self::Judged { refusal, .. } => refusal.code.remedy(),
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
    use conductor_testkit::told_cause;
    use rustix::io::Errno;

    #[test]
    fn what_helps_a_store_is_what_helps_against_the_error_of_the_system() {
        let remedy = |error: StoreError| CommandError::from(error).remedy().to_owned();
        let open = |kind: io::ErrorKind| remedy(StoreError::Open(kind.into()));
        assert!(open(io::ErrorKind::ReadOnlyFilesystem).contains("Mount it for writing"));
        assert!(remedy(StoreError::NoSpace(io::ErrorKind::QuotaExceeded.into())).contains("raise the quota"));
        assert_eq!(open(io::ErrorKind::Other), Code::StoreFailed.remedy());
        assert_eq!(remedy(StoreError::Damaged(Damage::Empty)), Code::StoreDamaged.remedy());
    }

    #[test]
    fn what_a_command_failed_by_is_kept_and_told_once() {
        let refused = || io::Error::from(Errno::ACCESS);
        let all = [
            CommandError::from(Unusable::setting_up("/proc/self/none".as_ref(), refused())),
            CommandError::from(StoreError::Open(refused())),
            CommandError::from(BackupError::of("listing the backups")(refused())),
            CommandError::from(NotHandedIn::of("a", "intent-a.json", refused())),
            NotRetried::Unread { at: "failed/intent-a.json".to_owned(), cause: refused() }.into(),
            CommandError::coded_by(Code::StateImport, "cannot read a", refused()),
            CommandError::hindered_by("cannot create a", refused(), "Name another."),
            CommandError::unchecked_by("cannot read a", refused(), "Name another."),
            CommandError::Output(refused()),
        ];
        for error in all {
            assert_eq!(told_cause(&error), Some((Errno::ACCESS, 1)), "{error}");
        }
        let waiting = NotHandedIn::of("a", "intent-a.json", Errno::EXIST.into());
        assert_eq!(
            waiting.to_string(),
            "a was not handed in: a file named intent-a.json is still waiting there"
        );
        assert!(waiting.source().is_some());
        assert!(CommandError::hindered("a has no backup", "Name another.").source().is_none());
    }
}
