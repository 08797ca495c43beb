//! Why the daemon did not start or could not continue, with its exit status.

use super::fatal::Fatal;
use super::not_started::NotStarted;
use crate::handoff::Unusable;
use crate::store::StoreError;
use conductor_core::{Code, Exit};
use std::io;

/// Why the daemon did not start or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not start: exit status 1.
    #[error("{code} {0}", code = .0.code())]
    SetUp(#[source] NotStarted),
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
    #[error("{code} {0}", code = .0.code())]
    State(#[source] Fatal),
    /// The store or its directory was removed, and is restored: exit status 3.
    #[error("{} {what}; {became}", Code::StoreDamaged)]
    StateRestored {
        /// The removed part.
        what: String,
        /// The result of its restoration.
        became: String,
    },
    /// The store or its directory was removed, and cannot be restored: exit status 3.
    #[error("{} {what}; {cause}", Code::StoreDamaged)]
    StateGone {
        /// The removed part.
        what: String,
        /// Why it is not restored.
        #[source]
        cause: StoreError,
    },
}

impl From<NotStarted> for Failure {
    fn from(why: NotStarted) -> Self {
        Self::SetUp(why)
    }
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        Self::SetUp(unusable.into())
    }
}

impl Failure {
    /// Something is not as it has to be for a start.
    pub(super) fn unfit(code: Code, finding: impl Into<String>) -> Self {
        NotStarted::unfit(code, finding).into()
    }

    /// What the system refused to a start.
    pub(super) fn refused(attempt: impl std::fmt::Display, cause: io::Error) -> Self {
        Unusable::refused(attempt, cause).into()
    }

    /// The code, for its remedy.
    pub fn code(&self) -> Code {
        match self {
            Failure::SetUp(why) => why.code(),
            Failure::Hindered { code, .. } => *code,
            Failure::State(fatal) => fatal.code(),
            Failure::StateRestored { .. } | Failure::StateGone { .. } => Code::StoreDamaged,
        }
    }

    /// The remedy.
    pub fn remedy(&self) -> &'static str {
        match self {
            Failure::StateRestored { .. } => "Start the daemon again: it continues with the restored state.",
            Failure::Hindered { remedy, .. } => remedy,
            Failure::SetUp(why) => why.remedy().unwrap_or(why.code().remedy()),
            Failure::State(_) | Failure::StateGone { .. } => self.code().remedy(),
        }
    }

    /// The process's exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::SetUp(_) | Failure::Hindered { .. } => Exit::SetUp,
            Failure::State(_) | Failure::StateRestored { .. } | Failure::StateGone { .. } => Exit::State,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_testkit::told_cause;
    use rustix::io::Errno;

    #[test]
    fn a_failure_begins_with_its_code_and_keeps_its_cause() {
        let said = io::Error::from(Errno::ROFS).to_string();
        let refused = Failure::refused("cannot start the run table", Errno::ROFS.into());
        assert_eq!(
            refused.to_string(),
            format!("{} cannot start the run table: {said}", Code::DirectorySetup)
        );
        assert_eq!(refused.remedy(), "Mount it for writing, or name another directory.");
        let what = "the state directory was removed".to_owned();
        let gone = Failure::StateGone { what, cause: StoreError::Open(Errno::ROFS.into()) };
        assert_eq!(gone.remedy(), Code::StoreDamaged.remedy());
        for failure in [refused, gone] {
            assert_eq!(told_cause(&failure), Some((Errno::ROFS, 1)), "{failure}");
        }
    }
}
