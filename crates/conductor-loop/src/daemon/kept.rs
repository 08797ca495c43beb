//! Notices that the state is removed while the daemon runs: records in a file without a name are lost with the process.

use crate::handoff::layout::{PRIVATE, STATE, private};
use crate::handoff::{Handoff, StateFiles};
use crate::keys::{Keys, ROOT_KEY, known_public};
use crate::store::{self, Place, Store, StoreError};
use conductor_crypto::VerifyingKey;
use conductor_os::dir::{Dir, Meta};
use conductor_os::root::{Mounted, mounted};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The parts that are checked.
pub(super) struct Kept {
    handoff_path: PathBuf,
    handoff: Arc<Dir>,
    private: Arc<Dir>,
    state: Arc<Dir>,
    /// The state directory's path, if it is outside the handoff directory.
    elsewhere: Option<PathBuf>,
    store: Arc<Store>,
    keys: Arc<Keys>,
    /// The public keys beside the store.
    public_keys: Vec<VerifyingKey>,
    /// Whether the last check found a part missing: so a directory that is being removed as a whole is reported as such.
    missed: bool,
    /// What may be written of a root directory of the daemon's own, once that is known.
    written: Option<Vec<Mounted>>,
}

/// What may be written in a root directory of the daemon's own: nothing, where it has none. `None`: that cannot be told at the
/// moment, as without a free descriptor.
fn written() -> Option<Vec<Mounted>> {
    let places = mounted().ok()?.unwrap_or_default();
    Some(places.into_iter().filter(|place| place.writable).collect())
}

/// The missing part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gone {
    /// The whole handoff directory: its path leads elsewhere or nowhere.
    Handoff,
    /// A place that a root directory of the daemon's own still shows: outside it was moved or removed.
    Shown(PathBuf),
    /// The state; the text says which part.
    State(String),
}

/// The finding at the state's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// There is no entry.
    Removed,
    /// There is another entry.
    Replaced,
}

impl Kept {
    /// `elsewhere`: the state directory is outside the handoff directory.
    pub(super) fn new(
        places: &Handoff,
        state: &StateFiles,
        store: &Arc<Store>,
        keys: &Arc<Keys>,
        elsewhere: bool,
    ) -> Self {
        let directory = state.path.parent().map(PathBuf::from);
        Self {
            handoff_path: places.path.clone(),
            handoff: Arc::clone(&places.dirs.handoff),
            private: Arc::clone(&places.dirs.private),
            state: Arc::clone(&state.dir),
            elsewhere: directory.filter(|_| elsewhere),
            store: Arc::clone(store),
            keys: Arc::clone(keys),
            // They were read a moment ago; where that fails now, those of the ring must do.
            public_keys: known_public(&state.dir).unwrap_or_else(|_| keys.public()),
            missed: false,
            written: written(),
        }
    }

    /// The public keys beside the store.
    pub(super) fn public_keys(&self) -> &[VerifyingKey] {
        &self.public_keys
    }

    /// The missing part, once two checks in a row have found it missing.
    pub(super) fn look(&mut self) -> Option<Gone> {
        if compare(Meta::of_path(&self.handoff_path), &self.handoff).is_some() {
            return Some(Gone::Handoff);
        }
        if let Some(place) = self.moved() {
            return Some(Gone::Shown(place));
        }
        let lost = self.lost();
        let again = std::mem::replace(&mut self.missed, lost.is_some());
        let (what, how) = lost.filter(|_| again)?;
        let how = match how {
            Lost::Removed => "was removed",
            Lost::Replaced => "was replaced by another",
        };
        Some(Gone::State(format!("{what} {how} while the daemon ran")))
    }

    /// The place in the root directory of the daemon's own that has another path outside, or none.
    fn moved(&mut self) -> Option<PathBuf> {
        if self.written.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        // A list that cannot be read tells of nothing that was moved.
        let now = written()?;
        let before = self.written.get_or_insert_with(|| now.clone());
        missing(before, &now)
    }

    fn lost(&self) -> Option<(String, Lost)> {
        if let Some(how) = compare(self.handoff.stat(PRIVATE), &self.private) {
            return Some((PRIVATE.to_owned(), how));
        }
        let (shown, found) = match &self.elsewhere {
            Some(path) => (path.display().to_string(), Meta::of_path(path)),
            None => (private(STATE), self.private.stat(STATE)),
        };
        if let Some(how) = compare(found, &self.state) {
            return Some((shown, how));
        }
        let how = match self.store.place() {
            Ok(Place::Empty) => Lost::Removed,
            Ok(Place::Other) => Lost::Replaced,
            // A part that cannot be checked is not known to be missing.
            Ok(Place::Own) | Err(_) => {
                // In memory is the only other copy of a key that nobody gave.
                let gone = self.keys.origin().is_weak() && matches!(self.state.has(ROOT_KEY), Ok(false));
                return gone.then(|| (format!("{shown}/{ROOT_KEY}"), Lost::Removed));
            }
        };
        Some((format!("{shown}/{}", store::FILE), how))
    }

    /// Restores the store under its name from the open file, if the name is free. No other write may follow.
    pub(super) fn put_back(&self) -> Result<String, StoreError> {
        let private = place(&self.handoff, PRIVATE, &self.private)?;
        let private = private.as_ref().unwrap_or(&self.private);
        let state = match &self.elsewhere {
            Some(path) => match compare(Meta::of_path(path), &self.state) {
                None => None,
                Some(Lost::Replaced) => return Err(taken(&path.display().to_string())),
                Some(Lost::Removed) => {
                    use std::os::unix::fs::DirBuilderExt;
                    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
                    made.map_err(StoreError::Open)?;
                    Some(Dir::open(path).map_err(StoreError::Open)?)
                }
            },
            None => place(private, STATE, &self.state)?,
        };
        let state = state.as_ref().unwrap_or(&self.state);
        let place = self.store.place();
        if matches!(place, Ok(Place::Other)) {
            return Err(taken(store::FILE));
        }
        // First: the store cannot be opened without its key.
        self.keys.put_back(state, &self.public_keys).map_err(StoreError::Open)?;
        if matches!(place, Ok(Place::Own)) {
            return Ok(format!("{ROOT_KEY} was put back from memory"));
        }
        self.store.put_back(state)?;
        Ok(format!("it was put back as {} from the file that was open", store::FILE))
    }
}

/// The first of these places that is not there any more.
fn missing(before: &[Mounted], now: &[Mounted]) -> Option<PathBuf> {
    before.iter().find(|place| !now.contains(place)).map(|place| place.at.clone())
}

/// Makes the directory `name` again if it is missing; `None` if it is the open one.
fn place(parent: &Dir, name: &str, open: &Dir) -> Result<Option<Dir>, StoreError> {
    match compare(parent.stat(name), open) {
        None => Ok(None),
        Some(Lost::Removed) => parent.ensure(name, 0o700).map(Some).map_err(StoreError::Open),
        Some(Lost::Replaced) => Err(taken(name)),
    }
}

fn taken(name: &str) -> StoreError {
    StoreError::InTheWay { name: name.to_owned() }
}

fn compare(found: io::Result<Meta>, open: &Dir) -> Option<Lost> {
    match (found, open.meta()) {
        (Ok(found), Ok(open)) if found.id != open.id => Some(Lost::Replaced),
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Some(Lost::Removed),
        _ => None,
    }
}
