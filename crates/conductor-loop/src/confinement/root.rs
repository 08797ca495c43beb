//! A root directory of its own (`--chroot-enabled`): which places of the machine stand in it. The daemon's own directories are
//! written; the rest is what the daemon and its runs read.

use super::policy::of_the_system;
use super::renewed::places_of;
use crate::config::{Config, Confine};
use conductor_core::confinement::{Part, PartStanding, Standing};
use conductor_os::cgroup;
use conductor_os::elf::stands_alone;
use conductor_os::root::{Mounted, Places, Refused, could_enter, enter, mounted};
use conductor_os::user::make_passable;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf, absolute};

/// Files by which users are known by name.
const USERS: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// Gives the process a root of its own, if one is wanted and it has none yet. `program` finds that of
/// runs.
pub(super) fn change(config: &Config, program: impl FnOnce() -> Option<PathBuf>) -> Result<(), String> {
    if !config.fixed.chroot || mounted().map_err(|error| unknown(&error))?.is_some() {
        return Ok(());
    }
    could_enter().map_err(|refused| with_the_right(&refused))?;
    make_missing(config)?;
    let files: Vec<PathBuf> = read_by_name(config).filter(|file| file.exists()).collect();
    enter(&places(config, program().as_deref())).map_err(|refused| refused.to_string())?;
    match files.iter().find_map(|file| Some((file, file.metadata().err()?))) {
        None => Ok(()),
        Some((file, error)) => Err(format!(
            "{} does not stand in the root directory: {error}; give it a directory that no link leads out of, or list what its links \
             lead to with --porch-read",
            file.display()
        )),
    }
}

fn unknown(error: &io::Error) -> String {
    format!("whether it has one already cannot be told: {error}")
}

fn with_the_right(refused: &Refused) -> String {
    if !refused.denied {
        return refused.to_string();
    }
    let uid = rustix::process::geteuid().as_raw();
    format!("{refused}; mounts take CAP_SYS_ADMIN, and user {uid} has what it was started with")
}

/// Makes the directories that a start makes: in the root there would be no place for them.
fn make_missing(config: &Config) -> Result<(), String> {
    let fixed = &config.fixed;
    let make = |path: &Path, mode: u32| match fixed.porch_user {
        // porch's user passes through them.
        Some(_) if mode & 0o050 != 0 => make_passable(path),
        _ => DirBuilder::new().recursive(true).mode(mode).create(path),
    };
    let state = fixed.state_dir.as_deref().map(|path| (path, 0o700));
    for (path, mode) in [(fixed.handoff.as_path(), 0o750), (&fixed.out, 0o750)].into_iter().chain(state) {
        make(path, mode).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
    }
    Ok(())
}

/// What stands in the root.
fn places(config: &Config, porch: Option<&Path>) -> Places {
    let fixed = &config.fixed;
    let own = [Some(&fixed.handoff), Some(&fixed.out), fixed.state_dir.as_ref()].into_iter().flatten();
    let backups = fixed.backups.as_ref().map(|backups| backups.dir.clone());
    let write = own.cloned().chain(backups).chain(fixed.porch_write.iter().cloned());
    // Where there are control groups, they are written.
    let write = write
        .chain(cgroup::own().ok())
        .chain(fixed.routes.named_repositories().map(|(_, path)| path.to_owned()));
    let mut read = fixed.porch_read.clone();
    read.extend(fixed.routes.bases());
    read.extend(secrets_and_settings(config));
    read.extend(std::env::current_exe().ok());
    read.extend(porch.iter().copied().chain(porch.and_then(Path::parent)).map(Path::to_owned));
    read.extend(names_of(config));
    if needs_system(config, porch) {
        read.extend(of_the_system());
    } else if fixed.user.is_some() || fixed.porch_user.is_some() {
        read.extend(USERS.iter().map(PathBuf::from));
    }
    let absolute = |path: PathBuf| absolute(&path).unwrap_or(path);
    Places { read: read.into_iter().map(absolute).collect(), write: write.map(absolute).collect() }
}

/// The files that the daemon reads by name, also while it runs.
fn read_by_name(config: &Config) -> impl Iterator<Item = PathBuf> {
    let fixed = &config.fixed;
    let tls = fixed
        .tls
        .iter()
        .flat_map(|tls| [Some(&tls.certificate), Some(&tls.key), tls.client_authority.as_ref()]);
    let files = tls.flatten().chain(fixed.state_key_file.iter()).chain(fixed.token_file.iter()).cloned();
    let named = [config.file(), fixed.kubeconfig.as_deref()];
    let files = files.chain(named.into_iter().flatten().map(PathBuf::from)).collect::<Vec<_>>();
    files.into_iter().map(|file| absolute(&file).unwrap_or(file))
}

/// The directories of these files, and what the service manager gives. A file may be replaced by another.
fn secrets_and_settings(config: &Config) -> impl Iterator<Item = PathBuf> {
    let given = ["CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"].into_iter().filter_map(std::env::var_os);
    let given = given.map(PathBuf::from).filter(|path| path.is_absolute());
    read_by_name(config).flat_map(|file| places_of(&file)).chain(given)
}

/// Where PATH leads to porch, by whatever links.
fn names_of(config: &Config) -> Vec<PathBuf> {
    let conductor_core::Runs::Program(porch) = &config.fixed.porch else { return Vec::new() };
    if porch.components().count() > 1 || porch.is_absolute() {
        return vec![porch.clone()];
    }
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(porch)).filter(|porch| porch.is_absolute()).collect()
}

/// Whether a program in the root needs directories of the system: porch, git, or this one when it executes itself again. One that
/// needs no other file sees none.
fn needs_system(config: &Config, porch: Option<&Path>) -> bool {
    let again = config.fixed.user.is_some().then(|| std::env::current_exe().unwrap_or_default());
    config.fixed.routes.uses_git() || porch.into_iter().chain(again.as_deref()).any(|one| !stands_alone(one))
}

/// Whether the process has a root of its own, or could have one if a daemon were started here.
pub(super) fn standing(config: &Config) -> PartStanding {
    let part = |standing, reason| PartStanding { part: Part::Chroot, standing, reason };
    if !config.fixed.chroot {
        return part(Standing::Off, "no --chroot-enabled".to_owned());
    }
    match mounted() {
        Ok(Some(_)) => return part(Standing::Active, String::new()),
        Ok(None) => {}
        Err(error) => return part(Standing::Refused, unknown(&error)),
    }
    match could_enter() {
        Ok(()) => part(Standing::Active, String::new()),
        Err(refused) => part(Standing::Refused, with_the_right(&refused)),
    }
}

/// Says in the log what stands in the root.
pub(super) fn say(config: &Config) {
    let places = match mounted() {
        Ok(Some(places)) => places,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "what stands in the root directory cannot be listed");
            return;
        }
    };
    if config.fixed.confine == Confine::Off && rustix::process::geteuid().is_root() {
        tracing::warn!(
            "as root, and with --confine off, porch gets out of the root directory; give the daemon a user (--user)"
        );
    }
    let below = |one: &Mounted, above: &Mounted| one.at != above.at && one.at.starts_with(&above.at);
    let names = |writable: bool| {
        let with = places.iter().filter(|place| place.writable == writable && !place.at.starts_with("/dev"));
        // Mounts below one that stands there came with it.
        let with = with
            .filter(|place| !places.iter().any(|above| above.writable == writable && below(place, above)));
        with.map(|place| place.at.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    tracing::info!(writes = names(true), reads = names(false), "the root directory holds only");
}
