//! What stands in a root of ours, by the kernel's list of mounts.

use super::SOURCE;
use crate::mounts::{Mount, mounts};
use std::io;
use std::path::{Path, PathBuf};

/// A place of the machine in a root of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its path in the root.
    pub at: PathBuf,
    /// Its present path in its file system, which the machine may have changed; the kernel marks what was removed.
    pub source: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
}

/// The places in this process's root; `None`: it has none of its own. An error: it is not known.
pub fn mounted() -> io::Result<Option<Vec<Mounted>>> {
    Ok(places(mounts()?))
}

fn places(mounts: Vec<Mount>) -> Option<Vec<Mounted>> {
    let is_ours = |mount: &Mount| mount.kind == "tmpfs" && mount.source == SOURCE;
    if !mounts.iter().any(|mount| is_ours(mount) && mount.at == Path::new("/")) {
        return None;
    }
    let place = |Mount { at, root, writable, .. }| Mounted { at, source: root, writable };
    Some(mounts.into_iter().filter(|mount| !is_ours(mount)).map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::listed;

    #[test]
    fn a_root_of_ours_is_known_by_its_source_and_its_places_are_listed() {
        let list = b"40 39 254:0 /srv/my\\040loop/in /srv/my\\040loop/in rw,nosuid - ext4 /dev/vda rw\n\
            41 39 254:0 /usr /usr ro,nosuid shared:1 master:2 - ext4 /dev/vda rw\n\
            42 39 254:0 /old//deleted /srv/out rw - ext4 /dev/vda rw\n\
            43 39 0:30 / /tmp rw - tmpfs conductor-loop rw\n";
        let root = b"39 20 0:29 / / ro,nosuid - tmpfs conductor-loop rw,size=4096k\n";
        let place =
            |at: &str, source: &str, writable| Mounted { at: at.into(), source: source.into(), writable };
        assert_eq!(
            places(listed(&[&root[..], list].concat())).unwrap(),
            [
                place("/srv/my loop/in", "/srv/my loop/in", true),
                place("/usr", "/usr", false),
                place("/srv/out", "/old//deleted", true),
            ]
        );
        assert_eq!((places(listed(list)), places(Vec::new())), (None, None));
        assert_eq!(mounted().unwrap(), None, "of this test");
    }
}
