//! Sets up the directories: creates what is missing, refuses what is unsafe, takes the lock, opens the store.

use super::evidence;
use super::owned::{Owned, Use, Widened};
use super::{Failure, absolute};
use crate::clerk::{DRAFTS, HEAD_FILE, HEAD_FORMAT, HeadBody};
use crate::config::Config;
use crate::handoff::Slots;
use crate::runner::{LastRuns, RUNNING};
use crate::store::{self, Behind, Candidate, Extent, Store, StoreError};
use conductor_core::Code;
use conductor_os::dir::{Dir, Kind};
use conductor_os::lock::{Lock, LockError};
use conductor_os::plain::read_whole;
use conductor_os::remade::Leaving;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The open directories of one handoff directory.
pub struct Places {
    /// Its absolute path.
    pub path: PathBuf,
    /// The handoff directory.
    pub handoff: Arc<Dir>,
    /// processed/
    pub processed: Arc<Dir>,
    /// failed/
    pub failed: Arc<Dir>,
    /// status/
    pub status: Arc<Dir>,
    /// .conductor/
    pub private: Arc<Dir>,
    /// .conductor/taken/
    pub taken: Arc<Dir>,
    /// .conductor/drafts/
    pub drafts: Arc<Dir>,
    /// .conductor/staging/N/
    pub slots: Arc<Slots>,
    _lock: Lock,
}

/// Name of the private directory.
pub(super) const PRIVATE: &str = ".conductor";
/// Name of the directory of slots in it.
const STAGING: &str = "staging";
/// Name of the lock file in it.
const LOCK: &str = "lock";
/// A head or Go state file larger than this is not read at start; `state import` takes any size.
const HEAD_MAX: u64 = 512 << 20;

/// How long a start waits for a command that has the store open; each has it for as long as one answer takes.
const SOMEBODY_LOOKS: Duration = Duration::from_secs(10);

impl Places {
    /// Opens everything below the configured handoff directory, which is made where it is missing.
    pub fn open(config: &Config) -> Result<Self, Failure> {
        let path = absolute(&config.fixed.handoff).map_err(|error| set_up(&config.fixed.handoff, &error))?;
        create_all(&path)?;
        Self::open_at(config, &path, None)
    }

    /// The same after the directory was gone, for a daemon that began on the file system `device`. Below a mount that is missing
    /// nothing is made.
    pub(super) fn open_again(config: &Config, device: u64) -> Result<Self, Failure> {
        let path = absolute(&config.fixed.handoff).map_err(|error| set_up(&config.fixed.handoff, &error))?;
        Self::open_at(config, &path, Some(device))
    }

    fn open_at(config: &Config, path: &Path, began_on: Option<u64>) -> Result<Self, Failure> {
        let path = path.canonicalize().map_err(|error| set_up(path, &error))?;
        let handoff = Arc::new(Dir::open(&path).map_err(|error| set_up(&path, &error))?);
        if let Some(device) = began_on {
            expect_work(&path, &handoff, device)?;
        }
        check_writers(config, &path, &handoff)?;
        let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Closed);
        let private = open_private(&path, &handoff, owned)?;
        let lock = take_lock(&private, &path)?;
        let private_path = path.join(PRIVATE);
        make_way(&private).map_err(|error| set_up(&private_path, &error))?;
        let slots = Slots::below(&private, &private_path).map_err(|error| set_up(&private_path, &error))?;
        let part = |parent: &Dir, at: &Path, name: &str, used: Use| {
            owned.entry(at, parent, name.as_ref(), used)?;
            let mode = if used == Use::Filed { 0o750 } else { 0o700 };
            let dir = parent.ensure(name, mode).map_err(|error| set_up(&at.join(name), &error))?;
            owned.dir(&at.join(name), &dir, used)?;
            Ok(Arc::new(dir))
        };
        let places = Self {
            processed: part(&handoff, &path, "processed", Use::Filed)?,
            failed: part(&handoff, &path, "failed", Use::Filed)?,
            status: part(&handoff, &path, "status", Use::Filed)?,
            taken: part(&private, &private_path, "taken", Use::Taken)?,
            drafts: part(&private, &private_path, DRAFTS, Use::Private)?,
            slots: Arc::new(slots),
            private,
            handoff,
            path,
            _lock: lock,
        };
        places.check_file_system()?;
        Ok(places)
    }

    /// The file system it is on.
    pub(super) fn device(&self) -> Result<u64, Failure> {
        Ok(self.handoff.meta().map_err(|error| set_up(&self.path, &error))?.id.0)
    }

    /// Renames must be atomic between all of these.
    fn check_file_system(&self) -> Result<(), Failure> {
        let own = self.device()?;
        let parts = [
            ("processed", &self.processed),
            ("failed", &self.failed),
            ("status", &self.status),
            (PRIVATE, &self.taken),
        ];
        for (name, dir) in parts {
            if dir.meta().map_err(|error| set_up(&self.path.join(name), &error))?.id.0 != own {
                let message = format!(
                    "{} is on another file system than {}",
                    self.path.join(name).display(),
                    self.path.display()
                );
                return Err(Failure::set_up(Code::OtherFileSystem, message));
            }
        }
        Ok(())
    }

    /// What the clerk works in.
    pub fn for_clerk(&self) -> crate::clerk::Places {
        crate::clerk::Places {
            handoff: Arc::clone(&self.handoff),
            taken: Arc::clone(&self.taken),
            private: Arc::clone(&self.private),
            drafts: Arc::clone(&self.drafts),
            slots: Arc::clone(&self.slots),
            processed: Arc::clone(&self.processed),
            failed: Arc::clone(&self.failed),
            status: Arc::clone(&self.status),
        }
    }
}

/// The private directory, with what lies in it. A run that took our own permissions from it has not taken the next start.
fn open_private(path: &Path, handoff: &Dir, owned: Owned) -> Result<Arc<Dir>, Failure> {
    let private_path = path.join(PRIVATE);
    let failed = |error: std::io::Error| set_up(&private_path, &error);
    owned.entry(path, handoff, PRIVATE.as_ref(), Use::Private)?;
    let private = handoff.ensure(PRIVATE, 0o700).map_err(failed)?;
    owned.dir(&private_path, &private, Use::Top)?;
    private.make_own().map_err(failed)?;
    owned.content(&private_path, &private)?;
    // What is no directory, or was closed to us by a run, is made again.
    if let Ok(staging) = private.sub(STAGING) {
        owned.staging(&private_path.join(STAGING), &staging)?;
    }
    Ok(Arc::new(private))
}

/// Judges what is in a handoff directory as a start would, and makes nothing.
pub fn check_owners(config: &Config) -> Result<(), Failure> {
    let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Left);
    let Ok(path) = config.fixed.handoff.canonicalize() else { return Ok(()) };
    let handoff = Dir::open(&path).map_err(|error| set_up(&path, &error))?;
    for name in ["processed", "failed", "status", HEAD_FILE] {
        owned.entry(&path, &handoff, name.as_ref(), Use::Filed)?;
    }
    owned.entry(&path, &handoff, PRIVATE.as_ref(), Use::Private)?;
    let private_path = path.join(PRIVATE);
    match handoff.sub(PRIVATE) {
        Ok(private) => {
            owned.content(&private_path, &private)?;
            if let Ok(staging) = private.sub(STAGING) {
                owned.staging(&private_path.join(STAGING), &staging)?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(set_up(&private_path, &error)),
    }
    let state = config.fixed.state_dir.clone().unwrap_or_else(|| private_path.join("state"));
    match Dir::open(&state) {
        Ok(dir) => owned.state(&state, &dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(set_up(&state, &error)),
    }
}

/// On another file system than at the start there is either what was mounted again, or the bare directory that it is mounted on.
fn expect_work(path: &Path, handoff: &Dir, began_on: u64) -> Result<(), Failure> {
    let now_on = handoff.meta().map_err(|error| set_up(path, &error))?.id.0;
    if now_on == began_on || handoff.has(PRIVATE).map_err(|error| set_up(path, &error))? {
        return Ok(());
    }
    let message = format!(
        "{} is on another file system than when the daemon started, and nothing was ever done there: something is not mounted",
        path.display()
    );
    Err(Failure::set_up(Code::HandoffGone, message))
}

fn set_up(path: &Path, error: &std::io::Error) -> Failure {
    let us = rustix::process::geteuid().as_raw();
    let parent =
        path.parent().and_then(|parent| Some((parent, conductor_os::dir::Meta::of_path(parent).ok()?)));
    let whose = match parent {
        Some((parent, meta)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!(
                "; {} belongs to user {} (mode {:04o}), and user {us} runs this",
                parent.display(),
                meta.uid,
                meta.mode
            )
        }
        _ => String::new(),
    };
    Failure::set_up(Code::DirectorySetup, format!("cannot set up {}: {error}{whose}", path.display()))
}

fn create_all(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path);
    created.map_err(|error| {
        Failure::set_up(
            Code::DirectorySetup,
            format!("failed to create handoff directory: mkdir {}: {error}", path.display()),
        )
    })
}

/// Who besides the owner may rename what others have put into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamers {
    /// Nobody.
    Nobody,
    /// Its group.
    Group,
    /// Everybody.
    Everybody,
}

impl Renamers {
    /// By the directory's mode; the sticky bit keeps everybody to what is theirs.
    pub fn of(mode: u32) -> Self {
        match (mode & 0o1000 != 0, mode & 0o002 != 0, mode & 0o020 != 0) {
            (false, true, _) => Self::Everybody,
            (false, false, true) => Self::Group,
            _ => Self::Nobody,
        }
    }
}

/// Threat A03: who may rename in the handoff directory may replace its parts.
fn check_writers(config: &Config, path: &Path, handoff: &Dir) -> Result<(), Failure> {
    let mode = handoff.meta().map_err(|error| set_up(path, &error))?.mode;
    match Renamers::of(mode) {
        Renamers::Nobody => return Ok(()),
        Renamers::Everybody if !config.fixed.allow_unsafe_handoff => {
            let message =
                format!("{} is writable by everybody and not sticky (mode {mode:04o})", path.display());
            return Err(Failure::set_up(Code::UnsafeDirectory, message));
        }
        Renamers::Everybody | Renamers::Group => {}
    }
    tracing::warn!(directory = %path.display(), mode = format!("{mode:04o}"),
        "others may rename what is in the handoff directory; mode 3770 and an owner of its own are safer");
    Ok(())
}

/// Where a run put something else in the place of a part of ours, it is taken away. Only who holds the lock may do that.
fn make_way(private: &Dir) -> std::io::Result<()> {
    private.make_way_for_file(RUNNING)?;
    private.make_way_for(crate::control::SOCKET, Kind::Socket, Leaving::Removed)?;
    private.make_way_for(DRAFTS, Kind::Directory, Leaving::Removed)?;
    private.make_way_for("taken", Kind::Directory, Leaving::Aside)
}

fn take_lock(private: &Dir, path: &Path) -> Result<Lock, Failure> {
    private.make_way_for_lock(LOCK).map_err(|error| set_up(&path.join(PRIVATE).join(LOCK), &error))?;
    Lock::take(private, LOCK).map_err(|error| match error {
        LockError::Held(holder) => {
            let message = format!("another daemon (pid {holder}) works on {}", path.display());
            Failure::set_up(Code::LockHeld, message)
        }
        LockError::Io(error) => set_up(&path.join(PRIVATE).join(LOCK), &error),
    })
}

/// Where the store is, and what `.conductor-state.json` says.
pub struct StateFiles {
    /// The store's directory.
    pub dir: Arc<Dir>,
    /// Absolute path of the store.
    pub path: PathBuf,
    /// What was found under the head's name.
    pub head: HeadFile,
}

/// What lies under the name `.conductor-state.json`.
pub enum HeadFile {
    /// Nothing.
    Absent,
    /// Our head: there was a store.
    Ours(Box<HeadBody>),
    /// The state file of the Go version.
    Go(Vec<u8>),
    /// Something else.
    Unknown,
}

/// Who wants to know where the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finder {
    /// A daemon, or a command that changes the state: what is missing is made, what is not ours is refused.
    Keeper,
    /// A command that only looks, perhaps as another user.
    Looker,
}

impl StateFiles {
    /// Finds the state of a handoff directory.
    pub fn find(config: &Config, handoff_path: &Path, handoff: &Dir, who: Finder) -> Result<Self, Failure> {
        let path = match &config.fixed.state_dir {
            Some(dir) => absolute(dir).map_err(|error| set_up(dir, &error))?,
            None => handoff_path.join(PRIVATE).join("state"),
        };
        if who == Finder::Keeper {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| set_up(&path, &error))?;
        }
        let dir = Dir::open(&path).map_err(|error| set_up(&path, &error))?;
        if who == Finder::Keeper {
            let owned = Owned::by_this_user(config.fixed.allow_unsafe_handoff, Widened::Closed);
            owned.state(&path, &dir)?;
            owned.entry(handoff_path, handoff, HEAD_FILE.as_ref(), Use::Filed)?;
        }
        Ok(Self { dir: Arc::new(dir), path: path.join(store::FILE), head: read_head(handoff) })
    }

    /// Opens the store for the daemon, held against all that shows how far it had come. Never empty in place of one that was there:
    /// a new one is made only where nothing says that there was one, and begins behind every number that was used.
    pub fn open_store(&self, places: &Places, last: &LastRuns) -> Result<Store, Failure> {
        let exists = self.dir.has(store::FILE).map_err(|error| set_up(&self.path, &error))?;
        if !exists && matches!(self.head, HeadFile::Unknown) {
            let message = format!(
                "{HEAD_FILE} is there but is no state file of this program or of the Go version, and there is no store; move it aside to start without it"
            );
            return Err(Failure::set_up(Code::StateImport, message));
        }
        let may_create = !exists
            && !matches!(self.head, HeadFile::Ours(_))
            && !Store::was_in(&self.dir).map_err(|error| self.failure(&error))?;
        let store = if may_create {
            let shown = evidence::shown(places, self, last).map_err(|error| self.failure(&error))?;
            self.make_store(&shown)
        } else {
            self.existing_store(&places.handoff, last)
        };
        let store = store.map_err(|error| self.failure(&error))?;
        self.take_over_go_state(&store, &places.handoff)?;
        Ok(store)
    }

    /// A new store, behind everything that is shown.
    fn make_store(&self, shown: &Extent) -> Result<Store, StoreError> {
        let draft = Store::draft(Arc::clone(&self.dir))?;
        draft.write(|batch| batch.raise_to(shown))?;
        draft.complete()
    }

    /// The store that is there, if it lacks nothing that is shown.
    pub fn existing_store(&self, handoff: &Dir, last: &LastRuns) -> Result<Store, StoreError> {
        let candidate = self.wait_for_store()?;
        evidence::hold(candidate.store(), &self.head, handoff, last)?;
        candidate.believe()
    }

    /// Looks at the store as a start would, and changes nothing.
    pub fn look(&self, handoff: &Dir) -> Result<Store, StoreError> {
        let store = Store::look(&self.dir)?;
        evidence::hold(&store, &self.head, handoff, &LastRuns { this_boot: false, lines: Vec::new() })?;
        Ok(store)
    }

    fn take_over_go_state(&self, store: &Store, handoff: &Dir) -> Result<(), Failure> {
        let HeadFile::Go(text) = &self.head else { return Ok(()) };
        let count = store::import(store, jiff::Timestamp::now(), &mut text.as_slice());
        let imported = count.map_err(|error| self.failure(&error))?.imported;
        // Under a name that nothing has: an earlier one may be the only copy of another memory.
        let kept = handoff.move_aside(HEAD_FILE, &format!("{HEAD_FILE}.imported"));
        let kept = kept.map_err(|error| set_up(Path::new(HEAD_FILE), &error))?;
        tracing::info!(imported, kept_as = kept, "took over the state file of the Go version");
        Ok(())
    }

    fn failure(&self, error: &StoreError) -> Failure {
        Failure::set_up(error.code(), format!("{}: {error}", self.path.display()))
    }

    /// A command that looks while no daemon runs has the store open for a moment: that is no reason not to start.
    fn wait_for_store(&self) -> Result<Candidate, StoreError> {
        let until = Instant::now() + SOMEBODY_LOOKS;
        loop {
            match Store::examine(Arc::clone(&self.dir), Behind::Refused) {
                Err(StoreError::Busy) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5)); // Nothing announces that it is closed.
                }
                other => return other,
            }
        }
    }
}

fn read_head(handoff: &Dir) -> HeadFile {
    match handoff.stat(HEAD_FILE) {
        Err(_) => return HeadFile::Absent,
        Ok(meta) if meta.kind != Kind::File => return HeadFile::Unknown,
        Ok(_) => {}
    }
    let Ok(bytes) = handoff.open_read(HEAD_FILE).and_then(|file| read_whole(file, HEAD_MAX)) else {
        return HeadFile::Unknown;
    };
    match serde_json::from_slice::<HeadBody>(&bytes) {
        Ok(head) if head.format == HEAD_FORMAT => HeadFile::Ours(Box::new(head)),
        _ if store::looks_like_go_state(&bytes) => HeadFile::Go(bytes),
        _ => HeadFile::Unknown,
    }
}
