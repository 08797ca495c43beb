//! The private copy: exactly the bytes that were judged, under the base name, read-only, in a slot of its own. After the
//! run it is checked and becomes the archived file.

use conductor_core::record::Claim;
use conductor_crypto::sha256_of;
use conductor_os::dir::{Dir, Kind, Meta};
use conductor_os::second;
use rustix::fs::{Gid, Mode, fchmod, fchown};
use std::fs::File;
use std::io;
use std::path::Path;

const STAGED_MODE: u32 = 0o400;
/// With a user of porch's own: readable by its group, and ours all the same.
const LENT_MODE: u32 = 0o440;
const ARCHIVED_MODE: u32 = 0o640;

/// The open private copy.
pub(super) struct PrivateCopy(File);

/// The private copy and its slot.
pub(super) struct Staged<'s> {
    pub(super) slot: &'s Dir,
    pub(super) copy: &'s PrivateCopy,
}

/// Writes the private copy into its slot. If the slot's content prevents that, the slot is recreated.
pub(super) fn stage(
    slot: Dir,
    name: &str,
    bytes: &[u8],
    renew: impl FnOnce() -> io::Result<Dir>,
) -> io::Result<(Dir, PrivateCopy)> {
    let slot = match slot.create(name, STAGED_MODE, bytes) {
        Ok(()) => slot,
        Err(error) if conductor_os::is_no_space(&error) => return Err(error),
        Err(_) => {
            let slot = renew()?;
            slot.create(name, STAGED_MODE, bytes)?;
            slot
        }
    };
    let copy = PrivateCopy(slot.open_read(name)?);
    copy.lend()?;
    Ok((slot, copy))
}

impl PrivateCopy {
    /// Lets porch's user, if it has one of its own, read the file.
    fn lend(&self) -> io::Result<()> {
        let Some(second) = second::get() else { return Ok(()) };
        fchown(&self.0, None, Some(Gid::from_raw(second.identity().gid)))?;
        Ok(fchmod(&self.0, Mode::from_raw_mode(LENT_MODE))?)
    }

    /// The opposite of [`Self::lend`]: archives are not for porch.
    fn take_back(&self) -> io::Result<()> {
        if second::get().is_none() {
            return Ok(());
        }
        Ok(fchown(&self.0, None, Some(rustix::process::getegid()))?)
    }

    /// Whether this path leads to the very file that was written, and not to another of the same name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
        matches!((found, Meta::of(&self.0)), (Ok(found), Ok(own)) if found == own.id)
    }

    /// Whether name and content are unchanged; if so, its mode becomes the archive's. If porch moved, replaced or rewrote
    /// the copy, the archive is written from the store instead (threat A08, B13).
    pub(super) fn verify(&self, slot: &Dir, claim: &Claim) -> bool {
        let (Ok(named), Ok(open)) = (slot.stat(&claim.name), Meta::of(&self.0)) else { return false };
        let same_file = named.id == open.id && open.kind == Kind::File && open.links == 1;
        same_file
            && open.size == claim.size
            && sha256_of(&mut &self.0, claim.size).is_ok_and(|found| found == claim.sha256)
            && self.take_back().is_ok()
            && fchmod(&self.0, Mode::from_raw_mode(ARCHIVED_MODE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const BYTES: &[u8] = b"{\"a\": 1}";

    fn claim() -> Claim {
        Claim {
            name: "intent-a.json".to_owned(),
            sha256: conductor_crypto::sha256(BYTES),
            size: BYTES.len() as u64,
            ..conductor_testkit::claim(conductor_core::Seq(7))
        }
    }

    /// A change to the copy at a path, as porch may make it.
    type Change = fn(&Path);

    fn rewrite(path: &Path, bytes: &[u8]) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn only_the_very_copy_with_its_content_and_no_other_name_is_archived() {
        let changes: [(&str, bool, Change); 7] = [
            ("nothing", true, |_| ()),
            ("the same again", true, |path| rewrite(path, BYTES)),
            ("more", false, |path| rewrite(path, &[BYTES, b" "].concat())),
            ("other bytes", false, |path| rewrite(path, b"{\"a\": 2}")),
            ("another name", false, |path| std::fs::hard_link(path, path.with_extension("more")).unwrap()),
            ("another file", false, |path| {
                std::fs::rename(path, path.with_extension("aside")).unwrap();
                std::fs::write(path, BYTES).unwrap();
            }),
            ("no file", false, |path| std::fs::remove_file(path).unwrap()),
        ];
        for (what, wanted, change) in changes {
            let temp = tempfile::tempdir().unwrap();
            let slot = Dir::open(temp.path()).unwrap();
            let path = temp.path().join("intent-a.json");
            let (slot, copy) = stage(slot, "intent-a.json", BYTES, || unreachable!()).unwrap();
            change(&path);
            assert_eq!(copy.verify(&slot, &claim()), wanted, "{what}");
            assert_eq!(copy.is_at(&path), !matches!(what, "another file" | "no file"), "{what}");
            if wanted {
                let mode = path.metadata().unwrap().permissions().mode();
                assert_eq!((mode & 0o7777, std::fs::read(path).unwrap()), (0o640, BYTES.to_vec()), "{what}");
            }
        }
    }

    #[test]
    fn a_slot_with_something_in_the_place_of_the_copy_is_made_anew() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join("old/intent-a.json")).unwrap();
        let old = root.ensure("old", 0o700).unwrap();
        let (slot, copy) = stage(old, "intent-a.json", BYTES, || root.ensure("new", 0o700)).unwrap();
        assert!(copy.is_at(&temp.path().join("new/intent-a.json")) && copy.verify(&slot, &claim()));
    }
}
