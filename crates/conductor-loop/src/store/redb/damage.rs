//! Many damaged stores: each is either refused unchanged, or still holds every record. Opening never panics.

use super::form::{Bytes, Number};
use super::layout::{HELD, IMPORTED, OPEN, OUTCOMES, OWNERS, REPORTS, STARTED, TARGETS, TERMS, TIMES};
use super::mark::Left;
use super::seq_key::SeqKey;
use super::table::{RawRows, Reading, Table, Writing};
use super::tests::{claim, keyless, outcome, store};
use super::*;
use crate::store::{Kept, Ledger, Work};
use conductor_core::{Code, Seq, record};
use conductor_os::dir::Dir;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const PAGE: usize = 4096;
/// The two files of a store.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    store: Vec<u8>,
    mark: Vec<u8>,
}

impl Files {
    fn of(at: &Path) -> Self {
        let read = |name| std::fs::read(at.join(name)).unwrap();
        Self { store: read(FILE), mark: read(MARK) }
    }

    fn put(&self, at: &Path) {
        std::fs::write(at.join(FILE), &self.store).unwrap();
        std::fs::write(at.join(MARK), &self.mark).unwrap();
    }
}

pub(super) type Rows = Vec<(&'static str, RawRows)>;

/// Every row of every table.
pub(super) fn rows(store: &Store) -> Rows {
    let all = |txn: &Reading| {
        Ok(vec![
            ("open", OPEN.raw(txn)?),
            ("started", STARTED.raw(txn)?),
            ("outcomes", OUTCOMES.raw(txn)?),
            ("reports", REPORTS.raw(txn)?),
            ("targets", TARGETS.raw(txn)?),
            ("imported", IMPORTED.raw(txn)?),
            ("held", HELD.raw(txn)?),
            ("owners", OWNERS.raw(txn)?),
            ("terms", TERMS.raw(txn)?),
            ("times", TIMES.raw(txn)?),
            ("meta", Table::<&'static str, Bytes>::new("meta").raw(txn)?),
        ])
    };
    store.reading(all).unwrap()
}

/// A store with finished and unfinished intents: as a killed daemon leaves it, and as a closed one.
fn left_behind() -> (Files, Files, Rows) {
    let (temp, _dir, store) = store();
    for seq in 1..=120 {
        store.commit(&Work::claim(&claim(Seq(seq)), &[b'x'; 300], true)).unwrap();
        if seq % 4 != 0 {
            let outcome = outcome(Seq(seq));
            let decided = Work::decide(&outcome, Some(b"log"), Kept::File);
            store.commit(&Work { done: vec![Seq(seq)], ..decided }).unwrap();
        }
    }
    store.commit(&Work::decide(&outcome(Seq(4)), Some(b"log"), Kept::File)).unwrap();
    let killed = Files::of(temp.path());
    let all = rows(&store);
    drop(store);
    (killed, Files::of(temp.path()), all)
}

/// A generator with the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Checks one damaged store against the promise; returns whether it was refused.
fn hold(at: &Path, damaged: &Files, all: &Rows, what: &str) -> bool {
    damaged.put(at);
    let dir = Arc::new(Dir::open(at).unwrap());
    let looked = Store::look(&dir, &keyless()).map(|store| rows(&store));
    assert!(Files::of(at) == *damaged, "{what}: looking changed it");
    let opened = Store::open(dir, &keyless(), false).map(|store| rows(&store));
    for result in [&looked, &opened] {
        match result {
            Ok(found) => assert!(found == all, "{what}: other content"),
            Err(error) => assert!(
                matches!(error.code(), Code::StoreDamaged | Code::StoreVersion),
                "{what}: {error} ({})",
                error.code()
            ),
        }
    }
    assert_eq!(looked.is_ok(), opened.is_ok(), "{what}: looking and starting disagree");
    assert!(opened.is_ok() || Files::of(at) == *damaged, "{what}: it was refused and changed");
    opened.is_err()
}

#[test]
fn one_flipped_bit_is_refused_or_changes_nothing() {
    let (killed, closed, all) = left_behind();
    let temp = tempfile::tempdir().unwrap();
    for (name, files, tries) in [("closed", &closed, 150), ("killed", &killed, 80)] {
        assert!(!hold(temp.path(), files, &all, name), "undamaged");
        let used: Vec<usize> = files
            .store
            .chunks(256)
            .enumerate()
            .filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0))
            .map(|(at, _)| at * 256)
            .collect();
        let (mut numbers, mut refused) = (Numbers(7), 0);
        for round in 0..tries {
            let mut damaged = files.clone();
            // The header is small and decides most.
            let at = if round % 10 == 0 {
                numbers.below(320)
            } else {
                used[numbers.below(used.len())] + numbers.below(256)
            };
            let bit = numbers.below(8);
            damaged.store[at] ^= 1 << bit;
            refused += u32::from(hold(temp.path(), &damaged, &all, &format!("{name}, bit {bit} of {at}")));
        }
        assert!(refused > tries / 4, "{name}: only {refused} of {tries} reached something that counts");
    }
}

#[test]
fn zeroed_cut_and_foreign_stores_are_refused_as_they_are() {
    let (killed, closed, all) = left_behind();
    let temp = tempfile::tempdir().unwrap();
    for files in [&closed, &killed] {
        let pages = files.store.len() / PAGE;
        for page in (0..pages).filter(|page| files.store[page * PAGE..][..PAGE].iter().any(|byte| *byte != 0))
        {
            let mut damaged = files.clone();
            damaged.store[page * PAGE..][..PAGE].fill(0);
            hold(temp.path(), &damaged, &all, &format!("page {page} zeroed"));
        }
        for page in (0..pages).step_by(pages.div_ceil(24)) {
            let mut damaged = files.clone();
            damaged.store.truncate(page * PAGE);
            assert!(hold(temp.path(), &damaged, &all, &format!("cut before page {page}")));
        }
    }
    let other = tempfile::tempdir().unwrap();
    let database = redb::Database::create(other.path().join(FILE)).unwrap();
    let txn = Writing { txn: database.begin_write().unwrap(), codec: Arc::new(codec::Plain) };
    Table::<SeqKey, Number>::new("others").put(&txn, Seq(1), Seq(1)).unwrap();
    txn.txn.commit().unwrap();
    drop(database);
    for store in [std::fs::read(other.path().join(FILE)).unwrap(), vec![0; 1 << 20], b"hello".to_vec()] {
        let foreign = Files { store, mark: closed.mark.clone() };
        assert!(hold(temp.path(), &foreign, &all, "foreign"));
    }
}

#[test]
fn an_older_copy_of_the_store_is_refused() {
    let (temp, dir, store) = store();
    store.commit(&Work::decide(&outcome(Seq(1)), None, Kept::File)).unwrap();
    let older = std::fs::read(temp.path().join(FILE)).unwrap();
    store.commit(&Work::claim(&claim(Seq(2)), b"", true)).unwrap();
    drop(store);
    std::fs::write(temp.path().join(FILE), &older).unwrap();
    let error = Store::open(Arc::clone(&dir), &keyless(), false).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged);
    assert!(
        error.to_string().contains("behind ledger.mark")
            && error.to_string().contains("commits 2 instead of 3")
    );
    assert!(std::fs::read(temp.path().join(FILE)).unwrap() == older);
    let copied = tempfile::tempdir().unwrap();
    std::fs::write(copied.path().join(FILE), &older).unwrap();
    let copied = Store::look(&Arc::new(Dir::open(copied.path()).unwrap()), &keyless()).unwrap();
    let accepted = Store::examine(dir, &keyless(), Behind::Accepted).unwrap().believe().unwrap();
    assert_eq!(accepted.last_seq().unwrap(), Seq(1));
    assert!(!accepted.goes_on_from(&copied).unwrap(), "it has lost what others of that store have");
}

#[test]
fn a_large_store_that_nobody_touched_still_checks_what_it_reads() {
    let (temp, dir, store) = store();
    store.commit(&Work::decide(&outcome(Seq(1)), None, Kept::File)).unwrap();
    for seq in 2..6 {
        store.commit(&Work::claim(&claim(Seq(seq)), &vec![b'x'; 9 << 20], false)).unwrap();
    }
    drop(store);
    let path = temp.path().join(FILE);
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 32 << 20);
    let text = b"processed/intent-a.json";
    let at: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for at in at {
        file.write_all_at(b"X", at as u64).unwrap();
    }
    let error = Store::look(&dir, &keyless()).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged, "it was written to, so all of it is read");
    // As a disk does by itself: without a trace in the file's times.
    let said = mark::Mark::read(&dir).unwrap().unwrap();
    let mark = mark::Mark::open(&dir).unwrap();
    mark.write(said.extent).unwrap();
    mark.closed(Left::of(&file).unwrap()).unwrap();
    let store = Store::look(&dir, &keyless()).unwrap();
    let error = store.outcome(Seq(1)).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged);
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn records_of_earlier_versions_without_a_checksum_are_read() {
    let (temp, dir, store) = store();
    let mut plain = vec![record::VERSION];
    plain.extend(serde_json::to_vec(&outcome(Seq(1))).unwrap());
    store.commit(&Work::decide(&outcome(Seq(1)), None, Kept::File)).unwrap();
    store.write(|txn| OUTCOMES.put_raw(txn, Seq(1), &plain)).unwrap();
    drop(store);
    std::fs::remove_file(temp.path().join(MARK)).unwrap();
    assert_eq!(Store::open(dir, &keyless(), false).unwrap().outcome(Seq(1)).unwrap(), Some(outcome(Seq(1))));
}
