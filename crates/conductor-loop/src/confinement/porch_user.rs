//! A user of porch's own: found and judged before anything changes, and begun while the process may still take its ids.

use crate::config::Config;
use conductor_core::Runs;
use conductor_core::confinement::{Part, PartStanding, Standing};
use conductor_os::confine::process::give_up_capabilities;
use conductor_os::second::{self, Access};
use conductor_os::user::{Identity, Users, hand_over_empty, make_passable};
use rustix::fs::Gid;
use rustix::thread::{CapabilitySet, capabilities, set_thread_groups};
use std::path::Path;

/// Why the embedded engine has no user of its own.
pub const ONLY_A_PROGRAM: &str =
    "only a program can have a user of its own (--porch PATH); the embedded engine is a part of the daemon";

/// User and groups of this process.
pub(super) fn ours() -> std::io::Result<(u32, Vec<u32>)> {
    let groups = rustix::process::getgroups()?.into_iter().chain([rustix::process::getegid()]);
    Ok((rustix::process::geteuid().as_raw(), groups.map(Gid::as_raw).collect()))
}

/// Finds porch's user, if one is configured. It shares neither user nor any group with the daemon, whose ids these are: what
/// either may read or write would be open to porch.
pub(super) fn find(
    config: &Config,
    users: &Users,
    uid: u32,
    groups: &[u32],
) -> Result<Option<Identity>, String> {
    let Some(wanted) = &config.fixed.porch_user else { return Ok(None) };
    if matches!(config.fixed.porch, Runs::Embedded) {
        return Err(ONLY_A_PROGRAM.to_owned());
    }
    let identity = users.find(wanted)?;
    if identity.uid == 0 {
        return Err("root cannot be porch's user: root may write everything".to_owned());
    }
    if identity.uid == uid {
        return Err(format!("user '{wanted}' runs the daemon itself"));
    }
    let has = |group| identity.gid == group || identity.groups.contains(&group);
    if has(0) {
        return Err(format!("user '{wanted}' has group 0, which is root's"));
    }
    if let Some(group) = groups.iter().find(|group| has(**group)) {
        return Err(format!("user '{wanted}' has group {group}, which is the daemon's own as well"));
    }
    Ok(Some(identity))
}

/// Whether this process may take the ids of another user.
fn may_take_ids() -> Result<(), String> {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    if held.contains(second::NEEDED) {
        return Ok(());
    }
    let uid = rustix::process::geteuid().as_raw();
    Err(format!("only a start as root gives porch a user of its own; the daemon was started by user {uid}"))
}

/// Begins porch's user, after which a daemon that is not root has no capability, and looks whether that user has what it
/// needs.
pub(super) fn begin(config: &Config, identity: &Identity) -> Result<(), String> {
    may_take_ids()?;
    let fixed = &config.fixed;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        for path in [&fixed.handoff, &fixed.out] {
            make_passable(path).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        }
        hand_over_empty(&fixed.out, identity)
            .map_err(|error| format!("{} cannot be given to it: {error}", fixed.out.display()))?;
    }
    begin_threads(identity, is_root)
        .map_err(|error| format!("'{}' cannot be taken: {error}", identity.name))?;
    may_use(&fixed.handoff, &fixed.out, identity)
}

fn begin_threads(identity: &Identity, is_root: bool) -> std::io::Result<()> {
    // A member of porch's group gives it what it may use, by group and not by owner.
    let groups = rustix::process::getgroups()?.into_iter().chain([Gid::from_raw(identity.gid)]);
    set_thread_groups(&groups.collect::<Vec<_>>())?;
    second::begin(identity)?;
    if is_root {
        return Ok(());
    }
    give_up_capabilities(CapabilitySet::empty()).map_err(std::io::Error::other)
}

/// Whether porch's user comes through to its working directory, and may write the output.
fn may_use(handoff: &Path, out: &Path, identity: &Identity) -> Result<(), String> {
    let Identity { uid, gid, name, .. } = identity;
    let unasked = |error: std::io::Error| format!("what user '{name}' may do cannot be asked: {error}");
    if !second::may(handoff, Access::EXEC_OK).map_err(unasked)? {
        return Err(format!(
            "{} cannot be passed through by user '{name}', to its working directory; let that user pass through it and the directories \
             above it: chmod o+x",
            handoff.display()
        ));
    }
    if !second::may(out, Access::WRITE_OK | Access::EXEC_OK).map_err(unasked)? {
        let out = out.display();
        return Err(format!(
            "{out} cannot be written by user '{name}'; to give it to that user: chown -R {uid}:{gid} {out}"
        ));
    }
    Ok(())
}

/// Whether porch has a user of its own, or could have one if a daemon were started here.
pub(super) fn standing(config: &Config) -> PartStanding {
    let part = |standing, reason| PartStanding { part: Part::PorchUser, standing, reason };
    if config.fixed.porch_user.is_none() {
        return part(Standing::Off, "no --porch-user".to_owned());
    }
    if second::get().is_some() {
        return part(Standing::Active, String::new());
    }
    let found = ours().map_err(|error| error.to_string()).and_then(|(uid, groups)| {
        find(config, &Users::of_system()?, uid, &groups)?;
        may_take_ids()
    });
    match found {
        Ok(()) => part(Standing::Active, String::new()),
        Err(reason) => part(Standing::Refused, reason),
    }
}
