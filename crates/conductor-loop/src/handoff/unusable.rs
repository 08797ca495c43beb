//! Why a handoff directory cannot be used.

use conductor_core::Code;
use conductor_os::dir::Meta;
use rustix::io::Errno;
use std::error::Error;
use std::io;
use std::path::Path;

/// Why a handoff directory, or a part of it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{code} {message}")]
pub struct Unusable {
    /// The stable code.
    pub code: Code,
    /// The attempt, its object, and the reason.
    pub message: String,
    /// The remedy, if it is not that of the code.
    pub remedy: Option<&'static str>,
}

/// What helps against an error of the system that this one comes from; `None`: there is none, or no other help than usual.
pub fn remedy_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref().and_then(of_system))
}

/// What helps against an error of the system; `None`: what helps against most of a path.
fn of_system(error: &io::Error) -> Option<&'static str> {
    if let Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) = Errno::from_io_error(error) {
        return Some("Free what the machine ran out of: memory, descriptors, processes.");
    }
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("Make room on that file system, or raise the quota.")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some("Mount it for writing, or name another directory."),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            Some("Name a directory, or move aside what has its name.")
        }
        _ => None,
    }
}

impl Unusable {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None }
    }

    /// The same, with what helps against this error.
    pub(super) fn because_of(self, error: &io::Error) -> Self {
        Self { remedy: of_system(error), ..self }
    }

    /// What the system refused, with what helps against its error.
    pub fn refused(attempt: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::new(Code::DirectorySetup, format!("{attempt}: {error}")).because_of(error)
    }

    /// The failure to set up a path, with its owner if that is the reason.
    pub fn setting_up(path: &Path, error: &io::Error) -> Self {
        let us = rustix::process::geteuid().as_raw();
        let parent = path.parent().and_then(|parent| Some((parent, Meta::of_path(parent).ok()?)));
        let whose = match parent {
            Some((parent, meta)) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!(
                    "; {} belongs to user {} (mode {:04o}), and user {us} runs this",
                    parent.display(),
                    meta.uid,
                    meta.mode
                )
            }
            _ => String::new(),
        };
        let message = format!("cannot set up {}: {error}{whose}", path.display());
        Self::new(Code::DirectorySetup, message).because_of(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_is_what_helps_against_the_error() {
        let remedy = |kind: io::ErrorKind| Unusable::setting_up(Path::new("/x/lock"), &kind.into()).remedy;
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(remedy(kind).unwrap().contains("Make room"));
        }
        assert!(remedy(io::ErrorKind::ReadOnlyFilesystem).unwrap().contains("for writing"));
        assert!(remedy(io::ErrorKind::NotADirectory).unwrap().contains("Name a directory"));
        for lacking in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE] {
            let refused = Unusable::refused("cannot start the threads of the workers", &lacking.into());
            assert_eq!(
                refused.message,
                format!("cannot start the threads of the workers: {}", io::Error::from(lacking))
            );
            assert!(refused.remedy.unwrap().contains("descriptors"), "{lacking}");
        }
        assert_eq!(remedy(io::ErrorKind::PermissionDenied), None, "whose it is stands in the message");
    }
}
