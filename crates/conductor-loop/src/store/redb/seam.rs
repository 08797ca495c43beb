//! The seam to the storage engine: every value passes the codec, and look-ups use an index instead of a scan.

use super::codec::{Codec, Place};
use super::damage::rows;
use super::form::checksum;
use super::layout::OUTCOMES;
use super::tests::{keyless, outcome};
use super::*;
use crate::store::suite;
use crate::store::{BadRecord, DecidedAt, Ledger, Part, Search, StoreError, Term, Work};
use conductor_core::age::{Bound, ClockBook};
use conductor_core::record::Outcome;
use conductor_core::{Code, Seq};
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A codec that binds each value to its place, and makes it unreadable elsewhere.
#[derive(Debug)]
struct Scrambled;

fn tag(at: Place<'_>) -> [u8; 8] {
    checksum(&[at.table.as_bytes(), &[0], at.key].concat()).to_be_bytes()
}

fn turned(tag: [u8; 8], bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().zip(tag.into_iter().cycle()).map(|(byte, turn)| byte ^ turn ^ 0xa5)
}

impl Codec for Scrambled {
    fn encode(&self, at: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let tag = tag(at);
        Ok(tag.into_iter().chain(turned(tag, &value)).collect())
    }

    fn decode<'s>(&self, at: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError> {
        match stored.split_first_chunk::<8>() {
            Some((found, rest)) if *found == tag(at) => Ok(Cow::Owned(turned(*found, rest).collect())),
            _ => Err(BadRecord::Checksum.into()),
        }
    }

    fn hides(&self) -> bool {
        true
    }

    fn hidden(&self, table: &'static str, name: &str) -> String {
        format!("{:016x}", checksum(&[table.as_bytes(), &[0], name.as_bytes()].concat()))
    }
}

impl Store {
    /// A store whose values are scrambled.
    pub(crate) fn scrambled(dir: Arc<Dir>) -> Self {
        Self::open(dir, &Sealing::With(Arc::new(Scrambled)), true).unwrap()
    }
}

fn scrambled() -> (tempfile::TempDir, Arc<Dir>, Store) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    let store = Store::scrambled(Arc::clone(&dir));
    (temp, dir, store)
}

#[test]
fn every_value_of_every_table_passes_the_codec() {
    let (_temp, dir, store) = scrambled();
    suite::fill_every_table(&store);
    for (table, rows) in rows(&store) {
        assert!(!rows.is_empty(), "{table} is empty");
        for (key, value) in rows {
            let empty = ["terms", "times"].contains(&table);
            let passed =
                if empty { value.is_empty() } else { value.starts_with(&tag(Place { table, key: &key })) };
            assert!(passed, "{table} {key:?} went around it");
        }
    }
    let all = suite::answers(&store);
    store.reopen().unwrap();
    assert_eq!(suite::answers(&store), all);
    drop(store);
    let error = Store::open(dir, &keyless(), false).unwrap_err();
    let refused = matches!(error.code(), Code::StoreDamaged | Code::StoreVersion);
    assert!(refused, "it is no store of another codec: {error}");
}

#[test]
fn a_value_that_was_moved_to_another_key_is_damage() {
    let (_temp, _dir, store) = scrambled();
    store.commit(&Work { imported: vec![&outcome(Seq(1)), &outcome(Seq(2))], ..Work::default() }).unwrap();
    let (key, value) = store.reading(|txn| OUTCOMES.raw(txn)).unwrap().remove(0);
    assert_eq!(key, 1_u64.to_le_bytes());
    let moved = store.write(|txn| OUTCOMES.put_raw(txn, Seq(2), &value));
    moved.unwrap();
    assert!(store.outcome(Seq(1)).unwrap().is_some());
    assert!(matches!(store.outcome(Seq(2)), Err(StoreError::Damaged(_))));
}

/// Counts the outcomes that are read.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Codec for Counting {
    fn encode(&self, _: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(value)
    }

    fn decode<'s>(&self, at: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError> {
        self.0.fetch_add(usize::from(at.table == "outcomes"), Ordering::Relaxed);
        Ok(Cow::Borrowed(stored))
    }

    fn hides(&self) -> bool {
        false
    }

    fn hidden(&self, _: &'static str, name: &str) -> String {
        name.to_owned()
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
}

#[test]
fn a_lookup_among_a_hundred_thousand_outcomes_reads_a_handful() {
    const MANY: u64 = 100_000;
    let temp = tempfile::tempdir().unwrap();
    let codec = Arc::new(Counting::default());
    let dir = Arc::new(Dir::open(temp.path()).unwrap());
    let store = Store::open(dir, &Sealing::With(Arc::clone(&codec) as Arc<dyn Codec>), true).unwrap();
    let one = |seq: u64| {
        let (name, archived) = (format!("intent-{seq}.json"), format!("processed/intent-{seq}.x.json"));
        let key = outcome(Seq(0))
            .key
            .map(|key| conductor_core::intent::TargetKey { target: format!("t{seq}"), ..key });
        Outcome { archived_as: archived, key, ..Outcome::blank(Seq(seq), &name, at(seq)) }
    };
    for begin in (1..=MANY).step_by(20_000) {
        let chunk: Vec<Outcome> = (begin..begin + 20_000).map(one).collect();
        store.commit(&Work { imported: chunk.iter().collect(), ..Work::default() }).unwrap();
    }
    let read = |what: &str, work: &dyn Fn() -> Vec<Seq>| {
        let before = codec.0.load(Ordering::Relaxed);
        let found = work();
        let reads = codec.0.load(Ordering::Relaxed) - before;
        assert!(reads <= 3, "{what}: {reads} read");
        found
    };
    let found = |term, from| {
        let mut found = Vec::new();
        let search = Search { term: Some(term), from, ..Search::default() };
        store
            .search(search, &mut |outcome| {
                found.push(outcome.seq);
                found.len() < 3
            })
            .unwrap();
        found
    };
    assert_eq!(read("a name", &|| found(Term::File("intent-70000.json"), Seq::ZERO)), [Seq(70_000)]);
    assert_eq!(read("an archived name", &|| found(Term::File("intent-7.x.json"), Seq::ZERO)), [Seq(7)]);
    assert_eq!(read("a target", &|| found(Term::Target("n/t9"), Seq::ZERO)), [Seq(9)]);
    assert_eq!(read("a target alone", &|| found(Term::Target("t9"), Seq::ZERO)), [Seq(9)]);
    let failed = Term::Status(conductor_core::record::Status::Failed);
    assert_eq!(read("an ending", &|| found(failed, Seq::ZERO)), [Seq::ZERO; 0]);
    let since = at(MANY - 1);
    assert_eq!(
        read("a time", &|| vec![store.first_since(since, &|| true).unwrap().unwrap()]),
        [Seq(MANY - 1)]
    );
    assert_eq!(store.first_since(at(0), &|| false).unwrap(), None, "it ends when nobody waits for it");
    let clock = ClockBook::default();
    let bound = Bound { before: at(3), now: at(MANY) };
    let old = || store.old(Part { from: None, most: usize::MAX, bound, clock: &clock }).unwrap();
    assert_eq!(read("what is old", &|| old().old.iter().map(|old| old.seq).collect()), [Seq(1), Seq(2)]);
    let from = Some(DecidedAt { at: at(2), seq: Seq(2) });
    let rest = || store.old(Part { from, most: 1, bound, clock: &clock }).unwrap();
    assert_eq!(read("the rest", &|| rest().old.iter().map(|old| old.seq).collect()), [Seq(2)]);
}
