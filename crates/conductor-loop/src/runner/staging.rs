//! The private copy: exactly the bytes that were judged, under the base name, read-only, in a slot of its own. After the
//! run it is checked and becomes the archived file.

use crate::sys::dir::{Dir, Kind, Meta};
use rustix::fs::{Mode, fchmod};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const STAGED_MODE: u32 = 0o400;
const ARCHIVED_MODE: u32 = 0o640;

/// The open private copy.
pub(super) struct Copy(File);

/// Writes the private copy into its slot. A leftover of the same name is replaced.
pub(super) fn stage(slot: &Dir, name: &str, bytes: &[u8]) -> io::Result<Copy> {
    match slot.create(name, STAGED_MODE, bytes) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            slot.clear()?;
            slot.create(name, STAGED_MODE, bytes)?;
        }
        other => other?,
    }
    Ok(Copy(slot.open_read(name)?))
}

impl Copy {
    /// Whether name and content are still what they were; then its mode becomes the archive's. A porch that moved,
    /// replaced or rewrote it loses: the archive is made from memory (threat A08, B13).
    pub(super) fn seal(&self, slot: &Dir, name: &str, bytes: &[u8]) -> bool {
        let (Ok(named), Ok(open)) = (slot.stat(name), Meta::of(&self.0)) else { return false };
        let same_file = named.id == open.id && open.kind == Kind::File && open.links == 1;
        same_file
            && open.size == bytes.len() as u64
            && self.content_is(bytes)
            && fchmod(&self.0, Mode::from_raw_mode(ARCHIVED_MODE)).is_ok()
    }

    fn content_is(&self, bytes: &[u8]) -> bool {
        let mut found = vec![0; bytes.len()];
        self.0.read_exact_at(&mut found, 0).is_ok() && found == bytes
    }
}

/// Removes what porch left in the slot beside the copy. The slot is also porch's working directory.
pub(super) fn sweep(slot: &Dir, keep: Option<&str>) {
    let Ok(names) = slot.names() else { return };
    if names.iter().all(|name| Some(&**name) == keep.map(str::as_bytes)) {
        return;
    }
    for name in names {
        let Ok(text) = std::str::from_utf8(&name) else {
            // A name of arbitrary bytes: the slot is emptied as a whole and the copy made from memory.
            let _ = slot.clear();
            return;
        };
        if Some(text) != keep {
            let directory = slot.stat(text).is_ok_and(|meta| meta.kind == Kind::Directory);
            // What cannot be removed now is removed when the slot is used next.
            let _ = if directory {
                slot.sub(text).and_then(|sub| sub.clear()).and_then(|()| slot.remove_dir(text))
            } else {
                slot.unlink(text)
            };
        }
    }
}
