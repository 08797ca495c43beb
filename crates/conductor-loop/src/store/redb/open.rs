//! Opens the store: before a byte of the file changes, every page is checked against its checksum, and the whole against
//! the known extent. A panic of the storage engine counts as damage.
//!
//! Reading every page takes about two seconds a gibibyte. A store above [`READ_WHOLE_MAX`] that was closed, and by inode,
//! size and change time has not been written since, is exempt; its records have checksums of their own, which each read
//! checks.

use super::conversion::{begin_lineage, copy_all, take_over};
use super::layout::{LINEAGE, TABLES, version};
use super::mark::{Left, MARK, Mark};
use super::opened::{Access, FILE, Opened, Store};
use super::screen::{Screen, Sharing};
use super::sealed::{Seal, Sealing};
use super::table::{Reading, Transaction, Writing};
use super::version::VERSION;
use super::{batch, index};
use crate::store::{Counts, Damage, Extent, Ledger as _, StoreError};
use conductor_core::Seq;
use conductor_os::dir::Dir;
use conductor_os::panics::guarded;
use redb::{Database, DatabaseError, ReadableDatabase};
use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// redb's page cache. Its default is a gibibyte.
const CACHE_BYTES: usize = 8 << 20;
/// Name of an incomplete new store; it is renamed when it is complete.
pub(super) const DRAFT: &str = "ledger.redb.draft";
/// Up to this size every page is read at each opening, which takes less than a tenth of a second.
const READ_WHOLE_MAX: u64 = 32 << 20;

/// A verified store that has not been opened for writing: no byte of it has changed, and none does if this is dropped.
#[derive(Debug)]
pub struct Candidate(Store, Behind);

/// The treatment of a store that lacks something its mark has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// It is refused: it has lost records.
    Refused,
    /// It is accepted: an operator has asked to continue with the rest.
    Accepted,
}

impl Candidate {
    /// The store's content. Writing into it is an error.
    pub fn store(&self) -> &Store {
        &self.0
    }

    /// Opens it for writing.
    pub fn believe(self) -> Result<Store, StoreError> {
        self.0.believe(self.1)?;
        Ok(self.0)
    }
}

impl Store {
    /// Opens and verifies the store in `dir` without changing it.
    pub fn examine(dir: Arc<Dir>, sealing: &Sealing, behind: Behind) -> Result<Candidate, StoreError> {
        Ok(Candidate(Self::verified(dir, sealing, Sharing::Alone, behind)?, behind))
    }

    /// Opens the store in `dir` for reading, beside other readers. It is verified as for a start, and no byte of it changes.
    pub fn look(dir: &Arc<Dir>, sealing: &Sealing) -> Result<Self, StoreError> {
        Self::verified(Arc::clone(dir), sealing, Sharing::Lookers, Behind::Refused)
    }

    /// Opens the store in `dir` for writing, making it only when `may_create`. A damaged or foreign store is an error,
    /// never replaced by an empty one.
    pub fn open(dir: Arc<Dir>, sealing: &Sealing, may_create: bool) -> Result<Self, StoreError> {
        if may_create && !dir.has(FILE).map_err(StoreError::Open)? {
            return Self::draft(dir, sealing)?.complete();
        }
        let store = Self::verified(dir, sealing, Sharing::Alone, Behind::Refused)?;
        store.believe(Behind::Refused)?;
        Ok(store)
    }

    /// Begins a new store in `dir`, beside any existing one; [`Store::complete`] gives it its name.
    pub fn draft(dir: Arc<Dir>, sealing: &Sealing) -> Result<Self, StoreError> {
        Self::draft_in(dir, sealing, Sharing::Alone)
    }

    fn draft_in(dir: Arc<Dir>, sealing: &Sealing, sharing: Sharing) -> Result<Self, StoreError> {
        match dir.unlink(DRAFT) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::Open(error)),
            _ => {}
        }
        let file = dir.open_rw(DRAFT, 0o600).map_err(StoreError::Open)?;
        let mut opened = open(file, sharing, Pages::All, sealing)?;
        if let Some(seal) = sealing.new_seal()? {
            opened.codec = sealing.codec_of(Some(&seal))?;
            let txn = opened.database.begin_write()?;
            seal.write(&txn)?;
            txn.commit()?;
            opened.seal = Some(seal);
        }
        let store = Self { dir, sealing: sealing.clone(), database: RwLock::new(Some(opened)) };
        store.release()?;
        store.set_access(Access::Draft)?;
        store.write(take_over)?;
        Ok(store)
    }

    /// Renames a draft to the store of its directory, durably and never over another.
    pub fn complete(self) -> Result<Self, StoreError> {
        self.dir.rename_new(DRAFT, &self.dir, FILE).map_err(StoreError::Open)?;
        self.dir.sync().map_err(StoreError::Open)?;
        self.begin_mark()?;
        Ok(self)
    }

    /// Gives a draft the name of the store, durably. A store that is there keeps the name `aside`, or the next free one; at every moment
    /// one of the two is the store.
    pub fn complete_over(self, aside: &str) -> Result<(Self, Option<String>), StoreError> {
        let kept = match self.dir.link_aside(FILE, aside) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::Open(error)),
        };
        self.dir.rename_over(DRAFT, &self.dir, FILE).map_err(StoreError::Open)?;
        self.dir.sync().map_err(StoreError::Open)?;
        self.begin_mark()?;
        Ok((self, kept))
    }

    /// Records durably what a draft has come to, before other parts of its state are put in their places: a start without it is refused.
    pub fn announce(&self) -> Result<(), StoreError> {
        Mark::open(&self.dir)?.write(self.reading(batch::extent)?)?;
        self.dir.sync_file_system().map_err(StoreError::Open)
    }

    /// Whether `dir` has a store, or a mark that proves there was one.
    pub fn was_in(dir: &Dir) -> Result<bool, StoreError> {
        Ok(dir.has(FILE).map_err(StoreError::Open)? || dir.has(MARK).map_err(StoreError::Open)?)
    }

    /// The extent recorded by the mark in `dir`.
    pub fn marked_in(dir: &Dir) -> Result<Option<Extent>, StoreError> {
        Ok(Mark::read(dir)?.map(|said| said.extent))
    }

    pub(super) fn verified(
        dir: Arc<Dir>,
        sealing: &Sealing,
        sharing: Sharing,
        behind: Behind,
    ) -> Result<Self, StoreError> {
        let marked = Mark::read(&dir)?;
        let file = existing(&dir, sharing)?;
        let length = file.metadata().map_err(StoreError::Open)?.len();
        let left = Left::of(&file).map_err(StoreError::Open)?;
        let untouched = marked.is_some_and(|said| said.left == Some(left));
        let pages = if untouched && length > READ_WHOLE_MAX { Pages::AsRead } else { Pages::All };
        let opened = open(file, sharing, pages, sealing)?;
        let store = Self { dir, sealing: sealing.clone(), database: RwLock::new(Some(opened)) };
        if store.checked_version()? == VERSION {
            store.reading(index::check)?;
        }
        if sharing == Sharing::Lookers {
            // In memory: a store that is only read keeps every byte.
            store.bring_up()?;
        }
        if let (Some(marked), Behind::Refused) = (marked, behind) {
            store.reading(batch::extent)?.check(&marked.extent, MARK)?;
        }
        Ok(store)
    }

    fn believe(&self, behind: Behind) -> Result<(), StoreError> {
        self.release()?;
        self.bring_up()?;
        if behind == Behind::Accepted {
            // Before the mark forgets what it lacks.
            self.commit(begin_lineage)?;
        }
        self.seal_anew()?;
        self.begin_mark()
    }

    /// Writes the store again where it is sealed otherwise than it should be: plain, by an older key, or not to be sealed.
    /// A new file takes the place of the old one, whose free pages would keep what it held.
    fn seal_anew(&self) -> Result<(), StoreError> {
        let differs = |opened: &Opened| self.sealing.differs_from(opened.seal.as_ref());
        let differs = self.with_opened(|opened| Ok(differs(opened)))?;
        let anew = if differs { self.write_anew() } else { Ok(()) };
        // Also what a crash left: a draft may be a plain copy of a store that is sealed.
        match self.dir.unlink(DRAFT) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::Open(error)),
            _ => {}
        }
        match anew {
            Err(StoreError::NoSpace(error)) => {
                tracing::warn!(%error, "no space to seal the state anew; it goes on as it is sealed, and the next start tries again");
                Ok(())
            }
            anew => anew,
        }
    }

    fn write_anew(&self) -> Result<(), StoreError> {
        let mut draft = Self::draft(Arc::clone(&self.dir), &self.sealing)?;
        self.reading(|from| draft.write(|to| copy_all(from, to, &|| true)))?;
        self.dir.rename_over(DRAFT, &self.dir, FILE).map_err(StoreError::Open)?;
        self.dir.sync().map_err(StoreError::Open)?;
        let opened = draft.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// Copies everything, as it is at one moment, into a new store in `dir`, sealed in this way; [`Store::complete`] gives it its name.
    pub fn copy_to(&self, dir: Arc<Dir>, sealing: &Sealing) -> Result<Self, StoreError> {
        let draft = Self::draft(dir, sealing)?;
        self.reading(|from| draft.write(|to| copy_all(from, to, &|| true)))?;
        Ok(draft)
    }

    /// Copies everything, as it is at one moment, into a store in `dir` that is read at once and then thrown away, and tells its counts and its
    /// last number. It is given up as soon as `goes_on` is false, and waits for no sync: so it ends soon then on a slow disk as well; not on one that hangs in a call.
    pub fn copy_in_passing(
        &self,
        dir: &Arc<Dir>,
        sealing: &Sealing,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(Counts, Seq), StoreError> {
        let draft = Self::draft_in(Arc::clone(dir), sealing, Sharing::Passing)?;
        self.reading(|from| draft.write(|to| copy_all(from, to, goes_on)))?;
        let told = (draft.counts()?, draft.last_seq()?);
        drop(draft);
        dir.rename_new(DRAFT, dir, FILE).map_err(StoreError::Open)?;
        Ok(told)
    }

    /// Whether `before` is an earlier state of the same store: what this one lacks of it, it has removed.
    pub fn goes_on_from(&self, before: &Self) -> Result<bool, StoreError> {
        let lineage = |of: &Self| of.reading(|txn| LINEAGE.get(txn));
        let (own, other) = (lineage(self)?, lineage(before)?);
        Ok(own.is_some() && own == other && self.extent()?.lacks(&before.extent()?).is_none())
    }

    /// Makes it another store than those that it has come from: it may lack what they have.
    pub fn begin_lineage(&self) -> Result<(), StoreError> {
        self.write(begin_lineage)
    }

    /// The name of the root key that seals the store; `None`: it is plain.
    pub fn sealed_by(&self) -> Result<Option<String>, StoreError> {
        self.with_opened(|opened| Ok(opened.seal.as_ref().map(|seal| seal.root().to_owned())))
    }

    fn with_opened<T>(&self, work: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(StoreError::Busy)?)
    }

    /// Converts a store of an earlier version of this program, in one transaction.
    pub(super) fn bring_up(&self) -> Result<(), StoreError> {
        let is_whole = |txn: &Reading| {
            Ok(version(txn)? == Some(VERSION) && txn.names()?.len() >= TABLES && LINEAGE.get(txn)?.is_some())
        };
        if !self.reading(is_whole)? {
            self.commit(take_over)?;
        }
        Ok(())
    }

    fn release(&self) -> Result<(), StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let screen = &database.as_ref().ok_or(StoreError::Busy)?.screen;
        screen.release().map_err(|error| redb::StorageError::from(error).into())
    }

    fn begin_mark(&self) -> Result<(), StoreError> {
        let mark = Mark::open(&self.dir)?;
        let extent = self.reading(batch::extent)?;
        mark.write(extent)?;
        self.set_access(Access::Write(mark))
    }

    fn set_access(&self, access: Access) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        database.as_mut().ok_or(StoreError::Busy)?.access = access;
        Ok(())
    }

    /// Reads the last durable state again. A missing or empty file is an error.
    pub(super) fn open_again(&self) -> Result<(), StoreError> {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        let mut again = Self::open(Arc::clone(&self.dir), &self.sealing, false)?;
        let opened = again.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// Whether the engine refuses every call since a failure.
    pub(super) fn is_stuck(&self) -> Result<bool, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = &database.as_ref().ok_or(StoreError::Busy)?.database;
        let begun = unpanicked(|| Ok(database.begin_write()?.abort()?));
        match begun {
            Ok(()) => Ok(false),
            Err(StoreError::Failed) => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(super) fn reading<T>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_opened(|Opened { database, codec, .. }| {
            unpanicked(|| work(&Reading { txn: database.begin_read()?, codec: Arc::clone(codec) }))
        })
    }

    /// Runs `work` in one durable transaction, and records the new extent in the mark.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Writing) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let access = &database.as_ref().ok_or(StoreError::Busy)?.access;
        if matches!(access, Access::Look) {
            return Err(StoreError::ReadOnly);
        }
        let (value, extent) = self.commit(work)?;
        if let Access::Write(mark) = access {
            mark.write(extent)?;
        }
        Ok(value)
    }

    fn commit<T>(
        &self,
        work: impl FnOnce(&Writing) -> Result<T, StoreError>,
    ) -> Result<(T, Extent), StoreError> {
        self.with_opened(|Opened { database, codec, .. }| {
            unpanicked(|| {
                let txn = Writing { txn: database.begin_write()?, codec: Arc::clone(codec) };
                let value = work(&txn)?;
                let extent = batch::advance(&txn)?;
                txn.txn.commit()?;
                Ok((value, extent))
            })
        })
    }

    /// Refuses a later version, and a file that is no store of ours.
    fn checked_version(&self) -> Result<u32, StoreError> {
        let found = self.reading(version)?.ok_or(StoreError::Damaged(Damage::Foreign))?;
        if (1..=VERSION).contains(&found) {
            Ok(found)
        } else {
            Err(StoreError::Version { found, known: VERSION })
        }
    }
}

/// Turns a panic of the storage engine, caused by bytes that it did not write, into an error.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    guarded(work).unwrap_or_else(|panic| Err(StoreError::Damaged(Damage::Panic(panic.clone()))))
}

/// The pages checked against their checksums when a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// All pages, before any is used.
    All,
    /// None: the file has not been written since this program closed it.
    AsRead,
}

pub(super) fn open(
    file: File,
    sharing: Sharing,
    pages: Pages,
    sealing: &Sealing,
) -> Result<Opened, StoreError> {
    let same = file.try_clone().map_err(StoreError::Open)?;
    unpanicked(|| {
        let screen = Screen::over(file, sharing)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(pages == Pages::All);
        let database = builder.create_with_backend(screen.clone()).map_err(|error| match error {
            // The engine's error for a file that it cannot interpret, beside failed reads.
            DatabaseError::Storage(redb::StorageError::Io(error))
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof) =>
            {
                StoreError::Damaged(Damage::File(error))
            }
            other => other.into(),
        })?;
        let seal = Seal::read(&database.begin_read()?)?;
        let codec = sealing.codec_of(seal.as_ref())?;
        Ok(Opened { database, screen, file: same, access: Access::Look, seal, codec })
    })
}

/// The file of a store that must not be made: an empty one was no store, or has lost everything.
fn existing(dir: &Dir, sharing: Sharing) -> Result<File, StoreError> {
    if !dir.has(FILE).map_err(StoreError::Open)? {
        return Err(StoreError::Missing);
    }
    let file = match sharing {
        Sharing::Alone | Sharing::Passing => dir.open_rw(FILE, 0o600),
        Sharing::Lookers => dir.open_read(FILE),
    };
    let file = file.map_err(StoreError::Open)?;
    if file.metadata().map_err(StoreError::Open)?.len() == 0 {
        return Err(StoreError::Damaged(Damage::Empty));
    }
    Ok(file)
}

/// A closed store says so in its mark, with the final state of its file.
impl Drop for Store {
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(Opened { database, file, access, .. }) = database.take() else { return };
        let closed = guarded(|| database.close().is_ok());
        if let (Ok(true), Access::Write(mark), Ok(left)) = (closed, access, Left::of(&file)) {
            // Without it the next start has to read all pages.
            drop(mark.closed(left));
        }
    }
}
