//! The program that runs intents, while the daemon runs: it may disappear, come back, and then be another file, which
//! must pass the same checks as the first.

use super::executable::{Executable, ExecutableError, resolve};
use conductor_core::Digest;
use conductor_crypto::sha256_of;
use conductor_os::plain::open_plain;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A file that changed less than this ago may be incomplete: a copy, a linker or a package manager may be at work.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// How often a program is read that changes meanwhile, if only in its number of names.
const DIGEST_TRIES: usize = 4;

/// Metadata that tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    id: (u64, u64),
    size: u64,
    mode: u32,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|meta| Self::from(&meta))
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self {
            id: (meta.dev(), meta.ino()),
            size: meta.size(),
            mode: meta.mode(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The program as the operator named it, and its resolved path.
#[derive(Debug)]
pub struct Program {
    porch: String,
    search: Option<OsString>,
    allow_unsafe: bool,
    checked: Mutex<(PathBuf, Option<Stamp>)>,
    digested: Mutex<Option<(Stamp, Digest)>>,
}

impl Program {
    /// Finds and checks the program, as [`resolve`] does.
    pub fn find(porch: &str, search: Option<OsString>, allow_unsafe: bool) -> Result<Self, ExecutableError> {
        let Executable { path } = resolve(porch, search.as_deref(), allow_unsafe)?;
        let stamp = Stamp::of(&path).ok();
        Ok(Self {
            porch: porch.to_owned(),
            search,
            allow_unsafe,
            checked: Mutex::new((path, stamp)),
            digested: Mutex::default(),
        })
    }

    /// The path found last.
    pub fn path(&self) -> PathBuf {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The current path: checked again if the file is another one, or has changed.
    pub fn current(&self) -> Result<(PathBuf, Option<Stamp>), ExecutableError> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&checked.0).ok();
        if stamp.is_none() || stamp != checked.1 {
            let Executable { path } = resolve(&self.porch, self.search.as_deref(), self.allow_unsafe)?;
            let stamp = Stamp::of(&path).ok();
            *checked = (path, stamp);
        }
        Ok(checked.clone())
    }

    /// SHA-256 of the file at the path found last, which is read when it is another than before. `None` if it cannot be
    /// read, or changes each time.
    pub fn digest(&self, path: &Path) -> Option<Digest> {
        let mut digested = self.digested.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, digest)) = *digested
            && Stamp::of(path).is_ok_and(|now| now == known)
        {
            return Some(digest);
        }
        for _ in 0..DIGEST_TRIES {
            let mut file = open_plain(path).ok()?;
            let before = Stamp::from(&file.metadata().ok()?);
            let read = sha256_of(&mut file, before.size);
            if let (Ok(digest), true) = (read, file.metadata().is_ok_and(|meta| Stamp::from(&meta) == before))
            {
                *digested = Some((before, digest));
                return Some(digest);
            }
        }
        None
    }

    /// Whether the file may still be changing.
    pub fn is_unsettled(&self) -> bool {
        let changed = self.path().metadata().map(|meta| {
            let seconds = u64::try_from(meta.ctime()).unwrap_or(0);
            let nanoseconds = u32::try_from(meta.ctime_nsec()).unwrap_or(0);
            std::time::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
        });
        // A change in the future proves nothing: the clock was set back.
        changed.map_or(true, |at| at.elapsed().is_ok_and(|age| age < SETTLED_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_file_in_its_place_is_checked_like_the_first() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("porch");
        let write = |mode: u32| {
            std::fs::write(temp.path().join("draft"), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(temp.path().join("draft"), PermissionsExt::from_mode(mode)).unwrap();
            std::fs::rename(temp.path().join("draft"), &path).unwrap();
        };
        write(0o755);
        let program = Program::find(path.to_str().unwrap(), None, false).unwrap();
        let first = program.current().unwrap();
        assert_eq!(program.current().unwrap(), first);
        std::fs::remove_file(&path).unwrap();
        assert!(program.current().is_err() && program.is_unsettled());
        write(0o757);
        assert!(matches!(program.current(), Err(ExecutableError::Unsafe { .. })));
        write(0o644);
        assert!(matches!(program.current(), Err(ExecutableError::NotExecutable(..))));
        write(0o755);
        let (found, stamp) = program.current().unwrap();
        assert_ne!(stamp, first.1);
        for content in ["#!/bin/sh\n", "#!/bin/sh\ntrue\n"] {
            std::fs::write(&path, content).unwrap();
            let digest = Some(conductor_crypto::sha256(content.as_bytes()));
            assert_eq!([program.digest(&found), program.digest(&found)], [digest; 2]);
        }
        assert_eq!(program.digest(temp.path()), None);
        // Written again until it is looked at in time.
        assert!((0..100).any(|_| std::fs::write(&path, "#!/bin/sh\n").is_ok() && program.is_unsettled()));
        assert!(!Program::find("/bin/sh", None, true).unwrap().is_unsettled());
        assert_eq!(program.path(), first.0);
    }
}
