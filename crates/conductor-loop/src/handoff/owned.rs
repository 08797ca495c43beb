//! Ownership of the parts of a handoff directory. A part that decides must have been made by the daemon's own user, and
//! no other user may add to it: otherwise the start is refused, with the path to inspect and the remedy.
//!
//! One widening is corrected instead: a Kubernetes volume with `fsGroup` gets group, setgid and group permissions on
//! everything in it at each mount. Only owner or root can set that mode, so it is no trace of an attack, and a refusal
//! would make people pass --allow-unsafe-handoff, which admits the group for good. Members of that group, the pod's own
//! containers, could have written between mount and start: entries they added belong to them and are refused; content
//! they changed is checked against its checksums like any other damage, no more.

use super::{Unusable, layout};
use crate::config::Config;
use crate::{keys, store};
use conductor_core::Code;
use conductor_os::dir::{Dir, Kind, Meta};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The use of a part, which determines who may write into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Parts that decide: only the daemon's user.
    Private,
    /// The private directory itself. A run of porch, which may have the same user, may leave anything in it: an entry without
    /// one of our names is never used, so it only has to belong to us.
    Top,
    /// The directory of taken files. The directory is private; the files are the producers' own inodes, so any owner is
    /// right, and none is trusted: each start looks at each file and judges it as if just taken (kind, links, content);
    /// one that was never dropped could have been dropped, and one that the store has is recognised by content.
    Taken,
    /// Staging, which is emptied and made again: it is below a private directory, so its modes admit no other user, and a
    /// run of ours may have changed them. Its slots must belong to us: a slot's owner could exchange the running intent.
    /// The content of a slot is not read; it is removed before the slot is used.
    Remade,
    /// Filed for others to read. A group that writes there can only spoil its own reading.
    Filed,
}

/// Checks parts for one user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    us: u32,
    /// --allow-unsafe-handoff: the operator answers for modes, but not for owners.
    any_mode: bool,
    /// The treatment of modes that a mount has widened.
    widened: Widened,
}

/// The treatment of private directories that a mount of their volume has opened for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Widened {
    /// They are closed again, by a process that keeps the state.
    Closed,
    /// They are left, for a command that only predicts a start.
    Left,
}

/// The permissions of private directories and files.
const OWN: u32 = 0o700;

/// Whether a directory was opened for its group only, as a mount with `fsGroup` does it.
fn is_widened(dir: &Meta) -> bool {
    dir.kind == Kind::Directory && dir.mode & 0o2077 == 0o2070
}

impl Owned {
    pub(super) fn by_this_user(any_mode: bool, widened: Widened) -> Self {
        Self { us: rustix::process::geteuid().as_raw(), any_mode, widened }
    }

    /// An open directory.
    pub(super) fn dir(self, path: &Path, dir: &Dir, used: Use) -> Result<(), Unusable> {
        let meta = dir.meta().map_err(|error| unreadable(path, error))?;
        if meta.uid != self.us && assigns_owners(dir, meta.uid) {
            return Ok(()); // A file system that reports this user as the owner of everything.
        }
        self.judge(path, &meta, used)?;
        let closes = self.widened == Widened::Closed && !self.any_mode;
        if closes && is_widened(&meta) && used != Use::Filed {
            self.close(path, dir, used)?;
        }
        Ok(())
    }

    /// Revokes the group permissions of a mount: those of the directory last, so that an interrupted start repeats it.
    /// After that no other user can add entries, and entries added before are found by their owner.
    fn close(self, path: &Path, dir: &Dir, used: Use) -> Result<(), Unusable> {
        let failed = |error| unreadable(path, error);
        if used != Use::Taken {
            for name in dir.names().map_err(failed)? {
                let name = OsStr::from_bytes(&name);
                let meta = dir.stat(name).map_err(failed)?;
                let part = if used == Use::Top { part(name.as_bytes(), meta.kind) } else { Some(used) };
                self.entry(path, dir, name, part.unwrap_or(Use::Remade))?;
                if part.is_none() {
                    continue;
                }
                if meta.kind == Kind::File || (used == Use::Remade && is_widened(&meta)) {
                    dir.narrow(name, OWN).map_err(failed)?;
                }
            }
        }
        dir.narrow(".", OWN).map_err(failed)?;
        if used != Use::Taken {
            self.owners(path, dir)?;
        }
        tracing::info!(
            directory = %path.display(),
            "the mount had opened a private directory for a group (fsGroup); only the daemon may write there again"
        );
        Ok(())
    }

    /// Checks the staging directory with its slots.
    pub(super) fn staging(self, path: &Path, dir: &Dir) -> Result<(), Unusable> {
        self.dir(path, dir, Use::Remade)?;
        self.owners(path, dir)
    }

    /// Checks the owners of all entries of a directory, not its modes.
    fn owners(self, path: &Path, dir: &Dir) -> Result<(), Unusable> {
        let names = dir.names().map_err(|error| unreadable(path, error))?;
        names.iter().try_for_each(|name| self.entry(path, dir, OsStr::from_bytes(name), Use::Remade))
    }

    /// Checks an entry of one of our directories, if it exists.
    pub(super) fn entry(self, path: &Path, dir: &Dir, name: &OsStr, used: Use) -> Result<(), Unusable> {
        match dir.stat(name) {
            Ok(meta) if meta.uid != self.us && assigns_owners(dir, meta.uid) => Ok(()),
            Ok(meta) if self.is_widened_file(dir, &meta) => self.judge(&path.join(name), &meta, Use::Remade),
            Ok(meta) => self.judge(&path.join(name), &meta, used),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unreadable(&path.join(name), error)),
        }
    }

    /// Whether a mount has opened this file for a group, together with its directory.
    fn is_widened_file(self, dir: &Dir, file: &Meta) -> bool {
        let group_only = file.kind == Kind::File && file.mode & 0o006 == 0;
        group_only && dir.meta().is_ok_and(|dir| dir.uid == self.us && is_widened(&dir))
    }

    /// Checks all entries of the private directory, not their content.
    pub(super) fn content(self, path: &Path, dir: &Dir) -> Result<(), Unusable> {
        let mut foreign = Vec::new();
        for name in dir.names().map_err(|error| unreadable(path, error))? {
            let kind = match dir.stat(OsStr::from_bytes(&name)) {
                Ok(meta) => meta.kind,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&path.join(OsStr::from_bytes(&name)), error)),
            };
            let used = part(&name, kind);
            self.entry(path, dir, OsStr::from_bytes(&name), used.unwrap_or(Use::Remade))?;
            if used.is_none() {
                foreign.push(name);
            }
        }
        if let Some(first) = foreign.first() {
            let first = conductor_core::scrub::line(&String::from_utf8_lossy(first), 80);
            tracing::warn!(directory = %path.display(), first, number = foreign.len(),
                "something is there that this program does not use; look at it and remove it");
        }
        Ok(())
    }

    /// Checks the state directory with the store; other entries in it are not trusted.
    pub(super) fn state(self, path: &Path, dir: &Dir) -> Result<(), Unusable> {
        self.dir(path, dir, Use::Private)?;
        let kept = [store::FILE, store::MARK, keys::ROOT_KEY, keys::PUBLIC_KEYS];
        kept.into_iter().try_for_each(|name| self.entry(path, dir, name.as_ref(), Use::Private))
    }

    fn judge(self, path: &Path, meta: &Meta, used: Use) -> Result<(), Unusable> {
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
            Use::Private | Use::Top | Use::Taken if is_widened(meta) && !self.any_mode => return Ok(()),
            Use::Private | Use::Top | Use::Taken => 0o022,
            Use::Filed => 0o002,
            Use::Remade => return Ok(()),
        };
        // The permission bits of a link or socket mean nothing.
        let has_mode = matches!(meta.kind, Kind::File | Kind::Directory);
        if has_mode && meta.mode & forbidden != 0 && !self.any_mode {
            return Err(refused(format!(
                "{shown} can be written by others than user {} (mode {:04o}); inspect its content, then: chmod go-w {shown}",
                self.us, meta.mode
            )));
        }
        if has_mode && meta.mode & 0o022 != 0 {
            tracing::warn!(part = %shown, mode = format!("{:04o}", meta.mode), "other users may change its content");
        }
        Ok(())
    }
}

/// The use of an entry of the private directory; `None` if it has none of our names. An entry of the wrong type is
/// removed before any part is made, so it only has to belong to us. The state is never made again in place of another
/// entry.
fn part(name: &[u8], kind: Kind) -> Option<Use> {
    let wanted = match std::str::from_utf8(name).ok()? {
        layout::STATE | layout::AUDIT => return Some(Use::Private),
        layout::STAGING | layout::CONTROL => return Some(Use::Remade),
        layout::TAKEN | layout::DRAFTS => Kind::Directory,
        layout::LOCK | layout::RUNNING => Kind::File,
        _ => return None,
    };
    Some(match name {
        _ if kind != wanted => Use::Remade,
        name if name == layout::TAKEN.as_bytes() => Use::Taken,
        _ => Use::Private,
    })
}

/// Checks the parts of a handoff directory as a start would, and makes none.
pub fn check_owners(config: &Config) -> Result<(), Unusable> {
    let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Left);
    let Ok(path) = config.fixed.handoff.canonicalize() else { return Ok(()) };
    let handoff = Dir::open(&path).map_err(|error| Unusable::setting_up(&path, error))?;
    for name in [layout::PROCESSED, layout::FAILED, layout::STATUS, layout::HEAD] {
        owned.entry(&path, &handoff, name.as_ref(), Use::Filed)?;
    }
    owned.entry(&path, &handoff, layout::PRIVATE.as_ref(), Use::Private)?;
    let private_path = path.join(layout::PRIVATE);
    match handoff.sub(layout::PRIVATE) {
        Ok(private) => {
            owned.content(&private_path, &private)?;
            if let Ok(staging) = private.sub(layout::STAGING) {
                owned.staging(&private_path.join(layout::STAGING), &staging)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Unusable::setting_up(&private_path, error)),
    }
    let state = config.fixed.state_dir.clone().unwrap_or_else(|| private_path.join(layout::STATE));
    match Dir::open(&state) {
        Ok(dir) => owned.state(&state, &dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Unusable::setting_up(&state, error)),
    }
}

fn refused(message: String) -> Unusable {
    Unusable::unfit(Code::NotOurs, message)
}

fn unreadable(path: &Path, error: io::Error) -> Unusable {
    Unusable::refused(format!("cannot look at {}", path.display()), error)
}

/// Whether a file system (CIFS, 9p, shared folders of desktops) gives everything to the user of the mount, our new files too.
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
        let ours = Owned { us: 7, any_mode: false, widened: Widened::Left };
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
            (meta(Kind::Directory, 7, 0o770), Use::Taken, Some("chmod go-w /h/part")),
            (meta(Kind::Directory, 7, 0o2772), Use::Private, Some("chmod go-w /h/part")),
            (meta(Kind::Directory, 7, 0o2770), Use::Private, None),
            (meta(Kind::Directory, 8, 0o2770), Use::Private, Some("chown -R 7 /h/part")),
            (meta(Kind::File, 7, 0o602), Use::Private, Some("chmod go-w /h/part")),
            (meta(Kind::Symlink, 7, 0o777), Use::Private, Some("rm /h/part")),
            (meta(Kind::Directory, 7, 0o1777), Use::Filed, Some("chmod go-w /h/part")),
            (meta(Kind::Directory, 8, 0o755), Use::Filed, Some("chown")),
            (meta(Kind::Directory, 7, 0o2770), Use::Filed, None),
            (meta(Kind::Directory, 7, 0o2755), Use::Private, None),
            (meta(Kind::Socket, 7, 0o777), Use::Private, None),
            // What a group that shares directories is allowed, no file of it is.
            (meta(Kind::File, 7, 0o2770), Use::Private, Some("chmod go-w /h/part")),
            // It is removed, and made again.
            (meta(Kind::Symlink, 7, 0o777), Use::Remade, None),
            (meta(Kind::Symlink, 8, 0o777), Use::Remade, Some("chown")),
        ] {
            let failure = judge(ours, &meta, used);
            assert_eq!(failure.is_some(), needle.is_some(), "{meta:?} {used:?} {failure:?}");
            if let (Some(failure), Some(needle)) = (failure, needle) {
                assert_eq!(failure.code(), Code::NotOurs);
                assert!(failure.to_string().contains(needle), "{failure}");
            }
        }
        let lax = Owned { us: 7, any_mode: true, widened: Widened::Left };
        assert!(judge(lax, &meta(Kind::Directory, 7, 0o777), Use::Private).is_none());
        assert!(judge(lax, &meta(Kind::Directory, 8, 0o700), Use::Private).is_some());
    }
}
