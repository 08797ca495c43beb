//! The store in isolation: written records read back, damaged stores are refused, imports can be repeated.

use super::layout::{HELD, LAYOUT, LINEAGE, META, TABLES};
use super::table::Transaction;
use super::*;
use crate::store::{
    Counts, Evidence, Extent, ImportCount, Kept, Ledger, StoreError, TakenOver, Work, export, import,
    looks_like_go_state,
};
use conductor_core::intent::TargetKey;
use conductor_core::record::{Claim, Outcome};
use conductor_core::{Digest, Seq};
use conductor_crypto::sha256;
use conductor_os::dir::Dir;
use std::collections::HashSet;
use std::sync::Arc;

/// How a plain store is opened.
pub(crate) fn keyless() -> Sealing {
    Sealing::Keyless("a test".to_owned())
}

fn empty() -> (tempfile::TempDir, Arc<Dir>) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    (temp, dir)
}

pub(super) fn store() -> (tempfile::TempDir, Arc<Dir>, Store) {
    let (temp, dir) = empty();
    let store = Store::open(Arc::clone(&dir), &keyless(), true).unwrap();
    (temp, dir, store)
}

pub(super) fn claim(seq: Seq) -> Claim {
    conductor_testkit::claim(seq)
}

pub(super) fn outcome(seq: Seq) -> Outcome {
    Outcome {
        sha256: Some(Digest([1; 32])),
        size: 3,
        attempts: 1,
        archived_as: "processed/intent-a.json".into(),
        key: Some(claim(seq).key),
        ..Outcome::blank(seq, "intent-a.json", jiff::Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn the_life_of_an_entry() {
    let (_temp, dir, store) = store();
    assert_eq!(store.commit(&Work::claim(&claim(Seq(4)), b"abc", true)).unwrap(), [None]);
    assert_eq!(store.sizes().unwrap(), (1, 0));
    store.commit(&Work::decide(&outcome(Seq(4)), Some(b"log"), Kept::Already)).unwrap();
    // Repeating it, as recovery may do, changes nothing.
    store.commit(&Work::decide(&outcome(Seq(4)), Some(b"log"), Kept::Already)).unwrap();
    assert_eq!(store.counts().unwrap(), Counts { processed: 1, failed: 0, duplicates: 0 });
    store.commit(&Work { done: vec![Seq(4)], ..Work::default() }).unwrap();
    assert_eq!(store.sizes().unwrap(), (0, 1));
    drop(store);
    let store = Store::open(Arc::clone(&dir), &keyless(), false).unwrap();
    let last = store.last_success(&claim(Seq(5)).key, "intent-a.json").unwrap().unwrap();
    assert_eq!((last.seq, store.last_seq().unwrap()), (Seq(4), Seq(4)));
    store.commit(&Work { forgotten: vec![Seq(4)], ..Work::default() }).unwrap();
    assert_eq!(store.last_success(&claim(Seq(5)).key, "intent-a.json").unwrap(), None);
    assert_eq!(store.last_seq().unwrap(), Seq(4), "numbers are never used again");
}

#[test]
fn a_store_goes_on_from_its_earlier_copies_alone() {
    let (_temp, _dir, store) = store();
    let (temp, dir) = empty();
    let copy = store.copy_to(Arc::clone(&dir), &keyless()).unwrap();
    store.commit(&Work::claim(&claim(Seq(1)), b"abc", true)).unwrap();
    store.commit(&Work::claim(&claim(Seq(2)), b"abc", true)).unwrap();
    assert!(store.goes_on_from(&copy).unwrap() && !copy.goes_on_from(&store).unwrap());
    let (_temp, _dir, other) = self::store();
    for seq in 1..9 {
        other.commit(&Work::claim(&claim(Seq(seq)), b"abc", true)).unwrap();
    }
    assert!(!other.goes_on_from(&store).unwrap(), "it has more of everything and is another one");
    // Of a program that named no lineage: it gets one when it is opened to write, and is not changed before.
    copy.write(|txn| META.remove(txn, "lineage").map(drop)).unwrap();
    drop(copy.complete().unwrap());
    let before = std::fs::read(temp.path().join(FILE)).unwrap();
    let look = || Store::look(&dir, &keyless()).unwrap();
    assert!(!look().goes_on_from(&look()).unwrap(), "which one it is is unknown");
    assert!(std::fs::read(temp.path().join(FILE)).unwrap() == before);
    let lineage = || {
        let opened = Store::open(Arc::clone(&dir), &keyless(), false).unwrap();
        opened.reading(|txn| LINEAGE.get(txn)).unwrap().unwrap()
    };
    assert_eq!(lineage(), lineage());
    assert!(look().goes_on_from(&look()).unwrap());
}

#[test]
fn a_store_that_is_gone_or_empty_is_not_opened_again_as_a_new_one() {
    let (temp, dir, store) = store();
    std::fs::write(temp.path().join(FILE), "").unwrap();
    assert!(matches!(store.reopen(), Err(StoreError::Damaged(_))));
    std::fs::remove_file(temp.path().join(FILE)).unwrap();
    assert!(matches!(store.reopen(), Err(StoreError::Missing)));
    assert!(!dir.has(FILE).unwrap());
}

#[test]
fn a_damaged_store_is_refused_and_left_alone() {
    for damage in [b"not a database, but long enough to be looked at".repeat(200), Vec::new()] {
        let (temp, dir, store) = store();
        drop(store);
        let path = temp.path().join(FILE);
        std::fs::write(&path, &damage).unwrap();
        let error = Store::open(Arc::clone(&dir), &keyless(), false).unwrap_err();
        assert_eq!(error.code(), conductor_core::Code::StoreDamaged, "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), damage);
    }
}

#[test]
fn another_version_is_refused() {
    let (_temp, dir, store) = store();
    store.write(|txn| LAYOUT.put(txn, &(VERSION + 1))).unwrap();
    drop(store);
    let error = Store::open(Arc::clone(&dir), &keyless(), false).unwrap_err();
    assert_eq!(error.code(), conductor_core::Code::StoreVersion);
}

#[test]
fn export_and_import_carry_everything_over() {
    let (_temp, _dir, old) = store();
    for seq in [1, 2] {
        old.commit(&Work::decide(&outcome(Seq(seq)), None, Kept::File)).unwrap();
    }
    let mut lines = Vec::new();
    assert_eq!(export(&old, jiff::Timestamp::UNIX_EPOCH, &mut lines).unwrap(), 2);
    let (_temp2, _dir2, new) = store();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let count = import(&new, now, &mut lines.as_slice()).unwrap();
    assert_eq!(count.imported + count.skipped, 2);
    assert_eq!(new.last_success(&claim(Seq(9)).key, "x").unwrap().map(|l| l.seq), Some(Seq(2)));
    assert_eq!(import(&new, now, &mut lines.as_slice()).unwrap().imported, 0, "again: nothing new");
    assert!(import(&new, now, &mut b"garbage".as_slice()).is_err());
    assert!(import(&new, now, &mut b"{\"format\": \"other\", \"version\": 1}".as_slice()).is_err());
}

#[test]
fn the_go_state_file_is_understood() {
    let (_temp, _dir, store) = store();
    let sha = "ab".repeat(32);
    let text = format!(
        r#"{{"version": "1.0", "saved_at": "2025-01-01T00:00:00Z", "states": {{
        "/data/handoff/intent-a.json": {{"file_path": "x", "sha256": "{sha}", "size": 9, "processed_at": "2025-01-01T00:00:00+01:00", "status": "processed"}},
        "/data/handoff/intent-b.json": {{"file_path": "x", "sha256": "{sha}", "size": 9, "processed_at": "2025-01-02T00:00:00Z", "status": "failed"}},
        "/data/handoff/intent-null.json": null,
        "/data/$(whoami)": {{"sha256": "{sha}", "size": 1, "status": "processed"}}}}}}"#
    );
    assert!(looks_like_go_state(text.as_bytes()));
    let count = import(&store, jiff::Timestamp::UNIX_EPOCH, &mut text.as_bytes()).unwrap();
    assert_eq!(count, ImportCount { imported: 2, skipped: 0 });
    let any = TargetKey { namespace: "n".into(), target: "t".into() };
    assert!(store.last_success(&any, "intent-a.json").unwrap().is_some());
    assert!(store.last_success(&any, "intent-b.json").unwrap().is_none(), "a failure is no success");
}

#[test]
fn looking_changes_no_byte_even_of_a_store_that_was_not_closed() {
    let (temp, dir, store) = store();
    store.commit(&Work::decide(&outcome(Seq(1)), None, Kept::File)).unwrap();
    // As a killed daemon leaves it: not closed.
    let left = temp.path().join("left");
    std::fs::create_dir(&left).unwrap();
    std::fs::copy(temp.path().join(FILE), left.join(FILE)).unwrap();
    let looked = |dir: &Arc<Dir>| {
        Store::look(dir, &keyless()).unwrap().outcome(Seq(1)).unwrap().map(|outcome| outcome.seq)
    };
    assert!(matches!(Store::look(&dir, &keyless()), Err(StoreError::Busy)), "somebody has it open");
    drop(store);
    let before = std::fs::read(temp.path().join(FILE)).unwrap();
    assert_eq!(looked(&dir), Some(Seq(1)));
    let refused = Store::look(&dir, &keyless()).unwrap().commit(&Work::default());
    assert!(refused.unwrap_err().to_string().contains("opened to be read"));
    assert!(std::fs::read(temp.path().join(FILE)).unwrap() == before);
    let unclosed = std::fs::read(left.join(FILE)).unwrap();
    assert_eq!(looked(&Arc::new(Dir::open(&left).unwrap())), Some(Seq(1)));
    assert!(std::fs::read(left.join(FILE)).unwrap() == unclosed);
    let together = (Store::look(&dir, &keyless()).unwrap(), Store::look(&dir, &keyless()).unwrap());
    drop(together);
    // A store of an earlier version of this program, without a table that came later.
    let store = Store::open(Arc::clone(&dir), &keyless(), false).unwrap();
    assert!(store.write(|txn| HELD.drop_from(txn)).unwrap());
    drop(store);
    assert_eq!(looked(&dir), Some(Seq(1)));
    assert!(Store::look(&dir, &keyless()).unwrap().held().unwrap().is_empty());
    std::fs::remove_file(temp.path().join(FILE)).unwrap();
    assert!(matches!(Store::look(&dir, &keyless()), Err(StoreError::Missing)));
}

#[test]
fn a_store_has_all_tables() {
    let (_temp, _dir, store) = store();
    assert_eq!(store.reading(|txn| Ok(txn.names()?.len())).unwrap(), TABLES);
}

#[test]
fn intents_of_one_name_that_wait_are_all_taken_over() {
    let (_temp, dir, before) = store();
    let bytes = conductor_testkit::claim(1).name.into_bytes();
    let all: Vec<Claim> = (1..=3).map(|seq| Claim { sha256: sha256(&bytes), ..claim(Seq(seq)) }).collect();
    assert!(all.iter().all(|one| one.name == all[0].name));
    for one in &all {
        before.commit(&Work::claim(one, &bytes, false)).unwrap();
    }
    drop(before);
    let (_other, _, after) = store();
    // Into a store without them, and into one that has them all.
    for unfinished in [3, 0] {
        let salvaged = Store::salvage(&dir, &keyless()).unwrap();
        let (told, extent) = (Box::new(Vec::new()), Extent::default());
        let evidence = Evidence { salvaged, told, extent, done: HashSet::new(), goes_on: true };
        let taken = evidence.take_over(&after).unwrap();
        assert_eq!(taken, TakenOver { unfinished, ..TakenOver::default() });
        for one in &all {
            assert_eq!(after.claim(one.seq).unwrap().unwrap().0, *one);
            assert_eq!(after.outcome(one.seq).unwrap(), None);
        }
    }
}
