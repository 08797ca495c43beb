//! The package engine: one accepted intent becomes one directory of files that kpt and kubectl understand.
//! Deterministic: the same intent gives the same bytes, equal content is not rewritten, no times, no random names.
//! It never follows a symbolic link below the output directory and never invents an image.

#![forbid(unsafe_code)]

mod package;
mod write;

pub use package::{File, Form, render};

use conductor_core::Code;
use conductor_core::intent::{Kind, TargetKey};
use std::io;
use std::path::{Path, PathBuf};

/// What the engine needs to know of an intent. The names were judged by `conductor_core::intent`.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// What is asked for.
    pub kind: Kind,
    /// Namespace and target.
    pub key: &'r TargetKey,
    /// Wanted replicas.
    pub replicas: Option<u32>,
    /// Which of the two forms to write.
    pub form: Form,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package directory.
    pub dir: PathBuf,
    /// Whether any file had to be written.
    pub changed: bool,
}

/// Why no package was written.
#[derive(Debug, thiserror::Error)]
pub enum PorchError {
    /// There is no package form for this kind of intent.
    #[error("the embedded engine has no package form for {kind:?} of {key}: it scales, and needs replicas")]
    Unsupported {
        /// What was asked for.
        kind: Kind,
        /// For what.
        key: TargetKey,
    },
    /// A file or directory could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl PorchError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            PorchError::Unsupported { .. } => Code::Unsupported,
            PorchError::Write { .. } => Code::PackageWrite,
        }
    }
}

/// Renders the intent and writes the package below `out`. An unchanged package is left untouched.
pub fn apply(request: &Request<'_>, out: &Path) -> Result<Package, PorchError> {
    let (dir, files) = render(request)?;
    let changed = write::package(out, &dir, &files)?;
    Ok(Package { dir: out.join(dir.join("/")), changed })
}
