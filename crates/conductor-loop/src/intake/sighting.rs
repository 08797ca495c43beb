//! What metadata tells of a file that is not opened: its fingerprint and its age.

use conductor_core::scheduler::{Fingerprint, Sighting};
use conductor_os::dir::Meta;
use std::time::Duration;

/// The metadata that changes when the file does.
pub(super) fn fingerprint(meta: &Meta) -> Fingerprint {
    let Meta { size, mtime_ns, ctime_ns, .. } = *meta;
    Fingerprint { inode: meta.id.1, size, mtime_ns, ctime_ns }
}

/// The sighting of this name at this reading of the clock.
pub(super) fn sighting(name: Box<[u8]>, meta: &Meta, wall: i64) -> Sighting {
    // ctime, because producers cannot set it: a file with an old mtime that was just moved in is young.
    let age = u64::try_from(wall.saturating_sub(meta.ctime_ns)).unwrap_or(0);
    Sighting { name, fingerprint: fingerprint(meta), age: Duration::from_nanos(age) }
}
