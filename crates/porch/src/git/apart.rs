//! A scratch directory for objects that are only read. It is removed when dropped.

#![expect(
    clippy::disallowed_methods,
    reason = "a repository is the operator's, and git names its files by path"
)]

use crate::PorchError;
use std::fs::{DirBuilder, remove_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// More names than leftovers of killed runs.
const TRIES: u32 = 1_000;

pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, PorchError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        for _ in 0..TRIES {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("conductor-loop-plan-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(PorchError::io(path, error)),
            }
        }
        Err(PorchError::io(base, std::io::Error::from(std::io::ErrorKind::AlreadyExists)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing in it is needed; a leftover is an ordinary temporary file.
        let _ = remove_dir_all(&self.0);
    }
}
