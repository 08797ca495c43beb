//! Why no package was written, with the stable code and the exit status of each reason.

use conductor_core::Code;
use conductor_core::intent::{Kind, TargetKey};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Exit statuses of `porch`, from sysexits.h where there is one for it.
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
    /// Busy or temporarily impossible: try again.
    pub const BUSY: u8 = 75;
    /// Refused by policy.
    pub const POLICY: u8 = 77;
}

/// Whether a failure of git lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Until somebody does something about it.
    Lasting,
    /// Trying again can help.
    Passing,
    /// Until there is room on the disk again.
    NoSpace,
}

/// Why no package was written.
#[derive(Debug, thiserror::Error)]
pub enum PorchError {
    /// There is no package form for this kind of intent.
    #[error("there is no package form for {kind:?} of {key}: the engine scales, and needs replicas")]
    Unsupported {
        /// What was asked for.
        kind: Kind,
        /// For what.
        key: TargetKey,
    },
    /// Routes or constraints do not allow it.
    #[error("not allowed: {0}")]
    Policy(String),
    /// The package is not one that can be edited safely.
    #[error("the package {package} cannot be used: {reason}")]
    Unfit {
        /// The package directory, or a file in it.
        package: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else holds the lock.
    #[error("{place} is in use by another process; waited {}", conductor_core::units::format_duration(*.waited))]
    Busy {
        /// What is locked.
        place: String,
        /// For how long it was waited.
        waited: Duration,
    },
    /// Somebody who does not know the lock kept changing the place while it was worked on.
    #[error("{place} changed during each of {plans} attempts; another process keeps writing it")]
    Contended {
        /// What is changed.
        place: String,
        /// How often it was planned again.
        plans: u32,
    },
    /// The git program failed.
    #[error("git {step} in {repository}: {reason}")]
    Git {
        /// What git was to do.
        step: String,
        /// Where.
        repository: String,
        /// What it said.
        reason: String,
        /// Whether trying again can help.
        outlook: Outlook,
    },
    /// The result is not what was meant.
    #[error("the result failed the engine's own check: {0}")]
    Check(String),
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Whoever asked does not want it any more.
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
            PorchError::Io { .. } => self.is_no_space(),
            _ => false,
        }
    }

    /// Whether a disk or a quota is full: it says nothing about the order, and passes when there is room again.
    pub fn is_no_space(&self) -> bool {
        match self {
            PorchError::Git { outlook, .. } => *outlook == Outlook::NoSpace,
            PorchError::Io { source, .. } => is_full(source),
            _ => false,
        }
    }

    /// Whether nothing was begun, because somebody else held the lock of the place for as long as it was waited. It says
    /// nothing about the order, so whoever counts attempts does not count it. Every busy error is also a passing one.
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

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// EIO is a failure of the device; everything else is about what was to be created.
fn is_input_output(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO)
}
