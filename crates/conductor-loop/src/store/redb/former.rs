//! Stores of earlier layouts: each is converted with all its records, or stays unchanged.

use super::damage::{Rows, rows};
use super::layout::{FORMER_OWNERS, FORMER_STARTS, LAYOUT, OUTCOMES, OWNERS, STARTED, TABLES, TERMS, TIMES};
use super::screen::Sharing;
use super::table::Transaction;
use super::tests::{claim, keyless, outcome, store};
use super::*;
use crate::store::{Kept, Ledger, Outcomes, Search, Start, Term, Work};
use conductor_core::record::Outcome;
use conductor_core::{Attempt, Seq};
use conductor_os::dir::Dir;
use std::path::Path;
use std::sync::{Arc, PoisonError};

impl Store {
    /// Turns it into a store of an earlier layout, as a program of that version wrote it.
    pub(crate) fn as_of_layout(&self, version: u32) {
        let written = self.write(|txn| {
            for row in STARTED.of(txn)?.all()? {
                let row = row?;
                let Start { attempt, happened } = row.value()?;
                FORMER_STARTS.put(txn, row.key(), (attempt.get(), happened))?;
            }
            if version == 2 {
                for row in OWNERS.of(txn)?.all()? {
                    let row = row?;
                    FORMER_OWNERS.put(txn, &row.name()?, row.value()?)?;
                }
            }
            STARTED.drop_from(txn)?;
            OWNERS.drop_from(txn)?;
            TERMS.drop_from(txn)?;
            TIMES.drop_from(txn)?;
            LAYOUT.put(txn, &version)
        });
        written.unwrap();
    }
}

/// Fills a store with finished, unfinished and started intents; returns the rows that no layout loses.
fn fill(store: &Store) -> Rows {
    for seq in 1..=40 {
        store.commit(&Work::claim(&claim(Seq(seq)), b"abc", seq % 3 == 0)).unwrap();
        if seq % 4 != 0 {
            let own = format!("processed/intent-a.{seq}.json");
            let outcome = Outcome { archived_as: own, ..outcome(Seq(seq)) };
            let decided = Work::decide(&outcome, Some(b"log"), Kept::Already);
            store.commit(&Work { done: vec![Seq(seq)], ..decided }).unwrap();
        }
    }
    kept(store)
}

fn kept(store: &Store) -> Rows {
    rows(store).into_iter().filter(|(table, _)| *table != "meta").collect()
}

#[test]
fn a_store_of_an_earlier_layout_is_taken_over_whole_and_looking_at_it_changes_no_byte() {
    for version in [1, 2] {
        let (temp, dir, store) = store();
        let all = fill(&store);
        store.as_of_layout(version);
        drop(store);
        let before = std::fs::read(temp.path().join(FILE)).unwrap();
        let looked = Store::look(&dir, &keyless()).unwrap();
        assert!(kept(&looked) == all, "{version}");
        drop(looked);
        assert!(std::fs::read(temp.path().join(FILE)).unwrap() == before);
        for _ in 0..2 {
            let opened = Store::open(Arc::clone(&dir), &keyless(), false).unwrap();
            assert!(kept(&opened) == all, "{version}");
            let layout = opened.reading(|txn| Ok((LAYOUT.get(txn)?, txn.names()?.len())));
            assert_eq!(layout.unwrap(), (Some(VERSION), TABLES), "{version}");
        }
    }
}

/// The store after each step of an interrupted conversion.
fn cut_at_each_piece(at: &Path, dir: &Arc<Dir>) -> Vec<Vec<u8>> {
    let mut file = std::fs::read(at).unwrap();
    let taking = Store::verified(Arc::clone(dir), &keyless(), Sharing::Alone, Behind::Refused).unwrap();
    taking.bring_up().unwrap();
    let database = taking.database.read().unwrap_or_else(PoisonError::into_inner);
    let pieces = database.as_ref().unwrap().screen.held_back();
    let mut cut = vec![file.clone()];
    for (place, bytes) in pieces {
        let place = usize::try_from(place).unwrap();
        match bytes {
            Some(bytes) => {
                file.resize(file.len().max(place + bytes.len()), 0);
                file[place..place + bytes.len()].copy_from_slice(&bytes);
            }
            None => file.resize(place, 0),
        }
        cut.push(file.clone());
    }
    cut
}

#[test]
fn a_take_over_that_is_cut_off_anywhere_leaves_a_store_that_holds_everything() {
    let (temp, dir, store) = store();
    let all = fill(&store);
    store.as_of_layout(2);
    drop(store);
    let (path, mark) = (temp.path().join(FILE), temp.path().join(MARK));
    let marked = std::fs::read(&mark).unwrap();
    let cuts = cut_at_each_piece(&path, &dir);
    assert!(cuts.len() > 10, "{}", cuts.len());
    for (at, cut) in cuts.iter().enumerate() {
        std::fs::write(&path, cut).unwrap();
        std::fs::write(&mark, &marked).unwrap();
        let opened = Store::open(Arc::clone(&dir), &keyless(), false)
            .unwrap_or_else(|error| panic!("piece {at}: {error}"));
        assert!(kept(&opened) == all, "piece {at}");
    }
}

#[test]
fn starts_of_an_earlier_layout_are_salvaged() {
    let (temp, dir, store) = store();
    fill(&store);
    store.as_of_layout(2);
    drop(store);
    // The mark is removed with the salvaged store.
    std::fs::remove_file(temp.path().join(MARK)).unwrap();
    let mut outcomes = 0;
    let count = &mut |_| {
        outcomes += 1;
        Ok(())
    };
    Store::salvage(&dir, &keyless()).unwrap().each(count).unwrap();
    assert_eq!(outcomes, 30);
    let read = Store::look(&dir, &keyless()).unwrap();
    assert_eq!(read.claim(Seq(12)).unwrap().unwrap().1, Some(Start { attempt: Attempt(1), happened: false }));
}

#[test]
fn an_index_that_lacks_outcomes_or_has_others_is_damage() {
    let (_temp, dir, store) = store();
    fill(&store);
    // A row that leads to an outcome without its term.
    store.write(|txn| TERMS.put(txn, ("file other.json", Seq(7)), ())).unwrap();
    let search = |name| Search { term: Some(Term::File(name)), ..Search::default() };
    let mut found = 0;
    store
        .search(search("intent-a.json"), &mut |_| {
            found += 1;
            true
        })
        .unwrap();
    assert_eq!(found, 30);
    let error = store.search(search("other.json"), &mut |_| true).unwrap_err();
    assert_eq!(error.code(), conductor_core::Code::StoreDamaged, "{error}");
    // An outcome that a program without an index did not enter.
    store.write(|txn| OUTCOMES.put(txn, Seq(99), &outcome(Seq(99))).map(drop)).unwrap();
    drop(store);
    let error = Store::open(dir, &keyless(), false).unwrap_err();
    assert_eq!(error.to_string(), "the state store is damaged: its index has 30 of 31 outcomes");
}
