//! Writes a package through directory descriptors: nothing below the output directory is followed when it is a
//! symbolic link, each file is replaced by temp + rename, equal content is left alone.

use crate::{File, PorchError};
use rustix::fs::{AtFlags, Mode, OFlags, fstat, mkdirat, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const DIR_MODE: Mode = Mode::from_raw_mode(0o750);
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

/// Whether anything had to be written.
pub(crate) fn package(out: &Path, dir: &[String], files: &[File]) -> Result<bool, PorchError> {
    let at = |path: PathBuf| move |errno: Errno| PorchError::Write { path, source: errno.into() };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut parent = open(out, flags, Mode::empty()).map_err(at(out.to_owned()))?;
    let mut path = out.to_owned();
    for step in dir {
        path.push(step);
        parent = enter(&parent, step, flags | OFlags::NOFOLLOW).map_err(at(path.clone()))?;
    }
    let mut changed = false;
    for file in files {
        let fail = |source| PorchError::Write { path: path.join(file.name), source };
        changed |= put(&parent, file).map_err(fail)?;
    }
    Ok(changed)
}

fn enter(parent: &OwnedFd, step: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat(parent, step, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(parent, step, DIR_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            openat(parent, step, flags, Mode::empty())
        }
        other => other,
    }
}

fn put(dir: &OwnedFd, file: &File) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(dir, file.name, flags, Mode::empty()) {
        Ok(found) => {
            if same_content(found, file.content.as_bytes())? {
                return Ok(false);
            }
        }
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let temp = format!(".{}.{}.tmp", file.name, rustix::thread::gettid().as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let created = match openat(dir, &temp, flags, FILE_MODE) {
        // A leftover of a killed process with our number.
        Err(Errno::EXIST) => {
            unlinkat(dir, &temp, AtFlags::empty())?;
            openat(dir, &temp, flags, FILE_MODE)?
        }
        other => other?,
    };
    let written = std::fs::File::from(created).write_all(file.content.as_bytes());
    let placed = written.and_then(|()| renameat(dir, &temp, dir, file.name).map_err(io::Error::from));
    if placed.is_err() {
        let _ = unlinkat(dir, &temp, AtFlags::empty());
    }
    placed.map(|()| true)
}

fn same_content(found: OwnedFd, wanted: &[u8]) -> io::Result<bool> {
    let stat = fstat(&found)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(io::Error::other("something that is not a regular file is in the way"));
    }
    if u64::try_from(stat.st_size).ok() != u64::try_from(wanted.len()).ok() {
        return Ok(false);
    }
    let mut content = Vec::with_capacity(wanted.len());
    std::fs::File::from(found).take(wanted.len() as u64 + 1).read_to_end(&mut content)?;
    Ok(content == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(content: &str) -> Vec<File> {
        vec![File { name: "Kptfile", content: content.to_owned() }]
    }

    #[test]
    fn equal_content_is_not_rewritten() {
        let out = tempfile::tempdir().unwrap();
        let dir = ["ns".to_owned(), "pkg".to_owned()];
        assert!(package(out.path(), &dir, &files("a")).unwrap());
        assert!(!package(out.path(), &dir, &files("a")).unwrap());
        assert!(package(out.path(), &dir, &files("b")).unwrap());
        assert_eq!(std::fs::read_to_string(out.path().join("ns/pkg/Kptfile")).unwrap(), "b");
        assert_eq!(
            std::fs::read_dir(out.path().join("ns/pkg")).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn symbolic_links_are_neither_followed_nor_replaced() {
        let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = ["ns".to_owned(), "pkg".to_owned()];
        std::os::unix::fs::symlink(elsewhere.path(), out.path().join("ns")).unwrap();
        assert!(package(out.path(), &dir, &files("a")).is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        let dir = ["real".to_owned(), "pkg".to_owned()];
        std::fs::create_dir_all(out.path().join("real/pkg")).unwrap();
        let secret = elsewhere.path().join("secret");
        std::fs::write(&secret, "s").unwrap();
        std::os::unix::fs::symlink(&secret, out.path().join("real/pkg/Kptfile")).unwrap();
        assert!(package(out.path(), &dir, &files("a")).is_err());
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "s");
    }
}
