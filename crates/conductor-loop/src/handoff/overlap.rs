//! Prevents porch from writing among the handoff directory's own files: `--out`, repositories and `--state-dir` are
//! compared with its parts before any of them is made.

use super::Unusable;
use super::layout::{PARTS, STATE, private};
use crate::config::Config;
use conductor_core::Code;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A place, existing or not.
struct Place {
    /// Without symbolic links and `..`.
    path: PathBuf,
    /// Device and inode, if it exists.
    id: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> std::io::Result<Self> {
        let path = resolved(&std::path::absolute(path)?);
        Ok(Self { id: identity(&path), path })
    }

    /// Whether it is the other place or below it, also under another name of the same directory (a bind mount).
    fn is_within(&self, other: &Place) -> bool {
        self.path
            .ancestors()
            .any(|above| above == other.path || (other.id.is_some() && identity(above) == other.id))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// The path without symbolic links, as far as it exists; a missing part is no link, so `..` after it means the part before it.
fn resolved(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            part => {
                found.push(part);
                found = found.canonicalize().unwrap_or(found);
            }
        }
    }
    found
}

/// Refuses places where one directory would hold the daemon's files and others.
pub fn check_places(config: &Config) -> Result<(), Unusable> {
    let place = |path: &Path| Place::of(path).map_err(|error| Unusable::refused(path.display(), error));
    let handoff = place(&config.fixed.handoff)?;
    let parts: Vec<Place> =
        PARTS.iter().map(|part| place(&handoff.path.join(part))).collect::<Result<_, _>>()?;
    let refuse = |what: &str, place: &Place, how: &str| {
        let message = format!(
            "{what} ({}) {how} the handoff directory {}: packages would land among its own files",
            place.path.display(),
            handoff.path.display()
        );
        Err(Unusable::unfit(Code::PathsOverlap, message))
    };
    let out = place(&config.fixed.out)?;
    if handoff.is_within(&out) {
        return refuse("--out", &out, "is, or contains,");
    }
    if parts.iter().any(|part| out.is_within(part) || part.is_within(&out)) {
        return refuse("--out", &out, "lies in a part of");
    }
    for (name, path) in config.fixed.routes.named_repositories() {
        let repository = place(path)?;
        if repository.is_within(&handoff) {
            return refuse(&format!("the repository '{name}'"), &repository, "lies in");
        }
    }
    apart(config, &handoff, &out)?;
    if let Some(dir) = &config.fixed.state_dir {
        let state = place(dir)?;
        let own = place(&handoff.path.join(private(STATE)))?;
        let among = parts.iter().any(|part| state.is_within(part)) && !state.is_within(&own);
        let same = |a: &Place, b: &Place| a.is_within(b) && b.is_within(a);
        if among || same(&state, &handoff) {
            return refuse("--state-dir", &state, "is, or lies in a part of,");
        }
        if same(&out, &state) {
            return refuse("--state-dir", &state, "is the output directory beside");
        }
    }
    Ok(())
}

/// Refuses a directory of backups that is not apart: they would be lost with what they are of, or be taken for something else.
fn apart(config: &Config, handoff: &Place, out: &Place) -> Result<(), Unusable> {
    let Some(backups) = &config.fixed.backups else { return Ok(()) };
    let place = |path: &Path| Place::of(path).map_err(|error| Unusable::setting_up(path, error));
    let dir = place(&backups.dir)?;
    let state = config.fixed.state_dir.as_deref().map(place).transpose()?;
    let repositories = config.fixed.routes.named_repositories();
    let repositories: Vec<(String, Place)> = repositories
        .into_iter()
        .map(|(name, path)| Ok((format!("the repository '{name}'"), place(path)?)))
        .collect::<Result<_, Unusable>>()?;
    let others =
        [("the handoff directory", Some(handoff)), ("--out", Some(out)), ("--state-dir", state.as_ref())];
    let others = others.into_iter().filter_map(|(what, other)| Some((what, other?)));
    let others = others.chain(repositories.iter().map(|(what, other)| (what.as_str(), other)));
    for (what, other) in others {
        if dir.is_within(other) || other.is_within(&dir) {
            let message = format!(
                "--backup-dir ({}) is, lies in, or contains {what} ({}): give backups a directory apart, on another disk",
                dir.path.display(),
                other.path.display()
            );
            return Err(Unusable::unfit(Code::PathsOverlap, message));
        }
    }
    Ok(())
}
