//! Symbolic links on the way to a file.

use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The number of symbolic links on the way to a place.
const LINKS_MAX: usize = 40;

/// A symbolic link on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its path, without links.
    pub at: PathBuf,
    /// What it says.
    pub target: PathBuf,
    /// Whether it stands for the file itself, and not for a directory above it.
    pub is_last: bool,
}

/// Where a path leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The links on the way, in their order.
    pub links: Vec<Link>,
    /// The directories, without links, that a `..` leads out of: they must be there, although nothing of them is used.
    pub left_again: Vec<PathBuf>,
    /// The path without links; `None`: it leads nowhere.
    pub real: Option<PathBuf>,
}

/// Why a way cannot be followed: the path where it ends, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("stat({at}): {error}", at = .at.display())]
pub struct NotFollowed {
    at: PathBuf,
    /// The reason.
    pub error: io::Error,
}

/// The parts of a path, the last first.
fn parts_reversed(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    })
}

/// Follows an absolute path.
pub fn follow(path: &Path) -> Result<Way, NotFollowed> {
    let mut way = Way::default();
    let mut at = PathBuf::from("/");
    let mut left: Vec<OsString> = parts_reversed(path).map(OsString::from).collect();
    while let Some(name) = left.pop() {
        if name == ".." {
            way.left_again.push(at.clone());
            at.pop();
            continue;
        }
        let next = at.join(name);
        let failed = |error: io::Error| NotFollowed { at: next.clone(), error };
        match fs::symlink_metadata(&next) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(way);
            }
            Err(error) => return Err(failed(error)),
            Ok(meta) if meta.is_symlink() => {
                if way.links.len() == LINKS_MAX {
                    return Err(failed(Errno::LOOP.into()));
                }
                let target = fs::read_link(&next).map_err(failed)?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let is_last = left.is_empty();
                left.extend(parts_reversed(&target).map(OsString::from));
                way.links.push(Link { at: next, target, is_last });
            }
            // Nothing lies below what is no directory, not even the directory above it.
            Ok(meta) if !meta.is_dir() && !left.is_empty() => return Ok(way),
            Ok(_) => at = next,
        }
    }
    way.real = Some(at);
    Ok(way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_the_kernel_does_and_told() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        fs::create_dir_all(at("real/deep")).unwrap();
        fs::write(at("real/deep/file"), "x").unwrap();
        symlink("real", at("relative")).unwrap();
        symlink(at("relative/deep"), at("absolute")).unwrap();
        symlink("../real/deep/file", at("real/link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let way = follow(&at("absolute/../deep")).unwrap();
        assert_eq!(way.real, Some(at("real/deep")));
        let link = |from: &str, target: PathBuf, is_last| Link { at: at(from), target, is_last };
        let links = [link("absolute", at("relative/deep"), false), link("relative", "real".into(), false)];
        assert_eq!(way.links, links);
        assert_eq!(way.left_again, [at("real/deep")]);
        let way = follow(&at("relative/link")).unwrap();
        assert_eq!(way.left_again, [at("real")]);
        assert_eq!(way.real, Some(at("real/deep/file")));
        assert_eq!(way.links[1], link("real/link", "../real/deep/file".into(), true));
        assert_eq!(follow(&at("relative/none/x")).unwrap().real, None);
        let way = follow(&at("real/deep/file/../file")).unwrap();
        assert_eq!((way.real, way.left_again), (None, vec![]), "a file has no directory above it");
        assert!(follow(&at("loop")).unwrap_err().to_string().contains("loop"));
    }
}
