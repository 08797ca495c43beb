//! Sets up the directories: creates what is missing, refuses what is unsafe, takes the lock, opens the store.

use super::{Failure, absolute};
use crate::clerk::{HEAD_FILE, HEAD_FORMAT, HeadBody};
use crate::config::Config;
use crate::store::{self, Store};
use crate::sys::dir::{Dir, Kind};
use crate::sys::lock::{Lock, LockError};
use crate::sys::slots::Slots;
use conductor_core::Code;
use std::io::Read;
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
const PRIVATE: &str = ".conductor";
/// A head or Go state file larger than this is not read at start; `state import` takes any size.
const HEAD_MAX: u64 = 512 << 20;

/// How long a start waits for a command that has the store open; each has it for as long as one answer takes.
const SOMEBODY_LOOKS: Duration = Duration::from_secs(10);

impl Places {
    /// Opens everything below the configured handoff directory.
    pub fn open(config: &Config, create: bool) -> Result<Self, Failure> {
        let path = absolute(&config.handoff).map_err(|error| set_up(&config.handoff, &error))?;
        if create {
            create_all(&path)?;
        }
        let path = path.canonicalize().map_err(|error| set_up(&path, &error))?;
        let handoff = Arc::new(Dir::open(&path).map_err(|error| set_up(&path, &error))?);
        check_writers(config, &path, &handoff)?;
        let sub = |parent: &Dir, name: &str, mode| {
            parent.ensure(name, mode).map_err(|error| set_up(&path.join(name), &error)).map(Arc::new)
        };
        let private = open_private(&handoff).map_err(|error| set_up(&path.join(PRIVATE), &error))?;
        let lock = take_lock(&private, &path)?;
        let private_path = path.join(PRIVATE);
        let slots = Slots::below(&private, &private_path).map_err(|error| set_up(&private_path, &error))?;
        let places = Self {
            processed: sub(&handoff, "processed", 0o750)?,
            failed: sub(&handoff, "failed", 0o750)?,
            status: sub(&handoff, "status", 0o750)?,
            taken: sub(&private, "taken", 0o700)?,
            drafts: sub(&private, "drafts", 0o700)?,
            slots: Arc::new(slots),
            private,
            handoff,
            path,
            _lock: lock,
        };
        places.check_file_system()?;
        Ok(places)
    }

    /// Renames must be atomic between all of these.
    fn check_file_system(&self) -> Result<(), Failure> {
        let own = self.handoff.meta().map_err(|error| set_up(&self.path, &error))?.id.0;
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
            drafts: Arc::clone(&self.drafts),
            slots: Arc::clone(&self.slots),
            processed: Arc::clone(&self.processed),
            failed: Arc::clone(&self.failed),
            status: Arc::clone(&self.status),
        }
    }
}

/// The private directory. A run that took our own permissions from it has not taken the next start.
fn open_private(handoff: &Dir) -> std::io::Result<Arc<Dir>> {
    let private = handoff.ensure(PRIVATE, 0o700)?;
    private.make_own()?;
    Ok(Arc::new(private))
}

fn set_up(path: &Path, error: &std::io::Error) -> Failure {
    Failure::set_up(Code::DirectorySetup, format!("cannot set up {}: {error}", path.display()))
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
        Renamers::Everybody if !config.allow_unsafe_handoff => {
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

fn take_lock(private: &Dir, path: &Path) -> Result<Lock, Failure> {
    Lock::take(private, "lock").map_err(|error| match error {
        LockError::Held(holder) => {
            let message = format!("another daemon (pid {holder}) works on {}", path.display());
            Failure::set_up(Code::LockHeld, message)
        }
        LockError::Io(error) => set_up(&path.join(PRIVATE).join("lock"), &error),
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
    Ours,
    /// The state file of the Go version.
    Go(Vec<u8>),
    /// Something else.
    Unknown,
}

impl StateFiles {
    /// Finds the state of a handoff directory; creates its directory when `create`.
    pub fn find(config: &Config, handoff_path: &Path, handoff: &Dir, create: bool) -> Result<Self, Failure> {
        let path = match &config.state_dir {
            Some(dir) => absolute(dir).map_err(|error| set_up(dir, &error))?,
            None => handoff_path.join(PRIVATE).join("state"),
        };
        if create {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| set_up(&path, &error))?;
        }
        let dir = Dir::open(&path).map_err(|error| set_up(&path, &error))?;
        Ok(Self { dir: Arc::new(dir), path: path.join(store::FILE), head: read_head(handoff) })
    }

    /// Opens the store for the daemon. Never empty in place of one that was there.
    pub fn open_store(&self, handoff: &Dir) -> Result<Store, Failure> {
        let exists = self.dir.has(store::FILE).map_err(|error| set_up(&self.path, &error))?;
        if !exists && matches!(self.head, HeadFile::Unknown) {
            let message = format!(
                "{HEAD_FILE} is there but is no state file of this program or of the Go version, and there is no store; move it aside to start without it"
            );
            return Err(Failure::set_up(Code::StateImport, message));
        }
        let may_create = !exists && !matches!(self.head, HeadFile::Ours);
        let fail = |error: store::StoreError| {
            Failure::set_up(error.code(), format!("{}: {error}", self.path.display()))
        };
        let store = self.wait_for_store(may_create).map_err(fail)?;
        if let HeadFile::Go(text) = &self.head {
            let count = store::import(&store, jiff::Timestamp::now(), &mut text.as_slice()).map_err(fail)?;
            let kept = format!("{HEAD_FILE}.imported");
            handoff.rename_over(HEAD_FILE, handoff, &kept).map_err(|error| set_up(&self.path, &error))?;
            tracing::info!(
                imported = count.imported,
                kept_as = kept,
                "took over the state file of the Go version"
            );
        }
        Ok(store)
    }
}

impl StateFiles {
    /// A command that looks while no daemon runs has the store open for a moment: that is no reason not to start.
    fn wait_for_store(&self, may_create: bool) -> Result<Store, store::StoreError> {
        let until = Instant::now() + SOMEBODY_LOOKS;
        loop {
            match Store::open(Arc::clone(&self.dir), may_create) {
                Err(store::StoreError::Busy) if Instant::now() < until => {
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
    let mut bytes = Vec::new();
    let read = handoff.open_read(HEAD_FILE).and_then(|file| file.take(HEAD_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return HeadFile::Unknown;
    }
    match serde_json::from_slice::<HeadBody>(&bytes) {
        Ok(head) if head.format == HEAD_FORMAT => HeadFile::Ours,
        _ if store::looks_like_go_state(&bytes) => HeadFile::Go(bytes),
        _ => HeadFile::Unknown,
    }
}
