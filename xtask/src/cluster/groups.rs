//! The control groups that a cluster makes on the machine, and leaves there when it is killed.

use std::path::{Path, PathBuf};

/// What kubelet and containerd made.
pub(super) fn made() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let places = hierarchies.chain([root.to_owned()]);
    places
        .flat_map(|place| ["kubepods", "k8s.io"].map(|name| place.join(name)))
        .filter(|path| path.is_dir())
        .collect()
}

/// Removes a control group and those in it, if they are empty.
pub(super) fn remove(group: &Path) -> bool {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    std::fs::remove_dir(group).is_ok()
}
