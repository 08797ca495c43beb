//! The user of the daemon, where a start as root names another one: the program executes itself again as that user, so
//! that nothing is ever opened, judged or run with the rights of root.

use crate::config::Config;
use conductor_os::user::{Identity, Users, become_for_good, hand_over_empty, make_passable};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Makes the process one of the configured user. Returns if it is one already, or if none is configured; what is
/// returned otherwise is the reason why it cannot be.
pub fn be_the_user(config: &Config) -> Result<(), String> {
    let Some(wanted) = &config.fixed.user else { return Ok(()) };
    let identity = Users::of_system().find(wanted)?;
    let ours = rustix::process::geteuid();
    if ours.as_raw() == identity.uid {
        let group = rustix::process::getegid().as_raw();
        if wanted.contains(':') && group != identity.gid {
            return Err(format!(
                "the daemon was started in group {group}, and '{wanted}' names another; only a start as root for another user changes it"
            ));
        }
        return may_write(config, &identity);
    }
    if !ours.is_root() {
        return Err(format!(
            "only root may become '{wanted}'; the daemon was started by user {}",
            ours.as_raw()
        ));
    }
    hand_over(config, &identity)?;
    become_for_good(&identity).map_err(|error| format!("becoming '{wanted}': {error}"))?;
    Err(format!("starting again as '{wanted}': {}", again(&identity)))
}

/// The directories that the daemon writes, and would make.
fn own(config: &Config) -> impl Iterator<Item = &Path> {
    let fixed = &config.fixed;
    [Some(fixed.handoff.as_path()), Some(fixed.out.as_path()), fixed.state_dir.as_deref()]
        .into_iter()
        .flatten()
}

/// Makes the directories that are missing, and gives them to the user together with those of root that are empty.
fn hand_over(config: &Config, identity: &Identity) -> Result<(), String> {
    let cannot = |path: &Path, error: io::Error| {
        format!("{} cannot be made for '{}': {error}", path.display(), identity.name)
    };
    for path in own(config) {
        make_passable(path).map_err(|error| cannot(path, error))?;
        hand_over_empty(path, identity).map_err(|error| cannot(path, error))?;
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
        // Its directory is closed to the user: what runs is reached all the same.
        error if error.kind() == io::ErrorKind::PermissionDenied => start(Path::new("/proc/self/exe")),
        error => error,
    }
}
