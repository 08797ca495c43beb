//! A sealed store: nothing of it can be read, moved or exchanged without its key.

use super::damage::rows;
use super::layout::{OUTCOMES, REPORTS};
use super::tests::{keyless, outcome, store};
use super::*;
use crate::store::{Ledger, StoreError, Work, suite};
use conductor_core::record::Outcome;
use conductor_core::{Code, Seq};
use conductor_crypto::{KeyRing, RootKey};
use conductor_os::dir::Dir;
use std::path::Path;
use std::sync::Arc;

fn ring() -> Arc<KeyRing> {
    Arc::new(KeyRing::of(RootKey::generate().unwrap()))
}

fn sealed() -> (tempfile::TempDir, Arc<Dir>, Sealing) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    let sealing = Sealing::On(ring());
    let store = Store::open(Arc::clone(&dir), &sealing, true).unwrap();
    suite::fill_every_table(&store);
    let found = Outcome { message: "FIND-ME-7731".into(), ..outcome(Seq(77)) };
    store.commit(&Work { imported: vec![&found], ..Work::default() }).unwrap();
    drop(store);
    (temp, dir, sealing)
}

fn file(temp: &Path) -> Vec<u8> {
    std::fs::read(temp.join(FILE)).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn answers(dir: &Arc<Dir>, sealing: &Sealing) -> Vec<String> {
    suite::answers(&Store::look(dir, sealing).unwrap())
}

/// What the tests' records hold, in values and as names in keys.
const KNOWN: [&str; 3] = ["FIND-ME-7731", "intent-", "processed/"];

#[test]
fn no_value_and_no_name_can_be_read_without_the_key() {
    let (temp, dir, sealing) = sealed();
    for text in KNOWN {
        assert!(!holds(&file(temp.path()), text), "{text}");
    }
    let store = Store::look(&dir, &sealing).unwrap();
    assert_eq!(store.outcome(Seq(77)).unwrap().unwrap().message, "FIND-ME-7731");
    for (table, rows) in rows(&store) {
        let values: std::collections::HashSet<_> = rows.iter().map(|(_, value)| value).collect();
        assert!(["terms", "times"].contains(&table) || values.len() == rows.len(), "{table}: equal values");
    }
}

#[test]
fn another_key_or_none_is_refused_and_no_byte_changes() {
    let (temp, dir, sealing) = sealed();
    let before = file(temp.path());
    for other in [Sealing::On(ring()), Sealing::Off(ring()), Sealing::Keyless("no key file".into())] {
        for error in [
            Store::look(&dir, &other).unwrap_err(),
            Store::open(Arc::clone(&dir), &other, true).unwrap_err(),
            Store::salvage(&dir, &other).err().unwrap(),
        ] {
            assert_eq!(error.code(), Code::KeyOther, "{error}");
        }
    }
    assert_eq!(file(temp.path()), before);
    assert_eq!(Store::look(&dir, &sealing).unwrap().outcome(Seq(77)).unwrap().unwrap().seq, Seq(77));
}

#[test]
fn a_value_in_another_row_table_or_store_is_damage() {
    let (_temp, dir, sealing) = sealed();
    let store = Store::open(Arc::clone(&dir), &sealing, false).unwrap();
    store.commit(&Work { imported: vec![&outcome(Seq(78))], ..Work::default() }).unwrap();
    let raw = |store: &Store, seq: Seq| {
        let rows = store.reading(|txn| OUTCOMES.raw(txn)).unwrap();
        rows.into_iter().find(|(key, _)| *key == seq.get().to_le_bytes()).unwrap().1
    };
    let damaged = |store: &Store| matches!(store.outcome(Seq(78)), Err(StoreError::Damaged(_)));
    let own = raw(&store, Seq(78));
    store.write(|txn| OUTCOMES.put_raw(txn, Seq(78), &raw(&store, Seq(77)))).unwrap();
    assert!(damaged(&store), "of another row");
    store.write(|txn| OUTCOMES.put_raw(txn, Seq(78), &own)).unwrap();
    assert!(!damaged(&store));
    store.write(|txn| REPORTS.put_raw(txn, Seq(78), &own)).unwrap();
    let reports = store.reading(|txn| REPORTS.get(txn, Seq(78)));
    assert!(matches!(reports, Err(StoreError::Damaged(_))), "of another table");
    // The same key, and a salt of its own.
    let other_temp = tempfile::tempdir().unwrap();
    let other = Store::open(Arc::new(Dir::open(other_temp.path()).unwrap()), &sealing, true).unwrap();
    other.commit(&Work { imported: vec![&outcome(Seq(78))], ..Work::default() }).unwrap();
    store.write(|txn| OUTCOMES.put_raw(txn, Seq(78), &raw(&other, Seq(78)))).unwrap();
    assert!(damaged(&store), "of another store");
    let mut changed = own.clone();
    changed[30] ^= 1;
    store.write(|txn| OUTCOMES.put_raw(txn, Seq(78), &changed)).unwrap();
    assert!(damaged(&store), "changed");
}

#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let (temp, dir, sealing) = sealed();
    let (whole, wanted) = (file(temp.path()), answers(&dir, &sealing));
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(temp.path().join(FILE), &changed).unwrap();
        match Store::look(&dir, &sealing).map(|store| suite::answers(&store)) {
            Ok(said) => assert_eq!(said, wanted, "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "some byte matters");
}

#[test]
fn a_plain_store_is_sealed_once_and_a_sealed_one_is_made_plain_on_request() {
    let (temp, dir, plain) = store();
    suite::fill_every_table(&plain);
    drop(plain);
    let wanted = answers(&dir, &keyless());
    assert!(holds(&file(temp.path()), "intent-"));
    let ring = ring();
    let (on, off) = (Sealing::On(Arc::clone(&ring)), Sealing::Off(ring));
    assert_eq!(answers(&dir, &on), wanted, "a look changes nothing");
    assert!(holds(&file(temp.path()), "intent-"));
    let sealed_by = |sealing: &Sealing| {
        let store = Store::open(Arc::clone(&dir), sealing, false).unwrap();
        assert_eq!(suite::answers(&store), wanted);
        store.commit(&Work::default()).unwrap();
        store.reopen().unwrap();
        store.sealed_by().unwrap()
    };
    for _ in 0..2 {
        assert!(sealed_by(&on).is_some());
        for text in KNOWN {
            assert!(!holds(&file(temp.path()), text), "{text}");
        }
    }
    assert_eq!(sealed_by(&off), None);
    assert!(holds(&file(temp.path()), "intent-"));
    assert_eq!(answers(&dir, &keyless()), wanted);
}

#[test]
fn a_rotated_key_seals_everything_anew_and_the_old_one_opens_nothing() {
    let (_temp, dir, sealing) = sealed();
    let wanted = answers(&dir, &sealing);
    let Sealing::On(old) = sealing.clone() else { unreachable!() };
    let mut both = KeyRing::parse(old.text().as_bytes()).unwrap();
    both.rotate(RootKey::generate().unwrap());
    let newest = both.newest().id();
    let both = Sealing::On(Arc::new(both));
    let store = Store::open(Arc::clone(&dir), &both, false).unwrap();
    assert_eq!((store.sealed_by().unwrap(), suite::answers(&store)), (Some(newest), wanted));
    drop(store);
    assert_eq!(Store::look(&dir, &sealing).unwrap_err().code(), Code::KeyOther);
}

#[test]
fn the_commitment_to_the_key_is_checked_before_any_value() {
    let (temp, dir, sealing) = sealed();
    let database = redb::Database::open(temp.path().join(FILE)).unwrap();
    let txn = database.begin_write().unwrap();
    table::SEAL.put(&txn, &[("salt", &[9; 32])]).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = Store::look(&dir, &sealing).unwrap_err();
    assert!(error.to_string().contains("does not fit that key"), "{error}");
}
