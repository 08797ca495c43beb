//! What stands where in a root: the places with their symbolic links resolved, and the links that lead to them.

use super::{Grant, Refused};
use crate::links::follow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The places and the links that lead to them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    mounts: BTreeMap<PathBuf, Grant>,
    links: BTreeMap<PathBuf, PathBuf>,
    /// What a `..` in a path leads out of: empty directories, where no place shows them.
    left_again: BTreeSet<PathBuf>,
}

impl Plan {
    /// Adds an empty file system, unless more is wanted there.
    pub(super) fn add_fresh(&mut self, path: &str) {
        self.mounts.entry(path.into()).or_insert(Grant::Fresh);
    }

    pub(super) fn add_link(&mut self, at: &str, target: &str) {
        self.links.insert(at.into(), target.into());
    }

    /// Adds a place, if it exists.
    pub(super) fn add(&mut self, path: &Path, grant: Grant) -> Result<(), Refused> {
        let Some(real) = self.resolve(path)? else { return Ok(()) };
        if real == Path::new("/") {
            return Err(Refused::because(format!("{} is the whole file system", path.display())));
        }
        let kind =
            fs::metadata(&real).map_err(Refused::of(format_args!("stat({})", real.display())))?.file_type();
        let grant = if kind.is_char_device() || kind.is_block_device() { Grant::Device } else { grant };
        let stands = self.mounts.entry(real).or_insert(grant);
        *stands = grant.max(*stands);
        Ok(())
    }

    /// The path without symbolic links, which are remembered; `None`: it leads nowhere.
    pub(super) fn resolve(&mut self, path: &Path) -> Result<Option<PathBuf>, Refused> {
        let way = follow(path).map_err(|failed| {
            let denied = failed.error.kind() == ErrorKind::PermissionDenied;
            Refused { text: failed.to_string(), denied }
        })?;
        self.links.extend(way.links.into_iter().map(|link| (link.at, link.target)));
        self.left_again.extend(way.left_again);
        Ok(way.real)
    }

    /// What is mounted, what is above first. What another mount shows as it is wanted needs none of its own: within one mount
    /// a file can be renamed from any directory to any other.
    pub(super) fn mounts(&self) -> Vec<(&Path, Grant)> {
        let mut mounts: Vec<(&Path, Grant)> = Vec::new();
        for (path, grant) in &self.mounts {
            let above = mounts.iter().rev().find(|(above, _)| path.starts_with(above));
            if above.is_none_or(|(_, above)| !above.covers(*grant)) {
                mounts.push((path, *grant));
            }
        }
        mounts
    }

    /// The links to be made; those below a place of the machine stand there.
    pub(super) fn links(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let links = self.links.iter().map(|(at, target)| (at.as_path(), target.as_path()));
        let is_free = self.is_free();
        links.filter(move |(at, _)| is_free(at))
    }

    /// The directories to be made for nothing but a `..` in a path; likewise.
    pub(super) fn left_again(&self) -> impl Iterator<Item = &Path> {
        let is_free = self.is_free();
        self.left_again.iter().map(PathBuf::as_path).filter(move |at| is_free(at))
    }

    /// Whether a path is in no place of the machine.
    fn is_free(&self) -> impl Fn(&Path) -> bool {
        let mounts = self.mounts();
        move |at| {
            let above = mounts.iter().rev().find(|(above, _)| at.starts_with(above));
            above.is_none_or(|(_, grant)| *grant == Grant::Fresh)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_resolved_and_remembered_and_what_is_absent_is_left_out() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        fs::create_dir_all(at("real/deep")).unwrap();
        symlink("real", at("relative")).unwrap();
        symlink(at("relative/deep"), at("absolute")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let mut plan = Plan::default();
        assert_eq!(plan.resolve(&at("absolute/../deep")).unwrap(), Some(at("real/deep")));
        assert_eq!(plan.links[&at("relative")], Path::new("real"));
        assert_eq!(plan.links.len(), 2);
        assert_eq!(plan.resolve(&at("relative/none/x")).unwrap(), None);
        assert!(plan.resolve(&at("loop")).unwrap_err().to_string().contains("loop"));
        assert!(plan.add(Path::new("/tmp/.."), Grant::Read).is_err(), "the whole file system");
        plan.add(&at("none"), Grant::Write).unwrap();
        assert!(plan.mounts.is_empty());
    }

    #[test]
    fn what_another_mount_shows_as_it_is_wanted_has_none_of_its_own() {
        let mut plan = Plan::default();
        plan.add_fresh("/tmp");
        for (path, grant) in [
            ("/opt", Grant::Read),
            ("/opt/tool", Grant::Read),
            ("/opt/site", Grant::Write),
            ("/opt/site/keys", Grant::Read),
            ("/opt/site/state", Grant::Write),
            ("/opt.d", Grant::Read),
            ("/tmp/in", Grant::Write),
            ("/opt/site/dev", Grant::Write),
            ("/opt/site/dev/null", Grant::Device),
        ] {
            plan.mounts.insert(path.into(), grant);
        }
        let shown = plan.mounts().iter().map(|(path, _)| path.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(shown, ["/opt", "/opt/site", "/opt/site/dev/null", "/opt.d", "/tmp", "/tmp/in"]);
        plan.add_link("/opt/link", "tool");
        plan.add_link("/tmp/link", "in");
        plan.add_link("/bin", "usr/bin");
        let links = plan.links().map(|(at, _)| at.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(links, ["/bin", "/tmp/link"]);
        plan.left_again.extend(["/opt/tool", "/srv/a", "/tmp/b"].map(PathBuf::from));
        assert_eq!(plan.left_again().collect::<Vec<_>>(), [Path::new("/srv/a"), Path::new("/tmp/b")]);
    }
}
