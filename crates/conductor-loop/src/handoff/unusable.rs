//! Why a handoff directory cannot be used.

use conductor_core::Code;
use conductor_os::dir::Meta;
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
}

impl Unusable {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
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
        Self::new(Code::DirectorySetup, format!("cannot set up {}: {error}{whose}", path.display()))
    }
}
