//! The private directory of taken files: how a file enters it, is found and leaves it.

use conductor_core::Seq;
use conductor_core::name::{TakenAt, TakenName};
use conductor_os::dir::{Dir, Kind, Meta};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Operations on taken files, for the intake and the writer. Implemented on the directory itself.
pub trait TakenFiles {
    /// Moves a file out of the handoff directory. Atomic; the file was neither opened nor checked before.
    fn take(&self, handoff: &Dir, taken: &TakenName) -> io::Result<()>;
    /// Opens a taken file for reading.
    fn open_taken(&self, taken: &TakenName) -> io::Result<File>;
    /// lstat of a taken file.
    fn stat_taken(&self, taken: &TakenName) -> io::Result<Meta>;
    /// Removes a taken file; a missing one is no error.
    fn remove_taken(&self, taken: &TakenName) -> io::Result<()>;
    /// Moves a taken file to another directory; an existing target is an error.
    fn move_taken(&self, taken: &TakenName, to_dir: &Dir, to: &str) -> io::Result<()>;
    /// Gives a taken file another number.
    fn renumber(&self, taken: &TakenName, seq: Seq) -> io::Result<TakenName>;
    /// All taken files, in order of taking.
    fn all_taken(&self) -> io::Result<Vec<TakenName>>;
}

fn raw(taken: &TakenName) -> &OsStr {
    OsStr::from_bytes(&taken.raw)
}

impl TakenFiles for Dir {
    fn take(&self, handoff: &Dir, taken: &TakenName) -> io::Result<()> {
        match taken.place() {
            TakenAt::Entry(entry) => handoff.rename_new(raw(taken), self, entry),
            TakenAt::Nested(dir) => {
                let nest = self.ensure(&dir, 0o700)?;
                let moved = handoff.rename_new(raw(taken), &nest, raw(taken));
                if moved.is_err() {
                    // An empty directory that stays behind is removed at the next start.
                    let _ = self.remove_dir(&dir);
                }
                moved
            }
        }
    }

    fn open_taken(&self, taken: &TakenName) -> io::Result<File> {
        match taken.place() {
            TakenAt::Entry(entry) => self.open_read(entry),
            TakenAt::Nested(dir) => self.sub(dir)?.open_read(raw(taken)),
        }
    }

    fn stat_taken(&self, taken: &TakenName) -> io::Result<Meta> {
        match taken.place() {
            TakenAt::Entry(entry) => self.stat(entry),
            TakenAt::Nested(dir) => self.sub(dir)?.stat(raw(taken)),
        }
    }

    fn remove_taken(&self, taken: &TakenName) -> io::Result<()> {
        let removed = match taken.place() {
            TakenAt::Entry(entry) => self.unlink(entry),
            TakenAt::Nested(dir) => {
                self.sub(&dir).and_then(|nest| nest.unlink(raw(taken))).and_then(|()| self.remove_dir(&dir))
            }
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn move_taken(&self, taken: &TakenName, to_dir: &Dir, to: &str) -> io::Result<()> {
        match taken.place() {
            TakenAt::Entry(entry) => self.rename_new(entry, to_dir, to),
            TakenAt::Nested(dir) => {
                self.sub(&dir)?.rename_new(raw(taken), to_dir, to)?;
                self.remove_dir(&dir)
            }
        }
    }

    fn renumber(&self, taken: &TakenName, seq: Seq) -> io::Result<TakenName> {
        let renumbered = TakenName { seq, raw: taken.raw.clone() };
        match (taken.place(), renumbered.place()) {
            (TakenAt::Entry(from), TakenAt::Entry(to)) => self.rename_new(from, self, to)?,
            (from, TakenAt::Nested(to)) => {
                let nest = self.ensure(&to, 0o700)?;
                match from {
                    TakenAt::Entry(from) => self.rename_new(from, &nest, raw(taken))?,
                    TakenAt::Nested(from) => {
                        self.sub(&from)?.rename_new(raw(taken), &nest, raw(taken))?;
                        // Other files may be in it; empty directories are removed at the next start.
                        let _ = self.remove_dir(&from);
                    }
                }
            }
            (TakenAt::Nested(from), TakenAt::Entry(to)) => {
                self.sub(&from)?.rename_new(raw(taken), self, to)?;
                // An empty directory that stays behind is removed at the next start.
                let _ = self.remove_dir(&from);
            }
        }
        Ok(renumbered)
    }

    fn all_taken(&self) -> io::Result<Vec<TakenName>> {
        let mut all = Vec::new();
        for entry in self.names()? {
            let Ok(text) = std::str::from_utf8(&entry) else { continue };
            if let Ok(seq) = text.parse::<u64>()
                && self.stat(text)?.kind == Kind::Directory
            {
                let inside = self.sub(text)?.names()?;
                if inside.is_empty() {
                    self.remove_dir(text)?;
                }
                all.extend(inside.into_iter().map(|raw| TakenName { seq: Seq(seq), raw }));
            } else if let Some(taken) = TakenName::parse(text) {
                all.push(taken);
            }
        }
        all.sort_by_key(|taken| taken.seq);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of an entry and of one with a directory of its own.
    fn both() -> [TakenName; 2] {
        [b"intent-a.json".as_slice(), b"intent-\xff.json"]
            .map(|raw| TakenName { seq: Seq(7), raw: raw.into() })
    }

    /// The handoff directory and our own, in a directory that lasts as long as the first.
    fn dirs() -> (tempfile::TempDir, Dir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        let [handoff, own] = ["handoff", "taken"].map(|name| root.ensure(name, 0o700).unwrap());
        (temp, handoff, own)
    }

    #[test]
    fn what_is_removed_is_gone_and_what_cannot_be_removed_is_told() {
        for taken in both() {
            let (temp, handoff, own) = dirs();
            let path = temp.path().join("handoff").join(raw(&taken));
            std::fs::write(&path, "ours").unwrap();
            own.take(&handoff, &taken).unwrap();
            assert_eq!((path.exists(), own.all_taken().unwrap()), (false, vec![taken.clone()]));
            own.remove_taken(&taken).unwrap();
            assert_eq!((own.names().unwrap().len(), own.stat_taken(&taken).is_ok()), (0, false));
            own.remove_taken(&taken).unwrap();
            // A directory in its place is none of ours to remove.
            std::fs::create_dir_all(path.join("full")).unwrap();
            own.take(&handoff, &taken).unwrap();
            assert!(own.remove_taken(&taken).is_err() && own.stat_taken(&taken).is_ok());
        }
    }

    #[test]
    fn what_cannot_be_taken_leaves_no_directory() {
        for taken in both() {
            let (_temp, handoff, own) = dirs();
            assert_eq!(own.take(&handoff, &taken).unwrap_err().kind(), io::ErrorKind::NotFound);
            assert!(own.names().unwrap().is_empty() && own.all_taken().unwrap().is_empty());
        }
    }
}
