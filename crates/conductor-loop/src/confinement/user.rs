//! The user of the daemon, where a start as root names another one: the program executes itself again as that user, so
//! that nothing is ever opened, judged or run with the rights of root. With a user of porch's own, the capabilities to
//! take that user's ids go along, and are given up before anything else happens.

use super::{groups, porch_user, root};
use crate::config::Config;
use conductor_core::Code;
use conductor_os::second;
use conductor_os::user::{Identity, Users, become_for_good, hand_over_empty, make_passable};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why the process does not get the users or the root directory that it is to have.
#[derive(Debug, thiserror::Error)]
#[error("{code} {reason}")]
pub struct NotBegun {
    /// The stable code.
    pub code: Code,
    /// The setting, and the reason.
    pub reason: String,
}

/// Gives the process the root directory, the user and the user of porch that are configured, and control groups where it was given
/// one; `program` finds the program of runs. Returns if all of it is so.
pub fn begin(config: &Config, program: impl Fn() -> Option<PathBuf>) -> Result<(), NotBegun> {
    let user_unusable = |reason| NotBegun { code: Code::UserUnusable, reason };
    let of_daemon = |reason| user_unusable(format!("--user: {reason}"));
    let of_porch = |reason| user_unusable(format!("--porch-user: {reason}"));
    let wanted = config.fixed.user.is_some() || config.fixed.porch_user.is_some();
    // What nobody is looked up in is not read.
    let users = if wanted { Users::of_system().map_err(user_unusable)? } else { Users::default() };
    let user = config.fixed.user.as_deref().map(|wanted| users.find(wanted).map_err(of_daemon));
    let user = user.transpose()?;
    let (uid, mut groups) = porch_user::ours()
        .map_err(|error| user_unusable(format!("reading the groups of the daemon: {error}")))?;
    let uid = match &user {
        Some(user) => {
            if user.uid != uid {
                groups.clear();
            }
            groups.extend(user.groups.iter().chain([&user.gid]));
            user.uid
        }
        None => uid,
    };
    let porch = porch_user::find(config, &users, uid, &groups).map_err(of_porch)?;
    let named = config.fixed.user.as_deref().zip(user.as_ref());
    let other =
        named.map(|(wanted, identity)| is_another(wanted, identity)).transpose().map_err(of_daemon)?;
    if let (Some((_, identity)), Some(true)) = (named, other) {
        hand_over(config, identity, porch.as_ref()).map_err(of_daemon)?;
    }
    let no_root = |reason| NotBegun { code: Code::NoRoot, reason: format!("--chroot-enabled: {reason}") };
    root::change(config, &program).map_err(no_root)?;
    if let (Some((wanted, identity)), Some(is_other)) = (named, other) {
        let become_it = if is_other {
            become_another(wanted, identity, porch.is_some())
        } else {
            may_write(config, identity)
        };
        become_it.map_err(of_daemon)?;
    }
    if let Some(porch) = porch {
        porch_user::begin(config, &porch).map_err(of_porch)?;
    }
    groups::begin(config, || program().is_some());
    Ok(())
}

/// Whether the user is another than that of the process, which then must be root.
fn is_another(wanted: &str, identity: &Identity) -> Result<bool, String> {
    let ours = rustix::process::geteuid();
    if ours.as_raw() == identity.uid {
        let group = rustix::process::getegid().as_raw();
        if wanted.contains(':') && group != identity.gid {
            return Err(format!(
                "the daemon was started in group {group}, and '{wanted}' names another; only a start as root for another user changes it"
            ));
        }
        return Ok(false);
    }
    if !ours.is_root() {
        return Err(format!(
            "only root may become '{wanted}'; the daemon was started by user {}",
            ours.as_raw()
        ));
    }
    Ok(true)
}

/// Executes the program again as the user. Returns only if that fails.
fn become_another(wanted: &str, identity: &Identity, porch: bool) -> Result<(), String> {
    let kept = if porch { second::NEEDED } else { CapabilitySet::empty() };
    become_for_good(identity, kept).map_err(|error| format!("becoming '{wanted}': {error}"))?;
    Err(format!("starting again as '{wanted}': {}", again(identity)))
}

/// The directories that the daemon writes, and would make. The output is porch's where that has a user of its own.
fn own(config: &Config) -> impl Iterator<Item = &Path> {
    let fixed = &config.fixed;
    let out = fixed.porch_user.is_none().then_some(fixed.out.as_path());
    [Some(fixed.handoff.as_path()), out, fixed.state_dir.as_deref()].into_iter().flatten()
}

/// Makes the directories that are missing, and gives them to the user together with those of root that are empty;
/// the output to porch's user, if it has one.
fn hand_over(config: &Config, identity: &Identity, porch: Option<&Identity>) -> Result<(), String> {
    conductor_os::cgroup::hand_over(identity);
    let to_porch = porch.map(|porch| (config.fixed.out.as_path(), porch));
    for (path, identity) in own(config).map(|path| (path, identity)).chain(to_porch) {
        make_passable(path)
            .and_then(|()| hand_over_empty(path, identity))
            .map_err(|error| format!("{} cannot be made for '{}': {error}", path.display(), identity.name))?;
    }
    if let Some(backups) = &config.fixed.backups {
        // It is not made here: one that is missing may be a disk that is not mounted. Nor does it hinder the start: each backup fails, and says so.
        let _ = hand_over_empty(&backups.dir, identity);
    }
    Ok(())
}

/// Whether the user may write its directories; if not, the reason with the command that makes it possible.
fn may_write(config: &Config, identity: &Identity) -> Result<(), String> {
    for path in own(config) {
        let (uid, gid, at) = (identity.uid, identity.gid, path.display());
        match access(path, Access::EXISTS) {
            Err(Errno::NOENT) => {}
            Err(errno) => {
                return Err(format!(
                    "{at} cannot be reached by user '{}': {errno}; let that user pass through the directories above it: chmod o+x",
                    identity.name
                ));
            }
            Ok(()) if access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok() => {}
            Ok(()) => {
                return Err(format!(
                    "{at} cannot be written by user '{}'; to give it to that user: chown -R {uid}:{gid} {at}",
                    identity.name
                ));
            }
        }
    }
    Ok(())
}

/// Executes the program again, with the same words. Returns only if that fails.
#[expect(clippy::disallowed_methods, reason = "the program itself, in the place of this process")]
fn again(identity: &Identity) -> io::Error {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    let start = |program: &Path| {
        let mut command = Command::new(program);
        command.arg0(&name).args(&words);
        command.env("HOME", &identity.home).env("USER", &identity.name).env("LOGNAME", &identity.name);
        command.exec()
    };
    let Ok(program) = std::env::current_exe() else { return start(Path::new("/proc/self/exe")) };
    match start(&program) {
        // Its directory is closed to the user, or it was replaced: what runs is reached all the same.
        error if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
            start(Path::new("/proc/self/exe"))
        }
        error => error,
    }
}
