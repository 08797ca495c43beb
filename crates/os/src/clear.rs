//! Removes the contents of one of our directories, which a hostile process may have built: without recursion, with three
//! descriptors whatever the depth, and with a bound on the work.

use super::dir::{Dir, Kind};
use rustix::fs::{AtFlags, Mode, chmodat, fchmod, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// The permissions we need on a directory to empty it.
const OWN: u32 = 0o700;
/// Names read at once.
const AT_ONCE: usize = 4_096;
/// Entries visited in one clearing: a larger tree is set aside, and the next start continues with it.
const WORK_MAX: usize = 500_000;

/// One clearing: the remaining work, and the last number used for a unique name.
struct Clearing<'c> {
    top: &'c Dir,
    left: usize,
    number: usize,
}

impl Dir {
    /// Removes everything below this directory, without following links. The entry `keep` (not a directory) stays.
    pub fn clear(&self, keep: Option<&str>) -> io::Result<()> {
        self.clear_within(keep, WORK_MAX)
    }

    fn clear_within(&self, keep: Option<&str>, most: usize) -> io::Result<()> {
        let mut clearing = Clearing { top: self, left: most, number: 0 };
        loop {
            let names = self.some_names(keep)?;
            if names.is_empty() {
                return Ok(());
            }
            self.make_own()?;
            for name in names {
                clearing.remove(OsStr::from_bytes(&name))?;
            }
        }
    }

    /// The first names, without `keep`.
    fn some_names(&self, keep: Option<&str>) -> io::Result<Vec<Box<[u8]>>> {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        self.lister()?.slice(AT_ONCE, |name| {
            if keep.map(str::as_bytes) != Some(name) {
                names.push(name.into());
            }
        })?;
        Ok(names)
    }

    /// Opens a sub-directory of ours, even if its permissions were taken from us.
    pub fn sub_of_ours(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        match self.sub(name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Only directories of ours are changed; a link put here meanwhile leads to a directory that its maker, who is the
                // same user, may change anyway.
                let meta = self.stat(name)?;
                if meta.kind != Kind::Directory || meta.uid != rustix::process::geteuid().as_raw() {
                    return Err(error);
                }
                chmodat(self.as_fd(), name, Mode::from_raw_mode(OWN), AtFlags::empty())?;
                self.sub(name)
            }
            opened => opened,
        }
    }

    /// Adds the permissions we need to this directory.
    pub fn make_own(&self) -> io::Result<()> {
        let mode = self.meta()?.mode;
        if mode & OWN != OWN {
            fchmod(self.as_fd(), Mode::from_raw_mode(mode | OWN))?;
        }
        Ok(())
    }
}

/// The result of one attempt to remove an entry.
enum Removed {
    Gone,
    /// It is a directory that is not empty.
    Filled,
}

fn try_remove(dir: &Dir, name: &OsStr) -> io::Result<Removed> {
    match unlinkat(dir.as_fd(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(Removed::Gone),
        // Some systems answer PERM for a directory; for a file it means that the file is immutable, which rmdir then
        // tells apart.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    match unlinkat(dir.as_fd(), name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(Removed::Gone),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(Removed::Filled),
        Err(Errno::NOTDIR) => Err(Errno::PERM.into()),
        Err(errno) => Err(errno.into()),
    }
}

impl Clearing<'_> {
    fn spend(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("there is too much in it"))?;
        Ok(())
    }

    /// Removes an entry of the top directory. The directories inside it are moved up to the top, where the clearing meets
    /// them again: so depth costs neither descriptors nor stack frames.
    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        self.spend()?;
        if matches!(try_remove(self.top, name)?, Removed::Gone) {
            return Ok(());
        }
        let sub = self.top.sub_of_ours(name)?;
        sub.make_own()?;
        loop {
            let names = sub.some_names(None)?;
            if names.is_empty() {
                break;
            }
            for inner in names {
                self.spend()?;
                let inner = OsStr::from_bytes(&inner);
                if matches!(try_remove(&sub, inner)?, Removed::Filled) {
                    self.move_up(&sub, inner)?;
                }
            }
        }
        match try_remove(self.top, name)? {
            Removed::Gone => Ok(()),
            Removed::Filled => Err(Errno::NOTEMPTY.into()),
        }
    }

    fn move_up(&mut self, from: &Dir, name: &OsStr) -> io::Result<()> {
        // Moving a directory to another parent writes to the directory itself.
        from.sub_of_ours(name)?.make_own()?;
        loop {
            self.spend()?;
            self.number += 1;
            match renameat(from.as_fd(), name, self.top.as_fd(), format!(".up.{}", self.number)) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                other => return Ok(other?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn dir(path: &Path) -> Dir {
        Dir::open(path).unwrap()
    }

    /// Makes directories nested in each other, with a file and a link in each; the innermost may not even be entered.
    fn nest(top: &Path, levels: usize) {
        let mut at = dir(top);
        for level in 0..levels {
            at.create("f", 0o400, b"x").unwrap();
            rustix::fs::symlinkat("/etc", at.as_fd(), "link").unwrap();
            at = at.ensure(&format!("d{level}"), 0o700).unwrap();
        }
        fchmod(at.as_fd(), Mode::empty()).unwrap();
    }

    #[test]
    fn no_depth_width_or_mode_is_in_the_way() {
        let temp = tempfile::tempdir().unwrap();
        nest(temp.path(), 1_000);
        let wide = temp.path().join("wide");
        for number in 0..60 {
            std::fs::create_dir_all(wide.join(format!("{number}/a/b"))).unwrap();
            std::fs::write(wide.join(format!("{number}/a/.up.{number}")), "").unwrap();
        }
        std::fs::write(temp.path().join(".up.3"), "in the way").unwrap();
        std::fs::write(temp.path().join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
        std::fs::write(temp.path().join("keep"), "kept").unwrap();
        for closed in ["wide/7/a", "wide/7", "wide"] {
            std::fs::set_permissions(temp.path().join(closed), PermissionsExt::from_mode(0o500)).unwrap();
        }
        dir(temp.path()).clear(Some("keep")).unwrap();
        assert_eq!(dir(temp.path()).names().unwrap(), [Box::from(b"keep".as_slice())]);
        dir(temp.path()).clear(None).unwrap();
        assert!(dir(temp.path()).names().unwrap().is_empty());
    }

    #[test]
    fn the_work_of_one_clearing_is_bounded() {
        let temp = tempfile::tempdir().unwrap();
        for number in 0..30 {
            std::fs::write(temp.path().join(number.to_string()), "").unwrap();
        }
        assert!(dir(temp.path()).clear_within(None, 29).is_err());
        dir(temp.path()).clear_within(None, 29).unwrap();
    }
}
