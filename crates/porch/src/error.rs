//! Why no package was written, with the stable code and the exit status of each reason.

use conductor_core::Code;
use conductor_core::intent::{Kind, TargetKey};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Exit statuses of `porch`, from sysexits.h where it defines one.
pub mod exit {
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// The intent is refused, or has no package form.
    pub const INTENT: u8 = 65;
    /// The intent file cannot be read.
    pub const NO_INPUT: u8 = 66;
    /// A defect of the engine itself.
    pub const INTERNAL: u8 = 70;
    /// The package cannot be created or edited.
    pub const CANNOT_CREATE: u8 = 73;
    /// Reading or writing failed.
    pub const IO: u8 = 74;
    /// Busy or temporarily impossible: retry later.
    pub const BUSY: u8 = 75;
    /// Refused by policy.
    pub const POLICY: u8 = 77;
}

/// Whether a failure of git is permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Until an operator intervenes.
    Lasting,
    /// A retry can help.
    Passing,
    /// Until the disk has room again.
    NoSpace,
    /// Until the system has a descriptor, memory or a process again.
    Exhausted,
}

/// Why no package was written.
#[derive(Debug, thiserror::Error)]
pub enum PorchError {
    /// There is no package form for this kind of intent.
    #[error("there is no package form for {kind:?} of {key}: the engine scales, and needs replicas")]
    Unsupported {
        /// The type of request.
        kind: Kind,
        /// The target.
        key: TargetKey,
    },
    /// Routes or constraints do not allow the change.
    #[error("not allowed: {0}")]
    Policy(String),
    /// The package cannot be edited safely.
    #[error("the package {package} cannot be used: {reason}")]
    Unfit {
        /// The package directory, or a file in it.
        package: String,
        /// The defect of the package.
        reason: String,
    },
    /// Another process holds the lock.
    #[error("{place} is in use by another process; waited {}", conductor_core::units::format_duration(*.waited))]
    Busy {
        /// The locked place.
        place: String,
        /// The time waited.
        waited: Duration,
    },
    /// A process that ignores the lock kept changing the place during the work on it.
    #[error("{place} changed during each of {plans} attempts; another process keeps writing it")]
    Contended {
        /// The changing place.
        place: String,
        /// The number of plans made.
        plans: u32,
    },
    /// The git program failed.
    #[error("git {step} in {repository}: {reason}")]
    Git {
        /// The step of git that failed.
        step: String,
        /// The repository.
        repository: String,
        /// git's message.
        reason: String,
        /// Whether a retry can help.
        outlook: Outlook,
    },
    /// The result is not the intended one.
    #[error("the result failed the engine's own check: {0}")]
    Check(String),
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The caller cancelled the order.
    #[error("stopped while waiting; nothing was changed")]
    Cancelled,
}

impl PorchError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            PorchError::Unsupported { .. } => Code::Unsupported,
            PorchError::Policy(_) => Code::PolicyRefused,
            PorchError::Unfit { .. } => Code::PackageUnfit,
            PorchError::Busy { .. } | PorchError::Contended { .. } | PorchError::Cancelled => {
                Code::PackageBusy
            }
            PorchError::Git { .. } => Code::GitFailed,
            PorchError::Check(_) => Code::PackageCheckFailed,
            PorchError::Io { .. } => Code::PackageWrite,
        }
    }

    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        match self {
            PorchError::Busy { .. } | PorchError::Contended { .. } | PorchError::Cancelled => true,
            PorchError::Git { outlook, .. } => *outlook != Outlook::Lasting,
            PorchError::Io { .. } => self.is_no_space() || self.is_exhausted(),
            _ => false,
        }
    }

    /// Whether the system lacked a descriptor, memory or a process for a moment: unrelated to the order, and to what was to be
    /// read or written.
    pub fn is_exhausted(&self) -> bool {
        match self {
            PorchError::Git { outlook, .. } => *outlook == Outlook::Exhausted,
            PorchError::Io { source, .. } => conductor_os::is_passing(source),
            _ => false,
        }
    }

    /// The same once more, of an error that the system gave or git told.
    pub(crate) fn repeated(&self) -> Option<Self> {
        match self {
            PorchError::Io { path, source } => {
                Some(Self::io(path, io::Error::from_raw_os_error(source.raw_os_error()?)))
            }
            PorchError::Git { step, repository, reason, outlook } => {
                let (step, repository, reason) = (step.clone(), repository.clone(), reason.clone());
                Some(PorchError::Git { step, repository, reason, outlook: *outlook })
            }
            _ => None,
        }
    }

    /// Whether a disk or a quota is full: unrelated to the order, and over when there is room again.
    pub fn is_no_space(&self) -> bool {
        match self {
            PorchError::Git { outlook, .. } => *outlook == Outlook::NoSpace,
            PorchError::Io { source, .. } => conductor_os::is_no_space(source),
            _ => false,
        }
    }

    /// Whether nothing was begun, because another process held the lock of the place during the whole wait. It is
    /// unrelated to the order, so a caller that counts attempts does not count it. Every busy error is also a passing
    /// one.
    pub fn is_busy(&self) -> bool {
        matches!(self, PorchError::Busy { .. })
    }

    /// The exit status of the program.
    pub fn exit_status(&self) -> u8 {
        match self {
            _ if self.is_passing() => exit::BUSY,
            PorchError::Unsupported { .. } => exit::INTENT,
            PorchError::Policy(_) => exit::POLICY,
            PorchError::Check(_) => exit::INTERNAL,
            PorchError::Io { source, .. } if is_input_output(source) => exit::IO,
            PorchError::Git { .. } => exit::IO,
            _ => exit::CANNOT_CREATE,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        PorchError::Io { path: path.into(), source: source.into() }
    }

    pub(crate) fn unfit(package: impl Into<String>, reason: impl Into<String>) -> Self {
        PorchError::Unfit { package: package.into(), reason: reason.into() }
    }
}

/// EIO is a failure of the device; everything else is about what was to be created.
fn is_input_output(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO)
}
