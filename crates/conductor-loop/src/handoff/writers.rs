//! The users besides the daemon's who may rename other users' entries of the handoff directory.

use super::Unusable;
use crate::config::Config;
use conductor_core::Code;
use conductor_os::dir::Dir;
use std::path::Path;

/// The users besides the owner who may rename other users' entries of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteAccess {
    /// No other user.
    Nobody,
    /// The directory's group.
    Group,
    /// Every user.
    Everybody,
}

impl WriteAccess {
    /// Determined from the directory's mode; with the sticky bit users can rename only their own entries.
    pub fn of(mode: u32) -> Self {
        match (mode & 0o1000 != 0, mode & 0o002 != 0, mode & 0o020 != 0) {
            (false, true, _) => Self::Everybody,
            (false, false, true) => Self::Group,
            _ => Self::Nobody,
        }
    }
}

/// Threat A03: a user who may rename in the handoff directory may replace its parts.
pub(super) fn check_writers(config: &Config, path: &Path, handoff: &Dir) -> Result<(), Unusable> {
    let mode = handoff.meta().map_err(|error| Unusable::setting_up(path, error))?.mode;
    match WriteAccess::of(mode) {
        WriteAccess::Nobody => return Ok(()),
        WriteAccess::Everybody if !config.fixed.allow_unsafe_handoff => {
            let message =
                format!("{} is writable by everybody and not sticky (mode {mode:04o})", path.display());
            return Err(Unusable::unfit(Code::UnsafeDirectory, message));
        }
        WriteAccess::Everybody | WriteAccess::Group => {}
    }
    tracing::warn!(directory = %path.display(), mode = format!("{mode:04o}"),
        "other users may rename entries of the handoff directory; mode 3770 and an owner of its own are safer");
    Ok(())
}
