//! Whose the parts of a handoff directory are. What decides here must have been put there by the daemon's own user, and nobody else
//! may put anything beside it: else the start is refused, and says what to look at and what to do.

use super::Failure;
use crate::store;
use crate::sys::dir::{Dir, Kind, Meta};
use conductor_core::Code;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a part is for, which says who may write into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// What decides: nobody but the daemon's user.
    Private,
    /// What is emptied or made again at each start: what it permits is set right then.
    Remade,
    /// What is filed for others to read. A group that writes there can only spoil what it reads.
    Filed,
}

/// Judges parts for one user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    us: u32,
    /// --allow-unsafe-handoff: modes are the operator's business, owners are not.
    any_mode: bool,
}

impl Owned {
    pub(super) fn by_this_user(any_mode: bool) -> Self {
        Self { us: rustix::process::geteuid().as_raw(), any_mode }
    }

    /// An open directory.
    pub(super) fn dir(self, path: &Path, dir: &Dir, used: Use) -> Result<(), Failure> {
        let meta = dir.meta().map_err(|error| unreadable(path, &error))?;
        if meta.uid != self.us && assigns_owners(dir, meta.uid) {
            return Ok(()); // A file system that says of everything that it is this user's.
        }
        self.judge(path, &meta, used)
    }

    /// An entry of a directory of ours, if it is there.
    pub(super) fn entry(self, path: &Path, dir: &Dir, name: &OsStr, used: Use) -> Result<(), Failure> {
        match dir.stat(name) {
            Ok(meta) if meta.uid != self.us && assigns_owners(dir, meta.uid) => Ok(()),
            Ok(meta) => self.judge(&path.join(name), &meta, used),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unreadable(&path.join(name), &error)),
        }
    }

    /// Everything in the private directory, not what is below.
    pub(super) fn content(self, path: &Path, dir: &Dir, remade: &str) -> Result<(), Failure> {
        for name in dir.names().map_err(|error| unreadable(path, &error))? {
            let used = if *name == *remade.as_bytes() { Use::Remade } else { Use::Private };
            self.entry(path, dir, OsStr::from_bytes(&name), used)?;
        }
        Ok(())
    }

    /// The state directory with the store in it; what else is there is not believed.
    pub(super) fn state(self, path: &Path, dir: &Dir) -> Result<(), Failure> {
        self.dir(path, dir, Use::Private)?;
        let kept = [store::FILE, store::MARK];
        kept.into_iter().try_for_each(|name| self.entry(path, dir, name.as_ref(), Use::Private))
    }

    fn judge(self, path: &Path, meta: &Meta, used: Use) -> Result<(), Failure> {
        let shown = path.display();
        if meta.uid != self.us {
            return Err(refused(format!(
                "{shown} belongs to user {} and not to user {}, who runs this; if you know what is in it: chown -R {} {shown}, else \
                 move it aside",
                meta.uid, self.us, self.us
            )));
        }
        if meta.kind == Kind::Symlink && used != Use::Remade {
            return Err(refused(format!(
                "{shown} is a symbolic link; look at where it leads, then: rm {shown}"
            )));
        }
        let forbidden = match used {
            Use::Private => 0o022,
            Use::Filed => 0o002,
            Use::Remade => return Ok(()),
        };
        // What a link or socket permits is not its mode.
        let has_mode = matches!(meta.kind, Kind::File | Kind::Directory);
        if has_mode && meta.mode & forbidden != 0 && !self.any_mode {
            return Err(refused(format!(
                "{shown} can be written by others than user {} (mode {:04o}); look at what is in it, then: chmod go-w {shown}",
                self.us, meta.mode
            )));
        }
        if has_mode && meta.mode & 0o022 != 0 {
            tracing::warn!(part = %shown, mode = format!("{:04o}", meta.mode), "others may change what is kept here");
        }
        Ok(())
    }
}

fn refused(message: String) -> Failure {
    Failure::set_up(Code::NotOurs, message)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::set_up(Code::DirectorySetup, format!("cannot look at {}: {error}", path.display()))
}

/// Some file systems (CIFS, 9p, shared folders of desktops) give everything to the user they were mounted for, new files of ours too.
fn assigns_owners(dir: &Dir, uid: u32) -> bool {
    const PROBE: &str = ".whose";
    let made = dir.create(PROBE, 0o600, b"").and_then(|()| dir.stat(PROBE));
    let removed = dir.unlink(PROBE);
    made.is_ok_and(|meta| meta.uid == uid) && removed.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_or_open_to_others_is_refused_with_a_command() {
        let ours = Owned { us: 7, any_mode: false };
        let meta = |kind, uid, mode| Meta {
            kind,
            id: (1, 1),
            links: 1,
            size: 0,
            uid,
            mode,
            mtime_ns: 0,
            ctime_ns: 0,
        };
        let judge = |owned: Owned, meta: &Meta, used| owned.judge(Path::new("/h/part"), meta, used).err();
        for (meta, used, needle) in [
            (meta(Kind::Directory, 8, 0o700), Use::Private, Some("chown -R 7 /h/part")),
            (meta(Kind::Directory, 7, 0o2720), Use::Private, Some("chmod go-w /h/part")),
            (meta(Kind::File, 7, 0o602), Use::Private, Some("chmod go-w /h/part")),
            (meta(Kind::Symlink, 7, 0o777), Use::Private, Some("rm /h/part")),
            (meta(Kind::Directory, 7, 0o1777), Use::Filed, Some("chmod go-w /h/part")),
            (meta(Kind::Directory, 8, 0o755), Use::Filed, Some("chown")),
            (meta(Kind::Directory, 7, 0o2770), Use::Filed, None),
            (meta(Kind::Directory, 7, 0o2755), Use::Private, None),
            (meta(Kind::Socket, 7, 0o777), Use::Private, None),
        ] {
            let failure = judge(ours, &meta, used);
            assert_eq!(failure.is_some(), needle.is_some(), "{meta:?} {used:?} {failure:?}");
            if let (Some(failure), Some(needle)) = (failure, needle) {
                assert_eq!(failure.code(), Code::NotOurs);
                assert!(failure.to_string().contains(needle), "{failure}");
            }
        }
        let lax = Owned { us: 7, any_mode: true };
        assert!(judge(lax, &meta(Kind::Directory, 7, 0o777), Use::Private).is_none());
        assert!(judge(lax, &meta(Kind::Directory, 8, 0o700), Use::Private).is_some());
    }
}
