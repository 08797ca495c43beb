//! Opens the store: before a byte of the file changes, every page is checked against its checksum, and the whole against
//! the known extent. A panic of the storage engine counts as damage.
//!
//! Reading every page takes about two seconds a gibibyte. A store above [`READ_WHOLE_MAX`] that was closed, and by inode,
//! size and change time has not been written since, is exempt; its records have checksums of their own, which each read
//! checks.

use super::mark::{Extent, Left, MARK, Mark};
use super::screen::{Screen, Sharing};
use super::{
    Batch, CACHE_BYTES, FILE, META, STARTS, Store, StoreError, TABLES, VERSION, decode, encode, make_tables,
};
use conductor_os::dir::Dir;
use conductor_os::panics::guarded;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableError};
use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// Name of an incomplete new store; it is renamed when it is complete.
pub(super) const DRAFT: &str = "ledger.redb.draft";
/// Up to this size every page is read at each opening, which takes less than a tenth of a second.
const READ_WHOLE_MAX: u64 = 32 << 20;

/// The database as it was opened.
pub(super) struct Opened {
    database: Database,
    screen: Screen,
    /// The same file, to notice its removal or replacement.
    pub(super) file: File,
    access: Access,
}

/// The purpose of an opening.
#[derive(Debug)]
enum Access {
    /// Reading.
    Look,
    /// Making a new store: it has no mark yet.
    Draft,
    /// Writing; each commit updates the mark.
    Write(Mark),
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.access.fmt(f)
    }
}

/// A verified store that has not been opened for writing: no byte of it has changed, and none does if this is dropped.
#[derive(Debug)]
pub struct Candidate(Store);

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
        self.0.believe()?;
        Ok(self.0)
    }
}

impl Store {
    /// Opens and verifies the store in `dir` without changing it.
    pub fn examine(dir: Arc<Dir>, behind: Behind) -> Result<Candidate, StoreError> {
        Self::verified(dir, Sharing::Alone, behind).map(Candidate)
    }

    /// Opens the store in `dir` for reading, beside other readers. It is verified as for a start, and no byte of it changes.
    pub fn look(dir: &Arc<Dir>) -> Result<Self, StoreError> {
        Self::verified(Arc::clone(dir), Sharing::Lookers, Behind::Refused)
    }

    /// Opens the store in `dir` for writing, making it only when `may_create`. A damaged or foreign store is an error,
    /// never replaced by an empty one.
    pub fn open(dir: Arc<Dir>, may_create: bool) -> Result<Self, StoreError> {
        if may_create && !dir.has(FILE).map_err(StoreError::Open)? {
            return Self::draft(dir)?.complete();
        }
        Self::examine(dir, Behind::Refused)?.believe()
    }

    /// Begins a new store in `dir`, beside any existing one; [`Store::complete`] gives it its name.
    pub fn draft(dir: Arc<Dir>) -> Result<Self, StoreError> {
        match dir.unlink(DRAFT) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::Open(error)),
            _ => {}
        }
        let file = dir.open_rw(DRAFT, 0o600).map_err(StoreError::Open)?;
        let opened = open(file, Sharing::Alone, Pages::All)?;
        let store = Self { dir, database: RwLock::new(Some(opened)) };
        store.release()?;
        store.set_access(Access::Draft)?;
        store.write(Batch::make_tables)?;
        Ok(store)
    }

    /// Renames a draft to the store of its directory, durably and never over another.
    pub fn complete(self) -> Result<Self, StoreError> {
        self.dir.rename_new(DRAFT, &self.dir, FILE).map_err(StoreError::Open)?;
        self.dir.sync().map_err(StoreError::Open)?;
        self.begin_mark()?;
        Ok(self)
    }

    /// Whether `dir` has a store, or a mark that proves there was one.
    pub fn was_in(dir: &Dir) -> Result<bool, StoreError> {
        Ok(dir.has(FILE).map_err(StoreError::Open)? || dir.has(MARK).map_err(StoreError::Open)?)
    }

    /// The extent recorded by the mark in `dir`.
    pub fn marked_in(dir: &Dir) -> Result<Option<Extent>, StoreError> {
        Ok(Mark::read(dir)?.map(|said| said.extent))
    }

    fn verified(dir: Arc<Dir>, sharing: Sharing, behind: Behind) -> Result<Self, StoreError> {
        let marked = Mark::read(&dir)?;
        let file = existing(&dir, sharing)?;
        let length = file.metadata().map_err(StoreError::Open)?.len();
        let left = Left::of(&file).map_err(StoreError::Open)?;
        let untouched = marked.is_some_and(|said| said.left == Some(left));
        let pages = if untouched && length > READ_WHOLE_MAX { Pages::AsRead } else { Pages::All };
        let opened = open(file, sharing, pages)?;
        let store = Self { dir, database: RwLock::new(Some(opened)) };
        store.check_version()?;
        store.add_tables()?;
        if let (Some(marked), Behind::Refused) = (marked, behind) {
            store.check_extent(&marked.extent, MARK)?;
        }
        Ok(store)
    }

    /// Fails if the store lacks any part of `shown`, which `witness` proves.
    pub fn check_extent(&self, shown: &Extent, witness: &str) -> Result<(), StoreError> {
        match self.extent()?.lacks(shown) {
            None => Ok(()),
            Some(lacks) => Err(StoreError::Behind { witness: witness.to_owned(), lacks }),
        }
    }

    /// The store's extent.
    pub fn extent(&self) -> Result<Extent, StoreError> {
        let commits = self.reading(|txn| {
            txn.open_table(META)?.get("commits")?.map(|value| decode(value.value())).transpose()
        })?;
        let commits: Option<u64> = commits;
        Ok(Extent {
            commits: commits.unwrap_or_default(),
            last_seq: self.last_seq()?,
            counts: self.counts()?,
        })
    }

    fn believe(&self) -> Result<(), StoreError> {
        self.release()?;
        self.begin_mark()
    }

    /// Adds the tables that earlier versions of this program did not make. For a reader they are made in memory.
    fn add_tables(&self) -> Result<(), StoreError> {
        let found = self.reading(|txn| Ok(txn.list_tables()?.count()))?;
        if found >= TABLES {
            return Ok(());
        }
        self.commit(Batch::make_tables).map(drop)
    }

    fn release(&self) -> Result<(), StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let screen = &database.as_ref().ok_or(StoreError::Busy)?.screen;
        screen.release().map_err(|error| redb::StorageError::from(error).into())
    }

    fn begin_mark(&self) -> Result<(), StoreError> {
        let mark = Mark::open(&self.dir)?;
        let extent = self.extent()?;
        mark.write(extent)?;
        self.set_access(Access::Write(mark))
    }

    fn set_access(&self, access: Access) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        database.as_mut().ok_or(StoreError::Busy)?.access = access;
        Ok(())
    }

    /// Opens the file again after a write failed for lack of space: the last durable state is read and verified, nothing
    /// is assumed of the failed write. A missing or empty file is an error.
    pub fn reopen(&self) -> Result<(), StoreError> {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        let mut again = Self::open(Arc::clone(&self.dir), false)?;
        let opened = again.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// Whether an earlier read or write failed, so that the store must be opened again. Called by the writer.
    pub fn has_failed(&self) -> Result<bool, StoreError> {
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
        work: impl FnOnce(ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = &database.as_ref().ok_or(StoreError::Busy)?.database;
        unpanicked(|| work(database.begin_read()?))
    }

    /// Runs `work` in one durable transaction, and records the new extent in the mark.
    pub fn write<T>(&self, work: impl FnOnce(&Batch) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let access = &database.as_ref().ok_or(StoreError::Busy)?.access;
        if matches!(access, Access::Look) {
            return Err(StoreError::Io("it was opened to be read".to_owned()));
        }
        let (value, extent) = self.commit(work)?;
        if let Access::Write(mark) = access {
            mark.write(extent)?;
        }
        Ok(value)
    }

    fn commit<T>(
        &self,
        work: impl FnOnce(&Batch) -> Result<T, StoreError>,
    ) -> Result<(T, Extent), StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = &database.as_ref().ok_or(StoreError::Busy)?.database;
        unpanicked(|| {
            let batch = Batch { txn: database.begin_write()? };
            let value = work(&batch)?;
            let extent = batch.advance()?;
            batch.txn.commit()?;
            Ok((value, extent))
        })
    }

    /// Refuses a later version, and a file that is no store of ours.
    fn check_version(&self) -> Result<(), StoreError> {
        self.reading(|txn| {
            let foreign = || StoreError::Damaged("it is not a store of this program".to_owned());
            let meta = match txn.open_table(META) {
                Err(TableError::TableDoesNotExist(_)) => return Err(foreign()),
                meta => meta?,
            };
            let version: u32 = decode(meta.get("version")?.ok_or_else(foreign)?.value())?;
            // A store of an earlier version lacks a table, and is converted when that is made.
            if (1..=VERSION).contains(&version) {
                Ok(())
            } else {
                Err(StoreError::Version { found: version, known: VERSION })
            }
        })
    }
}

/// Turns a panic of the storage engine, caused by bytes that it did not write, into an error.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    guarded(work).unwrap_or_else(|panic| Err(StoreError::Damaged(format!("reading it failed: {panic}"))))
}

/// The pages checked against their checksums when a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// All pages, before any is used.
    All,
    /// None: the file has not been written since this program closed it.
    AsRead,
}

pub(super) fn open(file: File, sharing: Sharing, pages: Pages) -> Result<Opened, StoreError> {
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
                StoreError::Damaged(error.to_string())
            }
            other => other.into(),
        })?;
        Ok(Opened { database, screen, file: same, access: Access::Look })
    })
}

/// The file of a store that must not be made: an empty one was no store, or has lost everything.
fn existing(dir: &Dir, sharing: Sharing) -> Result<File, StoreError> {
    if !dir.has(FILE).map_err(StoreError::Open)? {
        return Err(StoreError::Missing);
    }
    let file = match sharing {
        Sharing::Alone => dir.open_rw(FILE, 0o600),
        Sharing::Lookers => dir.open_read(FILE),
    };
    let file = file.map_err(StoreError::Open)?;
    if file.metadata().map_err(StoreError::Open)?.len() == 0 {
        return Err(StoreError::Damaged("the file is empty".to_owned()));
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

impl Batch {
    /// Makes the missing tables.
    fn make_tables(&self) -> Result<(), StoreError> {
        self.txn.open_table(META)?.insert("version", encode(&VERSION).as_slice())?;
        make_tables(&self.txn)
    }

    /// Records a start of an intent, and whether it is known to have happened.
    pub fn start(&self, seq: u64, attempt: u32, counted: bool) -> Result<(), StoreError> {
        self.txn.open_table(STARTS)?.insert(seq, (attempt, counted))?;
        Ok(())
    }

    /// Raises totals and numbers to at least these.
    pub fn raise_to(&self, floor: &Extent) -> Result<(), StoreError> {
        self.raise(floor.last_seq)?;
        let mut meta = self.txn.open_table(META)?;
        let counts = meta.get("counts")?.map(|value| decode(value.value())).transpose()?;
        let has = Extent { counts: counts.unwrap_or_default(), ..Extent::default() };
        meta.insert("counts", encode(&has.or_more(*floor).counts).as_slice())?;
        Ok(())
    }

    /// Counts this commit, and returns the new extent.
    fn advance(&self) -> Result<Extent, StoreError> {
        let mut meta = self.txn.open_table(META)?;
        let commits: Option<u64> = meta.get("commits")?.map(|value| decode(value.value())).transpose()?;
        let commits = commits.unwrap_or_default() + 1;
        meta.insert("commits", encode(&commits).as_slice())?;
        let counts = meta.get("counts")?.map(|value| decode(value.value())).transpose()?;
        drop(meta);
        Ok(Extent { commits, last_seq: self.last_seq()?, counts: counts.unwrap_or_default() })
    }
}
