//! Why a handoff directory cannot be used.

use crate::keys::KeyError;
use conductor_core::Code;
use conductor_os::dir::Meta;
use rustix::io::Errno;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a handoff directory, or a part of it, cannot be used. The text does not begin with the code.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The system refused what was attempted.
    #[error("{attempt}: {cause}")]
    Refused {
        /// The attempt and its object.
        attempt: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// A part of it, or the state, could not be set up.
    #[error("cannot set up {}: {cause}{owner}", path.display())]
    NotSetUp {
        /// The part.
        path: PathBuf,
        /// Whose the directory around it is, if that is the reason.
        owner: Owner,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The directory itself could not be made.
    #[error("{}", not_made(path, cause))]
    NotMade {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The keys of its state cannot be used.
    #[error("{0}")]
    Keys(#[source] Arc<KeyError>),
    /// It is not as it has to be: nothing was attempted.
    #[error("{finding}")]
    Unfit {
        /// The stable code.
        code: Code,
        /// What was found, and where.
        finding: String,
    },
}

/// Whose a directory is in which nothing may be set up.
#[derive(Debug)]
pub struct Owner(Option<Around>);

/// A directory around a path, with its owner and mode, and the user who was refused.
#[derive(Debug)]
struct Around {
    path: PathBuf,
    uid: u32,
    mode: u32,
    refused: u32,
}

impl Owner {
    /// The owner of the directory around a path, if the system's error is about permissions.
    fn if_refused(path: &Path, cause: &io::Error) -> Self {
        let around = || {
            let path = path.parent()?.to_owned();
            let Meta { uid, mode, .. } = Meta::of_path(&path).ok()?;
            // Ids belong to threads.
            Some(Around { path, uid, mode, refused: rustix::process::geteuid().as_raw() })
        };
        Self((cause.kind() == io::ErrorKind::PermissionDenied).then(around).flatten())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Around { path, uid, mode, refused }) = &self.0 else { return Ok(()) };
        write!(
            f,
            "; {} belongs to user {uid} (mode {mode:04o}), and user {refused} runs this",
            path.display()
        )
    }
}

/// Names what is in the way where the system's words do not.
fn not_made(path: &Path, cause: &io::Error) -> String {
    let path = path.display();
    match cause.kind() {
        io::ErrorKind::AlreadyExists => format!("the handoff directory {path} is no directory"),
        io::ErrorKind::NotADirectory => {
            format!("failed to create handoff directory: mkdir {path}: a part of the path is no directory")
        }
        _ => format!("failed to create handoff directory: mkdir {path}: {cause}"),
    }
}

impl Unusable {
    /// What the system refused.
    pub fn refused(attempt: impl fmt::Display, cause: io::Error) -> Self {
        Self::Refused { attempt: attempt.to_string(), cause }
    }

    /// The failure to set up a path, with its owner if that is the reason.
    pub fn setting_up(path: &Path, cause: io::Error) -> Self {
        Self::NotSetUp { path: path.to_owned(), owner: Owner::if_refused(path, &cause), cause }
    }

    /// What is not as it has to be.
    pub(super) fn unfit(code: Code, finding: String) -> Self {
        Self::Unfit { code, finding }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { .. } | Self::NotSetUp { .. } | Self::NotMade { .. } => Code::DirectorySetup,
            Self::Keys(error) => error.code(),
            Self::Unfit { code, .. } => *code,
        }
    }
}

impl From<KeyError> for Unusable {
    fn from(error: KeyError) -> Self {
        Self::Keys(Arc::new(error))
    }
}

/// What helps against an error of the system that this one comes from; `None`: there is none, or no other help than usual.
pub fn remedy_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes_of(error).find_map(|cause| of_shortage(cause).or_else(|| of_path(cause)))
}

/// The same, for what is no directory, as a secret or a key: only against what the machine lacks.
pub fn remedy_of_shortage(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes_of(error).find_map(of_shortage)
}

/// What the system said to begin with.
fn causes_of<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e io::Error> {
    std::iter::successors(Some(error), |&error| error.source()).filter_map(|error| error.downcast_ref())
}

/// What helps against a shortage of the machine, or of a file system.
fn of_shortage(error: &io::Error) -> Option<&'static str> {
    if let Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) = Errno::from_io_error(error) {
        return Some("Free what the machine ran out of: memory, descriptors, processes.");
    }
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("Make room on that file system, or raise the quota.")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some("Mount it for writing, or name another directory."),
        _ => None,
    }
}

/// What helps against a path that is no directory.
fn of_path(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            Some("Name a directory, or move aside what has its name.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_testkit::told_cause;

    #[test]
    fn what_helps_is_what_helps_against_the_error() {
        let remedy =
            |kind: io::ErrorKind| remedy_of(&Unusable::setting_up(Path::new("/x/lock"), kind.into()));
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(remedy(kind).unwrap().contains("Make room"));
        }
        assert!(remedy(io::ErrorKind::ReadOnlyFilesystem).unwrap().contains("for writing"));
        assert!(remedy(io::ErrorKind::NotADirectory).unwrap().contains("Name a directory"));
        for lacking in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE] {
            let refused = Unusable::refused("cannot start the threads of the workers", lacking.into());
            assert_eq!(
                refused.to_string(),
                format!("cannot start the threads of the workers: {}", io::Error::from(lacking))
            );
            assert!(remedy_of(&refused).unwrap().contains("descriptors"), "{lacking}");
        }
        assert_eq!(remedy(io::ErrorKind::PermissionDenied), None, "whose it is stands in the text");
        let of_key = |kind: io::ErrorKind| remedy_of_shortage(&Unusable::refused("a key", kind.into()));
        assert_eq!(of_key(io::ErrorKind::NotADirectory), None, "a key is no directory");
        assert!(of_key(io::ErrorKind::StorageFull).is_some());
    }

    #[test]
    fn what_the_system_refused_is_kept_and_told_once() {
        let path = Path::new("/proc/self/none");
        for (errno, is_told) in [(Errno::ACCESS, true), (Errno::EXIST, false), (Errno::NOTDIR, false)] {
            let not_made = Unusable::NotMade { path: path.to_owned(), cause: errno.into() };
            let all = [
                (Unusable::refused("looking", errno.into()), true),
                (Unusable::setting_up(path, errno.into()), true),
                (not_made, is_told),
            ];
            for (error, is_told) in all {
                assert_eq!(told_cause(&error), Some((errno, usize::from(is_told))), "{error}");
            }
        }
        let unfit = Unusable::unfit(Code::OtherFileSystem, "a is on another file system than b".to_owned());
        assert!(unfit.source().is_none());
    }
}
