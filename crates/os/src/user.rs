//! Users: who is named in the files of the system, and how a process of root becomes another user for good.

use crate::confine::process::remove_from_bounding_set;
use crate::dir::Dir;
use crate::plain::read_plain;
use rustix::fs::{CWD, Gid, Mode, OFlags, ResolveFlags, Uid, fchown, openat2};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    set_capabilities, set_capabilities_secure_bits, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::io;
use std::path::{Path, PathBuf};

/// The longest file of users or groups that is read.
const FILE_MAX: u64 = 8 << 20;

/// A user, as a process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The number of the group of the files that it makes.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// The user's name; its number where it has none.
    pub name: String,
    /// Its home; `/` where it has none.
    pub home: PathBuf,
}

/// The files of users and groups, as text.
#[derive(Debug, Clone, Default)]
pub struct Users {
    passwd: String,
    group: String,
}

impl Users {
    /// Reads the files of this system. Where there are none, numbers are users all the same.
    pub fn of_system() -> Result<Self, String> {
        Ok(Self { passwd: whole("/etc/passwd")?, group: whole("/etc/group")? })
    }

    /// Finds `USER` or `USER:GROUP`, each a name or a number. A number that no line has is a user without a home, in the
    /// group of the same number.
    pub fn find(&self, text: &str) -> Result<Identity, String> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let line = self.line_of(user);
        let number = |field: Option<&&str>| field.and_then(|field| field.parse::<u32>().ok());
        let uid = line.as_ref().map_or_else(|| user.parse().ok(), |line| number(line.get(2)));
        let uid =
            uid.filter(|uid| *uid != u32::MAX).ok_or_else(|| format!("no user '{user}' in /etc/passwd"))?;
        let own = line.as_ref().map_or(Some(uid), |line| number(line.get(3)));
        let gid = match group {
            None => own.ok_or_else(|| format!("user '{user}' has no group in /etc/passwd"))?,
            Some(group) => self.gid_of(group).ok_or_else(|| format!("no group '{group}' in /etc/group"))?,
        };
        let field = |at: usize| line.as_ref().and_then(|line| line.get(at)).filter(|text| !text.is_empty());
        let name = field(0).map_or_else(|| uid.to_string(), |name| (*name).to_owned());
        let home = field(5).map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let groups = self.groups_with(&name);
        Ok(Identity { uid, gid, groups, name, home })
    }

    /// The fields of a user's line.
    fn line_of(&self, user: &str) -> Option<Vec<&str>> {
        let lines = self.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let with = |at: usize| lines.clone().find(move |line| line.get(at) == Some(&user));
        with(0).or_else(|| with(2))
    }

    fn gid_of(&self, group: &str) -> Option<u32> {
        let lines = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let named = lines.clone().find(|line| line.first() == Some(&group));
        named
            .map_or_else(|| group.parse().ok(), |line| line.get(2)?.parse().ok())
            .filter(|gid| *gid != u32::MAX)
    }

    fn groups_with(&self, name: &str) -> Vec<u32> {
        let lines = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let has = |line: &Vec<&str>| {
            line.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
        };
        lines.filter(has).filter_map(|line| line.get(2)?.parse().ok()).collect()
    }
}

/// A file of users or groups; one that is not there has no line.
fn whole(path: &str) -> Result<String, String> {
    match read_plain(Path::new(path), FILE_MAX) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{path} cannot be read: {error}")),
    }
}

/// Makes this thread the user, for good: groups, user, and nothing that leads back. A program that it executes has no
/// other thread, and no capability but `kept`. Other threads of the process keep who they are.
pub fn become_for_good(identity: &Identity, kept: CapabilitySet) -> io::Result<()> {
    let Identity { uid, gid, groups, .. } = identity;
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    set_thread_res_gid(Some(gid), Some(gid), Some(gid))?;
    // No program that belongs to root, or has capabilities of its own, leads back.
    set_no_new_privs(true)?;
    if capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        remove_from_bounding_set(CapabilitySet::all() - kept)?;
        if kept.is_empty() {
            lock_secure_bits()?;
        }
    }
    if !kept.is_empty() {
        set_keep_capabilities(true)?;
    }
    // The kernel takes every capability away with the last user id of root, unless they are kept.
    set_thread_res_uid(Some(uid), Some(uid), Some(uid))?;
    if kept.is_empty() { Ok(()) } else { keep(kept) }
}

/// Hands these capabilities, and no others, on to the program that this thread executes.
fn keep(kept: CapabilitySet) -> io::Result<()> {
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    for capability in kept.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    set_keep_capabilities(false)?;
    lock_secure_bits()
}

/// Takes from this thread, and from what it starts, the ways by which root has or gets capabilities.
pub(crate) fn lock_secure_bits() -> io::Result<()> {
    Ok(set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?)
}

/// Makes a directory that is missing, with those above it, which everybody may pass through whatever the umask is.
pub fn make_passable(path: &Path) -> io::Result<()> {
    let before = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let made = std::fs::DirBuilder::new().recursive(true).create(path);
    rustix::process::umask(before);
    made
}

/// Gives a directory to the user, if it belongs to root, is empty, and is no shared one: nothing in it can be meant for
/// somebody else. A path with a symbolic link in it is left alone: who may change the link would choose what is given away.
pub fn hand_over_empty(path: &Path, identity: &Identity) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A link; a kernel or a container without the call.
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => return Ok(()),
        opened => Dir::over(opened?),
    };
    let stat = rustix::fs::fstat(&dir)?;
    // The owner of a directory such as /tmp may remove what others put there later.
    let is_shared = Mode::from_raw_mode(stat.st_mode).intersects(Mode::SVTX | Mode::WOTH);
    if stat.st_uid != 0 || is_shared || !dir.names()?.is_empty() {
        return Ok(());
    }
    fchown(&dir, Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users {
            passwd:
                "root:x:0:0::/root:/bin/sh\nloop:x:12000:12001::/var/lib/loop:/none\nbare:x:13000:13000::\n"
                    .to_owned(),
            group: "loop:x:12001:\ngit:x:500:other,loop\npackages:x:501:loop\nother:x:502:other\n".to_owned(),
        }
    }

    #[test]
    fn users_are_found_by_name_and_number_with_their_groups() {
        let identity = Identity {
            uid: 12000,
            gid: 12001,
            groups: vec![500, 501],
            name: "loop".to_owned(),
            home: PathBuf::from("/var/lib/loop"),
        };
        for text in ["loop", "12000", "loop:loop", "12000:12001"] {
            assert_eq!(users().find(text).as_ref(), Ok(&identity), "{text}");
        }
        assert_eq!(users().find("loop:git").unwrap().gid, 500);
        assert_eq!(users().find("bare").unwrap().home, PathBuf::from("/"));
        let unknown = users().find("65534").unwrap();
        assert_eq!((unknown.uid, unknown.gid, unknown.groups.len()), (65534, 65534, 0));
        assert_eq!((unknown.name.as_str(), unknown.home), ("65534", PathBuf::from("/")));
    }

    #[test]
    fn who_does_not_exist_is_named() {
        for (text, said) in [
            ("nobody-here", "no user 'nobody-here'"),
            ("loop:none", "no group 'none'"),
            ("4294967295", "no user '4294967295'"),
            ("loop:4294967295", "no group"),
            ("", "no user ''"),
            ("-1", "no user '-1'"),
        ] {
            let error = users().find(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
