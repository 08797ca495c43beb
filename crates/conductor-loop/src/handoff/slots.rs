//! The staging slots: one directory per run, made when first used. The scheduler hands out the number that was freed last, so a daemon
//! with little work never has more of them than workers; none is held open between runs. A leftover of a run that cannot
//! be removed is set aside as `broken.N` and retried at each start: no run costs the next one its slot.

use super::layout::STAGING as NAME;
use super::lent;
use conductor_core::Slot;
use conductor_os::dir::{Dir, Kind};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

const MODE: u32 = 0o700;
/// The prefix of leftovers set aside.
const BROKEN: &str = "broken.";
/// The number of leftovers set aside; a further one stays in its slot's place, and the slot takes another name.
const BROKEN_MAX: u32 = 64;
/// The number of names that a slot can have in one life of the daemon.
const NAMES_MAX: u32 = 64;

/// The directory `staging/` with its numbered slots.
#[derive(Debug)]
pub struct Slots {
    /// The directory above.
    private: Arc<Dir>,
    staging: RwLock<Staging>,
    path: PathBuf,
    books: Mutex<Books>,
}

/// The directory that holds the slots, and its identity.
#[derive(Debug)]
struct Staging {
    dir: Arc<Dir>,
    id: (u64, u64),
}

#[derive(Debug, Default)]
struct Books {
    /// Slots whose own name is taken by an entry that can neither be removed nor renamed.
    renamed: HashMap<Slot, u32>,
    /// Slots that could not be swept after their last run.
    unswept: HashSet<Slot>,
}

/// A leftover that could not be removed.
#[derive(Debug)]
pub struct Unremovable {
    /// Its current name.
    pub name: String,
    /// Why it cannot be removed.
    pub reason: String,
}

impl Slots {
    /// The slots below `private`, whose absolute path is `path`. We make everything in it again, so an entry in the
    /// directory's place is removed, and modes that lock us out are corrected.
    pub fn below(private: &Arc<Dir>, path: &Path) -> io::Result<Self> {
        let staging = RwLock::new(Staging::open(private)?);
        let private = Arc::clone(private);
        lent::let_pass(&private)?;
        Ok(Self { private, staging, path: path.join(NAME), books: Mutex::default() })
    }

    fn staging(&self) -> Arc<Dir> {
        Arc::clone(&self.staging.read().unwrap_or_else(PoisonError::into_inner).dir)
    }

    /// Absolute path of the directory that holds the slots.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Absolute path of a slot.
    pub fn path_of(&self, slot: Slot) -> PathBuf {
        self.path.join(self.name(slot))
    }

    /// Whether the path of the staging directory leads to it. A run that removed or replaced the directory affects only
    /// itself: the directory is made again.
    pub fn is_in_place(&self) -> bool {
        if self.leads_there() {
            return true;
        }
        let made = self.private.make_own().and_then(|()| Staging::open(&self.private));
        let Ok(made) = made else { return false };
        let in_place = self.leads_to(made.id);
        if in_place {
            *self.staging.write().unwrap_or_else(PoisonError::into_inner) = made;
        }
        in_place
    }

    /// Like `is_in_place`, but makes nothing.
    pub fn leads_there(&self) -> bool {
        self.leads_to(self.staging.read().unwrap_or_else(PoisonError::into_inner).id)
    }

    fn leads_to(&self, id: (u64, u64)) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == id)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, slot: Slot) -> String {
        match self.books().renamed.get(&slot) {
            None => slot.to_string(),
            Some(number) => format!("{slot}.{number}"),
        }
    }

    /// Opens a slot that is empty except for an earlier copy of the same name, making it if it is missing.
    pub fn open(&self, slot: Slot) -> io::Result<Dir> {
        let name = self.name(slot);
        let unswept = !self.books().unswept.is_empty() && self.books().unswept.remove(&slot);
        let opened = match self.staging().sub(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.staging().ensure(&name, MODE),
            opened => opened,
        };
        match opened {
            Ok(dir) if !unswept => lent::lend(dir),
            _ => self.renew(slot),
        }
    }

    /// Makes a slot usable again, whatever entry is in its place.
    pub fn renew(&self, slot: Slot) -> io::Result<Dir> {
        self.make_again(slot).and_then(lent::lend)
    }

    fn make_again(&self, slot: Slot) -> io::Result<Dir> {
        let name = self.name(slot);
        let cleared = self.empty(&name);
        if let Ok(dir) = cleared {
            return Ok(dir);
        }
        // A run may have closed the directory above to us: we may set its mode.
        if let Ok(dir) = self.staging().make_own().and_then(|()| self.empty(&name)) {
            return Ok(dir);
        }
        if !self.leads_there() {
            // The directory above is gone: no name helps before it is made again, and each one that is tried is used up.
            return cleared;
        }
        if let Ok(aside) = self.set_aside(&name) {
            tracing::warn!(
                slot = slot.get(),
                set_aside = aside,
                "a leftover of the last run cannot be removed"
            );
            return self.staging().ensure(&name, MODE);
        }
        for _ in 0..NAMES_MAX {
            let number = {
                let mut books = self.books();
                let number = books.renamed.entry(slot).or_default();
                *number += 1;
                *number
            };
            if number > NAMES_MAX {
                break;
            }
            let name = self.name(slot);
            if let Ok(dir) = self.empty(&name) {
                tracing::warn!(
                    slot = slot.get(),
                    used = name,
                    "a leftover of the last run can neither be removed nor renamed"
                );
                return Ok(dir);
            }
        }
        cleared
    }

    /// Makes or empties the directory of this name.
    fn empty(&self, name: &str) -> io::Result<Dir> {
        match self.staging().stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.staging().ensure(name, MODE);
            }
            Err(error) => return Err(error),
            Ok(meta) if meta.kind != Kind::Directory => {
                self.staging().unlink(name)?;
                return self.staging().ensure(name, MODE);
            }
            Ok(_) => {}
        }
        let dir = self.staging().sub_of_ours(name)?;
        dir.make_own()?;
        lent::clear(&dir, None)?;
        Ok(dir)
    }

    fn set_aside(&self, name: &str) -> io::Result<String> {
        let staging = self.staging();
        for number in 0..BROKEN_MAX {
            let aside = format!("{BROKEN}{number}");
            match staging.rename_new(name, &staging, &aside) {
                Ok(()) => return Ok(aside),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{BROKEN_MAX} are set aside already")))
    }

    /// Removes the leftovers of a run in its slot except `keep`. A leftover that cannot be removed now is handled at the
    /// slot's next use.
    pub fn sweep(&self, slot: Slot, dir: &Dir, keep: Option<&str>) {
        let cleared = lent::clear(dir, keep);
        // Also where something is left: nobody but a run has a slot.
        if lent::take_back(dir).and(cleared).is_err() {
            self.books().unswept.insert(slot);
        }
    }

    /// Ends the use of a slot in which no run began.
    pub fn close(&self, slot: Slot) {
        if let Ok(dir) = self.staging().sub(self.name(slot)) {
            self.sweep(slot, &dir, None);
        }
    }

    /// Moves a file out of a slot; never over another. The slot is opened by descriptor, so that a link that porch put in
    /// its place leads nowhere.
    pub fn move_out(&self, slot: Slot, name: &str, to_dir: &Dir, to: &str) -> io::Result<()> {
        let dir = self.staging().sub(self.name(slot));
        let moved = dir.and_then(|dir| dir.rename_new(name, to_dir, to));
        if moved.is_err() {
            self.books().unswept.insert(slot);
        }
        moved
    }

    /// Empties every slot of an earlier daemon. A leftover that cannot be removed is set aside and reported, and does not
    /// prevent the start.
    pub fn clear(&self) -> io::Result<Vec<Unremovable>> {
        let mut left = Vec::new();
        for name in self.staging().names()? {
            let name = OsStr::from_bytes(&name);
            let shown = conductor_core::scrub::line(&name.to_string_lossy(), 80);
            if let Err(error) = self.clear_one(name) {
                let set_aside = name.to_str().filter(|name| !name.starts_with(BROKEN));
                let name = set_aside.and_then(|name| self.set_aside(name).ok()).unwrap_or(shown);
                left.push(Unremovable { name, reason: error.to_string() });
            }
        }
        Ok(left)
    }

    fn clear_one(&self, name: &OsStr) -> io::Result<()> {
        if self.staging().stat(name)?.kind != Kind::Directory {
            return self.staging().unlink(name);
        }
        let slot = self.staging().sub_of_ours(name)?;
        let cleared = lent::clear(&slot, None);
        lent::take_back_left(&slot).and(cleared)?;
        match name.to_str() {
            // An empty slot stays, for the next run.
            Some(text) if text.parse::<Slot>().is_ok() => Ok(()),
            _ => self.staging().remove_dir(name),
        }
    }

    /// The names of leftovers still set aside, for `doctor`.
    pub fn broken(staging: &Dir) -> io::Result<Vec<String>> {
        let names = staging.names()?.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
        Ok(names.filter(|name| name.parse::<Slot>().is_err()).collect())
    }
}

impl Staging {
    fn open(private: &Dir) -> io::Result<Self> {
        let dir = Self::directory(private)?;
        lent::let_pass(&dir)?;
        let id = dir.meta()?.id;
        Ok(Self { dir: Arc::new(dir), id })
    }

    fn directory(private: &Dir) -> io::Result<Dir> {
        match private.stat(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(meta) if meta.kind == Kind::Directory => {
                let staging = private.sub_of_ours(NAME)?;
                staging.make_own()?;
                return Ok(staging);
            }
            Ok(_) => private.unlink(NAME)?,
            Err(error) => return Err(error),
        }
        private.ensure(NAME, MODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn slots(temp: &Path) -> Slots {
        Slots::below(&Arc::new(Dir::open(temp).unwrap()), temp).unwrap()
    }

    #[test]
    fn whatever_stands_in_a_slots_place_is_no_slots_end() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        symlink("/etc", staging.join("0")).unwrap();
        std::fs::write(staging.join("1"), "file").unwrap();
        for slot in (0..3).map(Slot) {
            slots.open(slot).unwrap().create("intent-a.json", 0o400, b"x").unwrap();
            assert!(staging.join(format!("{slot}/intent-a.json")).is_file());
        }
        std::fs::create_dir_all(staging.join("2/of a run/deep")).unwrap();
        drop(slots.renew(Slot(2)).unwrap());
        assert_eq!(std::fs::read_dir(staging.join("2")).unwrap().count(), 0, "it is emptied where it is");
        let broken = Slots::broken(&Dir::open(&staging).unwrap()).unwrap();
        assert!(broken.is_empty(), "what can be removed is not set aside: {broken:?}");
        assert!(slots.clear().unwrap().is_empty());
        assert!(!staging.join("0/intent-a.json").exists());
    }

    #[test]
    fn an_empty_slot_stays_and_what_is_no_slot_goes() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        for name in ["0", "0.1", "broken.0"] {
            std::fs::create_dir_all(staging.join(name).join("of a run")).unwrap();
        }
        let mut broken = Slots::broken(&Dir::open(&staging).unwrap()).unwrap();
        broken.sort();
        assert_eq!(broken, ["0.1", "broken.0"]);
        assert!(slots.clear().unwrap().is_empty());
        let names = slots.staging().names().unwrap();
        assert_eq!(names, [Box::from(b"0".as_slice())]);
        assert!(!staging.join("0/of a run").exists());
    }

    #[test]
    fn what_is_set_aside_takes_the_first_free_name_and_a_slot_that_is_missing_is_made() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        for (slot, aside) in [(0, "broken.0"), (1, "broken.1")] {
            slots.renew(Slot(slot)).unwrap().create("left", 0o400, b"x").unwrap();
            assert_eq!(slots.set_aside(&slot.to_string()).unwrap(), aside);
            assert!(staging.join(aside).join("left").exists() && !staging.join(slot.to_string()).exists());
        }
    }

    /// Makes an entry one that cannot be removed or renamed, or undoes that; false where that is not possible.
    fn bind(path: &Path, binds: bool) -> bool {
        let flag = if binds { "+i" } else { "-i" };
        rustix::process::geteuid().is_root()
            && conductor_testkit::has("chattr")
            && std::process::Command::new("chattr").arg(flag).arg(path).status().unwrap().success()
    }

    #[test]
    fn a_slot_that_can_neither_be_emptied_nor_renamed_gets_another_name_each_time() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        for (bound, next) in [("0", "0.1"), ("0.1", "0.2"), ("0.2", "0.3")] {
            slots.open(Slot(0)).unwrap().create("left", 0o400, b"x").unwrap();
            if !bind(&staging.join(bound), true) {
                return eprintln!(
                    "NOT TESTED: what cannot be removed (needs root, chattr and its file system)"
                );
            }
            slots.renew(Slot(0)).unwrap().create("next", 0o400, b"x").unwrap();
            assert!(staging.join(next).join("next").exists(), "{next}");
            assert_eq!(slots.path_of(Slot(0)), staging.join(next));
            slots.renew(Slot(0)).unwrap();
            assert!(!staging.join(next).join("next").exists(), "the name is kept while it can be emptied");
        }
        for bound in ["0", "0.1", "0.2"] {
            assert!(bind(&staging.join(bound), false));
        }
    }

    #[test]
    fn a_leftover_that_cannot_be_removed_is_set_aside_once_and_reported_at_each_start() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        slots.open(Slot(0)).unwrap().create("left", 0o400, b"x").unwrap();
        if !bind(&staging.join("0/left"), true) {
            return eprintln!("NOT TESTED: what cannot be removed (needs root, chattr and its file system)");
        }
        for _ in 0..2 {
            let left: Vec<String> = slots.clear().unwrap().into_iter().map(|left| left.name).collect();
            assert_eq!(left, ["broken.0"]);
            assert_eq!(slots.staging().names().unwrap(), [Box::from(b"broken.0".as_slice())]);
        }
        assert!(bind(&staging.join("broken.0/left"), false));
        assert!(slots.clear().unwrap().is_empty());
        assert!(slots.staging().names().unwrap().is_empty());
    }

    #[test]
    fn what_was_lent_to_a_porch_with_a_user_of_its_own_is_ours_again_without_it() {
        use std::os::unix::fs::PermissionsExt;
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        for (before, after) in [(0o710, 0o700), (0o750, 0o750), (0o700, 0o700)] {
            let temp = tempfile::tempdir().unwrap();
            set(temp.path(), before);
            slots(temp.path());
            assert_eq!(mode(temp.path()), after, "{before:o}");
        }
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        for (name, before, after) in [("0", 0o1770, 0o700), ("1", 0o750, 0o750)] {
            std::fs::create_dir(staging.join(name)).unwrap();
            set(&staging.join(name), before);
            assert!(slots.clear().unwrap().is_empty());
            assert_eq!(mode(&staging.join(name)), after, "{before:o}");
        }
    }

    #[test]
    fn a_slot_is_emptied_before_its_next_use_only_after_a_run_whose_copy_was_lost() {
        let temp = tempfile::tempdir().unwrap();
        let (slots, staging) = (slots(temp.path()), temp.path().join(NAME));
        let (slot, left) = (Slot(0), staging.join("0/left"));
        slots.open(slot).unwrap().create("left", 0o400, b"x").unwrap();
        slots.open(slot).unwrap();
        assert!(left.exists(), "a copy that is written already is not written again");
        let elsewhere = Dir::open(temp.path()).unwrap();
        slots.move_out(slot, "intent-a.json", &elsewhere, "intent-a.json").unwrap_err();
        slots.open(slot).unwrap();
        assert!(!left.exists());
        slots.open(slot).unwrap().create("left", 0o400, b"x").unwrap();
        slots.open(slot).unwrap();
        assert!(left.exists(), "it was emptied once");
    }

    #[test]
    fn a_replaced_staging_directory_is_noticed_and_made_again_where_it_is_ours() {
        let temp = tempfile::tempdir().unwrap();
        let (home, elsewhere) = (temp.path().join("home"), temp.path().join("elsewhere"));
        std::fs::create_dir(&home).unwrap();
        let slots = slots(&home);
        assert!(slots.is_in_place());
        std::fs::rename(home.join(NAME), home.join("moved")).unwrap();
        symlink("/etc", home.join(NAME)).unwrap();
        assert!(slots.is_in_place(), "made again");
        slots.open(Slot(0)).unwrap();
        assert!(home.join("staging/0").is_dir());
        // The directory above was replaced: none of our parts is there to be made again.
        std::fs::rename(&home, &elsewhere).unwrap();
        std::fs::create_dir_all(home.join(NAME)).unwrap();
        assert!(!slots.is_in_place());
        std::fs::remove_dir_all(&home).unwrap();
        std::fs::rename(&elsewhere, &home).unwrap();
        assert!(slots.is_in_place());
    }
}
