//! The root below which packages are: its descriptor, what is entered below it, and what searches may rest on.

use super::looks::{BELIEVED, RootId};
use super::memo::Memo;
use super::opening::{BELOW, DIRECTORY, open_root, steps_below};
use super::ordering;
use crate::PorchError;
use crate::files::{join, parent};
use crate::plan::Plan;
use rustix::fs::{Mode, fstat, openat2};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A directory that contains packages.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(super) root: OwnedFd,
    path: PathBuf,
    /// What earlier searches have read.
    pub(super) memo: Option<Arc<Memo>>,
    pub(super) believing: Option<Believing>,
}

/// The looks of other searches that may be believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Believing {
    pub(super) since: Instant,
    pub(super) root: RootId,
}

impl Directory {
    /// Opens the root; symbolic links on the way to it are the operator's own.
    pub(crate) fn open(path: &Path) -> Result<Self, PorchError> {
        Ok(Self { root: open_root(path)?, path: path.to_owned(), memo: None, believing: None })
    }

    /// Spares searches what earlier ones have read.
    pub(crate) fn remembering(self, memo: &Arc<Memo>) -> Self {
        Self { memo: Some(memo.clone()), ..self }
    }

    /// Lets searches rest on what others saw after the order came in, though no longer than [`BELIEVED`].
    pub(crate) fn believing(self, came: Option<Instant>) -> Result<Self, PorchError> {
        let Some(came) = came else { return Ok(self) };
        let stat = fstat(&self.root).map_err(|errno| PorchError::io(&self.path, errno))?;
        let oldest = Instant::now().checked_sub(BELIEVED).unwrap_or(came);
        let believing = Believing { since: came.max(oldest), root: (stat.st_dev, stat.st_ino) };
        Ok(Self { believing: Some(believing), ..self })
    }

    /// Makes searches see for themselves from now on.
    pub(crate) fn believe_nobody(&mut self) {
        self.believing = None;
    }

    /// A plan was carried out, or part of it: other searches do not rest on what was there before.
    pub(crate) fn wrote(&self, plan: &Plan) {
        let Some(memo) = &self.memo else { return };
        let now = Instant::now();
        let changed = plan.changes.iter().map(|change| join(&plan.dir, parent(&change.path)));
        // A new package is a new name in its directory, which may be new as well.
        let holders = plan.new.then(|| ancestors(&plan.dir)).into_iter().flatten().map(str::to_owned);
        changed.chain(holders).for_each(|dir| memo.looks.written(now, &dir));
    }

    /// The device of the root, if its file system keeps the order of data and renames.
    pub(crate) fn ordered_device(&self) -> Option<u64> {
        ordering::ordered_device(&self.root)
    }

    /// A path below the root, for people.
    pub(super) fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    /// A directory below the root; `None` if it does not exist.
    pub(super) fn enter(&self, path: &str) -> Result<Option<OwnedFd>, PorchError> {
        let steps = if path.is_empty() { "." } else { path };
        let entered = match openat2(&self.root, steps, DIRECTORY, Mode::empty(), BELOW) {
            // Old kernels and some sandboxes lack the call.
            Err(Errno::NOSYS | Errno::PERM) => steps_below(&self.root, path),
            entered => entered,
        };
        match entered {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let reason = "part of its path is no directory (symbolic links are not followed)";
                Err(PorchError::unfit(self.full(path).display().to_string(), reason))
            }
            Err(errno) => Err(PorchError::io(self.full(path), errno)),
        }
    }
}

/// The directories above a path, up to the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut below = path;
    std::iter::from_fn(move || {
        let above = (!below.is_empty()).then(|| parent(below));
        below = above.unwrap_or_default();
        above
    })
}
