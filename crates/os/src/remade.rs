//! Makes way for a part of ours if a run of porch, which has our user, put another entry in its place: that entry is
//! removed or renamed aside, never followed and never written into, so that one run cannot make the next start
//! impossible.

use super::dir::{Dir, Kind, Meta};
use rustix::fs::{AtFlags, FlockOperation, Mode, chmodat, flock};
use std::io::{self, Read};
use std::os::fd::AsFd;

/// The permissions we need on a file to use it.
const OWN: u32 = 0o600;
/// The largest content of our files that are recreated.
const CONTENT_MAX: u64 = 1 << 20;

/// The treatment of an entry in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It is removed; a directory that is not empty is renamed aside.
    Removed,
    /// It is renamed aside: it may be, or lead to, unfinished work.
    Aside,
}

fn is_plain(meta: &Meta) -> bool {
    meta.kind == Kind::File && meta.links == 1 && meta.mode & OWN == OWN
}

impl Dir {
    /// The entry `name`, if it is there.
    fn found(&self, name: &str) -> io::Result<Option<Meta>> {
        match self.stat(name) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes way for a directory or a socket of ours.
    pub fn make_way_for(&self, name: &str, wanted: Kind, leaving: Leaving) -> io::Result<()> {
        match self.found(name)? {
            Some(meta) if meta.kind != wanted => self.take_away(name, meta.kind, leaving),
            _ => Ok(()),
        }
    }

    /// Makes way for a file of ours that has one name and that we can open. A file with more names may be another user's,
    /// whose content would be overwritten: ours becomes a copy of its own.
    pub fn make_way_for_file(&self, name: &str) -> io::Result<()> {
        let meta = match self.found(name)? {
            Some(meta) if !is_plain(&meta) => meta,
            _ => return Ok(()),
        };
        if meta.kind != Kind::File {
            return self.take_away(name, meta.kind, Leaving::Removed);
        }
        if meta.links == 1 {
            chmodat(self.as_fd(), name, Mode::from_raw_mode(meta.mode | OWN), AtFlags::empty())?;
            return Ok(());
        }
        let mut content = Vec::new();
        let file = self.open_read(name)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(()); // A lock that another process holds: the next attempt to take it reports that.
        }
        file.take(CONTENT_MAX).read_to_end(&mut content)?;
        self.unlink(name)?;
        self.create(name, OWN, &content)?;
        tracing::warn!(part = name, "a file of ours had another name as well and was made anew");
        Ok(())
    }

    /// Makes way for a lock file. Two simultaneous starts must not remove each other's file: they take turns.
    pub fn make_way_for_lock(&self, name: &str) -> io::Result<()> {
        if self.found(name)?.is_none_or(|meta| is_plain(&meta)) {
            return Ok(());
        }
        let turn = self.sub(".")?;
        flock(&turn, FlockOperation::NonBlockingLockExclusive)?;
        self.make_way_for_file(name)
    }

    fn take_away(&self, name: &str, kind: Kind, leaving: Leaving) -> io::Result<()> {
        let removed = match (leaving, kind) {
            (Leaving::Removed, Kind::Directory) => self.remove_dir(name).is_ok(),
            (Leaving::Removed, _) => {
                self.unlink(name)?;
                true
            }
            (Leaving::Aside, _) => false,
        };
        if removed {
            tracing::warn!(part = name, found = ?kind, "another entry was in place of a part of ours; it was removed");
        } else {
            let moved_to = self.move_aside(name, &format!("{name}.aside"))?;
            tracing::warn!(part = name, found = ?kind, moved_to, "another entry was in place of a part of ours");
        }
        Ok(())
    }
}
